import assert from "node:assert/strict";
import fc from "fast-check";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import { CellQuota, QUOTA_BYTES } from "../../lib/circuit/cell_quota.ts";
import { CellRing, RING_CELLS } from "../../lib/circuit/cell_ring.ts";

/** `count` cells, the first byte of each its number. */
function cells(count: number, first = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count * CELL_BYTES);
  for (let i = 0; i < count; i++) bytes[i * CELL_BYTES] = first + i;
  return bytes;
}

/** Take and release all that waits. */
function drain(ring: CellRing<unknown>): number[] {
  const numbers: number[] = [];
  for (let run = ring.take(); run !== undefined; run = ring.take()) {
    assert.equal(run.length % CELL_BYTES, 0);
    for (let i = 0; i < run.length; i += CELL_BYTES) numbers.push(run[i] ?? -1);
    ring.release();
  }
  return numbers;
}

Deno.test("CellRing gives cells back in order, in runs of whole cells of at most 64 KiB", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit");
  let next = 0;
  for (const count of [1, 3, 1, 20, 40, 2]) {
    assert(ring.push(cells(count, next), 0));
    next += count;
  }
  assert.equal(ring.waitingBytes, next * CELL_BYTES);
  const first = ring.take();
  assert.equal(first?.length, CELL_BYTES); // as it came: one cell costs one cell
  ring.release();
  assert.deepEqual(
    drain(ring),
    Array.from({ length: next - 1 }, (_, i) => i + 1),
  );
  assert.equal(quota.usedBytes, 0);
  assert.equal(ring.oldestMs, undefined);
});

Deno.test("CellRing copies what it is given: the reader's buffer is free at once", () => {
  const ring = new CellRing(new CellQuota<string>(), "circuit");
  const given = cells(1, 7);
  ring.push(given, 0);
  given.fill(0);
  assert.deepEqual(drain(ring), [7]);
});

Deno.test("CellRing hands adopted cells on in their own memory, all of which counts", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit");
  ring.lend(cells(1), 0);
  const memory = new Uint8Array(16 * CELL_BYTES);
  memory.set(cells(9, 1));
  assert(ring.adopt(memory.subarray(0, 9 * CELL_BYTES), 5));
  assert.equal(ring.waitingBytes, 10 * CELL_BYTES);
  assert.equal(quota.usedBytes, 17 * CELL_BYTES);
  assert(ring.push(cells(2, 10), 6)); // there is room behind them
  assert.equal(quota.usedBytes, 17 * CELL_BYTES);
  assert(ring.push(cells(10, 12), 7));
  ring.release();
  const run = ring.take();
  assert.equal(run?.buffer, memory.buffer);
  assert.equal(run?.length, 16 * CELL_BYTES);
  ring.release();
  assert.deepEqual(drain(ring), [17, 18, 19, 20, 21]);
  assert.equal(quota.usedBytes, 0);
});

Deno.test("CellRing adopts nothing beyond its room, and forgets what it adopted", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit", { maxBytes: 20 * CELL_BYTES });
  assert(ring.adopt(cells(16), 0));
  assert.equal(ring.adopt(cells(16), 0), false);
  assert.equal(quota.usedBytes, 16 * CELL_BYTES);
  ring.clear();
  assert.equal(ring.take(), undefined);
  assert.equal(quota.usedBytes, 0);
});

Deno.test("CellRing holds RING_CELLS, with those being written, and not one more", () => {
  const ring = new CellRing(new CellQuota<string>(), "circuit");
  for (let i = 0; i < RING_CELLS; i += 16) assert(ring.push(cells(16), 0));
  assert.equal(ring.push(cells(1), 0), false);
  assert.equal(ring.waitingBytes, RING_CELLS * CELL_BYTES);
  ring.take();
  assert.equal(ring.push(cells(1), 0), false);
  ring.release();
  assert(ring.push(cells(1), 0));
});

