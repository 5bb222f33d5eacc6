/**
 * How many cells may be in flight on a leg: a delay-based controller in the
 * manner of TCP Vegas. The least round trip seen is the path's own; what comes
 * on top is queueing in relays, which the window is kept just short of causing.
 *
 *     queueing delay   below 15 ms, or 1/8 of the path   grow, faster and faster
 *                      up to 45 ms, or 1/4 of the path   hold
 *                      above                             shrink to what the path carries
 *
 * To begin with it doubles each round trip, up to 15 ms or half of the path: the
 * links themselves begin slowly, and only what waits for them makes them faster.
 *
 * What counts is the least delay of many acknowledgements: single ones are late
 * for reasons of their own, such as a relay that was not given the processor.
 *
 * @see {@link https://spec.torproject.org/proposals/324-rtt-congestion-control.html | Tor proposal 324}
 * and protocol §6.4 "Congestion"
 * @module
 */

/** Cells in flight to begin with: the initial window of one stream. */
export const INITIAL_CELLS = 64;
/** Cells that may always be in flight: less would starve on acknowledgements. */
export const MIN_CELLS = 24;
/** Most cells in flight: what each relay is ready to hold of a circuit (protocol §5 "Circuits"). */
export const MAX_CELLS = 2048;
/** Queueing delay below which the window grows, ms … */
export const LOW_QUEUE_MS = 15;
/** … or that part of a long path. */
const LOW_QUEUE_PART = 1 / 8;
/** Queueing delay above which the window shrinks, ms … */
export const HIGH_QUEUE_MS = 45;
/** … or that part of a long path. */
const HIGH_QUEUE_PART = 1 / 4;
/** Queueing delay up to which the window doubles, as part of a long path. */
const DOUBLING_QUEUE_PART = 1 / 2;
/** Acknowledgements of which all must be late to end the doubling. */
const EXIT_SAMPLES = 8;
/** Parts by which the window grows after so many rounds without a queue. */
const GROWTH = [1 / 16, 1 / 16, 1 / 8, 1 / 4] as const;
/** After so long without an answer round trips are measured anew, ms. */
const PAUSE_MS = 1_000;
/** After this long at the least window, the path itself must have become longer, ms. */
const REBASE_AFTER_MS = 5_000;

/** The window of one leg, in cells. */
export class CongestionWindow {
  #cells = INITIAL_CELLS;
  #isSlowStart = true;
  #baseMs = Infinity;
  #smoothedMs = 0;
  #variationMs = 0;
  /** Least round trip since the window was last adjusted, and when that was. */
  #roundLeastMs = Infinity;
  #roundSinceMs = -Infinity;
  #heardMs = -Infinity;
  #lastRoundLeastMs = Infinity;
  /** Least round trip of the last few acknowledgements, and how few. */
  #recentLeastMs = Infinity;
  #recentSamples = 0;
  /** Rounds without a queue, one after the other. */
  #calmRounds = 0;
  #leastSinceMs: number | undefined;

  /** Cells that may be in flight now. */
  get cells(): number {
    return Math.floor(this.#cells);
  }

  /** Smoothed round trip, ms; `undefined` before the first sample. */
  get roundTripMs(): number | undefined {
    return this.#baseMs === Infinity ? undefined : this.#smoothedMs;
  }

  /**
   * Least round trip of late, ms: what is left of a slow one when the bursts of
   * its own data are taken off. `undefined` before the first sample.
   */
  get leastMs(): number | undefined {
    const least = Math.min(this.#lastRoundLeastMs, this.#roundLeastMs);
    return least === Infinity ? undefined : least;
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
    // What was learned of queues is old after a pause.
    if (nowMs - this.#heardMs > Math.max(PAUSE_MS, 2 * this.#smoothedMs)) {
      this.#smoothedMs = sample;
      this.#variationMs = sample / 2;
    } else {
      this.#variationMs +=
        (Math.abs(sample - this.#smoothedMs) - this.#variationMs) / 4;
      this.#smoothedMs += (sample - this.#smoothedMs) / 8;
    }
    this.#baseMs = Math.min(this.#baseMs, sample);
    // After a pause a round begins anew: one acknowledgement says little.
    if (nowMs - this.#heardMs > 2 * this.#smoothedMs) this.#beginRound(nowMs);
    this.#heardMs = nowMs;
    this.#roundLeastMs = Math.min(this.#roundLeastMs, sample);
    if (nowMs - this.#roundSinceMs >= this.#smoothedMs) {
      this.#onRound(this.#roundLeastMs, isLimited, nowMs);
      this.#beginRound(nowMs);
    }
    if (this.#isSlowStart) this.#double(acknowledged, sample, isLimited);
  }

  #beginRound(nowMs: number): void {
    this.#lastRoundLeastMs = this.#roundLeastMs;
    this.#roundLeastMs = Infinity;
    this.#roundSinceMs = nowMs;
  }

  get #lowQueueMs(): number {
    return Math.max(LOW_QUEUE_MS, this.#baseMs * LOW_QUEUE_PART);
  }

  get #highQueueMs(): number {
    return Math.max(HIGH_QUEUE_MS, this.#baseMs * HIGH_QUEUE_PART);
  }

  get #doublingQueueMs(): number {
    return Math.max(LOW_QUEUE_MS, this.#baseMs * DOUBLING_QUEUE_PART);
  }

  /** Double each round trip, until none of some acknowledgements comes without delay. */
  #double(acknowledged: number, sampleMs: number, isLimited: boolean): void {
    this.#recentLeastMs = Math.min(this.#recentLeastMs, sampleMs);
    if (++this.#recentSamples >= EXIT_SAMPLES) {
      const queueMs = this.#recentLeastMs - this.#baseMs;
      this.#recentLeastMs = Infinity;
      this.#recentSamples = 0;
      this.#isSlowStart = queueMs <=
        Math.max(this.#highQueueMs, this.#doublingQueueMs);
    }
    if (this.#isSlowStart && isLimited) this.#set(this.#cells + acknowledged);
  }

  /** Once a round trip: the least delay of the round is what every cell had to wait. */
  #onRound(leastMs: number, isLimited: boolean, nowMs: number): void {
    const queueMs = leastMs - this.#baseMs;
    if (queueMs >= this.#doublingQueueMs) this.#isSlowStart = false;
    if (this.#isSlowStart) return;
    if (queueMs > this.#highQueueMs) {
      this.#calmRounds = 0;
      return this.#shrink(leastMs, nowMs);
    }
    this.#leastSinceMs = undefined;
    if (queueMs >= this.#lowQueueMs) this.#calmRounds = 0;
    else if (isLimited) {
      const part = GROWTH[this.#calmRounds++] ?? GROWTH[GROWTH.length - 1] ?? 0;
      this.#set(this.#cells + Math.max(2, this.#cells * part));
    }
  }

  /** To what the path carries, and a little more, so that it shows if it carries more. */
  #shrink(leastMs: number, nowMs: number): void {
    const carried = (this.#baseMs + 2 * this.#lowQueueMs) / leastMs;
    this.#set(this.#cells * Math.min(1, Math.max(0.5, carried)));
    if (this.#cells > MIN_CELLS) this.#leastSinceMs = undefined;
    else if (this.#leastSinceMs === undefined) this.#leastSinceMs = nowMs;
    else if (nowMs - this.#leastSinceMs > REBASE_AFTER_MS) {
      this.#baseMs = leastMs;
      this.#leastSinceMs = undefined;
    }
  }

  #set(cells: number): void {
    this.#cells = Math.min(MAX_CELLS, Math.max(MIN_CELLS, cells));
  }
}
