/**
 * Randomness from outside: the platform's generator in a real node, a seeded
 * one in tests and simulations.
 *
 * @module
 */

/** A source of random bytes. */
export interface Random {
  /** `length` fresh bytes, in an array of their own. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** The number that the next 6 bytes are, big-endian, where that is cheaper. */
  uint48?(): number;
}

/** Uniform in 0 ≤ n < 1, with 48 bits. */
export function randomFloat(random: Random): number {
  if (random.uint48 !== undefined) return random.uint48() / 2 ** 48;
  const bytes = random.bytes(6);
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value / 2 ** 48;
}

/**
 * Uniform integer in 0 ≤ n < `bound`; the bias is below bound / 2⁴⁸.
 *
 * @throws {RangeError} unless 1 ≤ bound ≤ 2³².
 */
export function randomBelow(random: Random, bound: number): number {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
    throw new RangeError(`Cannot draw a number below ${bound}`);
  }
  return Math.floor(randomFloat(random) * bound);
}

/** Uniform number in `low` ≤ n < `high`. */
export function randomBetween(
  random: Random,
  low: number,
  high: number,
): number {
  return low + randomFloat(random) * (high - low);
}

/** One element, or `undefined` of an empty list. */
export function randomChoice<T>(
  random: Random,
  items: readonly T[],
): T | undefined {
  return items.length === 0
    ? undefined
    : items[randomBelow(random, items.length)];
}

/** A shuffled copy (Fisher and Yates). */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return sampled(random, items, items.length);
}

/** `count` of the items, or all if there are fewer, in random order. */
export function sampled<T>(
  random: Random,
  items: Iterable<T>,
  count: number,
): T[] {
  const copy = [...items];
  const end = Math.min(count, copy.length);
  for (let at = 0; at < end; at++) {
    const other = at + randomBelow(random, copy.length - at);
    const a = copy[at] as T;
    copy[at] = copy[other] as T;
    copy[other] = a;
  }
  copy.length = end;
  return copy;
}

const MASK = 0xffffffffffffffffn;

/**
 * A repeatable generator for simulations and tests (xoshiro128**, seeded by
 * SplitMix64). Not for keys of a real node.
 *
 * @param seed Any integer; equal seeds give equal bytes.
 * @see {@link https://prng.di.unimi.it/ | Blackman and Vigna}
 */
export function seededRandom(seed: number | bigint): Random {
  let mix = BigInt(seed) & MASK;
  const splitMix = (): bigint => {
    mix = (mix + 0x9e3779b97f4a7c15n) & MASK;
    let z = mix;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
    return z ^ (z >> 31n);
  };
  const first = splitMix();
  const second = splitMix();
  let s0 = Number(first & 0xffffffffn) | 0;
  let s1 = Number(first >> 32n) | 0;
  let s2 = Number(second & 0xffffffffn) | 0;
  let s3 = Number(second >> 32n) | 1;
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const next = (): number => {
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9);
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotl(s3, 11);
    return result;
  };
  return {
    uint48() {
      const first = next();
      const second = next();
      const high = (first & 0xff) * 2 ** 24 + (first >>> 8 & 0xff) * 2 ** 16 +
        (first >>> 16 & 0xff) * 2 ** 8 + (first >>> 24);
      return high * 2 ** 16 + (second & 0xff) * 2 ** 8 + (second >>> 8 & 0xff);
    },
    bytes(length) {
      const out = new Uint8Array(length);
      for (let offset = 0; offset < length; offset += 4) {
        const word = next();
        for (let i = 0; i < 4 && offset + i < length; i++) {
          out[offset + i] = word >>> (8 * i);
        }
      }
      return out;
    },
  };
}
