/**
 * What follows when our end of a session stood still: its process was stopped, or
 * its machine slept.
 *
 *     short: the other end waits for us            the session goes on
 *     long:  it gave us up, or stood still too     ask it
 *              ├── it acknowledges a cell of now   the session goes on
 *              └── 2 s of silence                  the session is over
 *
 * Cells that came meanwhile may wait to be read, and prove nothing: only what
 * answers to a cell that was sent afterwards does.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */

/**
 * An end that has streams and no leg for a minute gives the session up, and some
 * seconds pass until it has none, ms.
 */
const GIVEN_UP_MS = 75_000;
/** Tuning: time that the other end has to answer, ms; as long as a guard has. */
export const PROOF_MS = 2_000;

/** Whether the other end may have forgotten the session. */
export class Standstill {
  #askedMs = Infinity;

  /** When the session is over unless it was acknowledged; `Infinity`: no doubt. */
  get deadlineMs(): number {
    return this.#askedMs + PROOF_MS;
  }

  /** Whether an answer is waited for. */
  get isDoubtful(): boolean {
    return this.#askedMs !== Infinity;
  }

  /** We stood still for `ms`, until now. */
  onStoodStill(ms: number, nowMs: number): void {
    if (ms >= GIVEN_UP_MS) this.#askedMs = nowMs;
  }

  /** The other end has received a cell that was sent at `sentMs`. */
  onAcknowledged(sentMs: number): void {
    if (sentMs >= this.#askedMs) this.#askedMs = Infinity;
  }
}
