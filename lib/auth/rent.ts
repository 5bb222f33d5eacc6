/**
 * What an identity costs again and again: a nonce whose memory-hard hash, with the key
 * and the number of a period of four weeks, begins with zero bits.
 *
 *     period = ⌊(expiry of the record − 1) / 28 days⌋
 *     scrypt(password = publicKey(32) ‖ period(8) ‖ nonce(16), salt = "anonnet v1 rent",
 *            N = 1024, r = 8, p = 1)  →  32 bytes, the first `difficulty + 1` bits zero
 *
 * The period follows from the record alone, so that all who read it agree whether it is
 * paid for, however their clocks go. The place of the identity does not change with it
 * (`proof_of_work.ts`).
 *
 * @see protocol §2.4 "Proof of work", docs/decisions/0070-identities-pay-rent.md
 * @module
 */
import { type Bytes, concat, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { PublicKey } from "./identity.ts";
import type { NetworkParameters } from "./network.ts";
import {
  type FindWorkOptions,
  leadingZeroBits,
  WORK_NONCE_BYTES,
} from "./proof_of_work.ts";

/** Protocol: how long one payment is good for, ms. A whole number of quarters of an hour. */
export const RENT_PERIOD_MS = 28 * 24 * 3600 * 1000;

/** Protocol: 1 MiB and 2.5 ms for each call: each reader of a record makes it once in a period. */
const COST = { N: 1024, r: 8, p: 1, length: 32 } as const;
const SALT = utf8("anonnet v1 rent");
/** Protocol: bits on top of those of the work, so that rent costs half of it, as each call takes a quarter. */
const MORE_BITS = 1;

/** Whether identities of a network pay. */
export function hasRent(network: NetworkParameters): boolean {
  return network.powDifficulty > 0;
}

/** Calls that finding a nonce takes on average. */
export function rentTries(network: NetworkParameters): number {
  return hasRent(network) ? 2 ** bitsOf(network) : 0;
}

/**
 * The period that a record has to be paid for.
 *
 * @param expiryMs When the record ends, unix ms, above 0.
 */
export function rentPeriod(expiryMs: number): number {
  return Math.floor((expiryMs - 1) / RENT_PERIOD_MS);
}

/** When the last record of a period ends, unix ms. */
export function rentEndMs(period: number): number {
  return (period + 1) * RENT_PERIOD_MS;
}

/** Whether this nonce pays for this key and period; computes one hash. */
export async function isRent(
  crypto: CryptoSuite,
  network: NetworkParameters,
  publicKey: PublicKey,
  period: number,
  nonce: Uint8Array,
): Promise<boolean> {
  if (nonce.length !== WORK_NONCE_BYTES) return false;
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(period));
  const hash = await crypto.scrypt(
    concat(publicKey, number, nonce),
    SALT,
    COST,
  );
  return leadingZeroBits(hash) >= bitsOf(network);
}

/** Search for a nonce that pays for a period, one attempt after the other. */
export async function findRent(
  crypto: CryptoSuite,
  network: NetworkParameters,
  publicKey: PublicKey,
  period: number,
  random: Random,
  options: FindWorkOptions = {},
): Promise<Bytes> {
  const { signal, onProgress } = options;
  for (let attempts = 1;; attempts++) {
    signal?.throwIfAborted();
    const nonce = random.bytes(WORK_NONCE_BYTES);
    const isFound = await isRent(crypto, network, publicKey, period, nonce);
    await onProgress?.(attempts);
    if (isFound) return nonce;
  }
}

function bitsOf(network: NetworkParameters): number {
  return network.powDifficulty + MORE_BITS;
}
