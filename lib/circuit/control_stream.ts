/**
 * The control stream: messages for the far end of a circuit, cut into the
 * bodies of CONTROL payloads.
 *
 *     stream     length   CBOR      one message, 4 + length bytes
 *                4        length
 *     payloads   |--- body ---|--- body ---|- body -|
 *
 * A message begins at the beginning of a payload and no other follows it in the
 * same one. So one cell never asks for more than one answer: a relay cannot be
 * made to send 300 pongs for one cell full of pings.
 *
 * @see protocol §5.4 "The control stream"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeFrame, FrameReader } from "../wire/framing.ts";
import { BODY_BYTES, CELL_BYTES, COMMAND, encodePayload } from "./cell.ts";

/**
 * Protocol: longest control message. A stored record of 16 KiB and its signature
 * must fit; what a circuit makes us hold before it has proven anything is this.
 */
export const MAX_CONTROL_BYTES = 24 * 1024;

/**
 * The cells that carry one message, one after the other, payloads in place and
 * not yet sealed.
 *
 * @throws {RangeError} when it is longer than {@linkcode MAX_CONTROL_BYTES}.
 */
export function encodeControlCells(message: Uint8Array): Bytes {
  const frame = encodeFrame(message, MAX_CONTROL_BYTES);
  const count = Math.ceil(frame.length / BODY_BYTES);
  const cells = new Uint8Array(count * CELL_BYTES);
  for (let i = 0; i < count; i++) {
    const cell = cells.subarray(i * CELL_BYTES, (i + 1) * CELL_BYTES);
    const body = frame.subarray(i * BODY_BYTES, (i + 1) * BODY_BYTES);
    encodePayload(cell, COMMAND.control, body);
  }
  return cells;
}

/** Puts the messages of one direction together again. */
export class ControlReader {
  /** Only while a message is incomplete: idle circuits hold no buffer. */
  #frames: FrameReader | undefined;

  /** Whether a message has begun and has not ended. */
  get midMessage(): boolean {
    return this.#frames !== undefined;
  }

  /** Memory that the beginning of a message takes. */
  get heldBytes(): number {
    return this.#frames?.capacity ?? 0;
  }

  /** Forget the beginning of a message. */
  clear(): void {
    this.#frames = undefined;
  }

  /**
   * Take the body of the next CONTROL payload.
   *
   * @returns The message that ends in it, encoded; `undefined` when it goes on.
   * @throws {ProtocolError}
   * - `circuit.control_empty`: a payload without a byte
   * - `circuit.control_trailing`: bytes behind the message's end
   * - `wire.frame_too_large`: a message over {@linkcode MAX_CONTROL_BYTES}
   */
  push(body: Uint8Array): Bytes | undefined {
    if (body.length === 0) {
      throw new ProtocolError(
        "circuit.control_empty",
        "Cannot read control stream: an empty payload",
      );
    }
    const frames = this.#frames ??= new FrameReader(MAX_CONTROL_BYTES);
    frames.push(body);
    const message = frames.next();
    if (message === undefined) return undefined;
    this.#frames = undefined;
    if (frames.buffered > 0) {
      throw new ProtocolError(
        "circuit.control_trailing",
        "Cannot read control stream: bytes behind a message",
      );
    }
    return message;
  }
}
