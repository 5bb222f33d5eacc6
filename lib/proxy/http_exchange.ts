/**
 * One request on its way to a service, and the response on its way back. Both
 * bodies stream, at the same time if need be, and neither is held: the next bytes
 * are read once the last are written.
 *
 *     client ── head, body ──▶ upstream
 *     client ◀── [1xx …] head, body ── upstream
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import { onAbort } from "../base/on_abort.ts";
import { type ClientConnection, isClientGone } from "./client_connection.ts";
import { type Gateway, type GatewayTarget, isOutage } from "../http/gateway.ts";
import { sendResponseBody } from "./http_download.ts";
import {
  type AbsoluteRequest,
  canRetry,
  formatInterim,
  formatRequest,
  formatResponse,
  formatSwitch,
  isSwitch,
  wantsKeepAlive,
} from "../http/forward.ts";
import type { ResponseHead } from "../http/response.ts";
import { readResponseHead } from "../http/response_reader.ts";
import { HttpUpload } from "./http_upload.ts";
import { Upstream, type UpstreamPool } from "../http/upstream.ts";
import { IdleWatch } from "./idle_watch.ts";
import { latin1Bytes } from "../http/latin1.ts";
import { openStream } from "./open_stream.ts";
import { relay, TUNNEL_IDLE_MS } from "./relay.ts";

/**
 * How long nothing may move before the head of the response is there, ms. Long, for
 * pages that answer when something happens.
 */
export const RESPONSE_MS = 5 * 60 * 1000;
/**
 * How long nothing may move once the client has sent its end, ms. A few programs do
 * so and wait for the answer; most have closed, which looks the same until we write.
 */
export const HALF_CLOSED_REQUEST_MS = 10_000;

/** What exchanges share. */
export interface ExchangeOptions {
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly pool: UpstreamPool;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** What becomes of a client's connection after an exchange. */
export type ConnectionFate = "close" | "keep-alive";

/** One request and its response. */
export class HttpExchange {
  readonly #client: ClientConnection;
  readonly #request: AbsoluteRequest;
  readonly #target: GatewayTarget;
  readonly #options: ExchangeOptions;
  #hasAnswered = false;
  #hasHeard = false;
  #hasClientEnded = false;
  /** What ended the exchange, when it was not the service. */
  #failure: unknown;

  constructor(
    client: ClientConnection,
    request: AbsoluteRequest,
    target: GatewayTarget,
    options: ExchangeOptions,
  ) {
    this.#client = client;
    this.#request = request;
    this.#target = target;
    this.#options = options;
  }

  /** Whether the client has part of a response: nothing else can be sent any more. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /**
   * Carry it out.
   *
   * @returns What the client was told of its connection.
   * @throws {AnonNetError} what went wrong, for a page unless `hasAnswered`.
   */
  async run(): Promise<ConnectionFate> {
    const { pool } = this.#options;
    // A connection that may end at any moment is good enough for what can be
    // asked again. Everything else gets one of its own, which costs no waiting.
    const idle = canRetry(this.#request) ? pool.take(this.#target) : undefined;
    if (idle !== undefined) {
      idle.stream.awaitAnswer?.();
      try {
        return await this.#runOn(idle);
      } catch (error) {
        const isStale = !this.#hasHeard && this.#failure === undefined &&
          !isClientGone(error) && !isOutage(error);
        if (!isStale) throw error;
      }
    }
    const { gateway, clock, signal } = this.#options;
    const { generation } = pool;
    const stream = await openStream(this.#client, this.#target, {
      gateway,
      clock,
      signal,
      purpose: "request",
    });
    return await this.#runOn(new Upstream(stream, generation));
  }

  async #runOn(upstream: Upstream): Promise<ConnectionFate> {
    const { stream } = upstream;
    const fail = (error: unknown) => {
      this.#failure ??= error;
      stream.abort();
    };
    const { signal, clock } = this.#options;
    using _stop = onAbort(signal, fail);
    using idle = new IdleWatch(clock, RESPONSE_MS, () => {
      if (this.#hasClientEnded) fail(clientGone());
      else fail(upload.isWaitingForClient ? clientTooSlow() : serviceTooSlow());
    });
    using upload = new HttpUpload(this.#client, stream, this.#request.body, {
      onProgress: () => idle.touch(),
      onClientError: fail,
      onClientEnd: () => {
        this.#hasClientEnded = true;
        idle.set(HALF_CLOSED_REQUEST_MS);
      },
    });
    try {
      await stream.write(latin1Bytes(formatRequest(this.#request)));
      upload.start();
      const response = await this.#readResponse(upstream);
      if (!this.#hasClientEnded) idle.set(TUNNEL_IDLE_MS);
      return await this.#answer(upstream, response, upload, idle);
    } catch (error) {
      stream.abort();
      throw this.#failure ?? error;
    }
  }

  /** The final response; interim ones are passed on. */
  async #readResponse(upstream: Upstream): Promise<ResponseHead> {
    return await readResponseHead(upstream.source, {
      method: this.#request.method,
      isSwitch: (response) => isSwitch(response, this.#request),
      onHeard: () => {
        this.#hasHeard = true;
      },
      onInterim: async (response) => {
        if (this.#request.version !== "1.1") return;
        await this.#client.write(latin1Bytes(formatInterim(response)));
      },
    });
  }

  async #answer(
    upstream: Upstream,
    response: ResponseHead,
    upload: HttpUpload,
    idle: IdleWatch,
  ): Promise<ConnectionFate> {
    const { clock, pool, signal } = this.#options;
    const { stream, source } = upstream;
    if (response.status === 101) {
      // The relay has eyes of its own.
      upload[Symbol.dispose]();
      idle[Symbol.dispose]();
      this.#hasAnswered = true;
      await this.#client.write(latin1Bytes(formatSwitch(response)));
      await relay(this.#client, stream, { clock, signal, fromStream: source });
      return "close";
    }
    // While the body still comes in, its end may never be seen.
    const fate = wantsKeepAlive(this.#request) && upload.isDone
      ? "keep-alive"
      : "close";
    this.#hasAnswered = true;
    await this.#client.write(
      latin1Bytes(formatResponse(response, this.#request, fate)),
    );
    await sendResponseBody(this.#client, source, {
      length: response.body,
      version: this.#request.version,
      onProgress: () => idle.touch(),
    });
    if (!upload.isDone) stream.abort();
    else if (response.canReuse) pool.give(this.#target, upstream);
    else stream.leave();
    return fate;
  }
}

function clientGone(): UnreachableError {
  return new UnreachableError("proxy.client_gone", "The client is gone");
}

function clientTooSlow(): ProtocolError {
  return new ProtocolError("http.timeout", "The request body took too long");
}

function serviceTooSlow(): UnreachableError {
  return new UnreachableError("service.timeout", "The response took too long");
}
