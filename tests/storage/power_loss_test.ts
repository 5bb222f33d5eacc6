/** What is left after failures and power losses at every single step. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { equalBytes } from "../../lib/base/bytes.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import type { Files } from "../../lib/storage/files.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { FailingFiles } from "../support/failing_files.ts";

const CRYPTO = nobleSuite();
const OLD = new Uint8Array(1000).fill(1);
const NEW = new Uint8Array(3000).fill(2);
const SEED = new Uint8Array(32).fill(3);

function open(files: Files): Promise<StateDirectory> {
  return StateDirectory.open("state", {
    files,
    crypto: CRYPTO,
    holder: "test",
    onSetAside: ({ path }) => assert.fail(`${path} was damaged`),
  });
}

/** A disk that holds a key and an old blob, seen through one that can fail. */
async function prepared(code?: string) {
  const disk = new MemoryFiles();
  const files = new FailingFiles(disk, code);
  const state = await open(files);
  await state.keys.create("identity", SEED);
  await state.blobs.write("guards", OLD);
  files.count = 0;
  return { disk, files, state };
}

/** Operations that writing one blob takes. */
async function stepsOfWrite(): Promise<number> {
  const { files, state } = await prepared();
  await state.blobs.write("guards", NEW);
  return files.count;
}

Deno.test("BlobStore.write() on a full disk loses nothing, says so, and works again later", async () => {
  const steps = await stepsOfWrite();
  assert.ok(steps >= 6);
  for (const staysBroken of [false, true]) {
    for (let step = 1; step <= steps; step++) {
      const { files, state } = await prepared();
      files.failAt = step;
      files.staysBroken = staysBroken;
      await assert.rejects(state.blobs.write("guards", NEW), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.code, "storage.full");
        assert.match(
          error.message,
          /^Cannot write "state\/guards\.blob": the disk is full/,
        );
        return true;
      });
      files.failAt = 0;
      const body = await state.blobs.read("guards");
      // The last step only makes durable what is already in its place.
      assert.deepEqual(body, step === steps ? NEW : OLD);
      assert.deepEqual(await state.keys.read("identity"), SEED);
      await state.blobs.write("guards", NEW);
      assert.deepEqual(await state.blobs.read("guards"), NEW);
    }
  }
});

Deno.test("BlobStore.write() leaves the old bytes or the new ones when power fails at any step", async () => {
  const steps = await stepsOfWrite();
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: steps + 1 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      async (step, seed) => {
        const { disk, files, state } = await prepared();
        files.failAt = step;
        files.staysBroken = true;
        const done = await state.blobs.write("guards", NEW)
          .then(() => true, () => false);
        assert.equal(done, step > steps);
        disk.crash(seededRandom(seed));
        using next = await open(disk);
        const body = await next.blobs.read("guards");
        assert.ok(body !== undefined);
        assert.ok(equalBytes(body, NEW) || (!done && equalBytes(body, OLD)));
        assert.deepEqual(await next.keys.read("identity"), SEED);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("KeyStore.create() leaves all of the key or none when power fails at any step", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      async (step, seed) => {
        const disk = new MemoryFiles();
        const files = new FailingFiles(disk);
        const state = await open(files);
        files.count = 0;
        files.failAt = step;
        files.staysBroken = true;
        const done = await state.keys.create("identity", SEED)
          .then(() => true, () => false);
        disk.crash(seededRandom(seed));
        using next = await open(disk);
        const key = await next.keys.read("identity");
        if (done) assert.deepEqual(key, SEED);
        else if (key !== undefined) assert.deepEqual(key, SEED);
        else await next.keys.create("identity", SEED);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("StateDirectory.open() fails clearly at any step, and frees the lock", async () => {
  for (const code of ["ENOSPC", "EACCES", "EROFS", "EIO"]) {
    for (let step = 1;; step++) {
      const { disk, files, state } = await prepared(code);
      state[Symbol.dispose]();
      files.failAt = step;
      const opened = await open(files).catch((error: unknown) => error);
      if (opened instanceof StateDirectory) {
        assert.ok(step > 5);
        opened[Symbol.dispose]();
        break;
      }
      assert.ok(opened instanceof ConfigError);
      assert.match(opened.code, /^storage\.(full|denied|io)$/);
      assert.match(opened.message, /^Cannot .* "state/);
      using next = await open(disk);
      assert.deepEqual(await next.keys.read("identity"), SEED);
      assert.deepEqual(await next.blobs.read("guards"), OLD);
    }
  }
});

Deno.test("a blob that cannot be set aside stays where it is", async () => {
  const { disk, files, state } = await prepared("EIO");
  disk.plant("state/guards.blob", new Uint8Array(3));
  files.failAt = 3;
  await assert.rejects(state.blobs.read("guards"), { code: "storage.io" });
  assert.deepEqual(await disk.read("state/guards.blob"), new Uint8Array(3));
});

Deno.test("BlobStore.setAside() refuses to fill the disk with copies", async () => {
  const { disk, state } = await prepared();
  for (let n = 1; n <= 99; n++) {
    disk.plant(`state/guards.blob.corrupt-${n}`, new Uint8Array(1));
  }
  await assert.rejects(state.blobs.setAside("guards"), {
    code: "storage.corrupt_copies",
  });
  assert.deepEqual(await state.blobs.read("guards"), OLD);
});
