/**
 * Frames on a byte stream: the driver of a {@linkcode FrameReader}.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import type { ByteStream } from "../transport/transport.ts";
import { encodeFrame, FrameReader } from "../wire/framing.ts";

/** Bytes of the first read buffer: most requests fit, and many may wait at once. */
const SMALL_READ_BYTES = 2048;
/** Bytes of the buffer once a read has filled the small one. */
const LARGE_READ_BYTES = 65_536;

/** Reads and writes frames. One reader and one writer at a time. */
export class FrameStream {
  readonly #stream: ByteStream;
  readonly #reader: FrameReader;
  readonly #maxBytes: number;
  #buffer: Bytes | undefined;

  /** @param maxBytes Longest frame body, either way. */
  constructor(stream: ByteStream, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    this.#reader = new FrameReader(maxBytes);
  }

  /**
   * The body of the next frame.
   *
   * @returns `undefined` when the stream ended, in mid-frame or between frames:
   * the transport cannot tell a finished stream from a destroyed one.
   * @throws {ProtocolError} `wire.frame_too_large` before such a frame is buffered.
   * @throws {UnreachableError} `transport.lost`.
   */
  async read(): Promise<Bytes | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) return frame;
      const buffer = this.#buffer ?? new Uint8Array(SMALL_READ_BYTES);
      this.#buffer = undefined;
      const chunk = await this.#stream.read(buffer);
      if (chunk === undefined) return undefined;
      this.#reader.push(chunk);
      const isFull = chunk.length === SMALL_READ_BYTES;
      this.#buffer = isFull
        ? new Uint8Array(LARGE_READ_BYTES)
        : new Uint8Array(chunk.buffer);
    }
  }

  /** Send one frame. @throws {UnreachableError} `transport.lost`. */
  write(body: Uint8Array): Promise<void> {
    return this.#stream.write(encodeFrame(body, this.#maxBytes));
  }
}
