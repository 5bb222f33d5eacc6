/**
 * Messages on a byte stream, each behind its length:
 *
 *     length    body
 *     4         length       bytes, big-endian
 *
 * @see protocol §0.2 "Frames"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Protocol: no frame may ever be longer. */
export const MAX_FRAME_BYTES = 10 * 1024 * 1024;
/** Protocol: the limit where a message type names no other. */
export const DEFAULT_FRAME_BYTES = 64 * 1024;
/** Protocol: bytes of the length in front. */
export const FRAME_HEADER_BYTES = 4;

/** Tuning: a reader's first buffer, and what an idle one may keep. */
const SMALL_BUFFER_BYTES = 4096;

/**
 * A body with its length in front.
 *
 * @param maxBytes The reader's limit, up to {@linkcode MAX_FRAME_BYTES}.
 * @throws {RangeError} when the body is longer: our own mistake.
 */
export function encodeFrame(
  body: Uint8Array,
  maxBytes: number = DEFAULT_FRAME_BYTES,
): Bytes {
  if (body.length > checkLimit(maxBytes)) {
    throw new RangeError(`Cannot encode frame: ${body.length} bytes`);
  }
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * Cuts a byte stream into frames. Bytes may come in pieces of any size.
 *
 * After each {@linkcode push} take frames with {@linkcode next} until there is
 * none: then at most one unfinished frame is held, and memory is taken as its
 * bytes arrive, not when its length is announced. An empty frame is a frame.
 */
export class FrameReader {
  readonly #maxBytes: number;
  #buffer: Bytes = new Uint8Array(0);
  /** What has not been taken yet: `#buffer[#start..#end)`. */
  #start = 0;
  #end = 0;
  /** Where the first length that we have not judged stands, from `#start`. */
  #unjudged = 0;

  /**
   * A reader at the start of a stream.
   *
   * @param maxBytes Longest body accepted, up to {@linkcode MAX_FRAME_BYTES}.
   */
  constructor(maxBytes: number = DEFAULT_FRAME_BYTES) {
    this.#maxBytes = checkLimit(maxBytes);
  }

  /** Bytes that have arrived and have not been taken, with lengths. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Bytes of memory that it holds on to, used or not. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /**
   * Add the bytes that came next; they are copied.
   *
   * @throws {ProtocolError} `wire.frame_too_large`, before any byte of `chunk`
   * is kept, when a length in it is over the limit. The reader is of no use then.
   */
  push(chunk: Uint8Array): void {
    this.#judgeLengths(chunk);
    this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole frame's body, in an array of its own, or `undefined` until one has come. */
  next(): Bytes | undefined {
    if (this.buffered < FRAME_HEADER_BYTES) return undefined;
    const length = this.#readLength(this.#start);
    const frameBytes = FRAME_HEADER_BYTES + length;
    if (this.buffered < frameBytes) return undefined;
    const bodyStart = this.#start + FRAME_HEADER_BYTES;
    const body = this.#buffer.slice(bodyStart, bodyStart + length);
    this.#start += frameBytes;
    this.#unjudged -= frameBytes;
    if (this.#start === this.#end) this.#reset();
    return body;
  }

  /** Walk over the lengths in what we hold and `chunk`, as if they were one. */
  #judgeLengths(chunk: Uint8Array): void {
    const held = this.buffered;
    const total = held + chunk.length;
    const byteAt = (offset: number): number =>
      (offset < held
        ? this.#buffer[this.#start + offset]
        : chunk[offset - held]) ?? 0;
    let at = this.#unjudged;
    while (total - at >= FRAME_HEADER_BYTES) {
      const length = byteAt(at) * 2 ** 24 + (byteAt(at + 1) << 16) +
        (byteAt(at + 2) << 8) + byteAt(at + 3);
      if (length > this.#maxBytes) {
        throw new ProtocolError(
          "wire.frame_too_large",
          `Cannot read frame: ${length} bytes announced`,
        );
      }
      at += FRAME_HEADER_BYTES + length;
    }
    this.#unjudged = at;
  }

  #readLength(offset: number): number {
    return new DataView(this.#buffer.buffer).getUint32(offset);
  }

  /** Room for `length` more: by moving up, or by at least doubling. */
  #makeRoom(length: number): void {
    const capacity = this.#buffer.length;
    if (this.#end + length <= capacity) return;
    const held = this.buffered;
    const needed = held + length;
    // Moving pays only where it frees half; otherwise single bytes cost a copy each.
    if (needed <= capacity && this.#start >= capacity / 2) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const larger = Math.max(SMALL_BUFFER_BYTES, 2 * capacity, needed);
      const grown = new Uint8Array(larger);
      grown.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = grown;
    }
    this.#start = 0;
    this.#end = held;
  }

  #reset(): void {
    this.#start = 0;
    this.#end = 0;
    // One long frame must not pin its buffer for the life of the stream.
    if (this.#buffer.length > SMALL_BUFFER_BYTES) {
      this.#buffer = new Uint8Array(0);
    }
  }
}

function checkLimit(maxBytes: number): number {
  if (maxBytes >= 0 && maxBytes <= MAX_FRAME_BYTES) return maxBytes;
  throw new RangeError(`Cannot frame up to ${maxBytes} bytes`);
}
