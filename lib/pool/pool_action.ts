/**
 * What a pool of circuits wants done.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import type { Shortage } from "../path/shortage.ts";
import type {
  CircuitId,
  PoolObstacle,
  RequestFailure,
  RequestId,
} from "./pool_circuit.ts";
import type { CircuitPurpose } from "./purpose.ts";

/** What a pool asks its driver to do. */
export type PoolAction =
  /** Build a circuit over these relays. */
  | {
    readonly type: "build";
    readonly id: CircuitId;
    readonly purpose: CircuitPurpose;
    readonly path: readonly NodeRecord[];
  }
  /** Destroy a circuit, or stop building it. */
  | { readonly type: "close"; readonly id: CircuitId }
  /** A request has its circuit, which the caller closes. */
  | {
    readonly type: "ready";
    readonly request: RequestId;
    readonly id: CircuitId;
    readonly path: readonly NodeRecord[];
  }
  /** A request gets none. */
  | {
    readonly type: "failed";
    readonly request: RequestId;
    readonly why: RequestFailure;
  }
  /** Something stands in the way of building, or (`undefined`) no longer: say so. */
  | {
    readonly type: "obstacle";
    readonly purpose: CircuitPurpose;
    readonly why: PoolObstacle | undefined;
  }
  /** All circuits want for relays that answer: say so. */
  | { readonly type: "shortage"; readonly why: Shortage };
