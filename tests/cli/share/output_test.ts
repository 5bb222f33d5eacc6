import assert from "node:assert/strict";
import { fileIs, outputOf } from "../../../lib/cli/share/output.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

Deno.test("outputOf() puts a file where it is told, or into a directory that is there", async () => {
  await using home = await TemporaryDirectory.create();
  const path = home.pathOf("new");
  assert.equal(await outputOf(path, ["a"], "file"), path);
  assert.equal(await outputOf(home.path, ["a"], "file"), home.pathOf("a"));
  assert.equal(await outputOf(undefined, ["a"], "file"), "a");
  assert.equal(await outputOf(undefined, ["a"], "directory"), "a");
});

Deno.test(
  "outputOf() makes the directories of a share, and goes through no link",
  {
    ignore: Deno.build.os === "windows",
  },
  async () => {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("got");
    const name = ["d", "e", "f"];
    assert.equal(await outputOf(path, name, "directory"), `${path}/d/e/f`);
    assert.ok((await Deno.stat(`${path}/d/e`)).isDirectory);
    assert.equal(await outputOf(path, name, "directory"), `${path}/d/e/f`);
    await Deno.mkdir(home.pathOf("outside"));
    await Deno.symlink(home.pathOf("outside"), `${path}/link`);
    await assert.rejects(outputOf(path, ["link", "f"], "directory"), {
      code: "get.exists",
    });
    await Deno.writeTextFile(`${path}/file`, "");
    await assert.rejects(outputOf(path, ["file", "f"], "directory"), {
      code: "get.exists",
    });
  },
);

Deno.test(
  "fileIs() knows a file that is there already, and takes no other for it",
  {
    ignore: Deno.build.os === "windows",
  },
  async () => {
    await using home = await TemporaryDirectory.create();
    const path = home.pathOf("f");
    const bytes = new TextEncoder().encode("words");
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    assert.equal(await fileIs(path, digest), false);
    await Deno.writeFile(path, bytes);
    assert.equal(await fileIs(path, digest), true);
    await assert.rejects(fileIs(path, new Uint8Array(32)), {
      code: "get.exists",
    });
    await assert.rejects(fileIs(path, undefined), { code: "get.exists" });
    await assert.rejects(fileIs(home.path, digest), { code: "get.exists" });
    await Deno.symlink(path, home.pathOf("link"));
    await assert.rejects(fileIs(home.pathOf("link"), digest), {
      code: "get.exists",
    });
  },
);
