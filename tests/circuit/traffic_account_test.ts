import assert from "node:assert/strict";
import fc from "fast-check";
import { TrafficAccount } from "../../lib/circuit/traffic_account.ts";
import {
  PERIOD_UNITS,
  periodEnd,
  periodStart,
} from "../../lib/circuit/traffic_period.ts";

const NOW = Date.UTC(2026, 1, 15, 12); // a Sunday
const DAY_MS = 24 * 3_600_000;
const NONE = { type: "none" } as const;
const LIMIT = { bytes: 1e9, unit: "month" } as const;

function whole(account: TrafficAccount) {
  return { type: "whole", body: account.encode() } as const;
}

Deno.test("periodStart() and periodEnd() are midnights, Mondays and first days, UTC", () => {
  const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16);
  const spans = PERIOD_UNITS.map((unit) => [
    iso(periodStart(unit, NOW)),
    iso(periodEnd(unit, NOW)),
  ]);
  assert.deepEqual(spans, [
    ["2026-02-15T00:00", "2026-02-16T00:00"],
    ["2026-02-09T00:00", "2026-02-16T00:00"],
    ["2026-02-01T00:00", "2026-03-01T00:00"],
  ]);
  const december = Date.UTC(2026, 11, 31, 23);
  assert.equal(iso(periodEnd("month", december)), "2027-01-01T00:00");
});

Deno.test("periodStart() to periodEnd() holds every moment, and the next one begins there", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4e12 }),
      fc.constantFrom(...PERIOD_UNITS),
      (ms, unit) => {
        const endMs = periodEnd(unit, ms);
        assert.ok(periodStart(unit, ms) <= ms && ms < endMs);
        assert.equal(periodStart(unit, endMs), endMs);
        assert.equal(periodStart(unit, endMs - 1), periodStart(unit, ms));
      },
    ),
  );
});

Deno.test("TrafficAccount is exhausted at its limit, until the next period", () => {
  const account = new TrafficAccount(LIMIT, NONE, NOW);
  account.add(1e9 - 1, NOW);
  assert.ok(!account.isExhausted);
  account.add(1, NOW + 1);
  assert.ok(account.isExhausted);
  account.add(5, account.endMs(NOW) - 1);
  assert.ok(account.isExhausted);
  account.add(5, account.endMs(NOW));
  assert.equal(account.bytes, 5);
});

Deno.test("TrafficAccount goes on where the last run ended, and begins anew in another period", () => {
  const before = new TrafficAccount(LIMIT, NONE, NOW);
  before.add(7e8, NOW);
  const stored = whole(before);
  assert.equal(new TrafficAccount(LIMIT, stored, NOW + DAY_MS).bytes, 7e8);
  const next = new TrafficAccount(LIMIT, stored, before.endMs(NOW));
  assert.deepEqual([next.bytes, next.doubt], [0, undefined]);
});

Deno.test("TrafficAccount counts what was written down for the future, and doubts it", () => {
  const ahead = new TrafficAccount(LIMIT, NONE, NOW + 60 * DAY_MS);
  ahead.add(9e8, NOW + 60 * DAY_MS);
  const account = new TrafficAccount(LIMIT, whole(ahead), NOW);
  assert.deepEqual([account.bytes, account.doubt], [9e8, "future"]);
  account.add(2e8, NOW);
  assert.ok(account.isExhausted);
});

Deno.test("TrafficAccount takes a count that cannot be read for the share of the time", () => {
  const damaged = { type: "whole", body: new Uint8Array([1, 2]) } as const;
  for (const stored of [damaged, { type: "damaged" } as const]) {
    const account = new TrafficAccount(LIMIT, stored, NOW);
    assert.equal(account.doubt, "damaged");
    assert.equal(account.bytes, Math.ceil(1e9 * 14.5 / 28));
  }
});

Deno.test("TrafficAccount forgets nothing when the clock is set back", () => {
  const account = new TrafficAccount(LIMIT, NONE, NOW);
  account.add(1e9, NOW);
  account.add(0, NOW - 60 * DAY_MS);
  assert.ok(account.isExhausted);
});

Deno.test("TrafficAccount.setLimit() counts on, for another limit and another unit", () => {
  const account = new TrafficAccount(LIMIT, NONE, NOW);
  account.add(6e8, NOW);
  account.setLimit({ bytes: 5e8, unit: "month" }, NOW);
  assert.ok(account.isExhausted);
  account.setLimit({ bytes: 1e9, unit: "day" }, NOW);
  account.add(1, NOW);
  assert.equal(account.bytes, 6e8 + 1);
  account.add(1, NOW + DAY_MS);
  assert.equal(account.bytes, 1);
});
