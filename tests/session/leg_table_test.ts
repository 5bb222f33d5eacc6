import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { MAX_LEG_NUMBER } from "../../lib/session/frames.ts";
import { FEW_ACK_DELAY_MS, SESSION_CELL_BYTES } from "../../lib/session/leg.ts";
import {
  type LegSpread,
  type LegState,
  LegTable,
  MAX_LEGS,
} from "../../lib/session/leg_table.ts";

const SECRET = new Uint8Array(32).fill(7);

function table(spread: LegSpread = "one"): LegTable {
  return new LegTable({ crypto: nobleSuite(), role: "client", spread }, 0);
}

function leg(table: LegTable, number: number): LegState {
  const state = table.get(number);
  assert.ok(state !== undefined);
  return state;
}

/** Send one cell on a leg, which is acknowledged after `ms`. */
function measure({ leg }: LegState, ms: number): void {
  leg.seal(new Uint8Array(SESSION_CELL_BYTES));
  leg.onSent([], [], 0);
  leg.onAck(1, 0, ms);
}

Deno.test("LegTable takes each number once, ever higher ones, and three legs", () => {
  const legs = table();
  const refused = (number: number, code: string) =>
    assert.throws(
      () => legs.add(SECRET, number, 0),
      (error) => error instanceof ProtocolError && error.code === code,
    );
  legs.add(SECRET, 5, 0);
  for (const number of [5, 4, 0, -1, MAX_LEG_NUMBER + 1]) {
    refused(number, "session.leg_number");
  }
  for (let n = 1; n < MAX_LEGS; n++) legs.add(SECRET, 5 + n, 0);
  refused(100, "session.too_many_legs");
  legs.remove(6, 0);
  refused(6, "session.leg_number");
  legs.add(SECRET, 100, 0);
  assert.deepEqual(legs.numbers, [5, 7, 100]);
});

Deno.test("LegTable knows since when there is no leg", () => {
  const legs = table();
  assert.equal(legs.leglessSinceMs, 0);
  legs.add(SECRET, 0, 10);
  assert.equal(legs.leglessSinceMs, Infinity);
  assert.equal(legs.remove(9, 20), undefined);
  legs.remove(0, 30);
  assert.equal(legs.leglessSinceMs, 30);
});

Deno.test("LegTable sends data on the fastest leg that is not suspect", () => {
  const legs = table();
  for (const number of [0, 1, 2]) legs.add(SECRET, number, 0);
  assert.equal(
    legs.primary,
    leg(legs, 0),
    "the oldest, while none is measured",
  );
  measure(leg(legs, 1), 80);
  assert.equal(legs.primary, leg(legs, 1));
  measure(leg(legs, 2), 20);
  assert.equal(legs.primary, leg(legs, 2));
  leg(legs, 2).isSuspect = true;
  assert.equal(legs.primary, leg(legs, 1));
  assert.equal(legs.laneOf(leg(legs, 0)), "none");
  for (const number of [0, 1]) leg(legs, number).isSuspect = true;
  assert.equal(legs.primary, leg(legs, 2), "the best of bad ones");
});

Deno.test("LegTable spreads data over all legs where it is to, but for suspect ones", () => {
  const legs = table("all");
  for (const number of [0, 1]) legs.add(SECRET, number, 0);
  const lanes = () => Array.from(legs, (state) => legs.laneOf(state));
  assert.deepEqual(lanes(), ["all", "all"]);
  leg(legs, 1).isSuspect = true;
  assert.deepEqual(lanes(), ["all", "none"]);
  legs.remove(0, 0);
  assert.deepEqual(lanes(), ["all"], "there is no other");
});

