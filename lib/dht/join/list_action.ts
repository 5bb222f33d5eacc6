/**
 * What following the relay list asks of its driver, and what the driver tells it.
 *
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { ListPeer } from "./list_sources.ts";

/** What a round asks its driver to do. */
export type RoundAction =
  /** Open a link, unless there is one. */
  | { readonly type: "dial"; readonly dialId: number; readonly peer: ListPeer }
  /** Ask the node that was dialled for the page after `cursor`. */
  | { readonly type: "read"; readonly dialId: number; readonly cursor: Bytes }
  /** The node has sent what none may: end the link. */
  | {
    readonly type: "cut_off";
    readonly dialId: number;
    readonly code: string;
  };

/** What a followed list asks its driver to do. */
export type ListAction =
  | RoundAction
  /** There is a list that can be used. */
  | { readonly type: "ready" }
  /** A round is over: the links that it was about are needed no more. */
  | { readonly type: "over" }
  /** Remember the list for the next run. */
  | { readonly type: "save" };

/** A node with which there is a link. */
export interface LinkedPeer {
  readonly record: NodeRecord;
  /** Its subnet; its key where subnets do not count. */
  readonly group: string;
}

/** A page of a source's list. */
export interface ListPage {
  /** Those that are true, up to the first lie. */
  readonly records: readonly NodeRecord[];
  /** Code of the first that no honest node would pass on. */
  readonly lie: string | undefined;
  readonly cursor: Bytes;
  readonly more: boolean;
}
