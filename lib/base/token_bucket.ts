/**
 * A token bucket: so much per second on average, so much at once.
 *
 * @module
 */

/**
 * Tokens that rounding may cost: without them a wake-up at {@linkcode
 * TokenBucket.readyMs} might come to nothing, again and again.
 */
const ROUNDING = 1e-6;

/** How fast a bucket fills, and how much it holds. */
export interface TokenRate {
  /** Tokens per second; `Infinity` for no limit. */
  readonly perSecond: number;
  /** Most tokens that gather, at least 1. */
  readonly burst: number;
}

/** Tokens that gather with time and are taken for work. Full at first. */
export class TokenBucket {
  #perMs: number;
  #burst: number;
  /** May be negative: promised to those who wait. */
  #tokens: number;
  #filledMs: number;

  /** @throws {RangeError} For a rate that never gives a token. */
  constructor(rate: TokenRate, nowMs: number) {
    if (!(rate.burst >= 1)) throw neverFull();
    this.#perMs = checkedPerMs(rate.perSecond);
    this.#burst = rate.burst;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /**
   * When `count` tokens are there if none is taken before, ms; perhaps past.
   *
   * @param count Not more than the burst.
   */
  readyMs(count: number): number {
    return this.#filledMs + Math.max(0, count - this.#tokens) / this.#perMs;
  }

  /** Whether `count` tokens are there. */
  has(count: number, nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#isThere(count);
  }

  /**
   * From now on the bucket fills at another rate.
   *
   * @throws {RangeError} For a rate that never gives a token.
   */
  setRate(perSecond: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#perMs = checkedPerMs(perSecond);
  }

  /**
   * From now on another rate and burst hold. What has gathered stays, as far as it
   * fits: a change gives nothing away.
   *
   * @throws {RangeError} For a rate that never gives a token.
   */
  change({ perSecond, burst }: TokenRate, nowMs: number): void {
    if (!(burst >= 1)) throw neverFull();
    this.setRate(perSecond, nowMs);
    this.#burst = burst;
    this.#tokens = Math.min(burst, this.#tokens);
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
    const waitMs = this.#isThere(count)
      ? 0
      : (count - this.#tokens) / this.#perMs;
    if (waitMs > maxWaitMs) return undefined;
    this.#tokens -= count;
    return waitMs;
  }

  #isThere(count: number): boolean {
    return this.#perMs === Infinity || count - this.#tokens <= ROUNDING;
  }

  #fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#filledMs);
    // No time at a rate without limit is no number.
    const gathered = this.#perMs === Infinity
      ? Infinity
      : elapsedMs * this.#perMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + gathered);
    this.#filledMs = Math.max(this.#filledMs, nowMs);
  }
}

function checkedPerMs(perSecond: number): number {
  if (!(perSecond > 0)) throw neverFull();
  return perSecond / 1000;
}

function neverFull(): RangeError {
  return new RangeError("Cannot make a bucket that never has a token");
}
