import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCipheriv, createHmac } from "node:crypto";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { DescriptorDates } from "../../lib/service/descriptor_dates.ts";
import {
  OVERLAP_MS,
  PERIOD_MS,
  timePeriod,
} from "../../lib/service/time_period.ts";

const HOUR_MS = 3_600_000;
const DAY = 20_000;
const NOON = DAY * PERIOD_MS + PERIOD_MS / 2;
const crypto = repeatableSuite();
const seedOf = (number: number) =>
  crypto.sha256(Uint8Array.of(number & 255, number >> 8, 9));
const datesOf = (number = 1) => new DescriptorDates(crypto, seedOf(number));

/** Protocol §7.3 "Descriptors" by node:crypto and 64-bit integers alone. */
function reference(seed: Uint8Array, period: number, unixMs: number) {
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) => {
    const hash = createHmac("sha256", key);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const salt = Buffer.alloc(8);
  salt.writeBigUInt64BE(BigInt(period));
  const info = Buffer.from("anonnet v1 descriptor dates");
  const prk = hmac(salt, seed);
  const one = hmac(prk, info, Uint8Array.of(1));
  const okm = Buffer.concat([one, hmac(prk, one, info, Uint8Array.of(2))]);
  const drawn = BigInt(okm.readUInt32BE(38)) + BigInt(okm.readUInt32BE(42));
  const lag = drawn * 7_200_000n >> 32n;
  const shown = BigInt(unixMs) - lag;
  const steps = (shown - BigInt(period) * 86_400_000n + 36_000_000n) / 5_000n;
  const cipher = createCipheriv(
    "chacha20",
    okm.subarray(0, 32),
    Buffer.alloc(16),
  );
  const stream = cipher.update(Buffer.alloc(2 * Number(steps)));
  cipher.final();
  let revision = BigInt(okm.readUIntBE(32, 6));
  for (let at = 0; at < stream.length; at += 2) {
    revision += 1n + BigInt(stream.readUInt16BE(at));
  }
  const expiry = shown / 3_600_000n * 3_600_000n + 28_800_000n;
  return { revision: Number(revision), expiry: Number(expiry) };
}

Deno.test("DescriptorDates are what another implementation works out", () => {
  for (let number = 0; number < 20; number++) {
    for (const ms of [-12_345_678, 0, 7_654_321, 40_000_000]) {
      const unixMs = NOON + ms;
      const dates = datesOf(number);
      const { revision, expiry } = reference(seedOf(number), DAY, unixMs);
      assert.equal(dates.revision(DAY, unixMs), revision);
      assert.equal(dates.expiry(DAY, unixMs), expiry);
    }
  }
});

Deno.test("DescriptorDates rise every five seconds, and hold for 3 to 8 hours", () => {
  const dates = datesOf();
  let last = 0;
  for (let ms = 0; ms < 20 * HOUR_MS; ms += 5_000 * 97) {
    for (const unixMs of [NOON + ms, NOON + ms + 5_000]) {
      const revision = dates.revision(DAY, unixMs);
      assert.ok(revision > last && Number.isSafeInteger(revision));
      last = revision;
      const expiry = dates.expiry(DAY, unixMs);
      assert.equal(expiry % HOUR_MS, 0);
      const lifeMs = expiry - unixMs;
      assert.ok(lifeMs > 3 * HOUR_MS && lifeMs <= 8 * HOUR_MS, `${lifeMs}`);
    }
  }
});

Deno.test("DescriptorDates cover every client whose clock is hours off, by one or two periods", () => {
  for (let number = 0; number < 10; number++) {
    const dates = datesOf(number);
    for (let ms = 0; ms < 3 * PERIOD_MS; ms += 600_000) {
      const now = DAY * PERIOD_MS + ms;
      const periods = dates.periods(now);
      assert.ok(periods.length <= 2);
      for (const skewMs of [-OVERLAP_MS + 1, -1, 0, 1, OVERLAP_MS - 1]) {
        assert.ok(periods.includes(timePeriod(now + skewMs)));
      }
    }
  }
});

