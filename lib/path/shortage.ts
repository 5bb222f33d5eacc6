/**
 * What stands in the way of all circuits at once, with the figures that an operator
 * needs: how many relays are known, how many of them do not answer, and how many
 * there must be.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */

/** How many relays there are to build circuits over. */
export interface RelayCount {
  /** Relays on the list. */
  readonly known: number;
  /** Those of them that did not answer when last tried. */
  readonly silent: number;
  /** Relays without which there are too few to choose from. */
  readonly needed: number;
}

/** Why no circuit can be built at all, as far as relays have shown. */
export interface Shortage extends RelayCount {
  readonly reason: "guards_down" | "guards_missing" | "too_few_relays";
}

/** Both, for the operator: sentences without the last full stop. */
export function describeShortage(shortage: Shortage): string {
  const [what, then] = sentences(shortage.reason);
  return `${what}: ${describeCount(shortage)}. ${then}`;
}

/**
 * The same for programs that wait. The scripts of a page can read the error pages of
 * its own address, and the figures of a large network differ from client to client:
 * they are left out where they explain nothing.
 */
export function explainShortage(shortage: Shortage): string {
  if (shortage.reason === "too_few_relays") return describeShortage(shortage);
  return sentences(shortage.reason).join(". ");
}

/** What is wrong, and what becomes of it. */
function sentences(reason: Shortage["reason"]): readonly [string, string] {
  switch (reason) {
    case "guards_down":
      return [
        "None of the relays by which this node enters the network (its guards) answers",
        "They are tried again, and others in time; see whether this machine is online",
      ];
    case "guards_missing":
      return [
        "The relays by which this node enters the network (its guards) have left the relay list",
        "It waits for them, or for leave to draw others",
      ];
    case "too_few_relays":
      return ["Too few relays answer", "The node waits for more"];
  }
}

/** `7 relays known, 4 of them silent, 4 needed`. */
export function describeCount({ known, silent, needed }: RelayCount): string {
  const relays = known === 1 ? "1 relay" : `${known} relays`;
  return `${relays} known, ${silent} of them silent, ${needed} needed`;
}