Deno.test("CellRing takes nothing of a chunk that does not fit", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit", { maxBytes: 3 * CELL_BYTES });
  assert(ring.push(cells(2), 0));
  assert.equal(ring.push(cells(2), 0), false);
  assert.equal(ring.waitingBytes, 2 * CELL_BYTES);
  assert.equal(quota.usedBytes, 2 * CELL_BYTES);
});

Deno.test("CellRing refuses whatever would let cells overtake each other", () => {
  const ring = new CellRing(new CellQuota<string>(), "circuit");
  const order = { code: "circuit.ring_order" };
  ring.lend(cells(1), 0);
  assert(ring.writing);
  assert.throws(() => ring.lend(cells(1), 0), order);
  assert.throws(() => ring.take(), order);
  ring.push(cells(1), 0);
  ring.release();
  assert.throws(() => ring.lend(cells(1), 0), order);
  assert.deepEqual(drain(ring), [0]);
  ring.lend(cells(1), 0);
});

Deno.test("CellRing counts what is written from elsewhere until the write ends", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit");
  ring.lend(cells(5), 30);
  assert.equal(quota.usedBytes, 5 * CELL_BYTES);
  assert.equal(ring.oldestMs, 30);
  assert.equal(ring.freeableBytes, 0);
  ring.clear();
  assert.equal(quota.usedBytes, 5 * CELL_BYTES);
  ring.release();
  assert.equal(quota.usedBytes, 0);
  assert.equal(ring.oldestMs, undefined);
});

Deno.test("CellRing.clear() frees what waits, and a write under way only once it ends", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit");
  ring.push(cells(16), 0);
  ring.push(cells(16), 0);
  ring.take();
  ring.clear();
  assert.equal(ring.waitingBytes, 16 * CELL_BYTES);
  assert.equal(quota.usedBytes, 16 * CELL_BYTES);
  ring.release();
  assert.equal(quota.usedBytes, 0);
  assert.equal(ring.take(), undefined);
});

Deno.test("CellRing is as old as its oldest cell", () => {
  const ring = new CellRing(new CellQuota<string>(), "circuit");
  ring.push(cells(1), 10);
  ring.push(cells(1), 20);
  assert.equal(ring.oldestMs, 10);
  ring.take();
  assert.equal(ring.oldestMs, 10);
  ring.release();
  assert.equal(ring.oldestMs, 20);
});

Deno.test("CellQuota and CellRing count every byte, whatever happens in which order", () => {
  const step = fc.record({
    ring: fc.nat({ max: 2 }),
    what: fc.constantFrom("push", "take", "release", "clear", "lend"),
    count: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const quota = new CellQuota<number>();
      const rings = [0, 1, 2].map((owner) => new CellRing(quota, owner));
      for (const { ring: index, what, count } of steps) {
        const ring = rings[index];
        assert(ring);
        if (what === "push") ring.push(cells(count), 0);
        if (what === "take" && !ring.writing) ring.take();
        if (what === "release") ring.release();
        if (what === "clear") ring.clear();
        if (what === "lend" && ring.waitingBytes === 0) {
          ring.lend(cells(count), 0);
        }
        const held = rings.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
        assert.equal(quota.usedBytes, held);
        for (const { heldBytes, waitingBytes, freeableBytes } of rings) {
          assert(heldBytes >= waitingBytes && heldBytes >= freeableBytes);
        }
      }
      for (const ring of rings) {
        ring.clear();
        ring.release();
      }
      assert.equal(quota.usedBytes, 0);
    }),
    { numRuns: 200 },
  );
});

Deno.test("CellQuota names the circuits that have waited longest, and only when it is over", () => {
  const quota = new CellQuota<string>(100 * CELL_BYTES);
  const rings = new Map<string, CellRing<string>>();
  const ages = [["young", 500], ["oldest", 10], ["old", 100]] as const;
  for (const [name, ms] of ages) {
    const ring = new CellRing(quota, name);
    ring.push(cells(32), ms);
    rings.set(name, ring);
  }
  assert.equal(quota.over, false);
  assert.deepEqual(quota.victims(), []);
  rings.get("young")?.push(cells(16), 600);
  assert(quota.over);
  assert.deepEqual(quota.victims(), ["oldest"]);
  rings.get("oldest")?.clear();
  assert.equal(quota.over, false);
});

