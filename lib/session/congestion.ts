/**
 * How many cells may be in flight on a leg: a delay-based controller in the
 * manner of TCP Vegas. The least round trip seen is the path's own; what comes
 * on top is queueing in relays, which the window is kept just short of causing.
 *
 *     queueing delay   below 15 ms   grow
 *                      15 to 45 ms   hold
 *                      above 45 ms   shrink to what the path carries
 *
 * @see {@link https://spec.torproject.org/proposals/324-rtt-congestion-control.html | Tor proposal 324}
 * and protocol §6.4
 * @module
 */

/** Cells in flight to begin with: the initial window of one stream. */
export const INITIAL_CELLS = 64;
/** Cells that may always be in flight: less would starve on acknowledgements. */
export const MIN_CELLS = 24;
/** Most cells in flight: what each relay is ready to hold of a circuit (§5). */
export const MAX_CELLS = 2048;
/** Queueing delay below which the window grows, ms. */
export const LOW_QUEUE_MS = 15;
/** Queueing delay above which the window shrinks, ms. */
export const HIGH_QUEUE_MS = 45;
/** After this long at the least window, the path itself must have become longer, ms. */
const REBASE_AFTER_MS = 5_000;

/** The window of one leg, in cells. */
export class CongestionWindow {
  #cells = INITIAL_CELLS;
  #isSlowStart = true;
  #baseMs = Infinity;
  #smoothedMs = 0;
  #variationMs = 0;
  /** Least round trip since the window was last adjusted. */
  #roundLeastMs = Infinity;
  #roundEndsMs = 0;
  #leastSinceMs: number | undefined;

  /** Cells that may be in flight now. */
  get cells(): number {
    return Math.floor(this.#cells);
  }

  /** Smoothed round trip, ms; `undefined` before the first sample. */
  get roundTripMs(): number | undefined {
    return this.#baseMs === Infinity ? undefined : this.#smoothedMs;
  }

  /** Least round trip, ms; `undefined` before the first sample. */
  get baseMs(): number | undefined {
    return this.#baseMs === Infinity ? undefined : this.#baseMs;
  }

  /** Silence after which a leg with cells in flight is suspect (after RFC 6298), ms. */
  get probeTimeoutMs(): number {
    if (this.#baseMs === Infinity) return 3_000;
    return Math.min(
      3_000,
      Math.max(250, this.#smoothedMs + 4 * this.#variationMs + 100),
    );
  }

  /**
   * Learn from an acknowledgement.
   *
   * @param acknowledged Cells it covers for the first time.
   * @param roundTripMs From sending the newest of them to now, less the peer's delay.
   * @param isLimited Whether the window was what kept the sender from sending more.
   */
  onAcknowledged(
    acknowledged: number,
    roundTripMs: number,
    isLimited: boolean,
    nowMs: number,
  ): void {
    const sample = Math.max(0.05, roundTripMs);
    if (this.#baseMs === Infinity) {
      this.#smoothedMs = sample;
      this.#variationMs = sample / 2;
    } else {
      this.#variationMs +=
        (Math.abs(sample - this.#smoothedMs) - this.#variationMs) / 4;
      this.#smoothedMs += (sample - this.#smoothedMs) / 8;
    }
    this.#baseMs = Math.min(this.#baseMs, sample);
    this.#roundLeastMs = Math.min(this.#roundLeastMs, sample);
    const queueMs = sample - this.#baseMs;
    if (this.#isSlowStart) {
      // A single late cell is noise; so is an eighth of a long path.
      if (queueMs > Math.max(LOW_QUEUE_MS, this.#baseMs / 8)) {
        this.#isSlowStart = false;
      } else if (isLimited) this.#set(this.#cells + acknowledged);
    }
    if (nowMs < this.#roundEndsMs) return;
    this.#onRound(this.#roundLeastMs, isLimited, nowMs);
    this.#roundLeastMs = Infinity;
    this.#roundEndsMs = nowMs + this.#smoothedMs;
  }

  /** Once a round trip: the least delay of the round is what every cell had to wait. */
  #onRound(leastMs: number, isLimited: boolean, nowMs: number): void {
    const queueMs = leastMs - this.#baseMs;
    if (queueMs > HIGH_QUEUE_MS) {
      this.#set(
        this.#cells *
          Math.max(0.5, (this.#baseMs + LOW_QUEUE_MS * 2) / leastMs),
      );
      if (this.#cells > MIN_CELLS) this.#leastSinceMs = undefined;
      else if (this.#leastSinceMs === undefined) this.#leastSinceMs = nowMs;
      else if (nowMs - this.#leastSinceMs > REBASE_AFTER_MS) {
        this.#baseMs = leastMs;
        this.#leastSinceMs = undefined;
      }
      return;
    }
    this.#leastSinceMs = undefined;
    if (queueMs < LOW_QUEUE_MS && isLimited && !this.#isSlowStart) {
      this.#set(this.#cells + Math.max(2, this.#cells / 16));
    }
  }

  #set(cells: number): void {
    this.#cells = Math.min(MAX_CELLS, Math.max(MIN_CELLS, cells));
  }
}
