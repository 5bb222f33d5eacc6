/**
 * How hard a node is pressed, from two figures: by how much its wake-ups come late,
 * which is how far its thread is behind, and how full its memory for cells is.
 *
 *     normal ── 3 looks in a row that were bad ──▶ overloaded
 *            ◀── 3 looks in a row that were good ──
 *
 *     bad    late by 1 s, or 3/4 of the quota waits
 *     good   late by less than 1/4 s, and less than half of the quota waits
 *
 * One late look says nothing: a machine that slept has one, and a long collection
 * of garbage is over when it is seen.
 *
 * @see protocol §3.6 "Limits"
 * @module
 */
import type { Load } from "./link_state.ts";

/** Tuning: a wake-up so late says that the thread is far behind, ms. */
export const LATE_MS = 1_000;
/** Tuning: and one that is late by less, that it is not, ms. */
export const PUNCTUAL_MS = 250;
/** Tuning: share of the quota of cells above which memory is short. */
export const FULL_SHARE = 0.75;
/** Tuning: and below which it is not. */
export const FREE_SHARE = 0.5;
/** Tuning: looks in a row that have to agree. */
export const LOOKS = 3;

/** Decides from look to look. */
export class LoadMeter {
  #load: Load = "normal";
  /** Looks in a row that said the other thing. */
  #against = 0;

  /** What the looks so far say. */
  get load(): Load {
    return this.#load;
  }

  /** Whether the next look may change anything though nothing new has come. */
  get isUnsettled(): boolean {
    return this.#load === "overloaded" || this.#against > 0;
  }

  /**
   * A wake-up has come.
   *
   * @param lateMs By how much it came late.
   * @param quotaShare How much of the quota of cells is used, 0 to 1.
   * @returns What the node is from now on.
   */
  onLook(lateMs: number, quotaShare: number): Load {
    const isBad = lateMs >= LATE_MS || quotaShare >= FULL_SHARE;
    const isGood = lateMs < PUNCTUAL_MS && quotaShare < FREE_SHARE;
    this.#against = (this.#load === "normal" ? isBad : isGood)
      ? this.#against + 1
      : 0;
    if (this.#against >= LOOKS) {
      this.#load = isBad ? "overloaded" : "normal";
      this.#against = 0;
    }
    return this.#load;
  }
}
