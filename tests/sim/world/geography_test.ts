import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  latencyMs,
  type Place,
  randomPlace,
} from "../../../lib/sim/world/geography.ts";

const place = fc.record({
  x: fc.float({ min: 0, max: 1, noNaN: true }),
  y: fc.float({ min: 0, max: 1, noNaN: true }),
});

Deno.test("latencyMs() is the same both ways, and never a detour", () => {
  fc.assert(fc.property(place, place, place, (a, b, c) => {
    assert.equal(latencyMs(a, b), latencyMs(b, a));
    const direct = latencyMs(a, c);
    assert.ok(direct <= latencyMs(a, b) + latencyMs(b, c) + 1e-9);
    assert.ok(direct >= 5 && direct <= 83);
  }));
});

Deno.test("latencyMs() takes the shorter way around", () => {
  const west: Place = { x: 0.01, y: 0.5 };
  const east: Place = { x: 0.99, y: 0.5 };
  assert.ok(latencyMs(west, east) < 8);
});

Deno.test("two places drawn at random are 48 ms apart on average", () => {
  const random = seededRandom(1);
  let sum = 0;
  for (let count = 0; count < 5000; count++) {
    sum += latencyMs(randomPlace(random), randomPlace(random));
  }
  assert.ok(Math.abs(sum / 5000 - 47) < 1.5, `${sum / 5000} ms`);
});
