/**
 * Whether circuits of our own can be built, for a status page.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import {
  describeCount,
  describeShortage,
  type RelayCount,
  type Shortage,
} from "../../path/shortage.ts";

/** The same for a program, and in words. */
export interface CircuitFacts {
  readonly state: "fine" | Shortage["reason"];
  readonly known: number;
  readonly silent: number;
  readonly needed: number;
  readonly words: string;
}

/** What there is, and what is missing, if anything. */
export function circuitFacts(
  { known, silent, needed }: RelayCount,
  shortage: Shortage | undefined,
): CircuitFacts {
  const count = { known, silent, needed };
  return shortage === undefined
    ? { state: "fine", ...count, words: `fine: ${describeCount(count)}` }
    : { state: shortage.reason, ...count, words: describeShortage(shortage) };
}

/** Of a node that waits for relays before it builds any. */
export function factsOfWaiting(known: number, needed: number): CircuitFacts {
  const count = { known, silent: 0, needed };
  return circuitFacts(count, { reason: "too_few_relays", ...count });
}
