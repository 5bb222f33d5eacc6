/**
 * What an identity costs: a nonce whose memory-hard hash begins with zero bits.
 *
 *     scrypt(password = publicKey(32) ‖ nonce(16), salt = "anonnet v1 proof of work",
 *            N = 4096, r = 8, p = 1)  →  32 bytes, the first `difficulty` bits zero
 *
 * Finding one takes 2^difficulty calls on average, checking takes one: about
 * 10 ms and 4 MiB. It prices identities; it does not make them scarce.
 *
 * @see protocol §2.4 "Proof of work", {@link https://www.rfc-editor.org/rfc/rfc7914 | RFC 7914}
 * @module
 */
import { type Bytes, concat, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { PublicKey } from "./identity.ts";

/** Protocol: bytes of a nonce. */
export const WORK_NONCE_BYTES = 16;

/** Protocol: 4 MiB for each call, so that a graphics card runs few at once. */
const COST = { N: 4096, r: 8, p: 1, length: 32 } as const;
const SALT = utf8("anonnet v1 proof of work");

/** How a search is watched and ended. */
export interface FindWorkOptions {
  /** Ends the search; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called after each attempt with their number so far; 2^difficulty are
   * expected. Awaited: where scrypt holds the thread (noble), this is the place
   * to give other work a turn.
   */
  readonly onProgress?: (attempts: number) => void | Promise<void>;
}

/**
 * Search for a nonce, one attempt after the other.
 *
 * @param difficulty Leading zero bits, 0 to 32. At 0 any nonce will do.
 */
export async function findWork(
  crypto: CryptoSuite,
  difficulty: number,
  publicKey: PublicKey,
  random: Random,
  options: FindWorkOptions = {},
): Promise<Bytes> {
  const { signal, onProgress } = options;
  for (let attempts = 1;; attempts++) {
    signal?.throwIfAborted();
    const nonce = random.bytes(WORK_NONCE_BYTES);
    const found = await checkWork(crypto, difficulty, publicKey, nonce);
    await onProgress?.(attempts);
    if (found) return nonce;
  }
}

/**
 * Whether a nonce is the work of this key. A nonce of another length is not.
 *
 * @param difficulty Leading zero bits, 0 to 32. At 0 nothing is computed.
 */
export async function checkWork(
  crypto: CryptoSuite,
  difficulty: number,
  publicKey: PublicKey,
  nonce: Uint8Array,
): Promise<boolean> {
  if (nonce.length !== WORK_NONCE_BYTES) return false;
  if (difficulty === 0) return true;
  const hash = await crypto.scrypt(concat(publicKey, nonce), SALT, COST);
  return leadingZeroBits(hash) >= difficulty;
}

/** Zero bits before the first one. */
export function leadingZeroBits(bytes: Uint8Array): number {
  const index = bytes.findIndex((byte) => byte !== 0);
  if (index < 0) return 8 * bytes.length;
  return 8 * index + Math.clz32(bytes[index] ?? 0) - 24;
}
