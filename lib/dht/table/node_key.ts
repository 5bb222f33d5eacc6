/**
 * The key of a node in our maps. A look-up's answer holds twenty records, nearly
 * all of them known, and each is looked for in several maps: so a record's key is
 * made once, and all maps share the string.
 *
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import { pointKey } from "../records/distance.ts";

/** Forgets a key together with its record. */
const KEYS = new WeakMap<NodeRecord, string>();

/** {@linkcode pointKey} of a record's node id. */
export function nodeKey(record: NodeRecord): string {
  let key = KEYS.get(record);
  if (key === undefined) {
    key = pointKey(record.nodeId);
    KEYS.set(record, key);
  }
  return key;
}