/** When a service begins and ends a period, and how far its expiries are: all in hours. */
function sightings(number: number, aheadMs: number): number[] {
  const dates = datesOf(number);
  const startMs = DAY * PERIOD_MS;
  let [begun, ended] = [Infinity, -Infinity];
  for (let ms = -12 * HOUR_MS; ms < PERIOD_MS + 12 * HOUR_MS; ms += 60_000) {
    if (!dates.periods(startMs + ms + aheadMs).includes(DAY)) continue;
    begun = Math.min(begun, ms / HOUR_MS);
    ended = Math.max(ended, ms / HOUR_MS);
  }
  const lives = Array.from({ length: 600 }, (_, minute) => {
    const unixMs = NOON + minute * 60_000;
    return (dates.expiry(DAY, unixMs + aheadMs) - unixMs) / HOUR_MS;
  });
  const life = lives.reduce((sum, one) => sum + one) / lives.length;
  return [begun, ended, -life];
}

Deno.test("all that a period shows of the time is one shift of it, drawn anew for each period", () => {
  // Three sightings with three errors would be three measurements of the clock.
  const seen = Array.from({ length: 60 }, (_, n) => sightings(n, 37_000));
  const shifts = seen.map(([begun = 0, ended = 0, life = 0]) => {
    assert.ok(Math.abs(ended - begun - 40) < 0.04, `${ended - begun} h`);
    assert.ok(Math.abs(life + 7.5 - (begun + 10)) < 0.1, `${life} ${begun}`);
    return begun + 10;
  });
  const mean = shifts.reduce((sum, one) => sum + one) / shifts.length;
  const variance = shifts.reduce((sum, one) => sum + (one - mean) ** 2, 0) /
    shifts.length;
  const deviation = Math.sqrt(variance);
  assert.ok(Math.abs(mean - 2) < 0.4, `${mean} h`);
  assert.ok(deviation > 0.6 && deviation < 1.05, `${deviation} h`);
  // Few are near the ends, where the first one would give the clock away.
  const near = shifts.filter((shift) => shift < 0.2 || shift > 3.8).length;
  assert.ok(near <= 2, `${near} of 60`);
});

/** Largest difference of two distributions (Kolmogorov and Smirnov). */
function distance(a: readonly number[], b: readonly number[]): number {
  const below = (all: readonly number[], limit: number) =>
    all.filter((one) => one <= limit).length / all.length;
  return Math.max(
    ...a.concat(b).map((at) => Math.abs(below(a, at) - below(b, at))),
  );
}

Deno.test("revisions, and their steps from hour to hour, are distributed alike however far the clock is off", () => {
  const count = 300;
  const most = 1.63 * Math.sqrt(2 / count); // 1 % of equal ones are beyond
  const sample = (aheadMs: number, first: number) => {
    const all = Array.from({ length: count }, (_, n) => {
      const dates = datesOf(first + n);
      const [early, late] = [0, HOUR_MS].map((ms) =>
        dates.revision(DAY, NOON + ms + aheadMs)
      );
      return { early: early ?? 0, step: (late ?? 0) - (early ?? 0) };
    });
    const low = all.map(({ early }) => early % 65_536);
    const early = all.map(({ early }) => early);
    return [early, low, all.map(({ step }) => step)];
  };
  const right = sample(0, 0);
  for (const [index, aheadMs] of [1, 4_999, 37_000, 300_000].entries()) {
    const off = sample(aheadMs, 1000 * (index + 1));
    for (const [what, values] of off.entries()) {
      const apart = distance(values, right[what] ?? []);
      assert.ok(apart < most, `${apart} at ${aheadMs} ms (${what})`);
    }
  }
});

Deno.test("DescriptorDates never print their seed", () => {
  const dates = datesOf();
  assert.equal(JSON.stringify(dates), '"[scrubbed]"');
  assert.ok(Deno.inspect(dates).includes("[scrubbed]"));
  dates[Symbol.dispose]();
});
