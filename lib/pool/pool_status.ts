/**
 * What a pool tells about itself. For its owner's eyes: it holds no key, node id,
 * or address, and ages are coarse, because exact ones would let a reader match
 * circuits with what relays see.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { KeptStatus } from "../path/kept_relay.ts";
import type { CircuitId, PoolCircuit, PoolObstacle } from "./pool_circuit.ts";
import type { CircuitPurpose } from "./purpose.ts";

/** Ages are told in steps of so many seconds. */
const AGE_STEP_SECONDS = 10;

/** What a relay is to a circuit. */
export type HopRole = "guard" | "layer2" | "middle" | "last";

/** A circuit, as `anonnet circuits` shows it. */
export interface CircuitStatus {
  readonly id: CircuitId;
  readonly purpose: CircuitPurpose;
  readonly state: "building" | "unused" | "used";
  /** Hops of its path by role, and whether each has answered. */
  readonly hops: readonly {
    readonly role: HopRole;
    readonly isBuilt: boolean;
  }[];
  /** Since its build began, rounded down to {@linkcode AGE_STEP_SECONDS}. */
  readonly ageSeconds: number;
}

/** Figures since the start. */
export interface PoolCounts {
  readonly built: number;
  readonly failed: number;
  readonly timedOut: number;
  /** Open circuits that ended before their time. */
  readonly lost: number;
  /** Requests that got a circuit at once, later, and not at all. */
  readonly servedAtOnce: number;
  readonly servedLater: number;
  readonly unserved: number;
}

/** A pool, as `anonnet circuits` shows it. */
export interface PoolStatus {
  readonly circuits: readonly CircuitStatus[];
  readonly waiting: number;
  readonly counts: PoolCounts;
  /** How long a build may take at present, ms. */
  readonly buildTimeoutMs: number;
  /** Why nothing is being built, where that is so. */
  readonly obstacles: readonly {
    readonly purpose: CircuitPurpose;
    readonly why: PoolObstacle;
  }[];
  readonly guards: readonly KeptStatus[];
  readonly layer2: readonly KeptStatus[];
}

/** One circuit's line. */
export function circuitStatus(
  circuit: PoolCircuit,
  nowMs: number,
): CircuitStatus {
  const { id, purpose, path, isOpen, isTaken, hops } = circuit;
  const ageSeconds = (nowMs - circuit.startedMs) / 1000;
  return {
    id,
    purpose,
    state: !isOpen ? "building" : isTaken ? "used" : "unused",
    hops: path.map((_, index) => ({
      role: hopRole(index, path.length),
      isBuilt: index < hops,
    })),
    ageSeconds: Math.floor(ageSeconds / AGE_STEP_SECONDS) * AGE_STEP_SECONDS,
  };
}

function hopRole(index: number, hops: number): HopRole {
  if (index === 0) return "guard";
  if (index === 1) return "layer2";
  return index === hops - 1 ? "last" : "middle";
}
