import assert from "node:assert/strict";
import { PartFile } from "../../../lib/share/download/part_file.ts";
import { HOST } from "../../proxy/world.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";
import { sha256 } from "./memory_part.ts";

const SOURCE = new URL(`http://${HOST}/secretsecret/f`);
const BYTES = new Uint8Array(5_000).map((_, index) => index % 251);
const FACTS = { etag: '"e"', bytes: BYTES.length, digest: sha256(BYTES) };

async function names(home: TemporaryDirectory): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(home.path)))
    .map(({ name }) => name).sort();
}

Deno.test("PartFile keeps what has come, of what, and not from where, until it is whole", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("f");
  {
    using part = await PartFile.open(path, SOURCE);
    await part.begin(FACTS);
    await part.append(BYTES.subarray(0, 2_000));
  }
  assert.deepEqual(await names(home), ["f.part", "f.part-info"]);
  const info = await Deno.readTextFile(`${path}.part-info`);
  assert.doesNotMatch(info, /secretsecret|anon/);
  {
    using part = await PartFile.open(path, SOURCE);
    assert.deepEqual(part.entity, FACTS);
    assert.equal(part.bytes, 2_000);
    assert.deepEqual(part.digest, sha256(BYTES.subarray(0, 2_000)));
    await part.append(BYTES.subarray(2_000));
    assert.deepEqual(part.digest, FACTS.digest);
    await part.finish();
  }
  assert.deepEqual(await names(home), ["f"]);
  assert.deepEqual(await Deno.readFile(path), BYTES);
  if (Deno.build.os !== "windows") {
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }
});

Deno.test("PartFile begins anew with what comes from elsewhere, or of which nothing is known", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("f");
  const spoil: readonly (() => Promise<void>)[] = [
    async () => {
      await Deno.remove(`${path}.part`);
      using part = await PartFile.open(path, new URL(`http://${HOST}/other`));
      await part.begin(FACTS);
      await part.append(BYTES);
    },
    () => Deno.writeTextFile(`${path}.part-info`, "{"),
    () => Deno.writeTextFile(`${path}.part-info`, '{"source":1}'),
    () => Deno.writeTextFile(`${path}.part-info`, "x".repeat(10_000)),
  ];
  for (const change of spoil) {
    await Deno.writeFile(`${path}.part`, BYTES);
    await change();
    using part = await PartFile.open(path, SOURCE);
    assert.equal(part.bytes, 0);
    assert.equal(part.entity, undefined);
  }
  assert.deepEqual(await names(home), [], "nothing stays of nothing");
});

Deno.test("PartFile overwrites no file, and lets one process at a time", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("f");
  using part = await PartFile.open(path, SOURCE);
  await assert.rejects(PartFile.open(path, SOURCE), { code: "get.busy" });
  await part.begin(FACTS);
  await part.append(BYTES);
  await Deno.writeTextFile(path, "mine");
  await assert.rejects(part.finish(), { code: "get.exists" });
  assert.equal(await Deno.readTextFile(path), "mine");
});

Deno.test("PartFile says what is wrong with the place", async () => {
  await using home = await TemporaryDirectory.create();
  await assert.rejects(PartFile.open(home.pathOf("no/f"), SOURCE), {
    code: "storage.missing",
  });
});

Deno.test("PartFile leaves alone what no download has left in its place", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("f");
  const other = home.pathOf("other");
  const lay: readonly (() => Promise<void>)[] = [
    () => Deno.writeTextFile(`${path}.part`, "another program's"),
    () => Deno.mkdir(`${path}.part`),
    () => Deno.symlink(other, `${path}.part`),
    () => Deno.symlink(other, `${path}.part-info`),
  ];
  await Deno.writeTextFile(other, "mine");
  for (const [index, put] of lay.entries()) {
    if (Deno.build.os === "windows" && index >= 2) continue; // links are for administrators
    await put();
    await assert.rejects(
      async () => {
        using part = await PartFile.open(path, SOURCE);
        await part.begin(FACTS);
      },
      { code: "get.exists" },
      `${index}`,
    );
    assert.equal(await Deno.readTextFile(other), "mine");
    if (index === 0) {
      assert.equal(
        await Deno.readTextFile(`${path}.part`),
        "another program's",
      );
    }
    for (const name of await names(home)) {
      if (name !== "other") await Deno.remove(home.pathOf(name));
    }
  }
});
