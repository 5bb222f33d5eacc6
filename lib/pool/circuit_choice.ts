/**
 * Which circuits a request may have, and which of those is the best.
 *
 * The first rule is that of isolation: a circuit that one request has no other
 * gets. All else is a matter of speed.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { equalBytes } from "../base/bytes.ts";
import { AVOID_NOTHING, KEPT_HOPS } from "../path/path_avoid.ts";
import type { CircuitWant, PoolCircuit } from "./pool_circuit.ts";

/** What is taken for the round trip of a circuit that was not measured, ms. */
const UNKNOWN_ROUND_TRIP_MS = 30_000;
/** The longest that counts, ms. */
const ROUND_TRIP_MOST_MS = 60_000;
/** Outweighs every round trip. */
const SAME_GUARD_RANK = 2 * ROUND_TRIP_MOST_MS;

/** How long a circuit is, and where it may end. */
export interface LastHopRule {
  /** Relays that are chosen for a request, before a last one that was named. */
  chosenHops(want: CircuitWant): number;
  /** Whether a circuit over these relays may be extended to `last`. */
  mayExtend(path: readonly NodeRecord[], last: NodeRecord): boolean;
}

/** Whether a circuit, built or being built, may be given to a request. */
export function suits(
  circuit: PoolCircuit,
  want: CircuitWant,
  rule: LastHopRule,
  nowMs: number,
): boolean {
  const { purpose, last, avoid = AVOID_NOTHING } = want;
  if (circuit.isTaken || circuit.purpose !== purpose) return false;
  if (circuit.isOpen && nowMs >= circuit.deadlineMs) return false;
  if (circuit.path.length !== rule.chosenHops(want)) return false;
  for (const [place, relay] of circuit.path.entries()) {
    // Another guard is better; there are two, so it is no condition.
    const unwanted = place < KEPT_HOPS ? avoid.kept : avoid.drawn;
    if (place > 0 && isAmong(unwanted, relay)) return false;
  }
  return last === undefined || rule.mayExtend(circuit.path, last);
}

/** How well a circuit serves: lower is better. */
export function rank(circuit: PoolCircuit, want: CircuitWant): number {
  const { avoid = AVOID_NOTHING } = want;
  const [guard] = circuit.path;
  const { roundTripMs = UNKNOWN_ROUND_TRIP_MS } = circuit;
  const isSameGuard = guard !== undefined && isAmong(avoid.kept, guard);
  return Math.min(ROUND_TRIP_MOST_MS, roundTripMs) +
    (isSameGuard ? SAME_GUARD_RANK : 0);
}

function isAmong(ids: readonly NodeId[], { nodeId }: NodeRecord): boolean {
  return ids.some((id) => equalBytes(id, nodeId));
}
