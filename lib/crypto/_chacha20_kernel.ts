/**
 * ChaCha20, four blocks at a time: word i of four blocks is one vector, so that a
 * step of the algorithm takes all of them on.
 *
 *     x0    c0 c0 c0 c0        constants
 *     x4    k0 k0 k0 k0        key
 *     x12   n  n+1 n+2 n+3     block counter
 *     x13   n0 n0 n0 n0        nonce
 *
 * The first state, 64 bytes but for the counter, lies at {@linkcode STATE}. Time
 * does not depend on secrets: there are additions, exclusive ors and rotations
 * alone.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8439#section-2.3 | RFC 8439 §2.3}
 * @module
 */
import {
  type AssemblyFunction,
  type Code,
  get,
  i32,
  i32x4,
  repeat,
  set,
  TYPE,
} from "./_assembler.ts";

/** Where the state is. */
export const STATE = 0;
/** Four blocks. */
export const BATCH_BYTES = 256;

const COUNTER = 0;
const AT = 1;
const BATCHES = 2;
const word = (index: number) => 3 + index;
const ROUNDS = 19;
const turned = (index: number) => 20 + index;

const COUNTER_WORD = 12;

/** Words of the quarter rounds: down the columns, then along the diagonals. */
const QUARTERS = [
  [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]],
  [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]],
] as const;

/** `a += b; d ^= a; d <<<= bits`, as places in a quarter round. */
const STEPS = [
  { a: 0, b: 1, d: 3, bits: 16 },
  { a: 2, b: 3, d: 1, bits: 12 },
  { a: 0, b: 1, d: 3, bits: 8 },
  { a: 2, b: 3, d: 1, bits: 7 },
] as const;

/**
 * `xor(counter, at, batches)`: XOR the keystream, from block `counter` on, into
 * memory from `at` on.
 */
export const CHACHA20_XOR: AssemblyFunction = {
  name: "xor",
  parameters: 3,
  locals: [[16, TYPE.v128], [1, TYPE.i32], [4, TYPE.v128]],
  code: repeat(BATCHES, [
    ...words((i) => set(word(i), initial(i))),
    ...set(ROUNDS, i32.constant(10)),
    ...repeat(ROUNDS, QUARTERS.flatMap(rounds)),
    ...words((i) => set(word(i), i32x4.add(get(word(i)), initial(i)))),
    ...[0, 4, 8, 12].flatMap(write),
    ...set(COUNTER, i32.add(get(COUNTER), i32.constant(4))),
    ...set(AT, i32.add(get(AT), i32.constant(BATCH_BYTES))),
  ]),
};

function words(of: (index: number) => Code): Code {
  return Array.from({ length: 16 }, (_, index) => of(index)).flat();
}

/** A word of the first state, for four blocks. */
function initial(index: number): Code {
  return index === COUNTER_WORD
    ? i32x4.add(i32x4.splat(get(COUNTER)), i32x4.constant([0, 1, 2, 3]))
    : i32x4.splatLoad(i32.constant(STATE), 4 * index);
}

/** Four quarter rounds, step by step side by side: none waits for another. */
function rounds(quarters: typeof QUARTERS[number]): Code {
  return STEPS.flatMap(({ a, b, d, bits }) => [
    ...quarters.flatMap((at) => {
      const [to, from] = [word(at[a]), word(at[b])];
      return set(to, i32x4.add(get(to), get(from)));
    }),
    ...quarters.flatMap((at) => {
      const [to, from] = [word(at[d]), word(at[a])];
      return [
        ...set(to, i32x4.xor(get(to), get(from))),
        ...set(to, rotated(to, bits)),
      ];
    }),
  ]);
}

function rotated(local: number, bits: number): Code {
  const value = get(local);
  if (bits % 8 !== 0) {
    return i32x4.or(
      i32x4.shiftLeft(value, bits),
      i32x4.shiftRight(value, 32 - bits),
    );
  }
  // Whole bytes: one instruction does it.
  const bytes = Array.from(
    { length: 16 },
    (_, i) => (i & ~3) | ((i - bits / 8) & 3),
  );
  return i32x4.shuffleBytes(value, value, bytes);
}

/** XOR words `first` to `first + 3` of all four blocks into memory. */
function write(first: number): Code {
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => get(word(first + i)));
  if (!(a && b && c && d)) throw new RangeError("Four words");
  return [
    ...set(turned(0), i32x4.shuffle(a, b, [0, 4, 1, 5])),
    ...set(turned(1), i32x4.shuffle(a, b, [2, 6, 3, 7])),
    ...set(turned(2), i32x4.shuffle(c, d, [0, 4, 1, 5])),
    ...set(turned(3), i32x4.shuffle(c, d, [2, 6, 3, 7])),
    ...[0, 1, 2, 3].flatMap((block) => {
      const half = block >> 1;
      const places = block % 2 === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7];
      const stream = i32x4.shuffle(
        get(turned(half)),
        get(turned(2 + half)),
        places,
      );
      const offset = 64 * block + 4 * first;
      const bytes = i32x4.load(get(AT), offset);
      return i32x4.store(get(AT), offset, i32x4.xor(bytes, stream));
    }),
  ];
}
