import { UnreachableError } from "../../lib/base/errors.ts";
import type { GatewayStream } from "../../lib/http/gateway.ts";

/** What a writer may be ahead of its reader, bytes. */
const WINDOW_BYTES = 64 * 1024;

/** One direction: bytes in order, an end, backpressure. */
class Pipe {
  #chunks: Uint8Array[] = [];
  #held = 0;
  #isEnded = false;
  #error: Error | undefined;
  #changed = Promise.withResolvers<void>();

  fail(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    this.#chunks.push(bytes.slice());
    this.#held += bytes.length;
    this.#wake();
    while (this.#held > WINDOW_BYTES) {
      if (this.#error !== undefined) throw this.#error;
      await this.#changed.promise;
    }
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#held -= chunk.length;
        this.#wake();
        return chunk;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#isEnded) return undefined;
      await this.#changed.promise;
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** One end of a stream in memory; tests hold the service's. */
export class PairEnd implements GatewayStream {
  readonly #in: Pipe;
  readonly #out: Pipe;
  readonly #opened = Promise.withResolvers<void>();
  readonly #aborted = Promise.withResolvers<void>();
  #isAborted = false;
  #isReset = false;
  #hasLeft = false;

  constructor(into: Pipe, out: Pipe) {
    this.#in = into;
    this.#out = out;
    this.opened.catch(() => {});
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Whether it was given up after an end of its own. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Whether this end was given up. */
  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** Resolves once this end was given up. */
  get aborted(): Promise<void> {
    return this.#aborted.promise;
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#in.read();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#out.write(bytes);
  }

  closeWrite(): Promise<void> {
    this.#out.end();
    return Promise.resolve();
  }

  leave(): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#isReset = true;
    this.#hasLeft = true;
    this.#aborted.resolve();
    this.#out.end();
    this.#in.fail(
      new UnreachableError("service.unreachable", "The stream ended"),
    );
  }

  abort(): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#aborted.resolve();
    this.reset(new UnreachableError("service.unreachable", "The stream ended"));
  }

  /** Fail both directions, as a reset by the other side does. */
  reset(error: Error): void {
    if (this.#isReset) return;
    this.#isReset = true;
    this.#in.fail(error);
    this.#out.fail(error);
  }

  /** The target has accepted. */
  open(): void {
    this.#opened.resolve();
  }

  /** The target has refused. */
  refuse(error: Error): void {
    this.#opened.reject(error);
    this.reset(error);
  }
}

/** Two ends: the client's, and the service's. */
export function streamPair(): { client: PairEnd; service: PairEnd } {
  const up = new Pipe();
  const down = new Pipe();
  return {
    client: new PairEnd(down, up),
    service: new PairEnd(up, down),
  };
}
