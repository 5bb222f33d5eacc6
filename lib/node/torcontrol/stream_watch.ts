/**
 * Sees the streams of the proxies come and go, for programs at Tor's control port.
 *
 * @module
 */
import type {
  Gateway,
  GatewayStream,
  GatewayTarget,
} from "../../http/gateway.ts";
import type { TorStream } from "../../torcontrol/tor_node.ts";

/** Names a target as programs know it. */
export type TargetName = (target: GatewayTarget) => string;

/** A gateway whose streams are counted. */
export class StreamWatch implements Gateway {
  readonly #gateway: Gateway;
  readonly #nameOf: TargetName;
  readonly #onChange: (stream: TorStream) => void;
  readonly #streams = new Map<number, TorStream>();
  #last = 0;

  /** @param onChange Hears of each stream that comes, succeeds or goes. */
  constructor(
    gateway: Gateway,
    nameOf: TargetName,
    onChange: (stream: TorStream) => void,
  ) {
    this.#gateway = gateway;
    this.#nameOf = nameOf;
    this.#onChange = onChange;
  }

  /** Those that are open, the oldest first. */
  get streams(): readonly TorStream[] {
    return [...this.#streams.values()];
  }

  async connect(
    target: GatewayTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<GatewayStream> {
    const id = ++this.#last;
    const name = this.#nameOf(target);
    const change = (status: TorStream["status"]) => {
      const stream = { id, status, target: name };
      const isOver = status === "CLOSED" || status === "FAILED";
      if (isOver) {
        if (!this.#streams.delete(id)) return;
      } else this.#streams.set(id, stream);
      this.#onChange(stream);
    };
    change("NEW");
    try {
      const stream = await this.#gateway.connect(target, options);
      stream.opened.then(
        () => this.#streams.has(id) && change("SUCCEEDED"),
        () => change("FAILED"),
      );
      return new WatchedStream(stream, () => change("CLOSED"));
    } catch (error) {
      change("FAILED");
      throw error;
    }
  }
}

/** A stream that tells of its end. */
class WatchedStream implements GatewayStream {
  readonly #stream: GatewayStream;
  readonly #onEnd: () => void;
  /** Directions that have not ended. */
  #open = 2;

  constructor(stream: GatewayStream, onEnd: () => void) {
    this.#stream = stream;
    this.#onEnd = onEnd;
  }

  get opened(): Promise<void> {
    return this.#stream.opened;
  }

  async read(): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#stream.read();
      if (bytes === undefined) this.#endOne();
      return bytes;
    } catch (error) {
      this.#onEnd();
      throw error;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#stream.write(bytes);
  }

  awaitAnswer(): void {
    this.#stream.awaitAnswer?.();
  }

  async closeWrite(): Promise<void> {
    this.#endOne();
    await this.#stream.closeWrite();
  }

  leave(): void {
    this.#onEnd();
    this.#stream.leave();
  }

  abort(): void {
    this.#onEnd();
    this.#stream.abort();
  }

  #endOne(): void {
    if (--this.#open === 0) this.#onEnd();
  }
}
