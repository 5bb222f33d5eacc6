import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BandwidthWeights,
  MAX_FACTOR,
  MAX_MEDIANS,
} from "../../lib/path/bandwidth_weights.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { relay, relays, weighted } from "./_relays.ts";

const keyOf = (number: number) => relayKey(relay(number).nodeId);

function weightsOf(weights: BandwidthWeights, list: readonly NodeRecord[]) {
  const entries = list.map((record) => ({
    key: relayKey(record.nodeId),
    record,
  }));
  const sums = weights.cumulative(entries);
  return [...sums].map((sum, index) => sum - (sums[index - 1] ?? 0));
}

Deno.test("BandwidthWeights.cumulative() believes no figure above the lower quartile by itself", () => {
  const list = [4, 8, 10, 20].map((megabytes, number) =>
    relay(number, { bandwidth: megabytes * 1e6 })
  );
  const liar = relay(5, { bandwidth: Number.MAX_SAFE_INTEGER });
  const weights = weightsOf(new BandwidthWeights(), [...list, liar]);
  assert.deepEqual(weights, [4e6, 8e6, 8e6, 8e6, 8e6]);
});

Deno.test("BandwidthWeights.cumulative() believes what our own circuits showed, up to four medians and what is declared", () => {
  const weights = new BandwidthWeights();
  const list = [4, 8, 10, 20].map((megabytes, number) =>
    relay(number, { bandwidth: megabytes * 1e6 })
  );
  const fast = relay(5, { bandwidth: 1e9 });
  const before = weightsOf(weights, [...list, fast]);
  for (let i = 0; i < 60; i++) {
    weights.observe([fast], { bytesPerSecond: 15e6 });
    weights.observe([list[0] ?? fast], { bytesPerSecond: 15e6 });
  }
  const after = weightsOf(weights, [...list, fast]);
  assert.ok(Math.abs((after[4] ?? 0) - 15e6) < 1e5, `${after[4]}`);
  assert.deepEqual(after.slice(0, 4), before.slice(0, 4));
  for (let i = 0; i < 60; i++) {
    weights.observe([fast], { bytesPerSecond: 900e6 });
  }
  const most = MAX_MEDIANS * 10e6 * MAX_FACTOR;
  assert.ok((weightsOf(weights, [...list, fast])[4] ?? 0) <= most);
});

Deno.test("BandwidthWeights.cumulative() ascends strictly, whatever is declared", () => {
  fc.assert(
    fc.property(
      fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 50 }),
      (bandwidths) => {
        const list = weighted(
          bandwidths.map((bandwidth, index) => relay(index, { bandwidth })),
        );
        const sums = new BandwidthWeights().cumulative([...list]);
        assert.equal(sums.length, bandwidths.length);
        for (const [index, sum] of sums.entries()) {
          assert.ok(sum > (sums[index - 1] ?? 0) && Number.isFinite(sum));
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("BandwidthWeights.factor() favours relays of fast circuits over those of slow ones", () => {
  const weights = new BandwidthWeights();
  const [a, b, c, d] = relays(4);
  assert.ok(a && b && c && d);
  for (let i = 0; i < 30; i++) {
    weights.observe([a, b], { bytesPerSecond: 8_000_000, roundTripMs: 40 });
    weights.observe([c, d], { bytesPerSecond: 1_000_000, roundTripMs: 400 });
  }
  assert.ok(weights.factor(keyOf(1)) > 1.5);
  assert.ok(weights.factor(keyOf(3)) < 0.67);
  assert.equal(weights.factor(keyOf(9)), 1);
});

Deno.test("BandwidthWeights.factor() hardly believes a single circuit", () => {
  const weights = new BandwidthWeights();
  const [a, b] = relays(2);
  assert.ok(a && b);
  weights.observe([a], { roundTripMs: 100 });
  weights.observe([b], { roundTripMs: 800 });
  const factor = weights.factor(keyOf(2));
  assert.ok(factor < 1 && factor > 0.66, `${factor}`);
});

Deno.test("BandwidthWeights.factor() compares round trips hop by hop", () => {
  const weights = new BandwidthWeights();
  const [a, b, c, d] = relays(4);
  assert.ok(a && b && c && d);
  for (let i = 0; i < 20; i++) {
    weights.observe([a, b, c], { roundTripMs: 300 });
    weights.observe([d], { roundTripMs: 100 });
  }
  assert.ok(Math.abs(weights.factor(keyOf(4)) - 1) < 0.01);
});

Deno.test("BandwidthWeights.factor() stays within its bounds, and memory within its own", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          relay: fc.integer({ min: 1, max: 12 }),
          roundTripMs: fc.double(),
          bytesPerSecond: fc.double(),
        }),
        { maxLength: 100 },
      ),
      (samples) => {
        const weights = new BandwidthWeights(8);
        for (const { relay: number, ...sample } of samples) {
          weights.observe([relay(number)], sample);
        }
        let known = 0;
        for (let number = 1; number <= 12; number++) {
          const factor = weights.factor(keyOf(number));
          assert.ok(factor >= 1 / MAX_FACTOR && factor <= MAX_FACTOR);
          if (factor !== 1) known++;
        }
        assert.ok(known <= 8);
      },
    ),
    { numRuns: 100 },
  );
});
