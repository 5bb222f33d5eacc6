/**
 * How long the nodes of one look-up take to answer, and so for how long the others
 * are waited for.
 *
 *     sent ── 12 medians ─▶ stalled: another is asked in its place ── 20 medians ─▶ late
 *             0.3 to 0.8 s                                            0.75 to 2 s
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */

/**
 * Tuning: a node that has not answered by then is passed over: another is asked in
 * its place. Its answer still counts, should it come before the end. Sooner, where
 * others answer sooner: after so many times their median, within these bounds. A
 * link to be set up takes four round trips, and its node may be farther than most.
 */
export const STALL_MS = 800;
export const MIN_STALL_MS = 300;
const STALL_MEDIANS = 12;
/** Tuning: answers before their times say anything. */
const MIN_TIMES = 3;
/**
 * Tuning: after so many times the median, within these bounds, a node that was
 * passed over is waited for no longer, though there be no other node to ask: each of
 * five neighbours that died together would hold up the end by seconds. Time enough
 * for a link to be set up with a node twice as far away, and a packet to get lost.
 * And for so long other paths go on for a newer record, once one is found.
 */
const PATIENCE_MEDIANS = 20;
export const MIN_PATIENCE_MS = 750;
export const MAX_PATIENCE_MS = 2000;
/** Tuning: even the fastest may take long, on a slow line of our own. */
const PATIENCE_FASTEST = 2.5;

/** Times of answers, and what follows from them. */
export class AnswerTimes {
  /** Ascending. */
  readonly #times: number[] = [];

  /** A node has answered after so long. */
  add(ms: number): void {
    const at = this.#times.findIndex((other) => other > ms);
    this.#times.splice(at < 0 ? this.#times.length : at, 0, ms);
  }

  /** After how long a node is passed over. */
  get stallMs(): number {
    const wishedMs = STALL_MEDIANS * this.#medianMs;
    return Math.min(Math.max(wishedMs, MIN_STALL_MS), STALL_MS);
  }

  /** After how long it holds up nothing; never, as long as no node has answered. */
  get patienceMs(): number {
    const wishedMs = PATIENCE_MEDIANS * this.#medianMs;
    const usualMs = Math.min(
      Math.max(wishedMs, MIN_PATIENCE_MS),
      MAX_PATIENCE_MS,
    );
    return Math.max(usualMs, PATIENCE_FASTEST * (this.#times[0] ?? Infinity));
  }

  /** How long an answer takes; Infinity before that can be said. */
  get #medianMs(): number {
    if (this.#times.length < MIN_TIMES) return Infinity;
    return this.#times[this.#times.length >> 1] ?? Infinity;
  }
}
