import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Random,
  randomBelow,
  randomBetween,
  randomChoice,
  randomFloat,
  sampled,
  seededRandom,
  shuffled,
} from "../../lib/base/random.ts";

/** Gives the same byte forever. */
function constantRandom(byte: number): Random {
  return { bytes: (length) => new Uint8Array(length).fill(byte) };
}

/** Pearson's statistic of counts that should be equal. */
function chiSquare(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const expected = total / counts.length;
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
}

Deno.test("seededRandom() repeats itself, and differs with the seed", () => {
  fc.assert(fc.property(fc.bigInt({ min: -1000n, max: 2n ** 64n }), (seed) => {
    const first = seededRandom(seed).bytes(64);
    assert.deepEqual(seededRandom(seed).bytes(64), first);
    assert.notDeepEqual(seededRandom(seed + 1n).bytes(64), first);
  }));
});

Deno.test("seededRandom() keeps to the bytes it once gave: seeds of failures stay useful", () => {
  assert.equal(
    seededRandom(1).bytes(16).toHex(),
    "ba4109650103d35421f3d225a9dcab3f",
  );
  assert.equal(seededRandom(0n).bytes(5).toHex(), "5d04c9de75");
});

Deno.test("seededRandom() gives bytes that look even", () => {
  const counts = new Array<number>(256).fill(0);
  for (const byte of seededRandom(7).bytes(256 * 400)) {
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  // 255 degrees of freedom: above 350 once in 10,000 generators.
  assert.ok(chiSquare(counts) < 350, String(chiSquare(counts)));
});

Deno.test("randomFloat() stays in 0 ≤ n < 1 at both ends", () => {
  assert.equal(randomFloat(constantRandom(0)), 0);
  assert.ok(randomFloat(constantRandom(255)) < 1);
  assert.ok(randomFloat(constantRandom(255)) > 0.999);
});

Deno.test("randomBelow() stays below its bound, and reaches all of it", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 2 ** 32 }),
      (seed, bound) => {
        const drawn = randomBelow(seededRandom(seed), bound);
        assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < bound);
      },
    ),
  );
  const random = seededRandom(3);
  const counts = new Array<number>(6).fill(0);
  for (let i = 0; i < 6000; i++) {
    const drawn = randomBelow(random, 6);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
  }
  assert.ok(chiSquare(counts) < 25, String(counts));
  assert.equal(randomBelow(constantRandom(255), 2 ** 32), 2 ** 32 - 1);
});

Deno.test("randomBelow() refuses impossible bounds", () => {
  for (const bound of [0, -1, 1.5, NaN, Infinity, 2 ** 32 + 1]) {
    assert.throws(() => randomBelow(seededRandom(1), bound), RangeError);
  }
});

Deno.test("randomBetween() stays between", () => {
  fc.assert(fc.property(fc.nat(), (seed) => {
    const drawn = randomBetween(seededRandom(seed), -5, 7);
    assert.ok(drawn >= -5 && drawn < 7);
  }));
});

Deno.test("randomChoice() draws members, and nothing of nothing", () => {
  assert.equal(randomChoice(seededRandom(1), []), undefined);
  const random = seededRandom(2);
  const drawn = new Set<string | undefined>();
  for (let i = 0; i < 100; i++) {
    drawn.add(randomChoice(random, ["a", "b", "c"]));
  }
  assert.deepEqual([...drawn].sort(), ["a", "b", "c"]);
});

Deno.test("shuffled() keeps the items, leaves its argument, favours no order", () => {
  fc.assert(fc.property(fc.array(fc.nat()), fc.nat(), (items, seed) => {
    const before = [...items];
    const result = shuffled(seededRandom(seed), items);
    assert.deepEqual(items, before);
    assert.deepEqual(result.sort(), before.sort());
  }));
  const random = seededRandom(5);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = shuffled(random, ["a", "b", "c"]).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  assert.ok(chiSquare([...counts.values()]) < 25);
});

Deno.test("sampled() draws some of the items, each at most once, and all of few", () => {
  const items = [1, 2, 3, 4, 5, 6];
  for (let count = 0; count <= 8; count++) {
    const drawn = sampled(seededRandom(count), new Set(items), count);
    assert.equal(drawn.length, Math.min(count, items.length));
    assert.equal(new Set(drawn).size, drawn.length);
    assert.ok(drawn.every((item) => items.includes(item)));
  }
});

Deno.test("sampled() favours no item, and no order of two", () => {
  const random = seededRandom(7);
  const counts = new Map<string, number>();
  for (let round = 0; round < 12_000; round++) {
    const pair = sampled(random, ["a", "b", "c", "d"], 2).join("");
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  assert.equal(counts.size, 12);
  for (const count of counts.values()) assert.ok(count > 850 && count < 1150);
});

Deno.test("seededRandom() gives the same numbers by either way", () => {
  const byNumber = seededRandom(5);
  const { bytes } = seededRandom(5);
  for (let round = 0; round < 1000; round++) {
    assert.equal(randomFloat(byNumber), randomFloat({ bytes }));
  }
});
