/**
 * Streams with something to send, in turn: each cell begins with the one whose
 * turn it is, so that a bulk transfer never holds up a keystroke. Those whose
 * burst is young have a lane of their own, which comes first: a leg may carry it
 * alone.
 *
 * @see protocol §6.4 "Congestion"
 * @module
 */
import {
  type ControlFrame,
  controlFrameBytes,
  DATA_HEADER_BYTES,
  encodeControlFrame,
  encodeDataHeader,
  type StreamId,
} from "./frames.ts";
import type { SentData } from "./leg.ts";
import type { SessionStream } from "./stream.ts";

/** What a cell that is being filled carries so far. */
export interface CellLoad {
  readonly data: SentData[];
  readonly control: ControlFrame[];
}

/** What a leg carries of the streams: those whose burst is young, the others, or all. */
export type SendLane = "young" | "bulk" | "all";

/** The round of streams. */
export class SendRound {
  #young: SessionStream[] = [];
  #bulk: SessionStream[] = [];

  /** Whether any stream of a lane has something to send. */
  has(lane: SendLane): boolean {
    return lane !== "bulk" && this.#young.length > 0 ||
      lane !== "young" && this.#bulk.length > 0;
  }

  /** Whether all that the streams of a lane have to send is at least `bytes`. */
  hasBytes(lane: SendLane, bytes: number): boolean {
    const young = lane === "bulk" ? 0 : pendingBytes(this.#young, bytes);
    return young >= bytes || lane !== "young" &&
        young + pendingBytes(this.#bulk, bytes) >= bytes;
  }

  /** Put a stream at the end of the round, if it has something to send. */
  queue(stream: SessionStream): void {
    if (
      stream.isQueued ||
      (!stream.send.hasData && stream.send.finToSend === undefined)
    ) return;
    stream.isQueued = true;
    const streams = stream.send.isYoung ? this.#young : this.#bulk;
    streams.push(stream);
  }

  /** Forget all: the session is over. */
  clear(): void {
    this.#young = [];
    this.#bulk = [];
  }

  /**
   * Fill the rest of a cell with bytes of a lane's streams, and with their ends.
   *
   * @param cell The room for frames, all of it.
   * @param isThere Whether a stream is still there: those that are not lose their turn.
   * @param onTaken Hears of each stream that gave bytes: its writer may go on.
   * @returns The offset behind the last frame.
   */
  fill(
    cell: Uint8Array,
    start: number,
    load: CellLoad,
    lane: SendLane,
    isThere: (id: StreamId) => boolean,
    onTaken: (stream: SessionStream) => void,
  ): number {
    let at = start;
    if (lane !== "bulk") {
      at = this.#fill(this.#young, cell, at, load, isThere, onTaken);
    }
    if (lane !== "young") {
      at = this.#fill(this.#bulk, cell, at, load, isThere, onTaken);
    }
    return at;
  }

  #fill(
    streams: SessionStream[],
    cell: Uint8Array,
    start: number,
    load: CellLoad,
    isThere: (id: StreamId) => boolean,
    onTaken: (stream: SessionStream) => void,
  ): number {
    let at = start;
    let turns = streams.length;
    while (turns-- > 0 && at + DATA_HEADER_BYTES < cell.length) {
      const stream = streams.shift() as SessionStream;
      stream.isQueued = false;
      if (!isThere(stream.id)) continue;
      const taken = stream.send.take(
        cell.length - at - DATA_HEADER_BYTES,
      );
      if (taken !== undefined) {
        const { offset, length } = taken;
        at = encodeDataHeader(cell, at, stream.id, offset, length);
        stream.send.copy(offset, length, cell, at);
        at += length;
        load.data.push({ id: stream.id, offset, length });
        onTaken(stream);
      }
      at = fillEnd(cell, at, load, stream);
      this.queue(stream);
    }
    return at;
  }
}

/** Bytes that streams may send now, counted no further than `enough`. */
function pendingBytes(
  streams: readonly SessionStream[],
  enough: number,
): number {
  let bytes = 0;
  for (const { send } of streams) {
    bytes += send.sendableBytes;
    if (bytes >= enough) break;
  }
  return bytes;
}

function fillEnd(
  cell: Uint8Array,
  at: number,
  load: CellLoad,
  stream: SessionStream,
): number {
  const offset = stream.send.finToSend;
  if (offset === undefined) return at;
  const frame: ControlFrame = { type: "streamFin", id: stream.id, offset };
  if (at + controlFrameBytes(frame) > cell.length) return at;
  load.control.push(frame);
  stream.send.onFinSent();
  return encodeControlFrame(frame, cell, at);
}
