/**
 * Why there is no circuit, in words: for the log, and for who waits.
 *
 * @module
 */
import { UnreachableError } from "../../base/errors.ts";
import { describeNoPath } from "../../path/no_path.ts";
import {
  explainShortage,
  type RelayCount,
  type Shortage,
} from "../../path/shortage.ts";
import type { PoolObstacle, RequestFailure } from "../../pool/pool_circuit.ts";
import type { LogFields } from "../../log/log.ts";

/** What the log says of an obstacle: a constant sentence, and what varies. */
export interface ObstacleLine {
  readonly message: string;
  readonly fields: LogFields;
}

/**
 * A line for an operator: what is wrong, and what mends it.
 *
 * @param count Of the relays there are now.
 */
export function obstacleLine(
  why: PoolObstacle | Shortage,
  { known, silent, needed }: RelayCount,
  nowMs: number,
): ObstacleLine {
  const inMs = "retryMs" in why
    ? { inMs: Math.max(0, Math.round(why.retryMs - nowMs)) }
    : {};
  const count = { known, silent, needed, ...inMs };
  switch (why.reason) {
    case "too_few_relays":
      return {
        message:
          "Cannot build circuits: too few relays are known, or too many " +
          "of them silent; waiting for more (--hops sets how many a circuit takes)",
        fields: count,
      };
    case "guards_down":
      return {
        message: "Cannot build circuits: none of our guards answers; see " +
          "whether this machine is online. They are tried again",
        fields: count,
      };
    case "guards_missing":
      return {
        message: "Cannot build circuits: our guards have left the relay " +
          "list; waiting for them, or for leave to draw others",
        fields: count,
      };
    case "subnets":
      return {
        message: "Cannot build circuits: the relays are in too few subnets",
        fields: {},
      };
    case "rebuild_budget":
      return {
        message: "Too many circuits have failed; building fewer for a while",
        fields: count,
      };
    case "full":
      return {
        message: "As many circuits are in use as this node will have",
        fields: {},
      };
  }
}

/** The error of who waited for a circuit and got none: `path.*`, `circuit.*`. */
export function requestError(why: RequestFailure): UnreachableError {
  switch (why.reason) {
    case "too_few_relays":
    case "guards_down":
    case "guards_missing":
    case "subnets":
      return new UnreachableError(`path.${why.reason}`, describeNoPath(why));
    case "rebuild_budget":
      return error("rebuild_budget", "too many circuits have failed lately");
    case "full":
      return error("full", "as many are in use as this node will have");
    case "busy":
      return error("busy", "too many wait for one");
    case "timeout":
      return error(
        "timeout",
        why.failure === undefined
          ? "none was built in time"
          : `none was built in time; the last try ended: ${why.failure}`,
      );
    case "closed":
      return error("stopping", "the node is stopping");
  }
}

/** The error of a caller who waited long enough while nothing can be built: `path.*`. */
export function shortageError(why: Shortage): UnreachableError {
  return new UnreachableError(`path.${why.reason}`, explainShortage(why));
}

/** The error of a caller who waited while guards cannot be stored. */
export function unstoredError(cause: unknown): UnreachableError {
  return new UnreachableError(
    "circuit.guards_unstored",
    "Cannot get a circuit: who our guards are cannot be stored, and a restart " +
      "would draw others",
    { cause },
  );
}

function error(code: string, why: string): UnreachableError {
  return new UnreachableError(
    `circuit.${code}`,
    `Cannot get a circuit: ${why}`,
  );
}
