/**
 * When to try to join: at once, and while no contact is known again and again,
 * each time after twice the wait.
 *
 *     start ─▶ try ─ 2 s ─▶ try ─ 4 s ─▶ try … 5 min … ─▶ a contact: stop
 *                 ▲────────── 2 s ─────── the last contact is lost
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */

/** Tuning: wait before another try while no contact is known, doubled each time. */
const BOOTSTRAP_MS = 2 * 1000;
const MAX_BOOTSTRAP_MS = 5 * 60 * 1000;

/** The pace of a node's tries to join. */
export class BootstrapPace {
  #dueMs = Infinity;
  #waitMs = BOOTSTRAP_MS;

  /** When to try next; `Infinity` while there is no reason to. */
  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** A try begins: the next is due later than this one was. */
  onTry(nowMs: number): void {
    this.#dueMs = nowMs + this.#waitMs;
    this.#waitMs = Math.min(2 * this.#waitMs, MAX_BOOTSTRAP_MS);
  }

  /** A contact is known. */
  stop(): void {
    this.#dueMs = Infinity;
  }

  /** The last contact is lost. */
  onAlone(nowMs: number): void {
    if (this.#dueMs < Infinity) return;
    this.#waitMs = BOOTSTRAP_MS;
    this.#dueMs = nowMs + BOOTSTRAP_MS;
  }
}
