/**
 * Which Deno runs us. QUIC is an unstable part of it: an older one releases
 * streams only with their connection, or dies of crafted packets.
 *
 * @module
 */

/** The oldest Deno that we run on. */
export const MIN_DENO_VERSION = "2.9.6";

/** Whether `version`, such as `2.9.6` or `2.10.0-rc.1`, is new enough. */
export function isNewEnough(version: string): boolean {
  const wanted = numbersOf(MIN_DENO_VERSION);
  for (const [index, number] of numbersOf(version).entries()) {
    const difference = number - (wanted[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Major, minor and patch. What stands for a number but is none counts as 0. */
function numbersOf(version: string): number[] {
  const [release = ""] = version.split(/[-+]/);
  const parts = release.split(".").map((part) => Number.parseInt(part) || 0);
  return [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0];
}
