/**
 * "Did you mean": the known name nearest to a mistyped one.
 *
 * @module
 */

/**
 * The name in `known` with the fewest edits (letters added, removed, replaced,
 * or swapped with their neighbour) from `name`; `undefined` when even that one
 * is a different word.
 */
function nearestName(
  name: string,
  known: Iterable<string>,
): string | undefined {
  let best: string | undefined;
  // A third of the letters may be wrong. Beyond that it is a guess.
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    // Two letters of a short word are another word: "start" is not "share".
    if (distance > Math.max(1, Math.floor(candidate.length / 3))) continue;
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `; did you mean "…"?` for the nearest name, or nothing. */
export function suggestion(
  name: string,
  known: Iterable<string>,
  prefix = "",
): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? "" : `; did you mean ${prefix}${nearest}?`;
}

/**
 * Edits between two words, a swap of neighbours counting as one (optimal string
 * alignment).
 *
 * @see {@link https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance}
 */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(
        replaced,
        (above[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
      );
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
