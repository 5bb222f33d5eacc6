/**
 * How many circuits will be asked for at once, judging by the last minutes.
 *
 *     10 s    10 s    10 s   …      the busiest of 30 slices is what to be ready for
 *      0       7       2
 *
 * @see protocol §5.9 "Pool"
 * @module
 */

/** Tuning: a slice of time, ms: about as long as it takes to build a few circuits. */
const SLICE_MS = 10_000;
/** Tuning: slices remembered: 5 minutes. */
const SLICES = 30;

/** Requests for circuits of one purpose. */
export class Demand {
  readonly #counts = new Uint32Array(SLICES);
  /** The slice that is being counted, from the beginning of time. */
  #slice = 0;

  /** A caller asked for a circuit. */
  onRequest(nowMs: number): void {
    this.#advance(nowMs);
    const index = this.#slice % SLICES;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** Requests in the busiest slice of the last minutes. */
  peak(nowMs: number): number {
    this.#advance(nowMs);
    return Math.max(...this.#counts);
  }

  #advance(nowMs: number): void {
    const slice = Math.max(this.#slice, Math.floor(nowMs / SLICE_MS));
    const passed = Math.min(SLICES, slice - this.#slice);
    for (let i = 1; i <= passed; i++) {
      this.#counts[(this.#slice + i) % SLICES] = 0;
    }
    // After a gap the places differ, but all of them are empty.
    this.#slice = slice;
  }
}
