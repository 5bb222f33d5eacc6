import assert from "node:assert/strict";
import fc from "fast-check";
import { formatNodeAddress } from "../../../lib/auth/node_address.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  DhtMemory,
  MAX_KEPT_CONTACTS,
} from "../../../lib/node/directory/dht_memory.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { encodeBlob } from "../../../lib/storage/blob_format.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { testIdentity } from "../../support/nodes.ts";

const crypto = nativeSuite();

/** One disk; each call of `open` is a process. */
class Disk {
  readonly files = new MemoryFiles();
  readonly setAside: string[] = [];

  async open(): Promise<DhtMemory> {
    this.files.crash(seededRandom(1));
    const { blobs } = await StateDirectory.open("state", {
      files: this.files,
      crypto,
      holder: "test",
      onSetAside: ({ path }) => void this.setAside.push(path),
    });
    return new DhtMemory(crypto, blobs);
  }

  async names(): Promise<string[]> {
    const names = await this.files.list("state");
    return names.filter((name) => name.startsWith("dht-")).sort();
  }
}

function contact(number: number) {
  const { publicKey } = testIdentity(crypto, number);
  return { publicKey, address: { host: "192.0.2.1", port: 1 + number } };
}

async function allRecords(memory: DhtMemory): Promise<Bytes[]> {
  const all: Bytes[] = [];
  for await (const records of memory.records()) all.push(...records);
  return all;
}

const hex = (records: readonly Bytes[]) =>
  records.map((record) => record.toHex()).sort();

Deno.test("DhtMemory gives back what was written, in another process", async () => {
  const disk = new Disk();
  const random = seededRandom(1);
  const relays = [random.bytes(300), random.bytes(400)];
  const records = Array.from({ length: 100 }, () => random.bytes(200));
  const memory = await disk.open();
  assert.deepEqual(await memory.contacts(), []);
  assert.deepEqual(await memory.relays(), []);
  assert.deepEqual(await allRecords(memory), []);
  await memory.writeContacts([contact(1), contact(2)]);
  await memory.writeRelays(relays);
  await memory.writeRecords(records);
  const later = await disk.open();
  assert.deepEqual(
    (await later.contacts()).map(formatNodeAddress),
    [contact(1), contact(2)].map(formatNodeAddress),
  );
  assert.deepEqual(await later.relays(), relays);
  assert.deepEqual(hex(await allRecords(later)), hex(records));
  assert.deepEqual(disk.setAside, []);
});

Deno.test("DhtMemory forgets records that are there no more, and keeps few contacts", async () => {
  const disk = new Disk();
  const random = seededRandom(2);
  const memory = await disk.open();
  await memory.writeRecords([random.bytes(100), random.bytes(100)]);
  await memory.writeRecords([]);
  await memory.writeContacts(
    Array.from({ length: 2 * MAX_KEPT_CONTACTS }, (_, n) => contact(n)),
  );
  const later = await disk.open();
  assert.deepEqual(await allRecords(later), []);
  assert.equal((await later.contacts()).length, MAX_KEPT_CONTACTS);
});

Deno.test("DhtMemory writes again only what has changed", async () => {
  const disk = new Disk();
  const random = seededRandom(3);
  const records = Array.from({ length: 64 }, () => random.bytes(100));
  const memory = await disk.open();
  await memory.writeRecords(records);
  const written: string[] = [];
  const { rename } = disk.files;
  disk.files.rename = (from, to) => {
    written.push(to);
    return rename.call(disk.files, from, to);
  };
  await memory.writeRecords(records);
  assert.deepEqual(written, []);
  await memory.writeRecords([...records, random.bytes(100)]);
  assert.equal(written.length, 1);
});

Deno.test("DhtMemory sets torn files and nonsense aside, and goes on without", async () => {
  const nonsense: readonly (readonly [string, Uint8Array])[] = [
    ["torn", new Uint8Array(30)],
    ["empty", encodeCbor({})],
    ["array", encodeCbor([])],
    ["text", encodeCbor({ records: "x" })],
    ["more", encodeCbor({ records: [], more: 1 })],
    ["deep", encodeCbor({ records: [[new Uint8Array(1)]] })],
    ["garbage", Uint8Array.of(0xff)],
  ];
  for (const [what, body] of nonsense) {
    for (const name of ["dht-relays", "dht-records-3"]) {
      const disk = new Disk();
      await (await disk.open()).writeRelays([new Uint8Array(5)]);
      const file = what === "torn" ? body : encodeBlob(crypto, name, body);
      disk.files.plant(`state/${name}.blob`, file);
      const memory = await disk.open();
      const relays = await memory.relays();
      assert.equal(relays.length, name === "dht-relays" ? 0 : 1, what);
      assert.deepEqual(await allRecords(memory), []);
      assert.deepEqual(disk.setAside, [`state/${name}.blob`], what);
      assert.ok((await disk.names()).includes(`${name}.blob.corrupt-1`));
    }
  }
});

Deno.test("DhtMemory sets addresses aside that are none", async () => {
  for (
    const contacts of [
      ["anon://x@192.0.2.1:1"],
      [1],
      ["y".repeat(200)],
      Array.from(
        { length: MAX_KEPT_CONTACTS + 1 },
        () => formatNodeAddress(contact(1)),
      ),
    ]
  ) {
    const disk = new Disk();
    await (await disk.open()).writeContacts([contact(1)]);
    const body = encodeCbor({ contacts });
    const file = encodeBlob(crypto, "dht-contacts", body);
    disk.files.plant("state/dht-contacts.blob", file);
    assert.deepEqual(await (await disk.open()).contacts(), []);
    assert.equal(disk.setAside.length, 1);
  }
});

Deno.test("DhtMemory takes arbitrary bytes in its files without an error", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (body) => {
      const disk = new Disk();
      await (await disk.open()).writeRelays([]);
      const file = encodeBlob(crypto, "dht-relays", body);
      disk.files.plant("state/dht-relays.blob", file);
      const relays = await (await disk.open()).relays();
      assert.ok(Array.isArray(relays));
    }),
    { numRuns: 50 },
  );
});