Deno.test("CellQuota names a circuit once, though both its directions wait", () => {
  const quota = new CellQuota<string>(4 * CELL_BYTES);
  for (const _ of ["forward", "backward"]) {
    new CellRing(quota, "circuit").push(cells(4), 0);
  }
  assert.deepEqual(quota.victims(), ["circuit"]);
});

Deno.test("CellQuota names no owner whose end would free nothing", () => {
  const quota = new CellQuota<string>(4 * CELL_BYTES);
  const stuck = new CellRing(quota, "being written");
  stuck.lend(cells(8), 0);
  assert(quota.over);
  assert.deepEqual(quota.victims(), []);
  new CellRing(quota, "waiting").push(cells(1), 50);
  assert.deepEqual(quota.victims(), ["waiting"]);
});

Deno.test("CellQuota leaves a reader alone that is slow, while others have stopped", () => {
  const quota = new CellQuota<string>(64 * CELL_BYTES);
  const slow = new CellRing(quota, "slow");
  const stopped = Array.from(
    { length: 40 },
    (_, i) => new CellRing(quota, `stopped ${i}`),
  );
  const destroyed = new Set<string>();
  for (let nowMs = 0; nowMs < 100; nowMs++) {
    assert(slow.push(cells(2), nowMs));
    drain(slow);
    slow.push(cells(1), nowMs);
    for (const ring of stopped) {
      if (!destroyed.has(ring.owner)) ring.push(cells(1), nowMs);
    }
    for (const owner of quota.victims()) {
      destroyed.add(owner);
      stopped.find((ring) => ring.owner === owner)?.clear();
    }
    assert.equal(quota.over, false);
  }
  assert(destroyed.size > 0);
  assert.equal(destroyed.has("slow"), false);
});

Deno.test("CellQuota frees a sixteenth at once, and not a cell at a time", () => {
  const quota = new CellQuota<number>(1600 * CELL_BYTES);
  const rings = Array.from({ length: 1601 }, (_, i) => {
    const ring = new CellRing(quota, i);
    ring.push(cells(1), i);
    return ring;
  });
  const victims = quota.victims();
  assert.equal(victims.length, 101);
  assert.deepEqual(victims.slice(0, 3), [0, 1, 2]);
  for (const owner of victims) rings[owner]?.clear();
  assert.equal(quota.usedBytes, 1500 * CELL_BYTES);
});

Deno.test("CellQuota is 512 MiB unless told otherwise, and never nothing", () => {
  assert.equal(new CellQuota().maxBytes, QUOTA_BYTES);
  assert.equal(QUOTA_BYTES, 536_870_912);
  for (const size of [0, -1, NaN]) {
    assert.throws(() => new CellQuota(size), RangeError);
  }
});

Deno.test("CellRing.take() gives a part of a longer run, and the rest afterwards", () => {
  const quota = new CellQuota<string>();
  const ring = new CellRing(quota, "circuit");
  ring.adopt(cells(16), 0);
  const memory = quota.usedBytes;
  const numbers: number[] = [];
  for (
    let run = ring.take(3 * CELL_BYTES);
    run !== undefined;
    run = ring.take(3 * CELL_BYTES)
  ) {
    assert.ok(run.length <= 3 * CELL_BYTES);
    for (let i = 0; i < run.length; i += CELL_BYTES) numbers.push(run[i] ?? -1);
    ring.release();
    assert.equal(quota.usedBytes, ring.waitingBytes === 0 ? 0 : memory);
  }
  assert.deepEqual(numbers, Array.from({ length: 16 }, (_, i) => i));
  assert.equal(ring.oldestMs, undefined);
});
