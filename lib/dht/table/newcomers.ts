/**
 * Newcomers that are being pinged before they enter the routing table.
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */

/**
 * Tuning: newcomers being pinged at once. A peer that hands us records of nodes
 * that do not exist makes us dial no more than this.
 */
export const MAX_PENDING_PINGS = 32;
/** Tuning: a newcomer that has not answered by then is forgotten. */
export const PENDING_PING_MS = 30 * 1000;

/** Who is being pinged, until when, and for which bucket. */
export class Newcomers {
  readonly #pending = new Map<
    string,
    { readonly untilMs: number; readonly bucket: number }
  >();

  /** Pings that may begin now. */
  get free(): number {
    return MAX_PENDING_PINGS - this.#pending.size;
  }

  /** Newcomers that are being pinged for a bucket. */
  countIn(bucket: number): number {
    let count = 0;
    for (const pending of this.#pending.values()) {
      if (pending.bucket === bucket) count++;
    }
    return count;
  }

  /**
   * A node is to be pinged.
   *
   * @param key Its node key.
   * @returns `false` when it is being pinged already, or too many are.
   */
  begin(key: string, bucket: number, nowMs: number): boolean {
    if ((this.#pending.get(key)?.untilMs ?? -Infinity) > nowMs) return false;
    if (this.free <= 0) return false;
    this.#pending.set(key, { untilMs: nowMs + PENDING_PING_MS, bucket });
    return true;
  }

  /** A node has answered, or has not. @returns Whether it was being pinged. */
  end(key: string): boolean {
    return this.#pending.delete(key);
  }

  /** Forget those that have not answered in time. */
  sweep(nowMs: number): void {
    for (const [key, { untilMs }] of this.#pending) {
      if (untilMs <= nowMs) this.#pending.delete(key);
    }
  }
}
