/**
 * One stream of a session: its two halves, and what the session remembers of it.
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import type { StreamId } from "./frames.ts";
import { INITIAL_WINDOW_BYTES, ReceiveStream } from "./receive_stream.ts";
import { SendStream } from "./send_stream.ts";

/** Bytes that may be written ahead of what the window lets out. */
export const WRITE_AHEAD_BYTES = 256 * 1024;
/** … and in a session that holds much already. */
export const CROWDED_AHEAD_BYTES = 16 * 1024;
/** Tuning: what a stream takes before it carries a byte. */
export const STREAM_BYTES = 1024;

/** Reason codes of StreamReset; others are allowed and mean `failed`. */
export const RESET_CODE = {
  /** Nothing is wrong: the other side is no longer wanted. */
  cancelled: 0,
  /** Something broke. */
  failed: 1,
  /** The service has nothing at this port. */
  noSuchPort: 2,
  /** The target refused the connection. */
  refused: 3,
  /** The target did not answer in time. */
  timedOut: 4,
  /** Too many streams, or too much waiting for readers. */
  exhausted: 5,
} as const;

/** What a reader gets: chunks, perhaps none, and whether the end is behind them. */
export interface ReadResult {
  readonly chunks: Bytes[];
  readonly isEnd: boolean;
}

/** State of one stream. */
export class SessionStream {
  readonly id: StreamId;
  readonly send = new SendStream(INITIAL_WINDOW_BYTES);
  readonly receive: ReceiveStream;
  /** Whether StreamOpen has been seen, or we opened it ourselves. */
  isOpen: boolean;
  /** The peer has said something of it after StreamOpen: it has taken the stream. */
  isAccepted = false;
  /** It waits in the round of streams with something to send. */
  isQueued = false;
  /** The reader has been told, and has not read since. */
  isReadableSaid = false;
  /** A writer was turned away, and wants to hear when there is room. */
  isWriterWaiting = false;
  /** The code to reset it with, once all that was written has arrived. */
  breakOffCode: number | undefined;

  constructor(id: StreamId, nowMs: number, isOpen: "open" | "expected") {
    this.id = id;
    this.receive = new ReceiveStream(nowMs);
    this.isOpen = isOpen === "open";
  }

  /** Memory that it takes. */
  get heldBytes(): number {
    return STREAM_BYTES + this.send.heldBytes + this.receive.heldBytes;
  }

  /** Both directions are over, and nothing is left to say or to read. */
  get isOver(): boolean {
    return this.send.isDone && this.receive.isAtEnd;
  }
}