Deno.test("LegTable sends young bursts on a leg that answers sooner than the one with the data", () => {
  const legs = table();
  for (const number of [0, 1, 2]) legs.add(SECRET, number, 0);
  const lanes = () => Array.from(legs, (state) => legs.laneOf(state));
  assert.deepEqual(lanes(), ["all", "none", "none"], "none is measured");
  measure(leg(legs, 0), 60);
  measure(leg(legs, 1), 56);
  assert.deepEqual(lanes(), ["all", "none", "none"], "about the same");
  measure(leg(legs, 2), 40);
  assert.deepEqual(lanes(), ["bulk", "none", "young"]);
  assert.equal(legs.express, leg(legs, 2));
  leg(legs, 2).isSuspect = true;
  assert.deepEqual(lanes(), ["all", "none", "none"]);
});

Deno.test("LegTable sends young bursts along with the data where the quicker leg is full", () => {
  const legs = table();
  for (const number of [0, 1]) legs.add(SECRET, number, 0);
  const quick = leg(legs, 1);
  measure(leg(legs, 0), 60);
  measure(quick, 40);
  assert.equal(legs.laneOf(leg(legs, 0)), "bulk");
  while (quick.leg.hasRoom) quick.leg.onSent([], [], 100);
  assert.equal(legs.laneOf(leg(legs, 0)), "all");
});

Deno.test("LegTable asks for signs of life less and less often, while streams are open", () => {
  const legs = table();
  legs.add(SECRET, 0, 0);
  assert.equal(legs.dueMs("none"), Infinity);
  const asked: number[] = [];
  for (let ms = 0; ms < 200_000;) {
    ms = legs.dueMs("some");
    legs.onTime("some", ms);
    asked.push(ms);
  }
  const waits = asked.map((ms, n) => ms - (asked[n - 1] ?? 0));
  assert.deepEqual(waits.slice(0, 5), [300, 600, 1_200, 2_400, 4_800]);
  assert.equal(waits.at(-1), 30_000);
  leg(legs, 0).onHeard("news", 300_000);
  assert.equal(legs.dueMs("some"), 300_300);
});

Deno.test("LegTable finds a leg suspect once, when it owes an answer for too long", () => {
  const legs = table();
  legs.add(SECRET, 0, 0);
  const { leg: first } = leg(legs, 0);
  first.seal(new Uint8Array(SESSION_CELL_BYTES));
  first.onSent([], [], 0);
  assert.deepEqual(legs.onTime("none", 2_999), []);
  assert.deepEqual(legs.onTime("none", 3_000), [leg(legs, 0)]);
  assert.deepEqual(legs.onTime("none", 9_000), []);
});

Deno.test("LegTable doubts all legs when one falls silent", () => {
  const legs = table();
  for (const number of [0, 1, 2]) legs.add(SECRET, number, 0);
  for (const state of legs) state.onHeard("news", 60_000);
  // The third has not been asked for long.
  for (let ms = 60_000; ms < 100_000; ms += 100) {
    leg(legs, 2).pingIfDue(ms);
    leg(legs, 2).isPingWanted = false;
  }
  assert.ok(leg(legs, 2).pingDueMs > 101_000);
  const { leg: first } = leg(legs, 0);
  first.seal(new Uint8Array(SESSION_CELL_BYTES));
  first.onSent([], [], 97_000);
  assert.deepEqual(legs.onTime("some", 100_000), [leg(legs, 0)]);
  for (const number of [1, 2]) {
    assert.ok(leg(legs, number).isPingWanted);
    assert.equal(leg(legs, number).pingDueMs, 100_300);
  }
});

Deno.test("LegState owes its acknowledgement on its own leg, and later on any", () => {
  const legs = table();
  for (const number of [0, 1]) legs.add(SECRET, number, 0);
  const [own, other] = [leg(legs, 0), leg(legs, 1)];
  assert.ok(!own.owesAckOn(own, 0));
  own.leg.onAckWanted(0);
  assert.ok(own.owesAckOn(own, 0));
  assert.ok(!own.owesAckOn(other, FEW_ACK_DELAY_MS + 49));
  assert.ok(own.owesAckOn(other, FEW_ACK_DELAY_MS + 50));
});
