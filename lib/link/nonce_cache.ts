/**
 * Nonces seen of late. A replayed Hello fails without it: the answerer's own
 * nonce is fresh, so no recorded Proof fits. The cache refuses the replay one
 * message earlier, before we spend a signature on it, and lets the log tell a
 * replay from a forgery. It also refuses a dialler whose generator repeats
 * itself, as after the restore of a snapshot.
 *
 * @see protocol §3.4 "What is refused"
 * @module
 */

/**
 * Nonces remembered: at least half of this, at most all. A flood of fresh nonces
 * pushes old ones out; nothing rests on their being found.
 */
const NONCE_CACHE_ENTRIES = 4096;

/** A bounded memory of nonces, in two generations. */
export class NonceCache {
  readonly #capacity: number;
  #young = new Set<string>();
  #old = new Set<string>();

  /** @param capacity Most nonces kept, at least 2. */
  constructor(capacity: number = NONCE_CACHE_ENTRIES) {
    this.#capacity = capacity;
  }

  /** Nonces remembered now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Remember `nonce`. @returns Whether it is new. */
  add(nonce: Uint8Array): boolean {
    const key = nonce.toHex();
    if (this.#young.has(key) || this.#old.has(key)) return false;
    this.#young.add(key);
    if (this.#young.size * 2 >= this.#capacity) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return true;
  }
}
