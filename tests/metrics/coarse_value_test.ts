import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import { CoarseValue } from "../../lib/metrics/coarse_value.ts";

Deno.test("CoarseValue shows multiples of its step, less than a step away from any value", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 1000 }),
      fc.array(fc.nat({ max: 5000 })),
      (seed, step, values) => {
        const coarse = new CoarseValue(step, seededRandom(seed));
        for (const value of values) {
          coarse.update(value);
          assert.equal(coarse.shown % step, 0);
          const offBy = Math.abs(coarse.shown - value);
          assert.ok(offBy < step, `${coarse.shown} of ${value}`);
        }
      },
    ),
  );
});

Deno.test("CoarseValue never shows a counter falling, nor an idle one moving", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(fc.nat({ max: 20 })),
      (seed, increments) => {
        const coarse = new CoarseValue(8, seededRandom(seed));
        let count = 0;
        let before = 0;
        for (const increment of increments) {
          coarse.update(count += increment);
          assert.ok(coarse.shown >= before);
          before = coarse.shown;
          coarse.update(count);
          assert.equal(coarse.shown, before);
        }
      },
    ),
  );
});

Deno.test("CoarseValue shows a single event with a chance of one in those that are left of the step", () => {
  // An observer that brings about events of its own must not know which is the last
  // before the step.
  for (const filling of [0, 3, 6]) {
    const trials = 4000;
    let seen = 0;
    let kept = 0;
    for (let seed = 0; seed < trials; seed++) {
      const coarse = new CoarseValue(8, seededRandom(seed));
      coarse.update(filling);
      if (coarse.shown !== 0) continue;
      kept++;
      coarse.update(filling + 1);
      if (coarse.shown !== 0) seen++;
    }
    const chance = seen / kept;
    const expected = 1 / (8 - filling);
    assert.ok(Math.abs(chance - expected) < 0.05, `${filling}: ${chance}`);
  }
});

Deno.test("CoarseValue shows 0 for what never was, and takes no number that is none", () => {
  const coarse = new CoarseValue(8, seededRandom(1));
  coarse.update(0);
  assert.equal(coarse.shown, 0);
  for (const value of [-1, NaN, Infinity]) {
    assert.throws(() => coarse.update(value), RangeError);
  }
  coarse.update(2 ** 50);
  assert.ok(Math.abs(coarse.shown - 2 ** 50) < 8);
  coarse.update(0);
  assert.equal(coarse.shown, 0);
});
