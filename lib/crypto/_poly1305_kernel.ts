/**
 * Poly1305 in numbers of 64 bits: the accumulator is h0 to h3, 32 bits each, and
 * h4; r is clamped, so that its words are below 2²⁸ and multiples of 4 (r1 to r3).
 *
 *     h += block + 2¹²⁸      h0 to h3 < 2³³ + 3, h4 < 2³
 *     h *= r                 as 2¹³⁰ ≡ 5: what leaves at the top comes back times
 *     h mod 2¹³⁰ − 5         5/4 of a word of r, s = r + r/4, which is whole
 *
 * Sums of four products stay below 4 · 2³³ · 5/4 · 2²⁸ < 2⁶⁴. Time does not depend
 * on secrets: there are no branches, and the last reduction selects by a mask.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8439#section-2.5 | RFC 8439 §2.5}
 * @module
 */
import {
  type AssemblyFunction,
  type Code,
  get,
  i32,
  i64,
  repeat,
  set,
  TYPE,
} from "./_assembler.ts";

const KEY = 0;
const AT = 1;
const BLOCKS = 2;
const TAG = 3;
const r = (index: number) => 4 + index;
/** s1 to s3. */
const s = (index: number) => 7 + index;
const h = (index: number) => 11 + index;
/** Products, and the candidate for h at the end. */
const d = (index: number) => 16 + index;
const CARRY = 20;

const LOW_WORD = i64.constant(0xffffffffn);
const WORDS = [0, 1, 2, 3] as const;

/** Bits of r that stay (RFC 8439 §2.5.1). */
const CLAMP = [0x0fffffffn, 0x0ffffffcn, 0x0ffffffcn, 0x0ffffffcn] as const;

/**
 * `mac(key, at, blocks, tag)`: write the tag of so many blocks of 16 bytes, at least
 * one, under the 32 bytes at `key`.
 */
export const POLY1305_MAC: AssemblyFunction = {
  name: "mac",
  parameters: 4,
  locals: [[17, TYPE.i64]],
  code: [
    ...WORDS.flatMap((i) =>
      set(
        r(i),
        i64.and(i64.load32(get(KEY), 4 * i), i64.constant(CLAMP[i])),
      )
    ),
    ...[1, 2, 3].flatMap((i) =>
      set(s(i), i64.add(get(r(i)), shifted(r(i), 2)))
    ),
    ...repeat(BLOCKS, [
      ...WORDS.flatMap((i) => addTo(h(i), i64.load32(get(AT), 4 * i))),
      ...addTo(h(4), i64.constant(1n)),
      ...multiply(),
      ...set(AT, i32.add(get(AT), i32.constant(16))),
    ]),
    ...reduce(),
    ...finish(),
  ],
};

function addTo(local: number, value: Code): Code {
  return set(local, i64.add(get(local), value));
}

function shifted(local: number, bits: number): Code {
  return i64.shiftRight(get(local), i64.constant(BigInt(bits)));
}

function lowWord(local: number): Code {
  return i64.and(get(local), LOW_WORD);
}

/** Sum of products of locals. */
function sum(...pairs: readonly (readonly [number, number])[]): Code {
  const products = pairs.map(([a, b]) => i64.mul(get(a), get(b)));
  return products.reduce((left, right) => i64.add(left, right));
}

function multiply(): Code {
  return [
    ...set(d(0), sum([h(0), r(0)], [h(1), s(3)], [h(2), s(2)], [h(3), s(1)])),
    ...set(
      d(1),
      sum(
        ...[[h(0), r(1)], [h(1), r(0)], [h(2), s(3)]] as const,
        ...[[h(3), s(2)], [h(4), s(1)]] as const,
      ),
    ),
    ...set(
      d(2),
      sum(
        ...[[h(0), r(2)], [h(1), r(1)], [h(2), r(0)]] as const,
        ...[[h(3), s(3)], [h(4), s(2)]] as const,
      ),
    ),
    ...set(
      d(3),
      sum(
        ...[[h(0), r(3)], [h(1), r(2)], [h(2), r(1)]] as const,
        ...[[h(3), r(0)], [h(4), s(3)]] as const,
      ),
    ),
    ...set(h(4), sum([h(4), r(0)])),
    ...[1, 2, 3].flatMap((i) => addTo(d(i), shifted(d(i - 1), 32))),
    ...addTo(h(4), shifted(d(3), 32)),
    ...foldTop(),
    ...addTo(CARRY, lowWord(d(0))),
    ...set(h(0), lowWord(CARRY)),
    ...set(h(1), i64.add(lowWord(d(1)), shifted(CARRY, 32))),
    ...set(h(2), lowWord(d(2))),
    ...set(h(3), lowWord(d(3))),
  ];
}

/** Into CARRY, five times what h4 has beyond 2 bits, which it loses. */
function foldTop(): Code {
  const fourTimes = i64.and(get(h(4)), i64.constant(-4n));
  return [
    ...set(CARRY, i64.add(shifted(h(4), 2), fourTimes)),
    ...set(h(4), i64.and(get(h(4)), i64.constant(3n))),
  ];
}

/** Bring h below 2¹³⁰, and each of its words below 2³². */
function reduce(): Code {
  const carry = WORDS.flatMap((i) => [
    ...addTo(h(i + 1), shifted(h(i), 32)),
    ...set(h(i), lowWord(h(i))),
  ]);
  return [...carry, ...foldTop(), ...addTo(h(0), get(CARRY)), ...carry];
}

/** Take 2¹³⁰ − 5 away where it fits, add the second half of the key, write. */
function finish(): Code {
  const isAbove = i64.add(get(h(4)), shifted(d(3), 32));
  return [
    ...set(d(0), i64.add(get(h(0)), i64.constant(5n))),
    ...[1, 2, 3].flatMap((i) =>
      set(d(i), i64.add(get(h(i)), shifted(d(i - 1), 32)))
    ),
    // All ones where h + 5 reaches 2¹³⁰.
    ...set(CARRY, i64.shiftRight(isAbove, i64.constant(2n))),
    ...set(CARRY, i64.sub(i64.constant(0n), get(CARRY))),
    ...WORDS.flatMap((i) => {
      const isBelow = i64.xor(get(CARRY), i64.constant(-1n));
      const kept = i64.and(get(h(i)), isBelow);
      return set(h(i), i64.or(kept, i64.and(lowWord(d(i)), get(CARRY))));
    }),
    ...set(CARRY, i64.constant(0n)),
    ...WORDS.flatMap((i) => [
      ...addTo(h(i), i64.load32(get(KEY), 16 + 4 * i)),
      ...addTo(h(i), get(CARRY)),
      ...set(CARRY, shifted(h(i), 32)),
      ...i64.store32(get(TAG), 4 * i, get(h(i))),
    ]),
  ];
}
