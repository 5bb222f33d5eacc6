/**
 * Frames on a byte stream. A body is read straight into the array that it is
 * handed out in: collecting the bytes first cost 15 % of throughput at 64 KiB.
 *
 * @see protocol §0.2 "Frames"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { encodeFrame, FRAME_HEADER_BYTES } from "../../wire/framing.ts";

/** Bytes read where a length is awaited: most requests fit, and many wait at once. */
const READ_BYTES = 512;

/**
 * Longest body for which memory is taken when its length is announced; a longer
 * one grows as it arrives, so that 4 bytes never pin more than this.
 */
const AT_ONCE_BYTES = 65_536;

/** Reads and writes frames. One reader and one writer at a time. */
export class FrameStream {
  readonly #stream: ByteStream;
  readonly #maxBytes: number;
  /** What has been read beyond the last frame, at the start of its buffer or later. */
  #unread: Bytes = new Uint8Array();

  /** @param maxBytes Longest frame body, either way. */
  constructor(stream: ByteStream, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
  }

  /**
   * The body of the next frame, in an array of its own.
   *
   * @returns `undefined` when the stream ended, in mid-frame or between frames:
   * the transport cannot tell a finished stream from a destroyed one.
   * @throws {ProtocolError} `wire.frame_too_large` before such a frame is buffered.
   * @throws {UnreachableError} `transport.lost`.
   */
  async read(): Promise<Bytes | undefined> {
    const length = await this.readLength();
    return length === undefined ? undefined : await this.readBody(length);
  }

  /**
   * How long the body of the next frame is, as it is announced; {@linkcode readBody}
   * comes next. Nothing is kept for it yet.
   *
   * @throws as {@linkcode read}.
   */
  async readLength(): Promise<number | undefined> {
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    let filled = this.#take(header);
    while (filled < FRAME_HEADER_BYTES) {
      const chunk = await this.#stream.read(new Uint8Array(READ_BYTES));
      if (chunk === undefined) return undefined;
      this.#unread = chunk;
      filled += this.#take(header.subarray(filled));
    }
    const length = new DataView(header.buffer).getUint32(0);
    if (length > this.#maxBytes) {
      throw new ProtocolError(
        "wire.frame_too_large",
        `Cannot read frame: ${length} bytes announced`,
      );
    }
    return length;
  }

  /** The body of the frame whose length has been read. */
  async readBody(length: number): Promise<Bytes | undefined> {
    let body = new Uint8Array(Math.min(length, AT_ONCE_BYTES));
    let filled = this.#take(body);
    while (filled < length) {
      if (filled === body.length) {
        const grown = new Uint8Array(Math.min(length, 2 * filled));
        grown.set(body);
        body = grown;
      }
      // The transport takes the array away and gives it back.
      const chunk = await this.#stream.read(body.subarray(filled));
      if (chunk === undefined) return undefined;
      body = new Uint8Array(chunk.buffer);
      filled += chunk.length;
    }
    return body;
  }

  /** Move what was read already into `target`. @returns How much that was. */
  #take(target: Bytes): number {
    const taken = this.#unread.subarray(0, target.length);
    target.set(taken);
    this.#unread = this.#unread.subarray(taken.length);
    return taken.length;
  }

  /**
   * Send one frame.
   *
   * @throws {UnreachableError} `transport.lost`.
   * @throws {RangeError} if it is too long.
   */
  write(body: Uint8Array): Promise<void> {
    return this.#stream.write(encodeFrame(body, this.#maxBytes));
  }
}
