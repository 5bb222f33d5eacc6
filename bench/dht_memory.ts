/**
 * What the DHT keeps, in bytes of memory: per contact of a routing table, per
 * relay of a relay list, per stored record beside its encoding.
 *
 *     deno run --allow-all --v8-flags=--expose-gc bench/dht_memory.ts
 *
 * Node records are made once and shared, as a node's verifier shares them: a
 * contact and an entry of the relay list hold the same record. Figures are kept
 * in docs/performance.md.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a measurement talks to the terminal
import type { NodeRecord } from "../lib/auth/node_record.ts";
import { networkParameters } from "../lib/auth/network.ts";
import { type Random, seededRandom } from "../lib/base/random.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { nodeKey } from "../lib/dht/table/node_key.ts";
import { RecordStore } from "../lib/dht/records/record_store.ts";
import { RelayList } from "../lib/dht/relay_list.ts";
import { RoutingTable } from "../lib/dht/table/routing_table.ts";
import { createStoredRecord } from "../lib/dht/records/stored_record.ts";
import { TEST_UNIX_MS, testRecord } from "../tests/support/nodes.ts";

const COUNT = 5000;
const TABLES = 200;
const VALUE_BYTES = 4096;

const crypto = nativeSuite();
const network = networkParameters("local");
const random: Random = seededRandom(1);
const collect = Reflect.get(globalThis, "gc") as (() => void) | undefined;
if (collect === undefined) throw new Error("Run with --v8-flags=--expose-gc");

function usedBytes(): number {
  for (let turn = 0; turn < 4; turn++) collect?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** What `make` keeps alive, in bytes. */
function measure<T>(make: () => T): { bytes: number; kept: T } {
  const before = usedBytes();
  const kept = make();
  return { bytes: usedBytes() - before, kept };
}

function print(what: string, bytes: number): void {
  console.log(`${what.padEnd(52)} ${Math.round(bytes).toString().padStart(7)}`);
}

const records = measure((): NodeRecord[] =>
  Array.from({ length: COUNT }, (_, seed) => testRecord(crypto, seed))
);
const encodedBytes = records.kept[0]?.encoded.length ?? 0;
print(
  `node record, shared (encoding ${encodedBytes} bytes)`,
  records.bytes / COUNT,
);
const keys = measure(() => records.kept.map(nodeKey));
print("its key, shared", keys.bytes / COUNT);

const tables = measure(() =>
  Array.from({ length: TABLES }, () => {
    const selfId = random.bytes(32);
    const table = new RoutingTable({
      network,
      random,
      selfId,
      selfPlace: selfId,
    });
    for (const record of records.kept.slice(0, 1000)) {
      const [address] = record.addresses;
      if (address === undefined) continue;
      table.consider(record, 0);
      table.onAlive(record, address, 0);
    }
    return table;
  })
);
const contacts = tables.kept.reduce((sum, { size }) => sum + size, 0);
print(
  `contact (${Math.round(contacts / TABLES)} in a table, replacements besides)`,
  tables.bytes / contacts,
);

const lists = measure(() =>
  Array.from({ length: 10 }, () => {
    const list = new RelayList({ crypto, random });
    for (const record of records.kept) list.merge(record, 0);
    return list;
  })
);
print("entry of a relay list", lists.bytes / (10 * COUNT));

const signer = crypto.signer(random.bytes(32));
const store = measure(() => {
  const store = new RecordStore({
    crypto,
    network,
    random,
    isAmongClosest: () => true,
  });
  for (let number = 0; number < COUNT; number++) {
    const { encoded } = createStoredRecord(network, signer, {
      key: random.bytes(32),
      sequence: 1,
      expiry: TEST_UNIX_MS + 3_600_000,
      value: new Uint8Array(VALUE_BYTES),
    });
    store.put(encoded, "", 0, TEST_UNIX_MS);
  }
  return store;
});
print(
  "stored record, beside its encoding",
  (store.bytes - store.kept.bytes) / COUNT,
);
