import assert from "node:assert/strict";
import fc from "fast-check";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
} from "../../../lib/auth/network.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../../lib/auth/socket_address.ts";
import { type Bytes, equalBytes } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  compareDistance,
  sharedPrefixBits,
} from "../../../lib/dht/records/distance.ts";
import { MAX_REPLACEMENTS } from "../../../lib/dht/table/bucket.ts";
import {
  MAX_PER_GROUP,
  MAX_PER_GROUP_AND_BUCKET,
} from "../../../lib/dht/table/contact_groups.ts";
import {
  MAX_PENDING_PINGS,
  PENDING_PING_MS,
} from "../../../lib/dht/table/newcomers.ts";
import {
  MAX_FAILURES,
  REFRESH_MS,
  RETRY_MS,
  RoutingTable,
  STALE_MS,
  TABLE_TICK_MS,
} from "../../../lib/dht/table/routing_table.ts";
import {
  addressOf,
  fakeRecord,
  point,
  type RecordChanges,
} from "../records/fake_records.ts";

const local = networkParameters("local");
const SELF = point();
const k = local.k;

/** Subnets count, as in `main`. */
const publicNetwork = customNetwork({
  name: "public",
  powDifficulty: 0,
  allowPrivateAddresses: false,
});

function makeTable(network: NetworkParameters = local): RoutingTable {
  return new RoutingTable({
    network,
    random: seededRandom(1),
    selfId: SELF,
    selfPlace: SELF,
  });
}

function addressIn(record: NodeRecord): SocketAddress {
  return record.addresses[0] as SocketAddress;
}

/** A node of bucket 0, another for each number. */
function far(number: number, changes: RecordChanges = {}): NodeRecord {
  return fakeRecord(point(0x80, number >> 8, number & 255), changes);
}

/** Consider a node, and have it answer its ping. */
function admit(table: RoutingTable, record: NodeRecord, nowMs = 0): void {
  table.consider(record, nowMs);
  table.onAlive(record, addressIn(record), nowMs);
}

function fillBucket(table: RoutingTable, nowMs = 0): NodeRecord[] {
  const records = Array.from({ length: k }, (_, index) => far(index));
  for (const record of records) admit(table, record, nowMs);
  return records;
}

function ids(records: Iterable<{ record: NodeRecord }>): Bytes[] {
  return Array.from(records, ({ record }) => record.nodeId);
}

/** Let a contact fail until it leaves. */
function exhaust(table: RoutingTable, id: Bytes, nowMs: number) {
  const actions = [];
  for (let failures = 0; failures < MAX_FAILURES; failures++) {
    actions.push(...table.onFailure(id, nowMs));
  }
  return actions;
}

Deno.test("consider() pings a newcomer, who enters with its answer alone", () => {
  const table = makeTable();
  const record = far(1);
  assert.deepEqual(table.consider(record, 0), [{ type: "ping", record }]);
  assert.equal(table.size, 0);
  assert.equal(table.get(record.nodeId), undefined);
  table.onAlive(record, addressIn(record), 5);
  assert.equal(table.size, 1);
  const contact = table.get(record.nodeId);
  assert.deepEqual([contact?.seenMs, contact?.failures], [5, 0]);
});

Deno.test("a node that was not considered does not enter by answering", () => {
  const table = makeTable();
  table.onAlive(far(1), addressIn(far(1)), 0);
  assert.equal(table.size, 0);
  admit(table, far(2));
  table.onAlive(far(3), addressIn(far(3)), 0);
  assert.deepEqual(ids(table.contacts()), [far(2).nodeId]);
});

Deno.test("a newcomer that does not answer does not enter, nor later", () => {
  const table = makeTable();
  table.consider(far(1), 0);
  assert.deepEqual(table.onFailure(far(1).nodeId, 100), []);
  table.onAlive(far(1), addressIn(far(1)), 200);
  assert.equal(table.size, 0);
});

Deno.test("a node that answers elsewhere than its record says does not enter", () => {
  const table = makeTable();
  const record = far(1);
  const listed = addressIn(record);
  for (const address of [addressOf(9), { ...listed, port: 1 }]) {
    table.consider(record, 0);
    table.onAlive(record, address, 0);
    assert.equal(table.size, 0);
  }
});

