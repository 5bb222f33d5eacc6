import assert from "node:assert/strict";
import fc from "fast-check";
import {
  IntroductionGate,
  INTRODUCTIONS_BURST,
  INTRODUCTIONS_PER_SECOND,
  MAX_QUEUED,
  QUEUE_WAIT_MS,
} from "../../../lib/service/meeting/introduction_gate.ts";
import {
  LEAST_EFFORT,
  MAX_EFFORT,
} from "../../../lib/service/meeting/introduction_work.ts";

/** A gate that has no more tokens. */
function crowded(nowMs = 0): IntroductionGate<string> {
  const gate = new IntroductionGate<string>(nowMs);
  for (let n = 0; n < INTRODUCTIONS_BURST; n++) {
    assert.deepEqual(gate.add("first", LEAST_EFFORT, nowMs), []);
    assert.equal(gate.take(nowMs), "first");
  }
  assert.equal(gate.take(nowMs), undefined);
  return gate;
}

Deno.test("IntroductionGate lets every client pass while it is calm, for nothing", () => {
  const gate = new IntroductionGate<number>(0);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 50) {
    assert.equal(gate.price(nowMs), 0);
    assert.deepEqual(gate.add(nowMs, 0, nowMs), []);
    assert.equal(gate.take(nowMs), nowMs);
  }
});

Deno.test("IntroductionGate keeps half of its burst, and all of its rate, for those who work", () => {
  const gate = new IntroductionGate<string>(0);
  let passed = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs += 5) {
    if (gate.add("free", 0, nowMs).length === 0) {
      assert.equal(gate.take(nowMs), "free");
      passed++;
    }
  }
  assert.ok(passed <= INTRODUCTIONS_BURST, `${passed} passed for nothing`);
  for (let n = 0; n < INTRODUCTIONS_BURST / 2; n++) {
    assert.deepEqual(gate.add("paid", LEAST_EFFORT, 60_000), []);
    assert.equal(gate.take(60_000), "paid");
  }
});

Deno.test("IntroductionGate is calm again seconds after a flood", () => {
  const gate = new IntroductionGate<string>(0);
  for (let n = 0; n < 1000; n++) {
    gate.add("free", 0, 0);
    gate.take(0);
  }
  assert.equal(gate.price(0), LEAST_EFFORT);
  assert.equal(gate.price(4_999), LEAST_EFFORT);
  assert.equal(gate.price(5_000), 0);
});

Deno.test("IntroductionGate passes on who worked most first, and the newest of equals", () => {
  const gate = crowded();
  const efforts = [3000, 5000, 4000, 5000, 2000];
  for (const [index, effort] of efforts.entries()) {
    gate.add(`${effort} ${index}`, effort, index);
  }
  const order: string[] = [];
  for (let nowMs = 0; nowMs < 1000; nowMs++) {
    const next = gate.take(nowMs);
    if (next !== undefined) order.push(next);
  }
  assert.deepEqual(order, ["5000 3", "5000 1", "4000 2", "3000 0", "2000 4"]);
});

Deno.test("IntroductionGate pushes out the oldest of those who worked least, and raises its price above them", () => {
  const gate = crowded();
  const names = (n: number) => `${n}`;
  for (let n = 0; n < MAX_QUEUED; n++) {
    assert.deepEqual(gate.add(names(n), 10_000, n), []);
  }
  assert.deepEqual(gate.add("less", 9_000, 40), ["less"]);
  assert.deepEqual(gate.add("equal", 10_000, 41), ["0"]);
  assert.deepEqual(gate.add("more", 11_000, 42), ["1"]);
  assert.equal(gate.length, MAX_QUEUED);
  assert.equal(gate.price(42), 15_000);
});

Deno.test("IntroductionGate lowers its price while no client is pushed out", () => {
  const gate = crowded();
  for (let n = 0; n <= MAX_QUEUED; n++) gate.add("a", 100_000, 0);
  const first = gate.price(0);
  assert.equal(first, 150_000);
  while (gate.take(2_900) !== undefined);
  assert.equal(gate.expire(QUEUE_WAIT_MS).length, 0);
  assert.ok(gate.price(10_000) < first / 2);
  assert.equal(gate.price(120_000), 0);
});

Deno.test("IntroductionGate keeps no client waiting for long", () => {
  const gate = crowded();
  gate.setRate(1, 0);
  gate.add("a", 5000, 0);
  gate.add("b", 4000, 500);
  assert.equal(gate.deadlineMs, 1000);
  assert.equal(gate.take(1000), "a");
  assert.deepEqual(gate.expire(500 + QUEUE_WAIT_MS - 1), []);
  assert.deepEqual(gate.expire(500 + QUEUE_WAIT_MS), ["b"]);
  assert.equal(gate.deadlineMs, Infinity);
  assert.ok(gate.price(500 + QUEUE_WAIT_MS) >= 6000);
});

Deno.test("IntroductionGate passes a client on at each deadline, or lets one go (property)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: INTRODUCTIONS_PER_SECOND }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rate, startMs, stepMs) => {
        const gate = crowded(startMs);
        gate.setRate(rate, startMs);
        for (let n = 0; n < MAX_QUEUED; n++) {
          gate.add("a", LEAST_EFFORT, startMs + n * stepMs);
        }
        for (let left = gate.length; left > 0; left = gate.length) {
          const dueMs = gate.deadlineMs;
          gate.take(dueMs);
          gate.expire(dueMs);
          assert.ok(gate.length < left, `nothing happens at ${dueMs}`);
        }
      },
    ),
  );
});

Deno.test("IntroductionGate passes on what the service wants, and never more than a service gets", () => {
  for (const [wish, rate] of [[5, 5], [1000, INTRODUCTIONS_PER_SECOND]]) {
    const gate = crowded();
    gate.setRate(wish ?? 0, 0);
    let passed = 0;
    for (let nowMs = 1; nowMs <= 20_000; nowMs++) {
      gate.add("a", LEAST_EFFORT, nowMs);
      if (gate.take(nowMs) !== undefined) passed++;
    }
    assert.ok(Math.abs(passed - 20 * (rate ?? 0)) <= 1, `${passed} passed`);
  }
});

Deno.test("IntroductionGate keeps its limits through any order of events (property)", () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 2_000 }),
    effort: fc.oneof(
      fc.constant(0),
      fc.integer({ min: LEAST_EFFORT, max: MAX_EFFORT }),
    ),
    how: fc.constantFrom("add", "take", "expire", "rate", "drop"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const gate = new IntroductionGate<number>(0);
      let [nowMs, added, left] = [0, 0, 0];
      for (const { waitMs, effort, how } of steps) {
        nowMs += waitMs;
        if (how === "add") left += gate.add(added++, effort, nowMs).length;
        if (how === "take") left += gate.take(nowMs) === undefined ? 0 : 1;
        if (how === "expire") left += gate.expire(nowMs).length;
        if (how === "rate") gate.setRate(1 + effort % 25, nowMs);
        if (how === "drop") left += gate.dropLowest(nowMs).length;
        const price = gate.price(nowMs);
        assert.ok(gate.length <= MAX_QUEUED);
        assert.equal(gate.length, added - left); // no client is lost or doubled
        assert.ok(price === 0 || price >= LEAST_EFFORT && price <= MAX_EFFORT);
        assert.equal(gate.deadlineMs === Infinity, gate.length === 0);
      }
    }),
    { numRuns: 200 },
  );
});
