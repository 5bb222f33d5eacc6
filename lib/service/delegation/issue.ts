/**
 * Issues: how often the key of a service was delegated. Each names all hosts anew,
 * and takes back whatever an earlier one said.
 *
 *     issue = the hour of the delegation since 1970, or one more than the last
 *
 * A service that is served by its own key again says the issue that took the hosts
 * back among the features of its descriptors: `issue=497000`.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */

const HOUR_MS = 3_600_000;
/** Protocol: above all that there can be. */
export const MAX_ISSUE = 2 ** 32 - 1;
const WORD = /^issue=([1-9][0-9]{0,9})$/;

/** The issue of a delegation that is made now. @param last Of the one before; 0: none. */
export function nextIssue(last: number, unixMs: number): number {
  return Math.max(last + 1, Math.floor(unixMs / HOUR_MS));
}

/** The word of a descriptor for its issue. */
export function formatIssue(issue: number): string {
  return `issue=${issue}`;
}

/** The issue that a descriptor's features tell; 0 where they tell none. */
export function issueOf(features: readonly string[]): number {
  let issue = 0;
  for (const word of features) {
    const [, digits] = WORD.exec(word) ?? [];
    const told = Number(digits);
    if (told <= MAX_ISSUE) issue = Math.max(issue, told);
  }
  return issue;
}