Deno.test("neither the node itself nor what is no relay enters", () => {
  const table = makeTable();
  const self = fakeRecord(SELF);
  const client = far(1, { flags: [] });
  for (const record of [self, client]) {
    assert.deepEqual(table.consider(record, 0), []);
    table.onAlive(record, addressIn(record), 0);
  }
  assert.equal(table.size, 0);
  assert.equal(table.vacancyFor(self), undefined);
  assert.equal(table.vacancyFor(client), undefined);
  assert.equal(table.vacancyFor(far(2)), 0);
});

Deno.test("consider() pings a node once, and few nodes at once", () => {
  const table = makeTable();
  assert.equal(table.consider(far(0), 0).length, 1);
  assert.equal(table.consider(far(0), 10).length, 0);
  let pings = 1;
  for (let number = 1; number < 200; number++) {
    pings += table.consider(fakeRecord(point(0x80 >> (number % 8), number)), 0)
      .length;
  }
  assert.equal(pings, MAX_PENDING_PINGS);
  assert.equal(table.freePings, 0);
  assert.equal(table.consider(far(0), PENDING_PING_MS).length, 0);
});

Deno.test("roomIn() counts the newcomers being pinged as if they were there", () => {
  const table = makeTable();
  const { k } = local;
  assert.equal(table.roomIn(0), k);
  for (let number = 0; number < 4; number++) table.consider(far(number), 0);
  assert.equal(table.roomIn(0), k - 4);
  assert.equal(table.roomIn(1), k);
  table.onAlive(far(0), addressIn(far(0)), 1);
  table.onFailure(far(1).nodeId, 1);
  assert.equal(table.size, 1);
  assert.equal(table.roomIn(0), k - 3);
});

Deno.test("pings that were never answered make room for others in time", () => {
  const table = makeTable();
  admit(table, fakeRecord(point(1)));
  for (let number = 0; number < 100; number++) table.consider(far(number), 0);
  assert.equal(table.freePings, 0);
  table.onTime(Math.max(PENDING_PING_MS, TABLE_TICK_MS));
  assert.equal(table.freePings, MAX_PENDING_PINGS);
});

Deno.test("a full bucket keeps its contacts, and pings the oldest when a newcomer wants in", () => {
  const table = makeTable();
  const records = fillBucket(table);
  const laterMs = 3_600_000;
  const [action] = table.consider(far(100), laterMs);
  assert.deepEqual(action?.record, records[0]);
  assert.equal(table.size, k);
  // One question at a time.
  assert.deepEqual(table.consider(far(101), laterMs), []);
  const oldest = records[0] as NodeRecord;
  table.onAlive(oldest, addressIn(oldest), laterMs);
  assert.equal(table.size, k);
  assert.ok(table.get(oldest.nodeId));
  assert.equal(table.get(far(100).nodeId), undefined);
  // The next to be asked is now the oldest.
  assert.deepEqual(table.consider(far(102), laterMs)[0]?.record, records[1]);
});

Deno.test("a full bucket asks no contact that was heard of lately", () => {
  const table = makeTable();
  fillBucket(table, 1000);
  assert.deepEqual(table.consider(far(100), 2000), []);
});

Deno.test("an oldest contact that does not answer makes place at once where a newcomer waits", () => {
  const table = makeTable();
  const records = fillBucket(table);
  const laterMs = 3_600_000;
  table.consider(far(100), laterMs);
  const actions = table.onFailure((records[0] as NodeRecord).nodeId, laterMs);
  assert.equal(table.size, k - 1);
  // The successor has not answered yet: it is pinged first.
  assert.deepEqual(actions, [{ type: "ping", record: far(100) }]);
  table.onAlive(far(100), addressIn(far(100)), laterMs);
  assert.equal(table.size, k);
  assert.deepEqual(ids(table.contacts()).at(-1), far(100).nodeId);
});

Deno.test("contacts leave in the order in which they were last seen", () => {
  const table = makeTable();
  const records = fillBucket(table);
  const order = [5, 2, 9];
  for (const [step, index] of order.entries()) {
    const record = records[index] as NodeRecord;
    table.onAlive(record, addressIn(record), 10 + step);
  }
  const inOrder = ids(table.contacts());
  const expected = [
    ...records.filter((_, index) => !order.includes(index)),
    ...order.map((index) => records[index] as NodeRecord),
  ];
  assert.deepEqual(inOrder, expected.map(({ nodeId }) => nodeId));
});

