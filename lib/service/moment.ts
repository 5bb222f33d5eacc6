/**
 * Both times of a moment: deadlines follow the one that never goes back, dates
 * in descriptors the calendar.
 *
 * @module
 */

/** When something happens. */
export interface Moment {
  /** Monotonic, ms. */
  readonly nowMs: number;
  /** Wall-clock time, ms since 1970. */
  readonly unixMs: number;
}
