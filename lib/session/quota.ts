/**
 * How many bytes all sessions of a process may hold together. Without it, a
 * thousand clients that open streams and never read would each hold a window.
 *
 * @module
 */

/** Default for a process, bytes. */
const DEFAULT_SESSION_QUOTA_BYTES = 256 * 1024 * 1024;

/** One session that holds bytes. */
export interface QuotaHolder {
  /** Bytes that it holds, above 0. */
  readonly heldBytes: number;
  /** Let go of the most that can be let go of at once. */
  shed(): void;
}

/** A count of bytes held, with an upper limit. */
export class SessionQuota {
  #used = 0;
  readonly #holders = new Set<QuotaHolder>();
  readonly maxBytes: number;

  constructor(maxBytes: number = DEFAULT_SESSION_QUOTA_BYTES) {
    this.maxBytes = maxBytes;
  }

  /** Bytes held now. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Whether the limit is passed: a session has to let go of a stream. */
  get isExceeded(): boolean {
    return this.#used > this.maxBytes;
  }

  /** Whether windows may still grow: not in the upper half. */
  mayGrow(bytes: number): boolean {
    return this.#used + bytes <= this.maxBytes / 2;
  }

  /** Count `bytes` more of a session, or fewer when negative. */
  add(bytes: number, holder: QuotaHolder): void {
    this.#used += bytes;
    if (holder.heldBytes > 0) this.#holders.add(holder);
    else this.#holders.delete(holder);
  }

  /**
   * Over the limit: the session that holds most lets go, and not the one that
   * happened to pass it. A visitor that does not read must not cost another one
   * its stream.
   */
  relieve(): void {
    if (!this.isExceeded) return;
    let most: QuotaHolder | undefined;
    for (const holder of this.#holders) {
      if (holder.heldBytes > (most?.heldBytes ?? 0)) most = holder;
    }
    most?.shed();
  }
}
