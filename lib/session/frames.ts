/**
 * The frames inside a session cell. A cell's plaintext is a run of frames; the
 * first byte 0x00 where a frame would begin makes the rest padding.
 *
 *     0x01 StreamOpen    id(4) port(2)
 *     0x02 StreamData    id(4) offset(6) length(2) bytes(length)
 *     0x03 StreamWindow  id(4) max offset(6)
 *     0x04 StreamFin     id(4) final offset(6)
 *     0x05 StreamReset   id(4) code(1)
 *     0x06 Ack           leg(2) cells received(6) delay ms(2)
 *     0x07 LegClose      leg(2)
 *     0x08 SessionClose  code(1)
 *     0x09 Ping
 *     0x0a LegOffer      leg(2) cookie(20) length(2) node record(length)
 *
 * @see protocol §6.2 "Frames"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Number of a stream, unique in its session; only clients open streams. */
export type StreamId = number;
/** Number of a leg, never used twice in a session. */
export type LegNumber = number;

/** Bytes of frames in one cell: what a DATA payload holds, less the tag. */
export const FRAME_SPACE_BYTES = 3948;
/** Bytes before the data of a StreamData frame. */
export const DATA_HEADER_BYTES = 13;
/** Bytes of an Ack frame. */
const ACK_BYTES = 11;
/** Largest offset: 2⁴⁸ − 1. */
export const MAX_OFFSET = 2 ** 48 - 1;
/** Largest leg number. */
export const MAX_LEG_NUMBER = 65_535;
/** Bytes of the cookie in a LegOffer: that of a rendezvous (protocol §7.5 "Rendezvous"). */
export const OFFER_COOKIE_BYTES = 20;
/** Most bytes of the node record in a LegOffer (protocol §2.3 "Node records"). */
export const MAX_OFFER_RECORD_BYTES = 1024;

/** First byte of each frame. */
export const FRAME = {
  padding: 0x00,
  streamOpen: 0x01,
  streamData: 0x02,
  streamWindow: 0x03,
  streamFin: 0x04,
  streamReset: 0x05,
  ack: 0x06,
  legClose: 0x07,
  sessionClose: 0x08,
  ping: 0x09,
  legOffer: 0x0a,
} as const;

/** Where the client waits for one more leg. */
export interface LegOffer {
  readonly leg: LegNumber;
  /** {@linkcode OFFER_COOKIE_BYTES}. */
  readonly cookie: Bytes;
  /** Signed node record of the rendezvous point, at most 1 KiB, not yet verified. */
  readonly rendezvous: Bytes;
}

/** A frame other than StreamData, which takes a shorter way. */
export type ControlFrame =
  | {
    readonly type: "streamOpen";
    readonly id: StreamId;
    readonly port: number;
  }
  | {
    readonly type: "streamWindow";
    readonly id: StreamId;
    readonly max: number;
  }
  | {
    readonly type: "streamFin";
    readonly id: StreamId;
    readonly offset: number;
  }
  | {
    readonly type: "streamReset";
    readonly id: StreamId;
    readonly code: number;
  }
  | {
    readonly type: "ack";
    readonly leg: LegNumber;
    /** Cells received on that leg, from its beginning. */
    readonly cells: number;
    /** How long the newest of them has waited for this acknowledgement. */
    readonly delayMs: number;
  }
  | { readonly type: "legClose"; readonly leg: LegNumber }
  | { readonly type: "sessionClose"; readonly code: number }
  | { readonly type: "ping" }
  | { readonly type: "legOffer" } & LegOffer;

/** Of a LegOffer: all but its record. */
const OFFER_HEADER_BYTES = 5 + OFFER_COOKIE_BYTES;

const CONTROL_BYTES = {
  streamOpen: 7,
  streamWindow: 11,
  streamFin: 11,
  streamReset: 6,
  ack: ACK_BYTES,
  legClose: 3,
  sessionClose: 2,
  ping: 1,
} as const;

/** Bytes that `frame` takes in a cell. */
export function controlFrameBytes(frame: ControlFrame): number {
  return frame.type === "legOffer"
    ? OFFER_HEADER_BYTES + frame.rendezvous.length
    : CONTROL_BYTES[frame.type];
}

/** Write one frame at `at`. @returns The offset behind it. */
export function encodeControlFrame(
  frame: ControlFrame,
  out: Uint8Array,
  at: number,
): number {
  out[at] = FRAME[frame.type];
  const next = at + 1;
  switch (frame.type) {
    case "streamOpen":
      return writeUint(out, writeUint(out, next, frame.id, 4), frame.port, 2);
    case "streamWindow":
      return writeUint(out, writeUint(out, next, frame.id, 4), frame.max, 6);
    case "streamFin":
      return writeUint(out, writeUint(out, next, frame.id, 4), frame.offset, 6);
    case "streamReset":
      return writeUint(out, writeUint(out, next, frame.id, 4), frame.code, 1);
    case "ack": {
      const behindCells = writeUint(
        out,
        writeUint(out, next, frame.leg, 2),
        frame.cells,
        6,
      );
      return writeUint(
        out,
        behindCells,
        Math.min(65_535, Math.round(frame.delayMs)),
        2,
      );
    }
    case "legClose":
      return writeUint(out, next, frame.leg, 2);
    case "sessionClose":
      return writeUint(out, next, frame.code, 1);
    case "ping":
      return next;
    case "legOffer": {
      const { leg, cookie, rendezvous } = frame;
      const behindLeg = writeUint(out, next, leg, 2);
      out.set(cookie, behindLeg);
      const behindLength = writeUint(
        out,
        behindLeg + OFFER_COOKIE_BYTES,
        rendezvous.length,
        2,
      );
      out.set(rendezvous, behindLength);
      return behindLength + rendezvous.length;
    }
  }
}

