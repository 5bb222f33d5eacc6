import assert from "node:assert/strict";
import { utf8, utf8Text } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { DropBox, type DropLimits } from "../../../lib/share/box/drop_box.ts";
import { DenoFiles } from "../../../lib/storage/deno_files.ts";
import type { Files } from "../../../lib/storage/files.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { FailingFiles } from "../../support/failing_files.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

const DIR = "box";
const PLENTY: DropLimits = { fileBytes: 1_000, totalBytes: 2_000, files: 100 };

async function boxOn(files: Files, limits: Partial<DropLimits> = {}) {
  return await DropBox.open({
    files,
    random: seededRandom(1),
    directory: DIR,
    limits: { ...PLENTY, ...limits },
  });
}

async function* bytesOf(...parts: readonly string[]) {
  for (const part of parts) yield await Promise.resolve(utf8(part));
}

const take = (box: DropBox, name: string, ...parts: string[]) =>
  box.take(name, bytesOf(...parts), () => {});

async function visible(files: Files): Promise<string[]> {
  return (await files.list(DIR)).filter((name) => !name.endsWith(".lock"))
    .sort();
}

Deno.test("DropBox stores files under clean names, and overwrites none", async () => {
  const files = new MemoryFiles();
  files.plant(`${DIR}/a.txt`, utf8("mine"));
  await files.makeDirectory(DIR);
  await using box = await boxOn(files);
  const names: string[] = [];
  for (const name of ["a.txt", "a.txt", "../../etc/passwd", ".bashrc"]) {
    names.push((await take(box, name, "one", "two")).name);
  }
  assert.deepEqual(names, ["a (2).txt", "a (3).txt", "passwd", "_.bashrc"]);
  assert.equal(utf8Text(await files.read(`${DIR}/a.txt`) ?? utf8("")), "mine");
  assert.equal(
    utf8Text(await files.read(`${DIR}/passwd`) ?? utf8("")),
    "onetwo",
  );
});

Deno.test("DropBox gives names to whole files alone, and their place back to others", async () => {
  const files = new MemoryFiles();
  await using box = await boxOn(files, { totalBytes: 10, files: 1 });
  for (let n = 0; n < 5; n++) {
    const broken = (async function* () {
      yield utf8("12345678");
      await Promise.resolve();
      throw new Error("gone");
    })();
    await assert.rejects(box.take("a", broken, () => {}));
    assert.deepEqual(await visible(files), []);
  }
  assert.equal((await take(box, "a", "1234567890")).bytes, 10);
  await assert.rejects(take(box, "b", ""), { code: "receive.full" });
});

Deno.test("DropBox keeps to its limits, also while files come at once", async () => {
  const files = new MemoryFiles();
  await using box = await boxOn(files, {
    fileBytes: 8,
    totalBytes: 20,
    files: 3,
  });
  await assert.rejects(take(box, "a", "12345", "6789"), {
    code: "receive.too_large",
  });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 1_000 }, (_, n) => take(box, `f${n}`, "1234", "5678")),
  );
  const stored = outcomes.filter(({ status }) => status === "fulfilled");
  assert.ok(stored.length >= 1 && stored.length <= 2, `${stored.length}`);
  assert.equal((await visible(files)).length, stored.length);
});

Deno.test("DropBox says that the disk is full, and leaves nothing half there, wherever that happens", async () => {
  for (let failAt = 1;; failAt++) {
    const disk = new MemoryFiles();
    await disk.makeDirectory(DIR);
    const files = new FailingFiles(disk);
    const box = await boxOn(files);
    files.count = 0;
    files.failAt = failAt;
    const outcome = await take(box, "a", "12", "34").catch((error) => error);
    const isOver = files.count < failAt;
    files.failAt = 0;
    if (isOver) {
      assert.equal(outcome.name, "a");
      break;
    }
    if (outcome.code !== undefined) {
      assert.equal(outcome.code, "storage.full", `${failAt}`);
    }
    for (const name of await visible(disk)) {
      const bytes = await disk.read(`${DIR}/${name}`);
      assert.equal(bytes?.length, 4, `${failAt}: ${name}`);
    }
  }
});

Deno.test("DropBox removes what an earlier run has left half, and nothing else", async () => {
  const files = new MemoryFiles();
  await files.makeDirectory(DIR);
  for (
    const name of [
      ".anonnet-aaaaaaaaaaaaaaaa.part",
      "mine.part",
      ".anonnet-x.part",
    ]
  ) files.plant(`${DIR}/${name}`, utf8("x"));
  await using _box = await boxOn(files);
  assert.deepEqual(await visible(files), [".anonnet-x.part", "mine.part"]);
});

Deno.test("DropBox lets one process have a directory, and takes no file for one", async () => {
  await using home = await TemporaryDirectory.create();
  const options = {
    files: new DenoFiles(),
    random: seededRandom(1),
    directory: home.pathOf("new/box"),
    limits: PLENTY,
  };
  {
    await using _box = await DropBox.open(options);
    await assert.rejects(DropBox.open(options), { code: "receive.busy" });
  }
  assert.deepEqual(await Array.fromAsync(Deno.readDir(options.directory)), []);
  await Deno.writeTextFile(home.pathOf("file"), "");
  await assert.rejects(
    DropBox.open({ ...options, directory: home.pathOf("file") }),
    { code: "storage.path" },
  );
});

Deno.test("DropBox follows no link that has the name of a file that comes", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using home = await TemporaryDirectory.create();
  const directory = home.pathOf("box");
  await Deno.mkdir(directory);
  await Deno.symlink(home.pathOf("outside"), `${directory}/a.txt`);
  await using box = await DropBox.open({
    files: new DenoFiles(),
    random: seededRandom(1),
    directory,
    limits: PLENTY,
  });
  const { name } = await take(box, "a.txt", "bytes");
  assert.equal(name, "a (2).txt");
  await assert.rejects(Deno.stat(home.pathOf("outside")));
  const { mode } = await Deno.stat(`${directory}/${name}`);
  assert.equal((mode ?? 0) & 0o777, 0o600);
});
