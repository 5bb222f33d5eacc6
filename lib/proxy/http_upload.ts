/**
 * The client's half of an exchange: the body of its request on its way to the
 * service, and then an eye on the client while it waits for the response.
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { type ClientConnection, watchClient } from "./client_connection.ts";
import type { GatewayStream } from "../http/gateway.ts";
import { type BodyLength, createBodyReader } from "../http/body.ts";

/** Who hears of an upload. */
export interface UploadEvents {
  /** Bytes went on to the service. */
  readonly onProgress: () => void;
  /**
   * The client's side failed: it is gone, or broke off, or sent what is no body.
   * A service that takes no more is no such failure: it may have answered.
   */
  readonly onClientError: (error: unknown) => void;
  /** The client has sent its end: it waits for the response, or has closed. */
  readonly onClientEnd: () => void;
}

/** One upload, from `start` until it is disposed of. */
export class HttpUpload implements Disposable {
  readonly #client: ClientConnection;
  readonly #stream: GatewayStream;
  readonly #body: BodyLength;
  readonly #events: UploadEvents;
  #isDone: boolean;
  #isWaitingForClient = false;
  #isStopped = false;
  #watch: Disposable | undefined;

  constructor(
    client: ClientConnection,
    stream: GatewayStream,
    body: BodyLength,
    events: UploadEvents,
  ) {
    this.#client = client;
    this.#stream = stream;
    this.#body = body;
    this.#events = events;
    this.#isDone = body.type === "none";
  }

  /** Whether the whole body has gone on. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether the next step is the client's. */
  get isWaitingForClient(): boolean {
    return this.#isWaitingForClient;
  }

  /** Begin. */
  start(): void {
    this.#run().catch(this.#events.onClientError);
  }

  /** Read no more from the client. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#watch?.[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    if (!this.#isDone && !await this.#sendBody()) return;
    if (this.#isStopped) return;
    this.#isDone = true;
    this.#watch = watchClient(this.#client, (end, cause) => {
      if (end === "closed") this.#events.onClientError(cause);
      else this.#events.onClientEnd();
    });
  }

  /** @returns Whether all of it was sent. */
  async #sendBody(): Promise<boolean> {
    const { source } = this.#client;
    const reader = createBodyReader(this.#body);
    while (!reader.isDone) {
      if (source.bytes.length === 0) {
        this.#isWaitingForClient = true;
        const isMore = await source.more();
        this.#isWaitingForClient = false;
        if (this.#isStopped) return false;
        if (!isMore) reader.end();
      }
      const { bytes } = source;
      const count = reader.take(bytes);
      if (!await this.#write(bytes.subarray(0, count))) return false;
      source.take(count);
      this.#events.onProgress();
    }
    return true;
  }

  /** @returns `false` when the service takes no more. */
  async #write(bytes: Uint8Array): Promise<boolean> {
    try {
      await this.#stream.write(bytes);
      return !this.#isStopped;
    } catch {
      // The response says why, or the read that waits for it does.
      return false;
    }
  }
}
