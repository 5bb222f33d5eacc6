import assert from "node:assert/strict";
import fc from "fast-check";
import { TokenBucket } from "../../lib/base/token_bucket.ts";

Deno.test("TokenBucket.take() gives the burst at once and then the rate", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
  const granted = (nowMs: number) => bucket.take(1, nowMs);
  assert.deepEqual([0, 0, 0, 0].map(granted), [true, true, true, false]);
  assert.equal(granted(99), false);
  assert.equal(granted(100), true);
  assert.equal(granted(100), false);
  assert.deepEqual([9e9, 9e9, 9e9, 9e9].map(granted), [
    true,
    true,
    true,
    false,
  ]);
});

Deno.test("TokenBucket.take() gives all of a number or none", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 5 }, 0);
  assert.equal(bucket.take(6, 0), false);
  assert.equal(bucket.take(5, 0), true);
});

Deno.test("TokenBucket.reserve() says how long to wait, and refuses longer waits", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 1 }, 0);
  assert.equal(bucket.reserve(1, 250, 0), 0);
  assert.equal(bucket.reserve(1, 250, 0), 100);
  assert.equal(bucket.reserve(1, 250, 0), 200);
  assert.equal(bucket.reserve(1, 250, 0), undefined);
  assert.equal(bucket.reserve(1, 250, 50), 250);
});

Deno.test("TokenBucket without a limit never waits", () => {
  const bucket = new TokenBucket({ perSecond: Infinity, burst: 1 }, 0);
  assert.equal(bucket.reserve(1e12, 0, 0), 0);
  assert.equal(bucket.take(1e12, 0), true);
});

Deno.test("TokenBucket never gives more than burst plus rate times time", () => {
  const steps = fc.array(
    fc.record({ count: fc.integer({ min: 1, max: 5 }), ms: fc.nat(500) }),
    { maxLength: 100 },
  );
  fc.assert(fc.property(steps, (all) => {
    const bucket = new TokenBucket({ perSecond: 20, burst: 7 }, 0);
    let nowMs = 0;
    let given = 0;
    for (const { count, ms } of all) {
      nowMs += ms;
      if (bucket.take(count, nowMs)) given += count;
      assert.ok(given <= 7 + 20 * nowMs / 1000 + 1e-5);
    }
  }));
});

Deno.test("TokenBucket.readyMs() names the moment at which take() succeeds", () => {
  const steps = fc.array(fc.record({ ms: fc.nat(300), reserve: fc.boolean() }));
  // A clock that has run for years, and rates that floating point cannot hold.
  const startMs = fc.integer({ min: 0, max: 1e11 });
  fc.assert(fc.property(steps, startMs, (all, start) => {
    const bucket = new TokenBucket({ perSecond: 7, burst: 3 }, start);
    let nowMs = start;
    for (const { ms, reserve } of all) {
      nowMs += ms;
      if (reserve) bucket.reserve(1, 1000, nowMs);
      else bucket.take(1, nowMs);
      assert.equal(bucket.has(1, nowMs), bucket.readyMs(1) <= nowMs + 1e-3);
      const readyMs = Math.max(nowMs, bucket.readyMs(1));
      if (readyMs > nowMs + 1) assert.equal(bucket.has(1, readyMs - 1), false);
      assert.equal(bucket.has(1, readyMs), true);
      nowMs = readyMs;
    }
  }));
});

Deno.test("TokenBucket.setRate() keeps the tokens that are there", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 4 }, 0);
  assert.equal(bucket.take(4, 0), true);
  bucket.setRate(1, 200);
  assert.equal(bucket.has(2, 200), true);
  assert.equal(bucket.has(3, 200), false);
  assert.equal(bucket.readyMs(3), 1200);
  assert.throws(() => bucket.setRate(0, 200), RangeError);
});

Deno.test("TokenBucket born before all time is full", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 2 }, -Infinity);
  assert.equal(bucket.take(2, 5), true);
  assert.equal(bucket.readyMs(1), 1005);
});

Deno.test("TokenBucket gains nothing from a clock that seems to go back", () => {
  const bucket = new TokenBucket({ perSecond: 1000, burst: 1 }, 1000);
  assert.equal(bucket.take(1, 1000), true);
  assert.equal(bucket.take(1, 0), false);
  assert.equal(bucket.take(1, 1000), false);
});

Deno.test("TokenBucket refuses rates that never give a token", () => {
  for (
    const rate of [
      { perSecond: 0, burst: 1 },
      { perSecond: -1, burst: 1 },
      { perSecond: NaN, burst: 1 },
      { perSecond: 1, burst: 0 },
    ]
  ) assert.throws(() => new TokenBucket(rate, 0), RangeError);
});

Deno.test("TokenBucket.change() keeps what has gathered, as far as it fits", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 0);
  assert.ok(bucket.take(15, 0));
  bucket.change({ perSecond: 10, burst: 100 }, 0);
  assert.equal(bucket.take(6, 0), false);
  assert.ok(bucket.take(6, 100));
  bucket.change({ perSecond: Infinity, burst: 1 }, 100);
  assert.ok(bucket.take(1e9, 100));
  bucket.change({ perSecond: 10, burst: 5 }, 100);
  assert.equal(bucket.take(2, 100), false);
  assert.equal(bucket.readyMs(2), 200);
  assert.throws(() => bucket.change({ perSecond: 0, burst: 1 }, 0), RangeError);
});
