/**
 * How long to wait for a circuit to be built, as RFC 6298 does for an answer:
 *
 *     time-out = mean + 4 · variation, at least 2 means, within 1.5 and 20 s
 *
 * On a fast network a dead relay so costs a second or two, and not twenty. After
 * a time-out it grows by a half, until something is built: a network that has
 * become slow is learned and not given up. Builds that began before the last
 * time-out, or before the last success, do not count: where others go well it is
 * a relay that is silent, and three builds that fail together are one failure.
 *
 * @see protocol §5.9 "Pool", {@link https://www.rfc-editor.org/rfc/rfc6298#section-2 | RFC 6298 §2}
 * @module
 */

/** Tuning: before anything was built, ms. */
export const FIRST_BUILD_TIMEOUT_MS = 10_000;
/** Tuning: least and longest wait, ms. */
export const BUILD_TIMEOUT_MS = { least: 1500, most: 20_000 } as const;

/**
 * Tuning: where circuits take so long on average, relays or this node have too much to
 * do, ms: four hops on the far sides of the Earth take 1 s.
 */
export const SLOW_BUILD_MS = 2_000;

/** Waiting times for builds, learned. */
export class BuildTime {
  #meanMs: number | undefined;
  #variationMs = 0;
  #stretch = 1;
  /** When something was last learned. */
  #learnedMs = -Infinity;

  /** What builds took of late, ms; 0 before the first. */
  get meanMs(): number {
    return this.#meanMs ?? 0;
  }

  /** How long the next build may take, ms. */
  get timeoutMs(): number {
    const { least, most } = BUILD_TIMEOUT_MS;
    const mean = this.#meanMs;
    const usual = mean === undefined
      ? FIRST_BUILD_TIMEOUT_MS
      : Math.max(2 * mean, mean + 4 * this.#variationMs);
    return Math.min(most, Math.max(least, usual) * this.#stretch);
  }

  /** A circuit is built that was begun then. */
  onBuilt(startedMs: number, nowMs: number): void {
    const tookMs = nowMs - startedMs;
    const mean = this.#meanMs;
    if (mean === undefined) {
      this.#meanMs = tookMs;
      this.#variationMs = tookMs / 2;
    } else {
      const off = Math.abs(tookMs - mean);
      this.#variationMs += (off - this.#variationMs) / 4;
      this.#meanMs = mean + (tookMs - mean) / 8;
    }
    this.#stretch = 1;
    this.#learnedMs = nowMs;
  }

  /** A build took too long that was begun then. */
  onTimeout(startedMs: number, nowMs: number): void {
    if (startedMs < this.#learnedMs) return;
    this.#stretch = Math.min(16, this.#stretch * 1.5);
    this.#learnedMs = nowMs;
  }
}
