/**
 * A stream to a service as web streams, for embedding programs.
 *
 *     readable ◀── bytes ── stream ── bytes ──▶ writable
 *
 * Each direction has its own end: closing `writable` leaves `readable` open. A
 * stream that breaks fails both.
 *
 * @module
 */
import { onAbort } from "../base/on_abort.ts";
import type { GatewayStream } from "../http/gateway.ts";

/** A connection to a port of a service. */
export class AnonConnection implements Disposable {
  /** What the service sends. Cancelling it gives up the whole connection. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What the service gets. Aborting it gives up the whole connection. */
  readonly writable: WritableStream<Uint8Array>;
  readonly #stream: GatewayStream;
  readonly #listening: Disposable | undefined;

  /**
   * Made by `AnonNet.connect`.
   *
   * @param signal Gives up the connection, whenever it aborts.
   */
  constructor(stream: GatewayStream, signal?: AbortSignal) {
    this.#stream = stream;
    this.#listening = signal && onAbort(signal, () => stream.abort());
    const reason = (error: unknown) => signal?.aborted ? signal.reason : error;
    this.readable = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        try {
          const bytes = await stream.read();
          if (bytes === undefined) controller.close();
          else controller.enqueue(new Uint8Array(bytes));
        } catch (error) {
          controller.error(reason(error));
        }
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Uint8Array>({
      async write(bytes) {
        try {
          await stream.write(bytes);
        } catch (error) {
          throw reason(error);
        }
      },
      close: () => stream.closeWrite(),
      abort: () => this.close(),
    });
  }

  /**
   * Resolves once the service has taken the connection; rejects with
   * `service.refused`, `service.no_port` or `service.timeout` when it did not. A
   * program that does not ask need not handle the rejection.
   */
  get opened(): Promise<void> {
    return this.#stream.opened;
  }

  /** Give up both directions. Harmless when both have ended. */
  close(): void {
    this.#listening?.[Symbol.dispose]();
    this.#stream.abort();
  }

  /** The same as {@linkcode close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
