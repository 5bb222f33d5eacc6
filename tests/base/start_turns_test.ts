import assert from "node:assert/strict";
import fc from "fast-check";
import {
  MAX_TURNS,
  PRESSED_TURNS,
  StartTurns,
  TURN_MS,
} from "../../lib/base/start_turns.ts";

/** Turns that so many services wait for, by their numbers. */
function waiting(count: number): StartTurns<number> {
  const turns = new StartTurns<number>();
  for (let n = 0; n < count; n++) turns.add(n);
  return turns;
}

const upTo = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => from + n);

Deno.test("StartTurns has a few services begin, in the order in which they came, and another when one can be reached", () => {
  const turns = waiting(20);
  assert.ok(turns.deadlineMs <= 0);
  assert.deepEqual(turns.onTime(0, "free"), upTo(MAX_TURNS));
  assert.deepEqual(turns.onTime(0, "free"), []);
  assert.equal(turns.deadlineMs, TURN_MS);
  turns.end(3);
  assert.ok(turns.deadlineMs <= 100);
  assert.deepEqual(turns.onTime(100, "free"), [MAX_TURNS]);
});

Deno.test("StartTurns lets the next one begin when one takes too long", () => {
  const turns = waiting(MAX_TURNS + 2);
  turns.onTime(0, "free");
  for (let n = 1; n < MAX_TURNS; n++) turns.end(n);
  assert.deepEqual(turns.onTime(1, "free"), upTo(2, MAX_TURNS));
  const failing = waiting(MAX_TURNS * 3);
  failing.onTime(0, "free");
  assert.deepEqual(failing.onTime(TURN_MS - 1, "free"), []);
  assert.deepEqual(
    failing.onTime(failing.deadlineMs, "free"),
    upTo(MAX_TURNS, MAX_TURNS),
  );
});

Deno.test("StartTurns gives fewer turns while circuits are slow or waited for, and looks again", () => {
  for (const pressure of ["slow", "crowded"] as const) {
    const turns = waiting(20);
    assert.deepEqual(turns.onTime(0, pressure), upTo(PRESSED_TURNS));
    assert.deepEqual(turns.onTime(turns.deadlineMs, pressure), []);
    assert.deepEqual(
      turns.onTime(turns.deadlineMs, "free"),
      upTo(MAX_TURNS - PRESSED_TURNS, PRESSED_TURNS),
    );
  }
});

Deno.test("StartTurns forgets a service that was stopped, before its turn and in it", () => {
  const turns = waiting(MAX_TURNS + 2);
  turns.end(MAX_TURNS);
  turns.onTime(0, "free");
  turns.end(0);
  assert.deepEqual(turns.onTime(1, "free"), [MAX_TURNS + 1]);
  assert.equal(turns.deadlineMs, Infinity);
});

Deno.test("StartTurns gives each service one turn, and never too many at once, in any order of events", () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant("add" as const) }),
    fc.record({ type: fc.constant("end" as const), n: fc.nat(40) }),
    fc.record({
      type: fc.constant("time" as const),
      ms: fc.nat(TURN_MS),
      pressure: fc.constantFrom("free", "slow", "crowded"),
    }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 100 }), (events) => {
    const turns = new StartTurns<number>();
    const begun = new Map<number, number>();
    const ever = new Set<number>();
    let [count, nowMs] = [0, 0];
    for (const happened of events) {
      if (happened.type === "add") turns.add(count++);
      else if (happened.type === "end") {
        turns.end(happened.n);
        begun.delete(happened.n);
      } else {
        nowMs += happened.ms;
        for (const n of turns.onTime(nowMs, happened.pressure)) {
          assert.ok(!ever.has(n));
          ever.add(n);
          begun.set(n, nowMs);
        }
        const held = [...begun.values()].filter((ms) => ms + TURN_MS > nowMs);
        assert.ok(held.length <= MAX_TURNS);
      }
    }
    // All that wait have their turn in the end.
    for (let n = 0; turns.deadlineMs < Infinity && n < 200; n++) {
      nowMs = Math.max(nowMs, turns.deadlineMs);
      turns.onTime(nowMs, "free");
    }
    assert.equal(turns.deadlineMs, Infinity);
  }));
});
