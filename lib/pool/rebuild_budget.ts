/**
 * A limit on building circuits again: a relay that kills our circuits must not decide
 * how many we build, nor see us through ever more relays.
 *
 *     circuit lost, or not built ──→ debt + 1
 *     build while in debt        ──→ debt − 1, and one token; no token: not now
 *
 * Builds that no failure made necessary are free, and a minute without a
 * failure clears the debt.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import { TokenBucket } from "../base/token_bucket.ts";

/** A debt is forgotten when nothing has failed for so long, ms. */
export const DEBT_MS = 60_000;

/** How many rebuilds are allowed. */
export interface RebuildLimit {
  readonly perMinute: number;
  /** At once, after a quiet time; at least 1. */
  readonly burst: number;
}

/** The account of one purpose. */
export class RebuildBudget {
  readonly #rules: RebuildLimit;
  #burst: number;
  #debt = 0;
  readonly #tokens: TokenBucket;
  #lostMs = -Infinity;

  constructor(limit: RebuildLimit) {
    const { perMinute, burst } = limit;
    this.#rules = limit;
    this.#burst = burst;
    this.#tokens = new TokenBucket(
      { perSecond: perMinute / 60, burst },
      -Infinity,
    );
  }

  /** From now on the budget is `factor` times that of the rules, at least that. */
  scale(factor: number, nowMs: number): void {
    const { perMinute, burst } = this.#rules;
    this.#burst = burst * factor;
    const perSecond = factor * perMinute / 60;
    this.#tokens.change({ perSecond, burst: this.#burst }, nowMs);
  }

  /** A circuit was lost, or could not be built. */
  onLost(nowMs: number): void {
    this.#settle(nowMs);
    this.#debt++;
    this.#lostMs = nowMs;
  }

  /**
   * When the next circuit may be built: `nowMs`, or later.
   *
   * @param reserve Tokens to leave for others, as a share of the burst, from 0
   * to less than 1.
   */
  readyMs(reserve: number, nowMs: number): number {
    this.#settle(nowMs);
    const tokens = this.#leastTokens(reserve);
    if (this.#debt === 0 || this.#tokens.has(tokens, nowMs)) return nowMs;
    return Math.min(this.#tokens.readyMs(tokens), this.#lostMs + DEBT_MS);
  }

  /** Count a build. Whether it may be done is for {@linkcode readyMs} to say. */
  onBuild(nowMs: number): void {
    this.#settle(nowMs);
    if (this.#debt === 0) return;
    this.#debt--;
    this.#tokens.reserve(1, Infinity, nowMs);
  }

  #leastTokens(reserve: number): number {
    return Math.min(this.#burst, 1 + reserve * this.#burst);
  }

  #settle(nowMs: number): void {
    if (nowMs - this.#lostMs >= DEBT_MS) this.#debt = 0;
  }
}
