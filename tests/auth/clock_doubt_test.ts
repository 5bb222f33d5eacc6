import assert from "node:assert/strict";
import {
  dateErrorOf,
  describeClockDoubt,
  judgeClock,
} from "../../lib/auth/clock_doubt.ts";
import { RecordDateError } from "../../lib/auth/node_record.ts";
import { UnreachableError } from "../../lib/base/errors.ts";

const HOUR_MS = 3_600_000;

Deno.test("describeClockDoubt() names the side from our clock's point of view", () => {
  assert.equal(
    describeClockDoubt(3 * HOUR_MS + 5 * 60_000),
    "your clock seems to be at least 3 h 5 min behind",
  );
  assert.equal(
    describeClockDoubt(-50 * HOUR_MS),
    "your clock seems to be at least 2 d 2 h ahead",
  );
});

for (
  const [what, fits, aheadMs, verdict] of [
    ["none answers", 0, [], { type: "unknown" }],
    ["all fit", 3, [], { type: "right" }],
    ["one of four lies", 3, [-HOUR_MS], { type: "right" }],
    ["half say so", 2, [HOUR_MS, HOUR_MS], { type: "unknown" }],
    ["most say so", 1, [1, 5, 3], { type: "wrong", aheadMs: 3 }],
    ["the only one says so", 0, [-7], { type: "wrong", aheadMs: -7 }],
    ["one lies by a year", 0, [-9e9, 3, 4], { type: "wrong", aheadMs: 4 }],
    ["they contradict each other", 0, [-5, 5], { type: "unknown" }],
  ] as const
) {
  Deno.test(`judgeClock() where ${what}`, () =>
    assert.deepEqual(judgeClock({ fits, aheadMs }), verdict));
}

Deno.test("dateErrorOf() finds the dates behind a dial that waits for its turn", () => {
  const date = new RecordDateError("it has expired", -5);
  const waits = new UnreachableError("link.backoff", "Cannot dial yet", {
    cause: date,
  });
  assert.equal(dateErrorOf(date), date);
  assert.equal(dateErrorOf(waits), date);
  assert.equal(dateErrorOf(new UnreachableError("link.cut", "Cut")), undefined);
  assert.equal(dateErrorOf(undefined), undefined);
});
