/**
 * Which introductions a service has seen. An introduction point is replaced
 * before its cache is full, so nothing is ever forgotten while its keys live.
 *
 * @module
 */
import type { CryptoSuite } from "../../crypto/suite.ts";

/** Introductions after which an introduction point is replaced. */
export const MAX_INTRODUCTIONS = 16_384;

const DIGEST_BYTES = 16;

/** Introductions of one introduction point. */
export class ReplayCache {
  readonly #crypto: CryptoSuite;
  readonly #seen = new Set<string>();

  constructor(crypto: CryptoSuite) {
    this.#crypto = crypto;
  }

  /** No more introductions may be taken: the point must be replaced. */
  get isFull(): boolean {
    return this.#seen.size >= MAX_INTRODUCTIONS;
  }

  /**
   * Remember a sealed introduction.
   *
   * @returns Whether it is new, and there was room to remember it.
   */
  add(sealed: Uint8Array): boolean {
    if (this.isFull) return false;
    const digest = this.#crypto.sha256(sealed).subarray(0, DIGEST_BYTES)
      .toHex();
    if (this.#seen.has(digest)) return false;
    this.#seen.add(digest);
    return true;
  }
}
