import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  closestTo,
  compareDistance,
  leadingDistance,
  pointKey,
  randomPointIn,
  sharedPrefixBits,
} from "../../../lib/dht/records/distance.ts";
import { point } from "./fake_records.ts";

/** Points that often share a long prefix. */
const anyPoint = fc.tuple(
  fc.nat(32),
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
).map(([shared, bytes]) => {
  const out = new Uint8Array(bytes);
  out.fill(0, 0, shared);
  return out;
});

function big(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function bigDistance(a: Uint8Array, b: Uint8Array): bigint {
  return big(a) ^ big(b);
}

Deno.test("compareDistance() orders as the distances do as integers", () => {
  fc.assert(fc.property(anyPoint, anyPoint, anyPoint, (target, a, b) => {
    const difference = bigDistance(target, a) - bigDistance(target, b);
    const expected = difference < 0n ? -1 : difference > 0n ? 1 : 0;
    assert.equal(Math.sign(compareDistance(target, a, b)), expected);
  }));
});

Deno.test("compareDistance() sees a difference in the last bit alone", () => {
  const odd = point();
  odd[31] = 1;
  assert.ok(compareDistance(point(), point(), odd) < 0);
  assert.ok(compareDistance(odd, point(), odd) > 0);
  assert.equal(compareDistance(odd, odd, odd), 0);
});

Deno.test("sharedPrefixBits() is 256 less the bits of the distance", () => {
  fc.assert(fc.property(anyPoint, anyPoint, (a, b) => {
    const bits = bigDistance(a, b);
    const length = bits === 0n ? 0 : bits.toString(2).length;
    assert.equal(sharedPrefixBits(a, b), 256 - length);
  }));
});

Deno.test("sharedPrefixBits() counts within bytes and across them", () => {
  const cases = [
    [point(0x80), 0],
    [point(0x7f), 1],
    [point(0x01), 7],
    [point(0, 0x80), 8],
    [point(0, 0, 0x10), 19],
    [point(), 256],
  ] as const;
  for (const [other, expected] of cases) {
    assert.equal(sharedPrefixBits(point(), other), expected);
  }
});

Deno.test("leadingDistance() never contradicts compareDistance()", () => {
  fc.assert(fc.property(anyPoint, anyPoint, anyPoint, (target, a, b) => {
    const [near, far] = [
      leadingDistance(target, a),
      leadingDistance(target, b),
    ];
    if (near < far) assert.ok(compareDistance(target, a, b) < 0);
  }));
});

Deno.test("closestTo() gives the closest, in order, and leaves its argument alone", () => {
  fc.assert(fc.property(
    anyPoint,
    fc.array(anyPoint, { maxLength: 30 }),
    fc.nat(35),
    (target, points, count) => {
      const before = [...points];
      const found = closestTo(target, points, count, (item) => item);
      assert.deepEqual(points, before);
      assert.equal(found.length, Math.min(count, points.length));
      const expected = points.map((item) => bigDistance(target, item))
        .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, count);
      assert.deepEqual(
        found.map((item) => bigDistance(target, item)),
        expected,
      );
    },
  ));
});

Deno.test("pointKey() differs where points differ", () => {
  fc.assert(fc.property(anyPoint, anyPoint, (a, b) => {
    assert.equal(pointKey(a) === pointKey(b), big(a) === big(b));
    assert.equal(pointKey(a).length, 32);
  }));
});

Deno.test("randomPointIn() shares exactly so many bits, and varies in the rest", () => {
  const random = seededRandom(7);
  fc.assert(fc.property(anyPoint, fc.nat(255), (self, bucket) => {
    assert.equal(
      sharedPrefixBits(self, randomPointIn(random, self, bucket)),
      bucket,
    );
  }));
  const drawn = Array.from(
    { length: 8 },
    () => pointKey(randomPointIn(random, point(), 3)),
  );
  assert.equal(new Set(drawn).size, 8);
});

Deno.test("randomPointIn() refuses a bucket that there is not", () => {
  for (const bucket of [-1, 256, 1.5, NaN]) {
    assert.throws(
      () => randomPointIn(seededRandom(1), point(), bucket),
      RangeError,
    );
  }
});
