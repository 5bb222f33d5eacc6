/**
 * Relays that a path leaves out where it can, since other paths use them.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";

/** The guard and the layer-2 guard stand in front of each path. */
export const KEPT_HOPS = 2;

/** Relays not to use if possible, by the place in which they are not to be used. */
export interface PathAvoid {
  /** Guards and layer-2 guards of other paths: for the same places of this one. */
  readonly kept: readonly NodeId[];
  /**
   * Relays that were drawn by weight for other paths: for the places behind these. Never
   * relays that the other side named: it would learn from what is drawn afterwards
   * which of them we keep.
   */
  readonly drawn: readonly NodeId[];
}

/** Nothing to leave out. */
export const AVOID_NOTHING: PathAvoid = Object.freeze({ kept: [], drawn: [] });

/** What a path leaves out that shall not depend on the relays of `paths`. */
export function avoiding(
  paths: Iterable<readonly NodeRecord[]>,
): PathAvoid {
  const kept: NodeId[] = [];
  const drawn: NodeId[] = [];
  for (const path of paths) {
    const ids = path.map(({ nodeId }) => nodeId);
    kept.push(...ids.slice(0, KEPT_HOPS));
    drawn.push(...ids.slice(KEPT_HOPS));
  }
  return { kept, drawn };
}
