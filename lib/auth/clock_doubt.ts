/**
 * What an operator reads when the dates that others sign do not fit this machine's
 * clock.
 *
 * @module
 */

/**
 * Such as `your clock seems to be at least 3 h 5 min behind`.
 *
 * @param aheadMs How much the time of others is ahead of ours at least; below 0: behind.
 */
export function describeClockDoubt(aheadMs: number): string {
  const side = aheadMs > 0 ? "behind" : "ahead";
  return `your clock seems to be at least ${hours(Math.abs(aheadMs))} ${side}`;
}

/** Such as `2 h 10 min`, or `3 d 2 h`. */
function hours(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
