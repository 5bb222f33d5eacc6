/**
 * What a DHT node asks its driver to do, and what the driver tells it.
 *
 *     send ────▶ an RPC over the node's link, dialled if need be ─▶ onResponse, onFailure
 *     cancel ──▶ that RPC has taken too long
 *     verify ──▶ RecordVerifier ─▶ onVerified
 *     bootstrap, joined, blame ─▶ links
 *     nodes, values, stored, busy ─▶ the caller
 *
 * @see protocol §4 "DHT"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import type { RefusalCode } from "./messages.ts";
import type { StoredRecord } from "./records/stored_record.ts";

/** Send an RPC to a node, over its link or a new one; then `onResponse` or `onFailure`. */
export interface SendAction {
  readonly type: "send";
  readonly rpcId: number;
  readonly to: NodeRecord;
  /** Encoded request. */
  readonly request: Bytes;
  /**
   * Whether it is to be seen that the node can be reached where its record says, and
   * not only by a link that it has made itself, from an address that forwards nothing.
   */
  readonly isAtAddress: boolean;
}

/** This RPC has taken too long: its answer is not wanted any more. */
interface CancelAction {
  readonly type: "cancel";
  readonly rpcId: number;
}

/** Verify these node records in order, up to the first lie; then `onVerified`. */
export interface VerifyAction {
  readonly type: "verify";
  readonly verifyId: number;
  readonly encoded: readonly Bytes[];
}

/** No contact is known: dial the configured addresses and these relays; `onLink` for each. */
export interface BootstrapAction {
  readonly type: "bootstrap";
  readonly relays: readonly NodeRecord[];
}

/** Our own neighbourhood is known, and it knows us. */
interface JoinedAction {
  readonly type: "joined";
}

/** A node broke the protocol: close its link, and avoid it. */
export interface BlameAction {
  readonly type: "blame";
  readonly nodeId: NodeId;
  /** Code of the error. */
  readonly code: string;
}

/** The end of `findNode`. */
export interface NodesAction {
  readonly type: "nodes";
  readonly taskId: number;
  /** Nodes that answered, closest first, at most k. */
  readonly closest: readonly NodeRecord[];
  /** Steps from our own contacts to the farthest of them. */
  readonly hops: number;
  /** Nodes that were asked. */
  readonly asked: number;
}

/** The end of `findValue`. */
export interface ValuesAction {
  readonly type: "values";
  readonly taskId: number;
  /** The newest record of each publisher that was found, in no order. */
  readonly records: readonly StoredRecord[];
  readonly hops: number;
  readonly asked: number;
}

/** The end of `put`. */
export interface StoredAction {
  readonly type: "stored";
  readonly taskId: number;
  /** Nodes that hold the record now. */
  readonly copies: number;
  /** Nodes that would not, by reason. */
  readonly refused: ReadonlyMap<RefusalCode, number>;
}

/** Too many tasks are under way: this one was not begun. */
export interface BusyAction {
  readonly type: "busy";
  readonly taskId: number;
}

/** What a node asks its driver to do. */
export type DhtAction =
  | SendAction
  | CancelAction
  | VerifyAction
  | BootstrapAction
  | JoinedAction
  | BlameAction
  | NodesAction
  | ValuesAction
  | StoredAction
  | BusyAction;

/** What verifying gave. */
export interface VerifiedRecords {
  /** Those that passed, in order. What has merely expired is left out. */
  readonly records: readonly NodeRecord[];
  /**
   * Code of the first that no honest node would pass on: a wrong signature or
   * proof of work, a malformed record. What came after it was not looked at,
   * so that a liar costs us one verification and not twenty.
   */
  readonly lie?: string | undefined;
}
