import assert from "node:assert/strict";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { MAX_KEPT_CONTACTS } from "../../../lib/node/directory/dht_memory.ts";
import { ListMemory } from "../../../lib/node/directory/list_memory.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { TEST_UNIX_MS, testRecord } from "../../support/nodes.ts";

const crypto = nativeSuite();
const network = networkParameters("local");

/** A process that opens the memory on a disk, at a time. */
async function open(files: MemoryFiles, unixMs: number): Promise<ListMemory> {
  files.crash(seededRandom(1));
  const { blobs } = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => assert.fail("a blob was set aside"),
  });
  const clock = new VirtualClock({
    drain: () => Promise.resolve(),
    startUnixMs: unixMs,
  });
  const runtime = { crypto, random: seededRandom(2), clock };
  const verifier = new RecordVerifier(crypto, network);
  return await ListMemory.open({ runtime, verifier, blobs });
}

async function recalled(
  memory: ListMemory,
  signal?: AbortSignal,
): Promise<NodeRecord[]> {
  return await Array.fromAsync(memory.recall(signal));
}

const keys = (records: Iterable<{ readonly publicKey: Uint8Array }>) =>
  Array.from(records, ({ publicKey }) => publicKey.toHex()).sort();

const RECORDS = Array.from(
  { length: MAX_KEPT_CONTACTS + 5 },
  (_, number) => testRecord(crypto, 700 + number),
);

Deno.test("ListMemory gives back a list, and some of it to join by, in another process", async () => {
  const files = new MemoryFiles();
  const memory = await open(files, TEST_UNIX_MS);
  assert.deepEqual(memory.contacts, []);
  assert.deepEqual(await recalled(memory), []);
  await memory.save(RECORDS);
  const next = await open(files, TEST_UNIX_MS);
  assert.deepEqual(keys(await recalled(next)), keys(RECORDS));
  assert.equal(new Set(keys(next.contacts)).size, MAX_KEPT_CONTACTS);
  const known = new Set(keys(RECORDS));
  assert.ok(keys(next.contacts).every((key) => known.has(key)));
});

Deno.test("ListMemory gives a list back once, and nothing that has expired", async () => {
  const files = new MemoryFiles();
  await (await open(files, TEST_UNIX_MS)).save(RECORDS);
  const next = await open(files, TEST_UNIX_MS);
  assert.equal((await recalled(next)).length, RECORDS.length);
  assert.deepEqual(await recalled(next), []);
  const late = await open(files, TEST_UNIX_MS + 10 * 365 * 24 * 3_600_000);
  assert.deepEqual(await recalled(late), []);
});

Deno.test("ListMemory gives up with the reason of the signal", async () => {
  const files = new MemoryFiles();
  await (await open(files, TEST_UNIX_MS)).save(RECORDS);
  const next = await open(files, TEST_UNIX_MS);
  const reason = new Error("the start is over");
  await assert.rejects(recalled(next, AbortSignal.abort(reason)), reason);
});