Deno.test("a contact leaves after so many failures in a row, and not before", () => {
  const table = makeTable();
  admit(table, far(1));
  const { nodeId } = far(1);
  for (let round = 0; round < 3; round++) {
    for (let failures = 1; failures < MAX_FAILURES; failures++) {
      table.onFailure(nodeId, 0);
      assert.equal(table.get(nodeId)?.failures, failures);
    }
    table.onHeard(nodeId, 1);
    assert.equal(table.get(nodeId)?.failures, 0);
  }
  exhaust(table, nodeId, 0);
  assert.equal(table.size, 0);
});

Deno.test("a contact that failed is tried again soon, and not handed on until it answers", () => {
  const table = makeTable();
  admit(table, far(1));
  admit(table, far(2));
  table.onFailure(far(1).nodeId, 0);
  assert.deepEqual(ids(table.closest(SELF, 10)), [far(2).nodeId]);
  assert.equal(table.deadlineMs, RETRY_MS);
  assert.deepEqual(table.onTime(RETRY_MS - 1), []);
  assert.deepEqual(table.onTime(RETRY_MS), [{ type: "ping", record: far(1) }]);
  table.onAlive(far(1), addressIn(far(1)), RETRY_MS + 1);
  assert.equal(table.closest(SELF, 10).length, 2);
});

Deno.test("a dead contact is gone after a few retries, without any newcomer's help", () => {
  const table = makeTable();
  admit(table, far(1));
  table.onFailure(far(1).nodeId, 0);
  let nowMs = 0;
  for (let step = 0; step < 100 && table.size > 0; step++) {
    nowMs = table.deadlineMs;
    for (const { record } of table.onTime(nowMs)) {
      table.onFailure(record.nodeId, nowMs);
    }
  }
  assert.equal(table.size, 0);
  assert.ok(nowMs <= MAX_FAILURES * RETRY_MS, `gone at ${nowMs}`);
});

Deno.test("a contact that is silent for long is pinged, one of a bucket at a time", () => {
  const table = makeTable();
  const records = fillBucket(table);
  assert.deepEqual(table.onTime(TABLE_TICK_MS), []);
  const pinged = table.onTime(STALE_MS);
  assert.deepEqual(pinged, [{ type: "ping", record: records[0] }]);
  assert.deepEqual(table.onTime(STALE_MS + TABLE_TICK_MS), []);
  const first = records[0] as NodeRecord;
  table.onAlive(first, addressIn(first), STALE_MS + TABLE_TICK_MS);
  const next = table.onTime(STALE_MS + 2 * TABLE_TICK_MS);
  assert.deepEqual(next, [{ type: "ping", record: records[1] }]);
});

Deno.test("replacements are few: the last that came, and those that answered stay longer", () => {
  const table = makeTable();
  const records = fillBucket(table);
  for (let number = 100; number < 150; number++) table.consider(far(number), 0);
  let entered = 0;
  for (const { nodeId } of records) {
    for (const { record } of exhaust(table, nodeId, 0)) {
      table.onAlive(record, addressIn(record), 0);
      entered++;
    }
  }
  assert.equal(entered, MAX_REPLACEMENTS);
  const present = new Set(ids(table.contacts()).map(String));
  for (let number = 150 - MAX_REPLACEMENTS; number < 150; number++) {
    assert.ok(present.has(String(far(number).nodeId)));
  }
});

Deno.test("a newer record of a contact takes the place of the old, and not the reverse", () => {
  const table = makeTable();
  admit(table, far(1));
  const { sequence } = far(1);
  const newer = far(1, { sequence: sequence + 1 });
  table.renew(newer);
  table.renew(far(1));
  assert.equal(table.get(newer.nodeId)?.record, newer);
  assert.deepEqual(table.consider(far(1, { sequence: sequence + 2 }), 0), []);
  assert.equal(table.get(newer.nodeId)?.record.sequence, sequence + 2);
  table.renew(far(2));
  assert.equal(table.size, 1);
});

