/**
 * Which circuit somebody may have, and which of those is the best.
 *
 * The first rule is that of isolation: a circuit that carried one key never
 * carries another. All else is a matter of speed.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { equalBytes } from "../base/bytes.ts";
import {
  type CircuitWant,
  isRetired,
  isUnused,
  type PoolCircuit,
} from "./pool_circuit.ts";
import type { Purpose } from "./purpose.ts";

/** Requests that share a circuit. Stops one circuit from carrying everything. */
export const MAX_USERS = 256;

/** What is taken for the round trip of a circuit that was not measured, ms. */
const UNKNOWN_ROUND_TRIP_MS = 30_000;
/** Each of these outweighs all below it. */
const RANK = {
  roundTripMost: 60_000,
  otherPurpose: 100_000,
  sameGuard: 200_000,
  unused: 400_000,
} as const;

/** What the choice has to know beside the circuit. */
export interface ChoiceRules {
  /** Whether the circuit of this request is shared with nobody. */
  isExclusive(want: CircuitWant): boolean;
  /** Whether this purpose may have a circuit that was built for `general`. */
  mayBorrow(purpose: Purpose, nowMs: number): boolean;
  /** Whether a circuit over these relays may be extended to `last`. */
  mayExtend(path: readonly NodeRecord[], last: NodeRecord): boolean;
}

/** Whether a circuit, built or being built, may be given to somebody. */
export function suits(
  circuit: PoolCircuit,
  want: CircuitWant,
  rules: ChoiceRules,
  nowMs: number,
): boolean {
  const { purpose, isolation, last, avoid = [] } = want;
  if (isRetired(circuit, nowMs)) return false;
  if (isUnused(circuit)) {
    if (circuit.purpose !== purpose) {
      if (circuit.purpose !== "general") return false;
      if (!rules.mayBorrow(purpose, nowMs)) return false;
    }
  } else {
    if (circuit.isolation !== isolation) return false;
    if (circuit.purpose !== purpose) return false;
    if (circuit.isExclusive || rules.isExclusive(want)) return false;
    if (circuit.users >= MAX_USERS) return false;
  }
  const behindGuard = circuit.path.slice(1);
  if (behindGuard.some((relay) => isAmong(avoid, relay))) return false;
  return last === undefined || rules.mayExtend(circuit.path, last);
}

/** How well a circuit serves: lower is better. */
export function rank(circuit: PoolCircuit, want: CircuitWant): number {
  const { avoid = [] } = want;
  const [guard] = circuit.path;
  let rank = Math.min(
    RANK.roundTripMost,
    circuit.roundTripMs ?? UNKNOWN_ROUND_TRIP_MS,
  );
  if (circuit.purpose !== want.purpose) rank += RANK.otherPurpose;
  if (guard !== undefined && isAmong(avoid, guard)) rank += RANK.sameGuard;
  if (isUnused(circuit)) rank += RANK.unused;
  return rank;
}

function isAmong(ids: readonly NodeId[], { nodeId }: NodeRecord): boolean {
  return ids.some((id) => equalBytes(id, nodeId));
}
