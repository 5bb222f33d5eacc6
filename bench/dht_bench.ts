/**
 * What the DHT's machines cost: the routing table, the store, the relay list, and
 * whole look-ups in a world of machines without transport.
 *
 *     deno bench bench/dht_bench.ts
 *
 * Memory: bench/dht_memory.ts. Figures are kept in docs/performance.md.
 *
 * @module
 */
import type { NodeRecord } from "../lib/auth/node_record.ts";
import { type Bytes, concat } from "../lib/base/bytes.ts";
import { seededRandom } from "../lib/base/random.ts";
import { compareDistance, pointKey } from "../lib/dht/records/distance.ts";
import {
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../lib/dht/messages.ts";
import {
  RECORD_STORE_LIMITS,
  RecordStore,
} from "../lib/dht/records/record_store.ts";
import { RelayList } from "../lib/dht/relay_list.ts";
import { RoutingTable } from "../lib/dht/table/routing_table.ts";
import {
  checkStoredRecord,
  createStoredRecord,
  selfCertifyingKey,
} from "../lib/dht/records/stored_record.ts";
import { crypto, DhtWorld, worldRecord } from "../tests/dht/dht_world.ts";
import { fakeRecord } from "../tests/dht/records/fake_records.ts";
import { TEST_UNIX_MS as UNIX_MS } from "../tests/support/nodes.ts";

const random = seededRandom(1);
const world = new DhtWorld({ seed: 1, nodes: 100 });
world.settle(100, 60_000);
const { network } = world;
const [node] = world.nodes;
if (node === undefined) throw new Error("Cannot measure an empty world");

const points = Array.from({ length: 4096 }, () => random.bytes(32));
let turn = 0;
const nextPoint = () => points[turn++ & 4095] as Bytes;

const self = random.bytes(32);
const table = new RoutingTable({
  network,
  random,
  selfId: self,
  selfPlace: self,
});
const contacts: NodeRecord[] = [];
for (const point of points) {
  const record = fakeRecord(point);
  const [address] = record.addresses;
  if (address === undefined) continue;
  table.consider(record, 0);
  table.onAlive(record, address, 0);
  if (table.get(point) !== undefined) contacts.push(record);
}
const nextContact = () => contacts[turn++ % contacts.length] as NodeRecord;

Deno.bench("compareDistance()", { group: "points" }, () => {
  compareDistance(self, nextPoint(), nextPoint());
});
Deno.bench("pointKey()", { group: "points" }, () => {
  pointKey(nextPoint());
});

Deno.bench(`table of ${table.size}: the 20 closest`, { group: "table" }, () => {
  table.closest(nextPoint(), network.k);
});
Deno.bench("table: a contact answered", { group: "table" }, () => {
  const record = nextContact();
  const [address] = record.addresses;
  if (address !== undefined) table.onAlive(record, address, 0);
});
Deno.bench("table: consider a newcomer, bucket full", {
  group: "table",
}, () => {
  table.consider(fakeRecord(nextPoint()), 0);
});

const signers = Array.from(
  { length: 64 },
  () => crypto.signer(random.bytes(32)),
);
const values = [200, 4096, 16_384];
const stored = values.map((size) =>
  signers.map((signer) =>
    createStoredRecord(network, signer, {
      key: selfCertifyingKey(crypto, signer.publicKey, 0),
      sequence: 1,
      expiry: UNIX_MS + 3_600_000,
      value: random.bytes(size),
    })
  )
);

for (const [index, size] of values.entries()) {
  Deno.bench(`stored record of ${size} B: decode, check, verify`, {
    group: "record",
  }, () => {
    const record = stored[index]?.[turn++ & 63];
    if (record === undefined) return;
    const { encoded, key } = record;
    checkStoredRecord(crypto, network, encoded, key, UNIX_MS);
  });
}

function makeStore(): RecordStore {
  return new RecordStore({
    crypto,
    network,
    random,
    isAmongClosest: () => true,
    limits: RECORD_STORE_LIMITS,
  });
}

const small = stored[0] ?? [];
const empty = makeStore();
Deno.bench("store: a new record of 200 B", { group: "store" }, () => {
  const at = turn++ & 63;
  if (at === 0) empty.sweep(Infinity);
  const { encoded } = small[at] ?? { encoded: new Uint8Array(0) };
  empty.put(encoded, "", 0, UNIX_MS);
});

// Full: every record has another one leave, or leaves itself.
const [signer] = signers;
const full = makeStore();
const flood: Bytes[] = [];
if (signer !== undefined) {
  const record = (number: number) => {
    const key = concat(self);
    new DataView(key.buffer).setUint32(
      0,
      new DataView(self.buffer).getUint32(0) ^ (0xffffff - number),
    );
    return createStoredRecord(network, signer, {
      key,
      sequence: 1,
      expiry: UNIX_MS + 3_600_000,
      value: new Uint8Array(100),
    }).encoded;
  };
  for (let number = 0; number < RECORD_STORE_LIMITS.maxOpenRecords; number++) {
    full.put(record(number), "", 0, UNIX_MS);
  }
  for (let number = 0; number < 8000; number++) {
    flood.push(record(RECORD_STORE_LIMITS.maxOpenRecords + number));
  }
}
let flooded = 0;
Deno.bench(`store of ${full.keys} keys: a record that evicts the farthest`, {
  group: "store",
  n: 2000,
  warmup: 100,
}, () => {
  full.put(flood[flooded++ % flood.length] as Bytes, "", 0, UNIX_MS);
});
Deno.bench("store: a repeated record", { group: "store" }, () => {
  full.put(flood[0] as Bytes, "", 0, UNIX_MS);
});

const relays = Array.from(points, (point) => fakeRecord(point));
const list = new RelayList({ crypto, random, maxRelays: 4000 });
for (const record of relays) list.merge(record, 0);
Deno.bench("relay list: a known record", { group: "relays" }, () => {
  list.merge(relays[turn++ & 4095] as NodeRecord, 0);
});
Deno.bench("relay list of 4000, full: a new relay", { group: "relays" }, () => {
  list.merge(fakeRecord(random.bytes(32)), 0);
});
Deno.bench("relay list: a page of 48", { group: "relays" }, () => {
  list.page(new Uint8Array(0), UNIX_MS);
});

const page = Array.from(
  { length: network.k },
  (_, index) => worldRecord(index).encoded,
);
const answer = encodeResponse({ type: "nodes", records: page });
Deno.bench("answer with 20 node records: encode", { group: "message" }, () => {
  encodeResponse({ type: "nodes", records: page });
});
Deno.bench("answer with 20 node records: decode", { group: "message" }, () => {
  decodeResponse(network, "find_node", answer);
});

const peer = { nodeId: worldRecord(1).nodeId, record: worldRecord(1) };
Deno.bench("FindNode served, bytes to bytes", { group: "node" }, () => {
  const request = encodeRequest({ type: "find_node", target: nextPoint() });
  node.machine.onRequest(peer, request, world.nowMs, world.unixMs);
});
Deno.bench("a whole look-up among 100 nodes, all machines included", {
  group: "node",
}, () => {
  const taskId = world.begin(
    node,
    (machine, nowMs, unixMs) => machine.findNode(nextPoint(), nowMs, unixMs),
  );
  world.await(node, taskId);
});
