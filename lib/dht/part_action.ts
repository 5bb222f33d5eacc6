/**
 * What the parts of a DHT node ask of it. A part returns these and calls no other
 * part; the node carries them out in their order, each to its end:
 *
 *     call ───▶ an RPC; its end goes to the part that its purpose names
 *     check ──▶ node records to be verified; what passed goes the same way
 *     heard, broken, reached, first_contact ─▶ the parts that this concerns
 *     joined_place, round_ended ─▶ what joining does next
 *     all others ─▶ the driver, as they are
 *
 * @see protocol §4 "DHT"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import type {
  BootstrapAction,
  BusyAction,
  NodesAction,
  StoredAction,
  ValuesAction,
} from "./dht_action.ts";
import type { DhtRequest } from "./messages.ts";

/** Which part hears how a call ended, and by what it knows the call. */
export type CallPurpose =
  /** No part: the call was to see whether the node is there, or to tell it something. */
  | { readonly part: "none" }
  | { readonly part: "reach" }
  | { readonly part: "news" }
  | { readonly part: "search"; readonly searchId: number }
  | { readonly part: "copies"; readonly placementId: number };

/** For a call whose answer changes nothing but that its node is alive. */
export const NO_PURPOSE: CallPurpose = { part: "none" };

/** Ask a node. */
export interface CallAction {
  readonly type: "call";
  readonly to: NodeRecord;
  readonly request: DhtRequest;
  /** When it has failed. */
  readonly dueMs: number;
  readonly purpose: CallPurpose;
  /** Whether the node must be reached where its record says. Default: by any link. */
  readonly isAtAddress?: boolean;
}

/** Whence records came that are to be verified, and so where they go. */
export type CheckPurpose =
  /** The answer to a look-up's question. */
  | {
    readonly part: "search";
    readonly searchId: number;
    readonly from: NodeRecord;
    /** The other end of the link that the answer came over. */
    readonly address: SocketAddress;
  }
  /** Announced by a peer. */
  | { readonly part: "announced"; readonly from: NodeId }
  /** A page of a relay list. */
  | {
    readonly part: "page";
    readonly from: NodeRecord;
    readonly cursor: Bytes;
    readonly more: boolean;
  };

/** Have node records verified. */
export interface CheckAction {
  readonly type: "check";
  readonly encoded: readonly Bytes[];
  readonly purpose: CheckPurpose;
}

/** A verified record that a node named in an answer. */
interface HeardAction {
  readonly type: "heard";
  readonly record: NodeRecord;
  readonly from: NodeId;
}

/** A node broke the protocol, or passed on what no honest node would. */
interface BrokenAction {
  readonly type: "broken";
  readonly nodeId: NodeId;
  readonly code: string;
}

/** This node has reached a relay at an address that its record claims. */
interface ReachedAction {
  readonly type: "reached";
  readonly record: NodeRecord;
}

/** Something has happened that other parts go on from. */
interface StepAction {
  readonly type:
    /** The table has its first contact. */
    | "first_contact"
    /** A look-up of our own place found nodes: they know us. */
    | "joined_place"
    /** A round of asking for relay lists has ended: ours is as complete as it can be had. */
    | "round_ended";
}

/** What a part asks of its node. */
export type PartAction =
  | CallAction
  | CheckAction
  | HeardAction
  | BrokenAction
  | ReachedAction
  | StepAction
  | BootstrapAction
  | NodesAction
  | ValuesAction
  | StoredAction
  | BusyAction;