Deno.test("where subnets count, one subnet has few contacts in a bucket and in the table", () => {
  const table = makeTable(publicNetwork);
  let number = 0;
  const sameSubnet = (bucket: number) => {
    const host = `52.7.7.${++number}`;
    const id = point(0x80 >> bucket, number);
    return fakeRecord(id, { addresses: [{ host, port: 4001 }] });
  };
  for (let bucket = 0; bucket < 8; bucket++) {
    for (let tries = 0; tries < 6; tries++) admit(table, sameSubnet(bucket));
    const inBucket = ids(table.contacts()).filter((id) =>
      sharedPrefixBits(SELF, id) === bucket
    ).length;
    const expected = Math.min(
      MAX_PER_GROUP_AND_BUCKET,
      MAX_PER_GROUP - MAX_PER_GROUP_AND_BUCKET * bucket,
    );
    assert.equal(inBucket, Math.max(0, expected));
  }
  assert.equal(table.size, MAX_PER_GROUP);
  // A place of the subnet is free again when a contact leaves.
  const [first] = [...table.contacts()];
  table.remove((first as { record: NodeRecord }).record.nodeId);
  admit(table, sameSubnet(0));
  assert.equal(table.size, MAX_PER_GROUP);
});

Deno.test("a node counts in the subnet where it answered, whatever else it lists", () => {
  const table = makeTable(publicNetwork);
  for (let number = 0; number < 6; number++) {
    const victim = { host: "52.7.7.1", port: 4001 };
    const own = { host: `53.${number}.1.1`, port: 4001 };
    const record = far(number, { addresses: [victim, own] });
    table.consider(record, 0);
    table.onAlive(record, own, 0);
  }
  assert.equal(table.size, 6);
  const honest = far(50, { addresses: [{ host: "52.7.7.2", port: 4001 }] });
  admit(table, honest);
  assert.equal(table.size, 7);
});

Deno.test("where subnets do not count, all may be on one machine", () => {
  const table = makeTable();
  for (let number = 0; number < k; number++) {
    const address = { host: "127.0.0.1", port: 4001 + number };
    admit(table, far(number, { addresses: [address] }));
  }
  assert.equal(table.size, k);
});

Deno.test("closest() is what sorting all contacts would give", () => {
  const anyId = fc.uint8Array({ minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(
      fc.uniqueArray(anyId, { maxLength: 60, selector: String }),
      anyId,
      fc.integer({ min: 1, max: 25 }),
      (leading, target, count) => {
        const table = makeTable();
        for (const bytes of leading) admit(table, fakeRecord(point(...bytes)));
        const wanted = point(...target);
        const expected = ids(table.contacts())
          .sort((a, b) => compareDistance(wanted, a, b)).slice(0, count);
        assert.deepEqual(ids(table.closest(wanted, count)), expected);
      },
    ),
    { numRuns: 80 },
  );
});

Deno.test("refreshTarget() lies in a bucket without a look-up for an hour", () => {
  const table = makeTable();
  for (const byte of [0x80, 0x40, 0x20]) admit(table, fakeRecord(point(byte)));
  const due = table.refreshMs;
  assert.ok(due > REFRESH_MS / 2 && due <= REFRESH_MS);
  assert.equal(table.refreshTarget(due - 1), undefined);
  const buckets = new Set<number>();
  for (
    let target = table.refreshTarget(REFRESH_MS);
    target !== undefined;
    target = table.refreshTarget(REFRESH_MS)
  ) {
    buckets.add(sharedPrefixBits(SELF, target));
    table.onLookup(target, REFRESH_MS);
  }
  assert.deepEqual([...buckets].sort(), [0, 1, 2]);
  assert.equal(table.refreshMs, 2 * REFRESH_MS);
});

Deno.test("an empty table waits for nothing", () => {
  const table = makeTable();
  assert.equal(table.deadlineMs, Infinity);
  assert.equal(table.refreshMs, Infinity);
  assert.deepEqual(table.closest(SELF, 5), []);
  assert.deepEqual(table.onFailure(far(1).nodeId, 0), []);
  assert.deepEqual(table.onTime(1e9), []);
});

/** Any order of events. */
const anyEvent = fc.record({
  type: fc.constantFrom("consider", "alive", "fail", "heard", "remove", "time"),
  id: fc.tuple(fc.nat(7), fc.nat(30)),
  stepMs: fc.constantFrom(0, 10, RETRY_MS, STALE_MS),
});

Deno.test("no order of events breaks the invariants of the table", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 250 }), (events) => {
      const table = makeTable(publicNetwork);
      let nowMs = 0;
      for (const { type, id: [bucket, number], stepMs } of events) {
        nowMs += stepMs;
        const id = point(0x80 >> bucket, number);
        const host = `52.${number % 5}.1.${1 + number}`;
        const record = fakeRecord(id, { addresses: [{ host, port: 4001 }] });
        if (type === "consider") table.consider(record, nowMs);
        if (type === "alive") table.onAlive(record, addressIn(record), nowMs);
        if (type === "fail") table.onFailure(id, nowMs);
        if (type === "heard") table.onHeard(id, nowMs);
        if (type === "remove") table.remove(id);
        if (type === "time") table.onTime(nowMs);
        checkInvariants(table);
      }
    }),
    { numRuns: 60 },
  );
});

