import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Deliveries,
  MAX_ALL_PIECES,
  PieceQuota,
} from "../../lib/share/deliveries.ts";

const BYTES = 100;

function fresh(bytes = BYTES) {
  const counts: number[] = [];
  const deliveries = new Deliveries(
    bytes,
    0,
    undefined,
    (count) => counts.push(count),
  );
  return { deliveries, counts };
}

Deno.test("Deliveries counts a download when each byte has arrived, in whatever parts and order", () => {
  const { deliveries, counts } = fresh();
  for (const [from, to] of [[50, 100], [0, 20], [20, 50]] as const) {
    assert.equal(deliveries.count, 0);
    const delivery = deliveries.begin({ from, to });
    assert.equal(deliveries.running, 1);
    delivery.confirm();
    delivery.confirm();
  }
  assert.deepEqual(counts, [1]);
  assert.equal(deliveries.running, 0);
});

Deno.test("Deliveries does not count what is on its way, or broke off", () => {
  const { deliveries } = fresh();
  deliveries.begin({ from: 0, to: BYTES });
  deliveries.begin({ from: 0, to: BYTES }).breakOff(1, 5);
  assert.equal(deliveries.count, 0);
  assert.equal(deliveries.brokeOffMs, 5);
});

Deno.test("Deliveries takes who goes on where a transfer broke off for one who has all before", () => {
  const { deliveries, counts } = fresh();
  deliveries.begin({ from: 0, to: BYTES }).breakOff(70, 0);
  assert.ok(deliveries.mayGoOn(60));
  assert.ok(!deliveries.mayGoOn(0));
  assert.ok(!deliveries.mayGoOn(71), "so far it never came");
  deliveries.begin({ from: 70, to: BYTES }).breakOff(0, 0);
  deliveries.begin({ from: 0, to: BYTES }).breakOff(70, 0);
  deliveries.begin({ from: 60, to: BYTES }).breakOff(30, 0);
  assert.ok(!deliveries.mayGoOn(60), "it is in use, and at its beginning");
  deliveries.begin({ from: 80, to: BYTES }).confirm();
  assert.deepEqual(counts, [1]);
  assert.ok(!deliveries.mayGoOn(90));
});

Deno.test("Deliveries keeps two who download at once apart, and goes on after a restart", () => {
  const { deliveries } = fresh();
  deliveries.begin({ from: 0, to: 50 }).confirm();
  deliveries.begin({ from: 0, to: 50 }).confirm();
  deliveries.begin({ from: 50, to: BYTES }); // runs when the process dies
  const counts: number[] = [];
  const again = new Deliveries(
    BYTES,
    7,
    deliveries.record,
    (count) => counts.push(count),
  );
  assert.deepEqual(again.record, deliveries.record);
  assert.equal(again.brokeOffMs, 7);
  again.begin({ from: 70, to: BYTES }).confirm();
  assert.deepEqual(counts, [1]);
  again.begin({ from: 50, to: BYTES }).confirm();
  assert.deepEqual(counts, [1, 2]);
});

Deno.test("Deliveries counts empty files", () => {
  const { deliveries, counts } = fresh(0);
  deliveries.begin({ from: 0, to: 0 }).confirm();
  deliveries.begin({ from: 0, to: 0 }).confirm();
  assert.deepEqual(counts, [1, 2]);
});

Deno.test("Deliveries remembers no more than it has room for, whatever visitors ask for", () => {
  const { deliveries } = fresh(1_000_000);
  for (let from = 0; from < 10_000; from += 2) {
    deliveries.begin({ from, to: from + 1 }).confirm();
  }
  for (let n = 0; n < 1_000; n++) {
    deliveries.begin({ from: 0, to: 1 }).confirm();
    deliveries.begin({ from: 0, to: n + 1 }).breakOff(n + 1, n);
  }
  const { begun, unfinished } = deliveries.record;
  assert.ok(unfinished.length <= 256);
  assert.ok(begun.length <= 64);
  assert.ok(begun.every((layer) => layer.length <= 1_024));
});

Deno.test("Deliveries counts as often as the byte that arrived least often", () => {
  const range = fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 10 }))
    .map(([from, length]) => ({ from, to: Math.min(10, from + length) }));
  fc.assert(fc.property(fc.array(range, { maxLength: 40 }), (ranges) => {
    const { deliveries } = fresh(10);
    const arrived = Array.from({ length: 10 }, () => 0);
    for (const { from, to } of ranges) {
      deliveries.begin({ from, to }).confirm();
      for (let at = from; at < to; at++) arrived[at] = (arrived[at] ?? 0) + 1;
    }
    assert.equal(deliveries.count, Math.min(...arrived));
  }));
});

Deno.test("Deliveries remembers no more pieces of all files than there is room for, and counts whole downloads all the same", () => {
  const quota = new PieceQuota();
  assert.ok(quota.change(0, MAX_ALL_PIECES - 4));
  const counts: number[] = [];
  const on = (count: number) => counts.push(count);
  const one = new Deliveries(BYTES, 0, undefined, on, quota);
  const other = new Deliveries(BYTES, 0, undefined, () => {}, quota);
  other.begin({ from: 0, to: BYTES }).breakOff(10, 0);
  for (let from = 0; from < 20; from += 2) {
    one.begin({ from, to: from + 1 }).confirm();
  }
  const pieces = () => one.record.begun.flat().length;
  assert.equal(pieces(), 3);
  one.begin({ from: 0, to: BYTES }).breakOff(10, 0);
  assert.ok(!one.mayGoOn(5), "there is no room to remember it");
  one.begin({ from: 0, to: BYTES }).confirm();
  assert.deepEqual(counts, [1]);
  assert.equal(pieces(), 3, "what was there once more");
  one.begin({ from: 0, to: BYTES }).confirm();
  assert.equal(one.count, 2);
  other.begin({ from: 5, to: BYTES }).confirm();
  assert.equal(other.count, 1);
  // All room is there again but what the first file holds.
  assert.ok(quota.change(0, 4 - pieces()));
  assert.ok(!quota.change(0, 1));
  const before = one.record;
  const late = new Deliveries(BYTES, 0, before, () => {}, quota);
  assert.equal(late.count, one.count);
  assert.equal(late.record.begun.length, 0);
});

Deno.test("Deliveries counts a range over a thousand pieces of many downloads", () => {
  const { deliveries } = fresh(4_000);
  for (let index = 0; index < 1_000; index++) {
    for (let times = 0; times < 3; times++) {
      const from = 4 * index;
      deliveries.begin({ from, to: from + 2 }).confirm();
    }
  }
  deliveries.begin({ from: 0, to: 4_000 }).confirm();
  assert.equal(deliveries.count, 1);
  deliveries.begin({ from: 0, to: 3_999 }).confirm();
  const [first, ...more] = deliveries.record.begun;
  assert.deepEqual(first, [{ from: 0, to: 3_999 }]);
  assert.deepEqual(more.map(({ length }) => length), [1_000, 1_000, 1_000]);
});
