/**
 * A QUIC stream of the runtime as a {@linkcode ByteStream}.
 *
 * Reads go into the caller's buffer: the default reader would pin 64 KiB for
 * each stream that waits, and is slower. There is no reset: an end of stream may
 * mean "finished" or "destroyed".
 *
 * @module
 */
import { lost } from "./_failures.ts";
import type { SendOrder, SendPlace } from "./_send_order.ts";
import type { ByteStream } from "./transport.ts";

/** A stream of a QUIC connection, either side's. */
export class QuicStream implements ByteStream {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #place: SendPlace;
  #writeEnd: Promise<void> | undefined;

  /**
   * @param stream Taken over: both halves get locked.
   * @param order That of its connection.
   */
  constructor(stream: Deno.QuicBidirectionalStream, order: SendOrder) {
    this.#place = order.enter(stream.writable);
    this.#reader = stream.readable.getReader({ mode: "byob" });
    this.#writer = stream.writable.getWriter();
  }

  async read(
    buffer: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const { value, done } = await this.#reader.read(buffer);
      return done ? undefined : value;
    } catch (cause) {
      // A buffer without room, or one that was handed in before.
      if (cause instanceof TypeError) throw cause;
      throw lost(cause);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#place.onWrite(bytes.length);
    return this.#writer.write(bytes).catch(throwLost);
  }

  closeWrite(): Promise<void> {
    this.#place.leave();
    return this.#writeEnd ??= this.#writer.close().catch(ignore);
  }

  cancel(): void {
    this.#place.leave();
    this.#reader.cancel().catch(ignore);
    // Not close(): writes that wait for the peer would hold up the end.
    this.#writeEnd ??= this.#writer.abort().catch(ignore);
  }
}

function throwLost(cause: unknown): never {
  throw lost(cause);
}

function ignore(): void {}
