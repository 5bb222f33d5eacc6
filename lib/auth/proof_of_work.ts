/**
 * What an identity costs, and where in the DHT it gets a place by that: a nonce whose
 * memory-hard hash begins with zero bits, and the hash of that hash.
 *
 *     scrypt(password = publicKey(32) ‖ nonce(16), salt = "anonnet v1 proof of work",
 *            N = 4096, r = 8, p = 1)  →  32 bytes, the first `difficulty` bits zero
 *     place = SHA-256("anonnet v1 place" ‖ those 32 bytes)
 *
 * Finding one takes 2^difficulty calls on average, checking takes one: about
 * 10 ms and 4 MiB. It prices identities, and each further try for a place costs a
 * whole work; it does not make them scarce. What keeping one costs is in `rent.ts`.
 *
 * @see protocol §2.4 "Proof of work", {@link https://www.rfc-editor.org/rfc/rfc7914 | RFC 7914}
 * @module
 */
import { type Bytes, concat, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { nodeIdOf, type PublicKey } from "./identity.ts";

/** A node's point in the DHT, 32 bytes: which keys it stores for, and who knows it. */
export type Place = Bytes & { readonly brand?: "Place" };

/** A proof of work as a record carries it. */
export interface Work {
  /** 16 bytes. */
  readonly workNonce: Bytes;
  /** What follows from it. */
  readonly place: Place;
}

/** Protocol: bytes of a nonce. */
export const WORK_NONCE_BYTES = 16;

/** Protocol: 4 MiB for each call, so that a graphics card runs few at once. */
const COST = { N: 4096, r: 8, p: 1, length: 32 } as const;
const SALT = utf8("anonnet v1 proof of work");
const PLACE_CONTEXT = utf8("anonnet v1 place");

/** Protocol: bytes of a place. */
export const PLACE_BYTES = 32;

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
): Promise<Work> {
  const { signal, onProgress } = options;
  for (let attempts = 1;; attempts++) {
    signal?.throwIfAborted();
    const workNonce = random.bytes(WORK_NONCE_BYTES);
    const place = await placeOf(crypto, difficulty, publicKey, workNonce);
    await onProgress?.(attempts);
    if (place !== undefined) return { workNonce, place };
  }
}

/**
 * The place that a nonce gives this key; `undefined` where it is no work, or of
 * another length.
 *
 * @param difficulty Leading zero bits, 0 to 32. At 0 nothing is computed: the place
 * is the node id, for there is no work that it could follow from.
 */
export async function placeOf(
  crypto: CryptoSuite,
  difficulty: number,
  publicKey: PublicKey,
  nonce: Uint8Array,
): Promise<Place | undefined> {
  if (nonce.length !== WORK_NONCE_BYTES) return undefined;
  if (difficulty === 0) return placeWithoutWork(crypto, publicKey);
  const hash = await crypto.scrypt(concat(publicKey, nonce), SALT, COST);
  return leadingZeroBits(hash) >= difficulty
    ? crypto.sha256(PLACE_CONTEXT, hash)
    : undefined;
}

/** The place of a key in a network whose identities have no price. */
export function placeWithoutWork(
  crypto: CryptoSuite,
  publicKey: PublicKey,
): Place {
  return new Uint8Array(nodeIdOf(crypto, publicKey));
}

/** Zero bits before the first one. */
export function leadingZeroBits(bytes: Uint8Array): number {
  const index = bytes.findIndex((byte) => byte !== 0);
  if (index < 0) return 8 * bytes.length;
  return 8 * index + Math.clz32(bytes[index] ?? 0) - 24;
}
