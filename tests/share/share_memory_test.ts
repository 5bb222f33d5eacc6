import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { keptOf, ShareMemory } from "../../lib/share/share_memory.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { MemoryDisk } from "./memory_disk.ts";
import { SECRET, sharedFiles } from "./share_world.ts";

function memoryOf({ blobs }: StateDirectory): ShareMemory {
  const clock = new SystemClock();
  return new ShareMemory({ blobs, name: "site-x", clock, onError: unwanted });
}

const SHARE = {
  secret: SECRET,
  files: [{
    path: "/files/a",
    bytes: 10,
    changedMs: 1_700_000_000_000,
    identity: "1:2",
    digest: new Uint8Array(32).fill(1),
    deliveries: {
      count: 2,
      begun: [[{ from: 0, to: 3 }, { from: 5, to: 9 }], [{ from: 1, to: 2 }]],
      unfinished: [{ from: 0, to: 10 }],
    },
  }],
};

function unwanted(error: unknown): never {
  throw error;
}

async function stateOn(files: MemoryFiles, setAside: string[] = []) {
  return await StateDirectory.open("state", {
    files,
    crypto: nobleSuite(),
    holder: "test",
    onSetAside: ({ path }) => setAside.push(path),
  });
}

Deno.test("ShareMemory gives back what it was given, over a restart", async () => {
  const files = new MemoryFiles();
  {
    using state = await stateOn(files);
    await using memory = memoryOf(state);
    assert.equal(await memory.read(), undefined);
    memory.keep(() => assert.fail("a later one stands for it"));
    memory.keep(() => SHARE);
  }
  using state = await stateOn(files);
  await using memory = memoryOf(state);
  assert.deepEqual(await memory.read(), SHARE);
});

Deno.test("ShareMemory does without what makes no sense, and sets it aside", async () => {
  const files = new MemoryFiles();
  const setAside: string[] = [];
  using state = await stateOn(files, setAside);
  await state.blobs.write("site-x", utf8("no CBOR"));
  await using memory = memoryOf(state);
  assert.equal(await memory.read(), undefined);
  assert.equal(setAside.length, 1);
});

Deno.test("keptOf() knows a file by its place, size, time and identity, and takes no other for it", async () => {
  const disk = new MemoryDisk();
  disk.put("/files/a", new Uint8Array(10));
  const [file] = await sharedFiles(disk, ["/files/a"]);
  assert.ok(file !== undefined);
  const { path, facts, digest } = file;
  const [{ deliveries }] = SHARE.files as [typeof SHARE.files[0]];
  const kept = { ...facts, path, digest, deliveries };
  const share = { secret: SECRET, files: [kept] };
  assert.equal(keptOf(file, share), kept);
  assert.equal(keptOf(file, undefined), undefined);
  const others = [{ path: "/b" }, { bytes: 9 }, { changedMs: 0 }, {
    identity: "x",
  }];
  for (const other of others) {
    const files = [{ ...kept, ...other }];
    assert.equal(keptOf(file, { secret: SECRET, files }), undefined);
  }
});
