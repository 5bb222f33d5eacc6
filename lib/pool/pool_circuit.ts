/**
 * A circuit in the pool, and a request that waits for one.
 *
 *     building ──→ unused ──→ taken ──→ gone
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import type { NoPath } from "../path/no_path.ts";
import type { PathAvoid } from "../path/path_avoid.ts";
import type { CircuitPurpose } from "./purpose.ts";

/** A circuit, counted up by the pool that asks for it; never used again. */
export type CircuitId = number & { readonly brand?: "CircuitId" };

/** A request for a circuit, counted up likewise. */
export type RequestId = number & { readonly brand?: "RequestId" };

/** Why a circuit was not built; for figures and for users who wait. */
export type BuildFailure =
  /** A relay said no. */
  | "refused"
  /** A relay could not be reached. */
  | "unreachable"
  /** No answer in time. */
  | "timeout"
  /** A relay did what it must not. */
  | "protocol"
  /** It ended without a word. */
  | "destroyed"
  /** The first hop is there, and bears no more circuits of ours. */
  | "full"
  /** We stopped it ourselves; no relay is to blame. */
  | "cancelled";

/** Why no circuit can be built at present. */
export type PoolObstacle =
  | NoPath
  /** So many circuits failed that building more would serve an attacker. */
  | { readonly reason: "rebuild_budget"; readonly retryMs: number }
  /** As many circuits as this node will have, or its guards bear, all in use. */
  | { readonly reason: "full" };

/** Why a request gets no circuit. */
export type RequestFailure =
  | PoolObstacle
  /** Too many requests are waiting. */
  | { readonly reason: "busy" }
  /** None was built in time; the last failure, if there was one. */
  | { readonly reason: "timeout"; readonly failure: BuildFailure | undefined }
  /** The pool has been closed. */
  | { readonly reason: "closed" };

/** Which circuit a caller wants. It has the circuit alone. */
export interface CircuitWant {
  readonly purpose: CircuitPurpose;
  /** A relay that the caller will extend the circuit to: it fits behind the path. */
  readonly last?: NodeRecord | undefined;
  /** Relays not to share, if possible: those of a circuit that this one backs up. */
  readonly avoid?: PathAvoid | undefined;
  /** How long to wait, ms. Default 30 s. */
  readonly waitMs?: number | undefined;
}

/** A circuit in the pool. */
export interface PoolCircuit {
  readonly id: CircuitId;
  readonly path: readonly NodeRecord[];
  readonly startedMs: number;
  readonly purpose: CircuitPurpose;
  isOpen: boolean;
  /** Hops that have answered. */
  hops: number;
  /** Building: when to give it up. Open: when to close it unused. Taken: never. */
  deadlineMs: number;
  /** Given to a request, for good. */
  isTaken: boolean;
  roundTripMs: number | undefined;
  /** Building: a request waits for it. */
  isClaimed: boolean;
}

/** A request that waits. */
export interface PoolRequest {
  readonly id: RequestId;
  readonly want: CircuitWant;
  readonly deadlineMs: number;
  /** The circuit being built that it will get, if all goes well. */
  build: CircuitId | undefined;
  /** Not to be tried before: there was no path for what it wants. */
  notBeforeMs: number;
  /** What went wrong last. */
  obstacle: NoPath | undefined;
  failure: BuildFailure | undefined;
}
