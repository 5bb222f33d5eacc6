/**
 * Frames other than data that wait for a cell, in order.
 *
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import {
  type ControlFrame,
  controlFrameBytes,
  encodeControlFrame,
} from "./frames.ts";

/**
 * Frames that may wait: eight for each stream there can be. Only a peer that
 * opens and resets without ever reading gets here; each costs about 60 bytes.
 */
export const MAX_CONTROL_FRAMES = 8 * 4096;
/** Streams are opened only while there is room for what they lead to. */
const ROOM_FRAMES = MAX_CONTROL_FRAMES / 2;

/** First in, first out. */
export class ControlQueue {
  #frames: ControlFrame[] = [];

  /** Frames waiting. */
  get length(): number {
    return this.#frames.length;
  }

  /** Whether a stream may be opened: what must be said of it will fit. */
  get hasRoom(): boolean {
    return this.#frames.length < ROOM_FRAMES;
  }

  /** Whether nothing more may be said. */
  get isFull(): boolean {
    return this.#frames.length >= MAX_CONTROL_FRAMES;
  }

  /** @throws {ProtocolError} `session.control_flood`. */
  push(frame: ControlFrame): void {
    if (this.isFull) {
      throw new ProtocolError(
        "session.control_flood",
        "Cannot answer: too many frames waiting",
      );
    }
    this.#frames.push(frame);
  }

  /**
   * Write as many as fit between `at` and `end`.
   *
   * @param sent Takes what was written.
   * @returns The offset behind them.
   */
  fill(
    cell: Uint8Array,
    at: number,
    end: number,
    sent: ControlFrame[],
  ): number {
    let next = at;
    let count = 0;
    for (const frame of this.#frames) {
      if (next + controlFrameBytes(frame) > end) break;
      next = encodeControlFrame(frame, cell, next);
      sent.push(frame);
      count++;
    }
    if (count > 0) this.#frames.splice(0, count);
    return next;
  }

  /** Drop all, and let `frames` wait in their place. */
  replace(frames: readonly ControlFrame[]): void {
    this.#frames = [...frames];
  }
}
