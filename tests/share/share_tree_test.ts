import assert from "node:assert/strict";
import { DenoShareDisk } from "../../lib/share/share_disk.ts";
import { findFiles, MAX_FILES } from "../../lib/share/share_tree.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { MemoryDisk } from "./memory_disk.ts";

Deno.test("findFiles() finds files in directories in order, and leaves out what is none", async () => {
  const disk = new MemoryDisk();
  disk.directory("/d");
  disk.put("/d/b", new Uint8Array(2));
  disk.put("/d/a", new Uint8Array(1));
  disk.put("/d/socket", new Uint8Array(0), "other");
  disk.link("/d/link", "/etc/passwd");
  disk.directory("/d/sub");
  disk.put("/d/sub/c", new Uint8Array(3));
  const { files, leftOut } = await findFiles(disk, ["/d"]);
  assert.deepEqual(files.map(({ name }) => name.join("/")), [
    "d/a",
    "d/b",
    "d/sub/c",
  ]);
  assert.deepEqual(leftOut, ["/d/link", "/d/socket"]);
});

Deno.test(
  "findFiles() follows no link of a real directory, and one that is named",
  {
    ignore: Deno.build.os === "windows",
  },
  async () => {
    await using home = await TemporaryDirectory.create();
    await Deno.mkdir(home.pathOf("d"));
    await Deno.writeTextFile(home.pathOf("outside"), "secret");
    await Deno.writeTextFile(home.pathOf("d/inside"), "open");
    await Deno.symlink(home.pathOf("outside"), home.pathOf("d/link"));
    await Deno.symlink(home.path, home.pathOf("d/up"));
    await Deno.symlink(home.pathOf("outside"), home.pathOf("named"));
    const disk = new DenoShareDisk();
    const { files, leftOut } = await findFiles(disk, [
      home.pathOf("d"),
      home.pathOf("named"),
    ]);
    assert.deepEqual(files.map(({ name }) => name.join("/")), [
      "d/inside",
      "outside",
    ]);
    assert.equal(leftOut.length, 2);
  },
);

Deno.test("findFiles() says what cannot be shared", async () => {
  const disk = new MemoryDisk();
  disk.directory("/empty");
  disk.put("/a/x", new Uint8Array(1));
  disk.put("/b/x", new Uint8Array(1));
  disk.put("/pipe", new Uint8Array(0), "other");
  await assert.rejects(findFiles(disk, ["/empty"]), { code: "share.nothing" });
  await assert.rejects(findFiles(disk, ["/a/x", "/b/x"]), {
    code: "share.twice",
  });
  await assert.rejects(findFiles(disk, ["/pipe"]), { code: "share.kind" });
  await assert.rejects(
    findFiles(new DenoShareDisk(), ["/not/there"]),
    { code: "storage.missing" },
  );
  let deep = "/deep";
  disk.directory(deep);
  for (let n = 0; n < 40; n++) disk.directory(deep += "/x");
  disk.put(`${deep}/file`, new Uint8Array(1));
  await assert.rejects(findFiles(disk, ["/deep"]), { code: "share.deep" });
});

Deno.test("findFiles() takes ten thousand files, and not one more", async () => {
  const names = Array.from({ length: MAX_FILES + 1 }, (_, n) => `f${n}`);
  const facts = (kind: "file" | "directory") => ({
    kind,
    bytes: 1,
    changedMs: 1,
    identity: "1",
  });
  const disk = {
    look: (path: string) =>
      Promise.resolve(facts(path === "/d" ? "directory" : "file")),
    realPath: (path: string) => Promise.resolve(path),
    list: () => Promise.resolve(names),
    open: () => Promise.reject(new Error("not asked for")),
  };
  await assert.rejects(findFiles(disk, ["/d"]), { code: "share.too_many" });
  names.pop();
  assert.equal((await findFiles(disk, ["/d"])).files.length, MAX_FILES);
});
