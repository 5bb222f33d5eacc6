/**
 * A token bucket: so much per second on average, so much at once.
 *
 * @module
 */

/** How fast a bucket fills, and how much it holds. */
export interface TokenRate {
  /** Tokens per second; `Infinity` for no limit. */
  readonly perSecond: number;
  /** Most tokens that gather, at least 1. */
  readonly burst: number;
}

/** Tokens that gather with time and are taken for work. Full at first. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  /** May be negative: promised to those who wait. */
  #tokens: number;
  #filledMs: number;

  constructor(rate: TokenRate, nowMs: number) {
    if (!(rate.perSecond > 0) || !(rate.burst >= 1)) {
      throw new RangeError("Cannot make a bucket that never has a token");
    }
    this.#perMs = rate.perSecond / 1000;
    this.#burst = rate.burst;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /** Take `count` tokens if they are there. */
  take(count: number, nowMs: number): boolean {
    return this.reserve(count, 0, nowMs) === 0;
  }

  /**
   * Take `count` tokens, now or in advance.
   *
   * @param maxWaitMs Longest wait to agree to.
   * @returns How long to wait before using them, ms; `undefined`, and nothing
   * taken, if that would be longer than `maxWaitMs`.
   */
  reserve(
    count: number,
    maxWaitMs: number,
    nowMs: number,
  ): number | undefined {
    if (this.#perMs === Infinity) return 0;
    this.#fill(nowMs);
    const missing = count - this.#tokens;
    const waitMs = missing <= 0 ? 0 : missing / this.#perMs;
    if (waitMs > maxWaitMs) return undefined;
    this.#tokens -= count;
    return waitMs;
  }

  #fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#filledMs);
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + elapsedMs * this.#perMs,
    );
    this.#filledMs = Math.max(this.#filledMs, nowMs);
  }
}
