/**
 * Who is to blame for a circuit that was not built: the words of circuits in, those
 * of the pool out.
 *
 * @module
 */
import { isOverload } from "./circuit_links.ts";
import type { ExtendFailure } from "../../circuit/control_messages.ts";
import type { BuildFailure as PoolBuildFailure } from "../../pool/pool_circuit.ts";
import type { BuildFailure, CircuitEnd } from "./circuit_build.ts";

/** Which hop of a path failed, from 0, and how; `undefined` when it is not known. */
export interface BlamedHop {
  readonly hop: number | undefined;
  readonly failure: PoolBuildFailure;
}

/** Who is to blame for a build that failed. */
export function blame(failure: BuildFailure): BlamedHop {
  const hop = failure.hop - 1;
  switch (failure.code) {
    case "unlinked":
      // The streams of a guard that is there, used up by ourselves.
      return isOverload(failure.error)
        ? { hop: undefined, failure: "full" }
        : { hop, failure: "unreachable" };
    case "not_extended":
      return { hop, failure: EXTEND_FAILURES[failure.reason] };
    case "ended":
      return blameEnd(failure.end, hop);
  }
}

/** What a relay says of the one behind it, as the pool counts it. */
const EXTEND_FAILURES: Readonly<Record<ExtendFailure, PoolBuildFailure>> = {
  refused: "refused",
  overloaded: "refused",
  unreachable: "unreachable",
  timeout: "timeout",
  closed: "destroyed",
};

function blameEnd(end: CircuitEnd, hop: number): BlamedHop {
  switch (end.code) {
    case "done":
      return { hop: undefined, failure: "cancelled" };
    case "destroyed":
      // Without a word: the first hop itself, if there was none before it.
      return { hop: hop === 0 ? 0 : undefined, failure: "destroyed" };
    case "timeout":
      return { hop: end.hop - 1, failure: "timeout" };
    case "bad_cell":
    case "protocol":
    case "handshake":
      return { hop: end.hop - 1, failure: "protocol" };
    case "closed":
      return { hop: end.hop - 1, failure: "refused" };
  }
}

/**
 * Whether replacing an open circuit that has ended is to be counted. Only our own
 * word is taken for it that all was done: that of the far end would be free for
 * an adversary who wants to see us build circuits without end.
 *
 * A joined circuit is a leg: its session counts what takes its place. Visitors
 * leave when they like, and a popular service must not run out of rebuilds by it.
 *
 * @param use Whether it was joined to that of the other side.
 */
export function howEnded(
  { code }: CircuitEnd,
  use: "joined" | "alone",
): "done" | "lost" {
  return code === "done" || use === "joined" ? "done" : "lost";
}

/** For a message; says nothing of which relay it was. */
export function describeFailure(failure: BuildFailure): string {
  return blame(failure).failure;
}