/** Write the header of a StreamData frame at `at`. @returns The offset behind it. */
export function encodeDataHeader(
  out: Uint8Array,
  at: number,
  id: StreamId,
  offset: number,
  length: number,
): number {
  out[at] = FRAME.streamData;
  const behindId = writeUint(out, at + 1, id, 4);
  return writeUint(out, writeUint(out, behindId, offset, 6), length, 2);
}

/** What reads the frames of a cell. */
export interface FrameReceiver {
  /** Stream bytes; `bytes` is a view into the cell, valid during the call only. */
  onStreamData(id: StreamId, offset: number, bytes: Uint8Array): void;
  /** Any other frame. */
  onControlFrame(frame: ControlFrame): void;
}

/**
 * Hand the frames of one cell to `receiver`, in order.
 *
 * @throws {ProtocolError} `session.frame_type`, `session.frame_cut`, or
 * `session.padding` where padding holds anything but zeros.
 */
export function decodeFrames(cell: Uint8Array, receiver: FrameReceiver): void {
  let at = 0;
  while (at < cell.length) {
    const type = cell[at++] as number;
    switch (type) {
      case FRAME.padding:
        // Anything else in there would be a channel that no check ever sees.
        for (; at < cell.length; at++) {
          if (cell[at] !== 0) {
            throw new ProtocolError(
              "session.padding",
              "Cannot read cell: padding is not zero",
            );
          }
        }
        return;
      case FRAME.streamData: {
        need(cell, at, DATA_HEADER_BYTES - 1);
        const length = readUint(cell, at + 10, 2);
        const start = at + DATA_HEADER_BYTES - 1;
        need(cell, start, length);
        receiver.onStreamData(
          readUint(cell, at, 4),
          readUint(cell, at + 4, 6),
          cell.subarray(start, start + length),
        );
        at = start + length;
        break;
      }
      default: {
        const frame = decodeControlFrame(type, cell, at);
        at += controlFrameBytes(frame) - 1;
        receiver.onControlFrame(frame);
      }
    }
  }
}

function decodeControlFrame(
  type: number,
  cell: Uint8Array,
  at: number,
): ControlFrame {
  switch (type) {
    case FRAME.streamOpen:
      need(cell, at, 6);
      return {
        type: "streamOpen",
        id: readUint(cell, at, 4),
        port: readUint(cell, at + 4, 2),
      };
    case FRAME.streamWindow:
      need(cell, at, 10);
      return {
        type: "streamWindow",
        id: readUint(cell, at, 4),
        max: readUint(cell, at + 4, 6),
      };
    case FRAME.streamFin:
      need(cell, at, 10);
      return {
        type: "streamFin",
        id: readUint(cell, at, 4),
        offset: readUint(cell, at + 4, 6),
      };
    case FRAME.streamReset:
      need(cell, at, 5);
      return {
        type: "streamReset",
        id: readUint(cell, at, 4),
        code: cell[at + 4] as number,
      };
    case FRAME.ack:
      need(cell, at, 10);
      return {
        type: "ack",
        leg: readUint(cell, at, 2),
        cells: readUint(cell, at + 2, 6),
        delayMs: readUint(cell, at + 8, 2),
      };
    case FRAME.legClose:
      need(cell, at, 2);
      return { type: "legClose", leg: readUint(cell, at, 2) };
    case FRAME.sessionClose:
      need(cell, at, 1);
      return { type: "sessionClose", code: cell[at] as number };
    case FRAME.ping:
      return { type: "ping" };
    case FRAME.legOffer:
      return decodeLegOffer(cell, at);
    default:
      throw new ProtocolError(
        "session.frame_type",
        `Cannot read cell: unknown frame ${type}`,
      );
  }
}

function decodeLegOffer(cell: Uint8Array, at: number): ControlFrame {
  need(cell, at, OFFER_HEADER_BYTES - 1);
  const length = readUint(cell, at + 2 + OFFER_COOKIE_BYTES, 2);
  if (length > MAX_OFFER_RECORD_BYTES) {
    throw new ProtocolError(
      "session.offer_record",
      `Cannot read cell: a node record of ${length} bytes`,
    );
  }
  const start = at + OFFER_HEADER_BYTES - 1;
  need(cell, start, length);
  return {
    type: "legOffer",
    leg: readUint(cell, at, 2),
    // Copies: the cell is overwritten after the call.
    cookie: new Uint8Array(cell.subarray(at + 2, at + 2 + OFFER_COOKIE_BYTES)),
    rendezvous: new Uint8Array(cell.subarray(start, start + length)),
  };
}

function need(cell: Uint8Array, at: number, bytes: number): void {
  if (at + bytes > cell.length) {
    throw new ProtocolError(
      "session.frame_cut",
      "Cannot read cell: a frame runs past its end",
    );
  }
}

function writeUint(
  out: Uint8Array,
  at: number,
  value: number,
  bytes: number,
): number {
  let rest = value;
  for (let i = at + bytes - 1; i >= at; i--) {
    out[i] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  return at + bytes;
}

function readUint(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = at; i < at + length; i++) {
    value = value * 256 + (bytes[i] as number);
  }
  return value;
}