function checkInvariants(table: RoutingTable): void {
  const buckets = new Map<number, number>();
  const groups = new Map<string, number>();
  const seen = new Set<string>();
  for (const { record, group, failures, address } of table.contacts()) {
    assert.ok(!equalBytes(record.nodeId, SELF));
    assert.ok(!seen.has(String(record.nodeId)), "a contact twice");
    seen.add(String(record.nodeId));
    assert.ok(failures < MAX_FAILURES);
    assert.ok(record.addresses.includes(address));
    const bucket = sharedPrefixBits(SELF, record.nodeId);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    groups.set(group, (groups.get(group) ?? 0) + 1);
    const both = `${bucket} ${group}`;
    groups.set(both, (groups.get(both) ?? 0) + 1);
    assert.ok((groups.get(both) ?? 0) <= MAX_PER_GROUP_AND_BUCKET);
    assert.ok((groups.get(group) ?? 0) <= MAX_PER_GROUP);
    assert.equal(table.get(record.nodeId)?.record, record);
  }
  for (const size of buckets.values()) assert.ok(size <= k);
  assert.equal(table.size, seen.size);
  assert.ok(table.freePings >= 0);
}

/** The same node, by another proof of work: newer, and in another place. */
function moved(record: NodeRecord, place: Bytes): NodeRecord {
  return { ...record, place, sequence: record.sequence + 1 };
}

Deno.test("places decide buckets and distances, and not node ids", () => {
  const table = makeTable();
  // Its id is next to us, its place is in the far half.
  const record = { ...fakeRecord(point(0, 0, 1)), place: point(0x80) };
  admit(table, record);
  assert.equal(table.vacancyFor(moved(record, point(0x81))), undefined);
  const near = { ...far(1), place: point(0, 0, 2) };
  admit(table, near);
  assert.deepEqual(ids(table.closest(point(), 2)), [
    near.nodeId,
    record.nodeId,
  ]);
  assert.deepEqual(ids(table.closest(point(0x80), 1)), [record.nodeId]);
  table.onHeard(near.nodeId, 7);
  assert.equal(table.get(near.nodeId)?.seenMs, 7);
  exhaust(table, record.nodeId, 10);
  table.remove(near.nodeId);
  assert.equal(table.size, 0);
});

Deno.test("a contact whose newer record is for another place leaves, and may come anew", () => {
  const table = makeTable();
  const record = far(1);
  admit(table, record);
  const elsewhere = moved(record, point(0x20));
  table.renew(elsewhere);
  assert.equal(table.size, 0);
  admit(table, elsewhere);
  assert.deepEqual(table.get(record.nodeId)?.record.place, point(0x20));
  // The older record of it brings nothing back.
  table.consider(record, 0);
  table.renew(record);
  assert.deepEqual(
    Array.from(table.contacts(), ({ record }) => record.place),
    [point(0x20)],
  );
  const back = moved(elsewhere, point(0x80));
  table.onAlive(back, addressIn(back), 5);
  assert.equal(table.size, 0);
});
