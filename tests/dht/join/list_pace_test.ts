import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { ListPace } from "../../../lib/dht/join/list_pace.ts";

const HOUR_MS = 3_600_000;

/** Fail so often in a row. @returns The waits. */
function waits(
  pace: ListPace,
  count: number,
  isClockWrong: boolean,
): number[] {
  return Array.from({ length: count }, () => {
    pace.onRound();
    assert.equal(pace.deadlineMs, Infinity);
    pace.onFailure({ isClockWrong }, 0);
    return roundMs(pace, 0);
  });
}

/** When a round is due, whatever is looked at before. */
function roundMs(pace: ListPace, nowMs: number): number {
  while (!pace.isDue(pace.deadlineMs)) {
    assert.ok(pace.deadlineMs > nowMs);
    nowMs = pace.deadlineMs;
    pace.onLook(nowMs);
  }
  return pace.deadlineMs;
}

function assertNear(actual: readonly number[], expected: readonly number[]) {
  assert.equal(actual.length, expected.length);
  for (const [index, ms] of expected.entries()) {
    const share = (actual[index] ?? assert.fail()) / ms;
    assert.ok(share >= 0.75 && share <= 1.25, `${actual} for ${expected}`);
  }
}

Deno.test("nothing is due before a list is recalled, then a round after 10 s that nothing hurries", () => {
  const pace = new ListPace(seededRandom(1));
  assert.equal(pace.deadlineMs, Infinity);
  pace.onRecalled(100);
  assert.equal(pace.deadlineMs, 10_100);
  assert.equal(pace.canHurry, false);
});

Deno.test("after rounds that brought nothing, it waits 2 s, 4 s … 5 min, and 2 s anew after one that did", () => {
  const pace = new ListPace(seededRandom(1));
  const expected = [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    .map((seconds) => seconds * 1000);
  assertNear(waits(pace, 10, false), expected);
  pace.onRound();
  pace.onList({ dueMs: HOUR_MS, isEager: false }, 0);
  assertNear(waits(pace, 1, false), [2_000]);
});

Deno.test("while the clock seems wrong, it waits 10 s at most from the next wait on", () => {
  const pace = new ListPace(seededRandom(1));
  assertNear(waits(pace, 5, true), [2_000, 4_000, 8_000, 10_000, 10_000]);
});

Deno.test("after a list, the next round is when it is due, or in 5 s while it is wanted eagerly", () => {
  const pace = new ListPace(seededRandom(1));
  pace.onRound();
  pace.onList({ dueMs: HOUR_MS, isEager: false }, 0);
  assert.equal(roundMs(pace, 0), HOUR_MS);
  pace.onRound();
  pace.onList({ dueMs: HOUR_MS, isEager: true }, 0);
  assertNear([roundMs(pace, 0)], [5_000]);
  pace.onRound();
  pace.onList({ dueMs: 1_000, isEager: true }, 0);
  assert.equal(roundMs(pace, 0), 1_000);
});

Deno.test("what has expired is looked at once a minute, and a wait can be cut short, but no round", () => {
  const pace = new ListPace(seededRandom(1));
  pace.onRound();
  assert.equal(pace.canHurry, false);
  pace.onList({ dueMs: HOUR_MS, isEager: false }, 0);
  assert.equal(pace.canHurry, true);
  assert.equal(pace.deadlineMs, 60_000);
  assert.equal(pace.isDue(60_000), false);
  pace.onLook(60_000);
  assert.equal(pace.deadlineMs, 120_000);
  pace.onRound();
  assert.equal(pace.canHurry, false);
  assert.equal(pace.deadlineMs, Infinity);
});
