/**
 * A stream of a link: the transport's, with its bytes counted, its rate kept, and
 * its end noticed.
 *
 * @module
 */
import { type Clock, sleep } from "../../base/clock.ts";
import type { ByteStream } from "../../transport/transport.ts";

/** What a stream tells its link. */
export interface LinkStreamHost {
  readonly clock: Clock;
  /** Aborts when the link ends. */
  readonly signal: AbortSignal;
  /** Bytes arrived. @returns How long to hold them back, ms. */
  onBytesIn(count: number): number;
  /** A write begins. */
  onWrite(count: number): void;
  /** A write has ended, well or badly. */
  onWritten(): void;
}

/** A counted stream. */
export class LinkStream implements ByteStream {
  readonly #inner: ByteStream;
  readonly #host: LinkStreamHost;
  readonly #onEnd: () => void;
  #readOpen = true;
  #writeOpen = true;

  /** @param onEnd Called once, when both directions have ended. */
  constructor(inner: ByteStream, host: LinkStreamHost, onEnd: () => void) {
    this.#inner = inner;
    this.#host = host;
    this.#onEnd = onEnd;
  }

  async read(
    buffer: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    let chunk: Uint8Array<ArrayBuffer> | undefined;
    try {
      chunk = await this.#inner.read(buffer);
    } catch (error) {
      this.#endRead();
      throw error;
    }
    if (chunk === undefined) {
      this.#endRead();
      return undefined;
    }
    const waitMs = this.#host.onBytesIn(chunk.length);
    if (waitMs > 0) {
      const { clock, signal } = this.#host;
      await sleep(clock, waitMs, { signal });
    }
    return chunk;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#host.onWrite(bytes.length);
    return this.#inner.write(bytes).then(
      () => this.#host.onWritten(),
      (error) => {
        this.#host.onWritten();
        this.#endWrite();
        throw error;
      },
    );
  }

  closeWrite(): Promise<void> {
    this.#endWrite();
    return this.#inner.closeWrite();
  }

  cancel(): void {
    this.#inner.cancel();
    this.#endRead();
    this.#endWrite();
  }

  #endRead(): void {
    const wasOpen = this.#readOpen;
    this.#readOpen = false;
    if (wasOpen && !this.#writeOpen) this.#onEnd();
  }

  #endWrite(): void {
    const wasOpen = this.#writeOpen;
    this.#writeOpen = false;
    if (wasOpen && !this.#readOpen) this.#onEnd();
  }
}
