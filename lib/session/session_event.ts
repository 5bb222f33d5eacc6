/**
 * What a session tells its driver, and the codes it ends with.
 *
 * @see protocol §6.2 "Frames", §6.3 "Streams"
 * @module
 */
import type { LegNumber, LegOffer, StreamId } from "./frames.ts";
import type { ReadResult } from "./stream.ts";

/** Why a session ended. */
export const SESSION_CODE = {
  /** On purpose. */
  done: 0,
  /** The other side broke the protocol. */
  protocol: 1,
  /** No leg for too long. */
  noLeg: 2,
  /** The service does not know it any more. */
  lost: 3,
} as const;

/** What happened, for the driver. */
export type SessionEvent =
  /** The client opened a stream to a virtual port. */
  | { readonly type: "opened"; readonly id: StreamId; readonly port: number }
  /** The service has taken the stream that we opened. */
  | { readonly type: "accepted"; readonly id: StreamId }
  /** `read` has something; not said again before it was called. */
  | { readonly type: "readable"; readonly id: StreamId }
  /** A writer that was turned away may write again. */
  | { readonly type: "writable"; readonly id: StreamId }
  /** The peer gave up the stream, or it broke off as we asked. */
  | {
    readonly type: "reset";
    readonly id: StreamId;
    readonly code: number;
    /** What had arrived before, for a reader that shall have it. */
    readonly unread?: ReadResult;
    /** Bytes of ours that have not arrived, as far as is known; none otherwise. */
    readonly unconfirmed?: number;
  }
  /** Both directions have ended well. */
  | { readonly type: "finished"; readonly id: StreamId }
  /** A leg owes an answer for too long: build another. */
  | { readonly type: "legSuspect"; readonly leg: LegNumber }
  /** A suspect leg was heard of again. */
  | { readonly type: "legHealed"; readonly leg: LegNumber }
  /** The client waits somewhere for one more leg. */
  | { readonly type: "legOffered"; readonly offer: LegOffer }
  /** The peer gives up a leg; its circuit can go. */
  | { readonly type: "legClosed"; readonly leg: LegNumber }
  /** The session is over. */
  | { readonly type: "closed"; readonly code: number };

/** Nothing happened: one array for all such moments. */
export const NO_EVENTS: readonly SessionEvent[] = [];
