/**
 * Days, weeks and months that traffic is counted for.
 *
 * They begin at midnight, on Mondays and on first days of months, UTC.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */

/** How long periods are. */
export type PeriodUnit = "day" | "week" | "month";

/** All units. */
export const PERIOD_UNITS: readonly PeriodUnit[] = ["day", "week", "month"];

/** Days of each, at most. */
export const UNIT_DAYS: Readonly<Record<PeriodUnit, number>> = {
  day: 1,
  week: 7,
  month: 31,
};

const DAY_MS = 24 * 3_600_000;

/** When the period began that a moment is in, unix ms. */
export function periodStart(unit: PeriodUnit, unixMs: number): number {
  const day = Math.floor(unixMs / DAY_MS);
  if (unit === "day") return day * DAY_MS;
  // 1 January 1970 was a Thursday, three days after a Monday.
  if (unit === "week") return (day - (day + 3) % 7) * DAY_MS;
  const date = new Date(unixMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

/** When the next period begins, unix ms. */
export function periodEnd(unit: PeriodUnit, unixMs: number): number {
  const startMs = periodStart(unit, unixMs);
  if (unit !== "month") return startMs + UNIT_DAYS[unit] * DAY_MS;
  const date = new Date(startMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
