/**
 * Nodes that broke the protocol, and are not let in for a while.
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import { RecentMap } from "../../base/recent_map.ts";
import { pointKey } from "../records/distance.ts";

/** Tuning: how long a node that broke the protocol is not let in. */
export const BLAME_MS = 3600 * 1000;
/** Tuning: such nodes remembered; the newest push out the oldest. */
export const MAX_BLAMED = 1024;

/** Nodes kept out, and until when. */
export class Blamed {
  readonly #untilMs = new RecentMap<string, number>(MAX_BLAMED);

  /** Keep a node out from now on. */
  add(id: NodeId, nowMs: number): void {
    this.#untilMs.set(pointKey(id), nowMs + BLAME_MS);
  }

  /** Whether a node is kept out. */
  has(id: NodeId, nowMs: number): boolean {
    return this.#untilMs.size > 0 &&
      (this.#untilMs.get(pointKey(id)) ?? -Infinity) > nowMs;
  }
}
