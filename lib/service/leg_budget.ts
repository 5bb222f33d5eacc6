/**
 * How many legs one client of a service may have for one session: each costs a
 * circuit of four hops, and asking for one costs next to nothing.
 *
 * An honest client whose legs are all killed wants 8 at once and then one per 2 s,
 * and is introduced several times for some of them (§7.6): it does not notice.
 *
 * @see protocol §7.6
 * @module
 */

/** Legs at once. */
export const LEGS_BURST = 32;
/** And then one in this time, ms. */
export const LEGS_EVERY_MS = 1_000;

/** What one session may still ask for. */
export class LegBudget {
  #tokens = LEGS_BURST;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** One more leg is asked for. @returns Whether it may be had. */
  take(nowMs: number): boolean {
    const gained = (nowMs - this.#atMs) / LEGS_EVERY_MS;
    this.#tokens = Math.min(LEGS_BURST, this.#tokens + gained);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
