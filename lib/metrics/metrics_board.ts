/**
 * What is shown of a node's metrics: what is known of the node itself at once, and
 * what others do there in steps, as it was at the last whole minute.
 *
 *     readings ─┬─ families without a step ──────────────────▶ page
 *               └─ families with one ── each minute ▶ steps ──▶ page
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { Random } from "../base/random.ts";
import { CoarseValue } from "./coarse_value.ts";
import { familyOf, type MetricSample } from "./metric_families.ts";

/** Steps are shown at whole minutes of the calendar, whenever the node began, ms. */
const INTERVAL_MS = 60_000;

/**
 * Series that are shown at most; others are left out. The families and 64 services
 * make some 600, so that this stops our own mistakes before they fill a database.
 */
export const MAX_SERIES = 2_000;

/** Time until values that have a step are read next, ms; more than 0. */
export function untilNextReading(unixMs: number): number {
  return INTERVAL_MS - (unixMs % INTERVAL_MS);
}

/** What a node shows. */
export class MetricsBoard {
  readonly #random: Random;
  /** By family and labels: what others do, as it was at the last whole minute. */
  #coarse = new Map<string, CoarseValue>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** A whole minute has come. Series that are not in the readings are forgotten. */
  onMinute(readings: readonly MetricSample[]): void {
    const coarse = new Map<string, CoarseValue>();
    for (const reading of readings) {
      const { step } = familyOf(reading.family);
      if (step === undefined) continue;
      if (coarse.size >= MAX_SERIES) break;
      const key = keyOf(reading);
      const value = this.#coarse.get(key) ??
        new CoarseValue(step, this.#random);
      value.update(reading.value);
      coarse.set(key, value);
    }
    this.#coarse = coarse;
  }

  /**
   * What to show: of families with a step what the last minute had, so that a series
   * that is new since then is not there yet.
   */
  shown(readings: readonly MetricSample[]): MetricSample[] {
    const shown: MetricSample[] = [];
    for (const reading of readings) {
      if (shown.length >= MAX_SERIES) break;
      if (familyOf(reading.family).step === undefined) {
        shown.push(reading);
        continue;
      }
      const coarse = this.#coarse.get(keyOf(reading));
      if (coarse !== undefined) shown.push({ ...reading, value: coarse.shown });
    }
    return shown;
  }
}

function keyOf({ family, labels }: MetricSample): string {
  return JSON.stringify([family, ...labels]);
}
