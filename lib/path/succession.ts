/**
 * Which relays of a kept set are used now, of those that are in it.
 *
 *     filling      fewer than `size` have ever answered: these, and the next in line
 *     settled      the first `size` that ever answered, and no others
 *     succession   none of these can be linked to: the next one that ever answered
 *     scouting     none of those either: two of the next in line, one after the other
 *
 * Only links decide. A relay that ends circuits, or lets them fail, brings none into use.
 * The line is drawn once, for months: who makes one relay after the other unreachable
 * meets us at relays that were drawn before, and at no more than there are.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */

/** Scouts at once: where our own network is down, few are met as it comes back. */
export const SCOUTS = 2;
/** Failures after which a relay that never answered is passed over. */
export const GIVE_UP_FAILURES = 3;
/** Failures of a scout after which the next in line is tried. Our own network may be down for hours. */
const SCOUT_FAILURES = 20;

/** A relay in line. */
export interface Successor {
  /** 0 never; else the higher, the later it was reached for the first time. */
  readonly reachedOrder: number;
  /** Failures in a row. */
  readonly failures: number;
  /** Whether the relay list has it: nothing can be built through others. */
  readonly isListed: boolean;
  /** Whether it can be waited for: no link was refused for long, nor is it off the list for long. */
  readonly isHopeful: boolean;
}

/** Who is used, and who of them is new to us. */
export interface Succession<T> {
  readonly inUse: readonly T[];
  /** Those of them that never answered, and are tried only because others do not. */
  readonly scouts: readonly T[];
}

/** Whether no other is to be tried in its place any more. */
export function isGivenUp({ reachedOrder, failures }: Successor): boolean {
  return reachedOrder === 0 && failures >= GIVE_UP_FAILURES;
}

/**
 * Choose from a line.
 *
 * @param line In the order in which they were drawn.
 * @param size How many are used where all is well.
 */
export function succeed<T extends Successor>(
  line: readonly T[],
  size: number,
): Succession<T> {
  const reached = line.filter(({ reachedOrder }) => reachedOrder > 0)
    .sort((a, b) => a.reachedOrder - b.reachedOrder);
  if (reached.length < size) return { inUse: fill(line, size), scouts: [] };
  const first = reached.slice(0, size);
  const inUse = first.filter(({ isListed }) => isListed);
  if (first.some(({ isHopeful }) => isHopeful)) return { inUse, scouts: [] };
  for (const next of reached.slice(size)) {
    if (next.isListed) inUse.push(next);
    if (next.isHopeful) return { inUse, scouts: [] };
  }
  const scouts = line
    .filter((one) => one.reachedOrder === 0 && one.isListed)
    .sort((a, b) => rounds(a) - rounds(b)).slice(0, SCOUTS);
  return { inUse: [...inUse, ...scouts], scouts };
}

/** Reached ones first; given-up ones only where no other is left. */
export function fill<T extends Successor>(
  line: readonly T[],
  size: number,
): T[] {
  const listed = line.filter(({ isListed }) => isListed);
  const hopeful = listed.filter((one) => !isGivenUp(one));
  const ordered = [
    ...hopeful.filter(({ reachedOrder }) => reachedOrder > 0)
      .sort((a, b) => a.reachedOrder - b.reachedOrder),
    ...hopeful.filter(({ reachedOrder }) => reachedOrder === 0),
  ].slice(0, size);
  return ordered.length < size
    ? [...ordered, ...listed.filter(isGivenUp)]
    : ordered;
}

/** How often a scout was tried to no avail. */
function rounds({ failures }: Successor): number {
  return Math.floor(failures / SCOUT_FAILURES);
}
