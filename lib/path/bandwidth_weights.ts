/**
 * How often a relay is drawn:
 *
 *     weight    = min(declared, most) · factor
 *     most      = the lower quartile of all that is declared, or, where our own circuits
 *                 were carried faster through the relay, as fast as they were;
 *                 at most 4 · median of all declared, and 125 MB/s
 *     factor    = what our own circuits through it measured, ½ to 2
 *
 * Newcomers count for less, see tenure.ts.
 *
 * Relays declare what they like. So a figure by itself lowers a weight, which is of
 * no use to a liar, and hardly raises it: all who declare the lower quartile or more
 * are drawn alike until our own circuits speak for one of them, and those who declare
 * much to be drawn by clients that do not know them gain a third at most. What we measured
 * is our own secret and steers us alone; who slows our circuits down to steer us gains
 * a factor of 4 at most.
 *
 * @see protocol §5.8 "Paths"
 * @see docs/decisions/0031-bandwidth-that-is-not-believed.md
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { RecentMap } from "../base/recent_map.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import type { Tenure } from "./tenure.ts";

/** Tuning: most that a relay counts for, however fast our circuits were, in medians of all. */
export const MAX_MEDIANS = 4;
/**
 * Tuning: most that a declaration counts at all, bytes per second: 1 Gbit/s. Keeps
 * sums of weights exact, should more than half of the list declare nonsense.
 */
const MAX_DECLARED = 125_000_000;
/** Tuning: most that our measurements change a weight, and its inverse. */
export const MAX_FACTOR = 2;
/** Tuning: measured relays remembered, some 100 bytes each; stops a list from filling memory. */
const MAX_MEASURED = 2048;

/** Share of the newest sample in an average. */
const SAMPLE_SHARE = 0.2;
/** Samples that it takes to be half believed: one slow circuit says little. */
const HALF_BELIEVED = 4;

/** What one circuit showed, in part or in whole. */
export interface CircuitSample {
  /** Bytes per second that it carried while it was the bottleneck. */
  readonly bytesPerSecond?: number;
  /** Round trip to its last hop and back, ms. */
  readonly roundTripMs?: number;
}

/** Running averages, on a scale of logarithms: half as fast is as far off as twice. */
interface Measured {
  samples: number;
  score: number;
  /** Bytes per second that our circuits were carried at through it; 0 where none was. */
  carried: number;
}

/** What relays declare, corrected by what we measured. */
export class BandwidthWeights {
  readonly #measured: RecentMap<RelayKey, Measured>;
  /** Averages over all circuits: what a relay is compared with. */
  #throughputLog: number | undefined;
  #hopTimeLog: number | undefined;

  /** @param capacity Most relays remembered. Default {@linkcode MAX_MEASURED}. */
  constructor(capacity: number = MAX_MEASURED) {
    this.#measured = new RecentMap(capacity);
  }

  /**
   * Sums of the weights: entry i is that of relays 0 to i. Strictly ascending.
   *
   * @param tenure Lowers the weights of newcomers. Default: none are known.
   */
  cumulative(
    relays: readonly { readonly key: RelayKey; readonly record: NodeRecord }[],
    tenure?: Tenure,
  ): Float64Array {
    const declared = Float64Array.from(relays, (r) => r.record.bandwidth);
    const sorted = declared.toSorted();
    const quartile = sorted[sorted.length >> 2] ?? 0;
    const median = sorted[sorted.length >> 1] ?? 0;
    const cap = Math.min(MAX_DECLARED, MAX_MEDIANS * median);
    const weights = new Float64Array(relays.length);
    for (const [index, { key }] of relays.entries()) {
      const most = Math.min(cap, Math.max(quartile, this.#carried(key)));
      const capped = Math.min(declared[index] as number, most);
      weights[index] = capped * this.factor(key);
    }
    tenure?.lower(relays.map(({ key }) => key), weights);
    let sum = 0;
    // At least 1: a relay that declares nothing is drawn seldom, but not never.
    return weights.map((weight) => sum += Math.max(1, weight));
  }

  /** What our measurements make of a relay's weight: 1 where there are none. */
  factor(key: RelayKey): number {
    const measured = this.#measured.get(key);
    if (measured === undefined) return 1;
    const { samples, score } = measured;
    const believed = score * samples / (samples + HALF_BELIEVED);
    return Math.min(MAX_FACTOR, Math.max(1 / MAX_FACTOR, Math.exp(believed)));
  }

  /** A circuit was measured: its relays share praise and blame. */
  observe(path: readonly NodeRecord[], sample: CircuitSample): void {
    const score = this.#score(path.length, sample);
    if (score === undefined) return;
    for (const { nodeId } of path) {
      const key = relayKey(nodeId);
      const known = this.#measured.get(key) ??
        { samples: 0, score: 0, carried: 0 };
      known.samples = Math.min(known.samples + 1, 1000);
      known.score = mix(known.score, score, 1 / known.samples);
      if (isPositive(sample.bytesPerSecond)) {
        known.carried = mix(known.carried, sample.bytesPerSecond);
      }
      this.#measured.set(key, known);
    }
  }

  /** How fast our circuits were carried through a relay, bytes per second. */
  #carried(key: RelayKey): number {
    return this.#measured.get(key)?.carried ?? 0;
  }

  /** How much better than the average, as a logarithm; moves the averages too. */
  #score(hops: number, sample: CircuitSample): number | undefined {
    const { bytesPerSecond, roundTripMs } = sample;
    let score: number | undefined;
    if (isPositive(bytesPerSecond)) {
      const log = Math.log(bytesPerSecond);
      this.#throughputLog = mix(this.#throughputLog ?? log, log);
      score = log - this.#throughputLog;
    }
    if (isPositive(roundTripMs) && hops > 0) {
      const log = Math.log(roundTripMs / hops);
      this.#hopTimeLog = mix(this.#hopTimeLog ?? log, log);
      const faster = this.#hopTimeLog - log;
      score = score === undefined ? faster : (score + faster) / 2;
    }
    return score;
  }
}

function isPositive(value: number | undefined): value is number {
  return value !== undefined && value > 0 && value < Infinity;
}

/** Move an average towards a sample. The first few count in full (`least`). */
function mix(average: number, sample: number, least = 0): number {
  return average + (sample - average) * Math.max(SAMPLE_SHARE, least);
}
