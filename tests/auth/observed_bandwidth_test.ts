import assert from "node:assert/strict";
import {
  LEAST_DECLARED,
  OBSERVED_DAYS,
  ObservedBandwidth,
  SUSTAINED_MS,
} from "../../lib/auth/observed_bandwidth.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Carry these amounts, in bytes, in so many spans of 10 s. */
function carry(
  observed: ObservedBandwidth,
  spans: readonly number[],
  unixMs = TEST_UNIX_MS,
): void {
  let total = 0;
  for (const [index, bytes] of [0, ...spans].entries()) {
    total += bytes;
    observed.add(total, index * SUSTAINED_MS, unixMs + index * SUSTAINED_MS);
  }
}

Deno.test("ObservedBandwidth keeps the highest rate of 10 s", () => {
  const observed = new ObservedBandwidth();
  assert.equal(observed.highest(TEST_UNIX_MS), 0);
  carry(observed, [20_000_000, 70_000_000, 30_000_000]);
  assert.equal(observed.highest(TEST_UNIX_MS), 7_000_000);
});

Deno.test("ObservedBandwidth takes no burst that is shorter than 10 s", () => {
  const observed = new ObservedBandwidth();
  observed.add(0, 0, TEST_UNIX_MS);
  assert.equal(observed.add(50_000_000, 1000, TEST_UNIX_MS), false);
  assert.equal(observed.add(50_000_000, 10_000, TEST_UNIX_MS), true);
  assert.equal(observed.highest(TEST_UNIX_MS), 5_000_000);
  // What was carried before it first looked says nothing of a rate.
  const late = new ObservedBandwidth();
  assert.equal(late.add(1e12, 0, TEST_UNIX_MS), false);
  assert.equal(late.highest(TEST_UNIX_MS), 0);
});

Deno.test("ObservedBandwidth forgets after five days, and days of a clock that was ahead", () => {
  const observed = new ObservedBandwidth();
  carry(observed, [90_000_000]);
  const lastMs = TEST_UNIX_MS + (OBSERVED_DAYS - 1) * DAY_MS;
  assert.equal(observed.highest(lastMs), 9_000_000);
  assert.equal(observed.highest(lastMs + DAY_MS), 0);
  carry(observed, [90_000_000], TEST_UNIX_MS + 30 * DAY_MS);
  assert.equal(observed.highest(TEST_UNIX_MS), 0);
});

Deno.test("ObservedBandwidth declares two digits, and no less than a new relay does", () => {
  for (
    const [rate, declared] of [
      [0, LEAST_DECLARED],
      [999_999, LEAST_DECLARED],
      [1_234_567, 1_200_000],
      [9_999_999, 9_900_000],
      [123_456_789, 120_000_000],
    ] as const
  ) {
    const observed = new ObservedBandwidth();
    carry(observed, [10 * rate]);
    assert.equal(observed.declared(TEST_UNIX_MS), declared, String(rate));
  }
});

Deno.test("ObservedBandwidth comes back from what it wrote, and refuses all else", () => {
  const observed = new ObservedBandwidth();
  carry(observed, [90_000_000]);
  carry(observed, [20_000_000], TEST_UNIX_MS + DAY_MS);
  const again = ObservedBandwidth.decode(observed.encode());
  assert.deepEqual(again.encode(), observed.encode());
  assert.equal(again.highest(TEST_UNIX_MS + DAY_MS), 9_000_000);
  const day = { day: 1, bytesPerSecond: 1 };
  for (
    const bad of [
      {},
      { days: 1 },
      { days: [day, day] },
      { days: Array.from({ length: 6 }, (_, n) => ({ ...day, day: n })) },
      { days: [{ ...day, bytesPerSecond: -1 }] },
      { days: [{ ...day, more: 1 }] },
    ]
  ) {
    assert.throws(() => ObservedBandwidth.decode(encodeCbor(bad)), {
      name: "ProtocolError",
    });
  }
});
