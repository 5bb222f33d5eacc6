/**
 * Keys whose addresses begin as an operator wishes, found by trying: each letter more
 * takes 32 times as long.
 *
 *     letters   tries on average
 *     1         32
 *     3         33 thousand
 *     4         1 million
 *     5         34 million
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** Beyond this no operator lives to see the end. */
export const MAX_VANITY_LETTERS = 7;
/** Tries between two breaths, some milliseconds. */
const TRIES_AT_ONCE = 256;

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/** What a search takes. */
export interface VanityOptions {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  /** As {@linkcode checkVanityPrefix} gave it. */
  readonly prefix: string;
  /** Called now and then; what it returns is waited for. */
  readonly onProgress: (tries: number) => Promise<void>;
}

/**
 * A prefix that an address can have, in lower case.
 *
 * @throws {ConfigError} `node.vanity`.
 */
export function checkVanityPrefix(text: string): string {
  const prefix = text.toLowerCase();
  if (!/^[a-z2-7]+$/.test(prefix) || prefix.length > MAX_VANITY_LETTERS) {
    throw new ConfigError(
      "node.vanity",
      `no address begins like that: write 1 to ${MAX_VANITY_LETTERS} of a-z ` +
        `and 2-7`,
    );
  }
  return prefix;
}

/** Tries that it takes on average. */
export function expectedTries(prefix: string): number {
  return 32 ** prefix.length;
}

/** The seed of a key whose address begins with the prefix. */
export async function findVanitySeed(options: VanityOptions): Promise<Bytes> {
  const { crypto, random, prefix, onProgress } = options;
  const wanted = bitsOf(prefix);
  for (let tries = 0;; tries += TRIES_AT_ONCE) {
    for (let count = 0; count < TRIES_AT_ONCE; count++) {
      const seed = random.bytes(32);
      if (startsWith(crypto.signer(seed).publicKey, wanted)) return seed;
      seed.fill(0);
    }
    await onProgress(tries + TRIES_AT_ONCE);
  }
}

/** The first bits of a key whose base32 begins like this, as numbers 0 and 1. */
function bitsOf(prefix: string): number[] {
  return [...prefix].flatMap((letter) =>
    [16, 8, 4, 2, 1].map((bit) => LETTERS.indexOf(letter) & bit ? 1 : 0)
  );
}

function startsWith(key: Uint8Array, bits: readonly number[]): boolean {
  return bits.every((bit, index) =>
    (((key[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) === bit
  );
}
