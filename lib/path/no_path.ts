/**
 * Why there is no path. Rules are never bent and hops never left out to find one
 * after all: the user hears the reason instead.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */

/** The rule that could not be met. */
export type NoPath =
  /** The relay list is shorter than the path. */
  | {
    readonly reason: "too_few_relays";
    readonly known: number;
    readonly needed: number;
  }
  /** Every guard failed lately; `retryMs`: when the first is tried again. */
  | { readonly reason: "guards_down"; readonly retryMs: number }
  /** Our guards, or our second hops, have left the relay list; we wait for them. */
  | { readonly reason: "guards_missing" }
  /** Enough relays, in too few subnets. */
  | { readonly reason: "subnets" };

/** A sentence for a person, without the full stop. */
export function describeNoPath(why: NoPath): string {
  switch (why.reason) {
    case "too_few_relays":
      return `Cannot choose a path: it takes ${why.needed} relays, ${why.known} known`;
    case "guards_down":
      return "Cannot choose a path: none of the guards of this node answers; they are retried, and others in time";
    case "guards_missing":
      return "Cannot choose a path: the guards of this node have left the relay list";
    case "subnets":
      return "Cannot choose a path: the relays are in too few subnets";
  }
}
