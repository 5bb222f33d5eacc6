/**
 * When a shortage of relays is to be told: once it has lasted, and once for each
 * reason.
 *
 *     shortage ──┬─ no circuit built for 5 s ──┐
 *                └─ lasts for 20 s ────────────┴──▶ told ──▶ gone
 *
 * Of a few relays one may be slow for a moment: circuits go on being built then, and
 * no operator need hear of it.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { Shortage } from "../path/shortage.ts";

/** Tuning: told after so long in which no circuit was built, ms. */
export const NOTHING_BUILT_MS = 5_000;
/** Tuning: told after so long, whatever is built, ms. */
export const SHORT_FOR_MS = 20_000;

/** The shortage of one node. */
export class Outage {
  #builtMs = -Infinity;
  /** Since when there is a shortage, of whatever kind. */
  #sinceMs = Infinity;
  readonly #told = new Set<Shortage["reason"]>();

  /** When to call {@linkcode look} at the latest, ms; `Infinity` with nothing to tell. */
  get deadlineMs(): number {
    return this.#told.size > 0 ? Infinity : this.#dueMs;
  }

  /** A circuit was built. */
  onBuilt(nowMs: number): void {
    this.#builtMs = nowMs;
  }

  /** Whether no circuit was built since then. */
  lastsSince(sinceMs: number): boolean {
    return this.#builtMs < sinceMs;
  }

  /** Look at what there is now. @returns What is to be told. */
  look(shortage: Shortage | undefined, nowMs: number): Shortage | undefined {
    if (shortage === undefined) {
      this.#sinceMs = Infinity;
      this.#told.clear();
      return undefined;
    }
    this.#sinceMs = Math.min(this.#sinceMs, nowMs);
    if (nowMs < this.#dueMs || this.#told.has(shortage.reason)) {
      return undefined;
    }
    this.#told.add(shortage.reason);
    return shortage;
  }

  get #dueMs(): number {
    const quietMs = Math.max(this.#sinceMs, this.#builtMs) + NOTHING_BUILT_MS;
    return Math.min(quietMs, this.#sinceMs + SHORT_FOR_MS);
  }
}
