/**
 * What an operator reads when the dates that others sign do not fit this machine's
 * clock.
 *
 * @module
 */
import { AnonNetError } from "../base/errors.ts";
import { RecordDateError } from "./node_record.ts";

/**
 * Such as `your clock seems to be at least 3 h 5 min behind`.
 *
 * @param aheadMs How much the time of others is ahead of ours at least; below 0: behind.
 */
export function describeClockDoubt(aheadMs: number): string {
  const side = aheadMs > 0 ? "behind" : "ahead";
  return `your clock seems to be at least ${hours(Math.abs(aheadMs))} ${side}`;
}

/** The error of dates that do not fit, where one is behind an error. */
export function dateErrorOf(error: unknown): RecordDateError | undefined {
  if (error instanceof RecordDateError) return error;
  if (!(error instanceof AnonNetError)) return undefined;
  return error.cause === undefined ? undefined : dateErrorOf(error.cause);
}

/** What peers say of our clock, all of them asked at the same time. */
export interface ClockAnswers {
  /** Peers whose dates fit ours. */
  readonly fits: number;
  /** Of the others: how much their time is ahead of ours at least, ms. */
  readonly aheadMs: readonly number[];
}

/** What they mean together. */
export type ClockVerdict =
  | { readonly type: "right" }
  | { readonly type: "wrong"; readonly aheadMs: number }
  /** None has answered, or as many say so as say the contrary. */
  | { readonly type: "unknown" };

/**
 * Judge our clock. Most of those that answer must say the same, so that a peer whose
 * own clock is wrong, or who lies, has no say alone.
 */
export function judgeClock({ fits, aheadMs }: ClockAnswers): ClockVerdict {
  if (fits > aheadMs.length) return { type: "right" };
  for (
    const side of [
      aheadMs.filter((ms) => ms > 0),
      aheadMs.filter((ms) => ms <= 0),
    ]
  ) {
    if (2 * side.length <= fits + aheadMs.length) continue;
    const sorted = side.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (median !== undefined) return { type: "wrong", aheadMs: median };
  }
  return { type: "unknown" };
}

/** Such as `2 h 10 min`, or `3 d 2 h`. */
function hours(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
