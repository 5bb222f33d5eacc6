/**
 * How many bytes all sessions of a process may hold together. Without it, a
 * thousand clients that open streams and never read would each hold a window.
 *
 * @module
 */

/** Default for a process, bytes. */
const DEFAULT_SESSION_QUOTA_BYTES = 256 * 1024 * 1024;

/** A count of bytes held, with an upper limit. */
export class SessionQuota {
  #used = 0;
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

  /** Count `bytes` more, or fewer when negative. */
  add(bytes: number): void {
    this.#used += bytes;
  }
}
