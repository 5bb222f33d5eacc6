/**
 * `fetch` for services: requests over streams of the gateway, with the parts that
 * the HTTP proxy is made of.
 *
 *     Request ─▶ idle connection or a new stream ─▶ head, body ─▶ Response
 *        ▲                                                           │
 *        └───────────────── redirect, within .anon ◀─────────────────┘
 *
 * Nothing is decompressed, and no cookies are kept: a program that wants them has
 * them in the headers.
 *
 * @see protocol §8.4 "HTTP", §9.5 "Library"
 * @see {@link https://fetch.spec.whatwg.org/ | Fetch}
 * @module
 */
import { type Clock, raceSignal } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import { checkPort, parseAnonHost } from "./anon_host.ts";
import { HttpClientExchange } from "./client_exchange.ts";
import type { FetchedResponse } from "./fetched_response.ts";
import { type AbsoluteRequest, canRetry } from "./forward.ts";
import { type Gateway, type GatewayTarget, isOutage } from "./gateway.ts";
import { httpField } from "./head.ts";
import {
  measureBody,
  NO_BODY,
  type OutgoingBody,
  wholeBody,
} from "./outgoing_body.ts";
import { followRedirect, type OutgoingRequest } from "./redirect.ts";
import { Upstream, UpstreamPool } from "./upstream.ts";

/** What a client is made of. */
export interface HttpClientOptions {
  readonly gateway: Gateway;
  readonly clock: Clock;
  /** Ends everything: requests reject with its reason. */
  readonly signal: AbortSignal;
}

/** What `fetch` takes beside the request. */
export interface HttpFetchInit extends RequestInit {
  /** Isolation key; see {@linkcode GatewayTarget}. */
  readonly isolation?: string | undefined;
}

/** Fetches from services, over connections that are used again. */
export class HttpClient implements Disposable {
  readonly #gateway: Gateway;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #pool: UpstreamPool;

  constructor({ gateway, clock, signal }: HttpClientOptions) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.#signal = signal;
    this.#pool = new UpstreamPool(clock);
  }

  /**
   * Carry out a request, as the `fetch` of browsers does.
   *
   * @throws {TypeError} for what no `Request` can be, for a URL with a user name or
   * password, and where a redirect asks for a stream to be sent twice.
   * @throws {ConfigError} `http.scheme` for anything but `http:`;
   * `service.address_*` for a mistyped address.
   * @throws {ProtocolError} `proxy.not_anon` for other hosts.
   * @throws {UnreachableError} `service.*`, `http.redirects`.
   * @throws the reason of the request's signal; what the body of the request fails with.
   */
  async fetch(
    input: RequestInfo | URL,
    { isolation, ...init }: HttpFetchInit = {},
  ): Promise<Response> {
    const request = new Request(input, init);
    const signal = AbortSignal.any([request.signal, this.#signal]);
    signal.throwIfAborted();
    const url = new URL(request.url);
    checkAddress(url);
    let outgoing: OutgoingRequest = {
      url,
      method: request.method,
      headers: new Headers(request.headers),
      body: await raceSignal(this.#bodyOf(request, init), signal),
      canRepeat: request.body === null || !isStream(init.body),
      redirects: 0,
    };
    for (;;) {
      const response = await this.#exchange(outgoing, isolation, signal);
      if (request.redirect === "manual") return response;
      const next = await followRedirect(outgoing, response, request.redirect);
      if (next === undefined) return response;
      outgoing = next;
    }
  }

  /** Close the idle connections. */
  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }

  /** What was given as a whole is sent as one; a stream as it comes. */
  async #bodyOf(
    request: Request,
    { body }: RequestInit,
  ): Promise<OutgoingBody> {
    if (request.body === null) return NO_BODY;
    const isGiven = body !== undefined && body !== null;
    if (isGiven && !isStream(body)) return wholeBody(await request.bytes());
    return await measureBody(request.body, {
      clock: this.#clock,
      firstByteMs: 0,
    });
  }

  async #exchange(
    outgoing: OutgoingRequest,
    isolation: string | undefined,
    signal: AbortSignal,
  ): Promise<FetchedResponse> {
    signal.throwIfAborted();
    const head = headOf(outgoing);
    const { host, port } = head.target;
    const target: GatewayTarget = { host, port, isolation };
    const on = (upstream: Upstream) =>
      new HttpClientExchange(upstream, head, outgoing, {
        signal,
        onReusable: () => this.#pool.give(target, upstream),
      });
    // One that may end at any moment will do for what can be asked again.
    const idle = canRetry(head) ? this.#pool.take(target) : undefined;
    if (idle !== undefined) {
      idle.stream.awaitAnswer?.();
      const exchange = on(idle);
      try {
        return await exchange.run();
      } catch (error) {
        const mayRetry = !exchange.wasHeard && !isOutage(error);
        if (!mayRetry || signal.aborted) throw error;
      }
    }
    const stream = await this.#gateway.connect(target, { signal });
    return await on(new Upstream(stream)).run();
  }
}

/** Whether a body comes by and by: it is sent as it comes, and only once. */
function isStream(body: RequestInit["body"]): boolean {
  return typeof body === "object" && body !== null &&
    Symbol.asyncIterator in body;
}

/**
 * Refuse what must not go out, before anything is opened or read.
 *
 * @throws as {@linkcode HttpClient.fetch}.
 */
function checkAddress(url: URL): void {
  if (url.username !== "" || url.password !== "") {
    throw new TypeError(
      "Cannot fetch: the URL has a user name or a password; send them in an " +
        "Authorization header",
    );
  }
  targetOf(url);
}

/** @throws as {@linkcode HttpClient.fetch}. */
function targetOf(url: URL): AbsoluteRequest["target"] {
  if (url.protocol !== "http:") {
    throw new ConfigError(
      "http.scheme",
      "Cannot fetch: write http://; the network itself encrypts and proves " +
        "the address",
    );
  }
  return {
    type: "absolute",
    host: parseAnonHost(url.hostname),
    port: checkPort(url.port === "" ? 80 : Number(url.port)),
    path: url.pathname + url.search,
  };
}

/** @throws as {@linkcode HttpClient.fetch}. */
function headOf(
  { url, method, headers, body }: OutgoingRequest,
): AbsoluteRequest {
  const fields = [...headers].filter(([name]) => name !== "upgrade")
    .map(([name, value]) => httpField(name, value));
  if (!headers.has("accept")) fields.push(httpField("Accept", "*/*"));
  const lacksBody = body.length.type === "none";
  if (lacksBody && (method === "POST" || method === "PUT")) {
    fields.push(httpField("Content-Length", "0"));
  }
  const target = targetOf(url);
  return { method, target, version: "1.1", fields, body: body.length };
}
