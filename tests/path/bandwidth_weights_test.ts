import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BandwidthWeights,
  MAX_FACTOR,
  MAX_MEDIANS,
} from "../../lib/path/bandwidth_weights.ts";
import { relayKey } from "../../lib/path/relay_key.ts";
import { relay, relays, weighted } from "./_relays.ts";

const keyOf = (number: number) => relayKey(relay(number).nodeId);

Deno.test("BandwidthWeights.cumulative() caps what a relay declares at four medians", () => {
  const list = [1, 2, 3, 4].map((number) => relay(number));
  const liar = relay(5, { bandwidth: Number.MAX_SAFE_INTEGER });
  const entries = [...list, liar].map((record) => ({
    key: relayKey(record.nodeId),
    record,
  }));
  const sums = new BandwidthWeights().cumulative(entries);
  assert.deepEqual([...sums], [1e7, 2e7, 3e7, 4e7, 4e7 + MAX_MEDIANS * 1e7]);
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
