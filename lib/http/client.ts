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
 * @see protocol §8.4 "HTTP"
 * @module
 */
import type { Clock } from "../base/clock.ts";
import {
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";
import { checkPort, parseAnonHost } from "./anon_host.ts";
import type { ByteSource } from "./byte_source.ts";
import type { Gateway, GatewayTarget } from "./gateway.ts";
import { type AbsoluteRequest, canRetry, formatRequest } from "./forward.ts";
import { httpField, readHead } from "./head.ts";
import { decodeResponseHead, type ResponseHead } from "./response.ts";
import { Upstream, UpstreamPool } from "./upstream.ts";
import { latin1Bytes } from "./latin1.ts";
import {
  measureBody,
  type MeasuredBody,
  NO_BODY,
  readBody,
  writeBody,
} from "./streams.ts";

/** Redirects that are followed (Fetch §4.4). */
const MAX_REDIRECTS = 20;
/** Interim responses to one request. Against a service that sends them for ever. */
const MAX_INTERIM_RESPONSES = 16;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Statuses that never have a body (Fetch §2.2.3). */
const BODILESS = new Set([204, 205, 304]);
/** Fields that another host must not get (Fetch §4.4). */
const PRIVATE_FIELDS = ["authorization", "cookie", "proxy-authorization"];

/** One request as it goes out. */
interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: MeasuredBody;
}

/** What a client is made of. */
export interface HttpClientOptions {
  readonly gateway: Gateway;
  readonly clock: Clock;
}

/** Fetches from services, over connections that are used again. */
export class HttpClient implements Disposable {
  readonly #gateway: Gateway;
  readonly #pool: UpstreamPool;

  constructor({ gateway, clock }: HttpClientOptions) {
    this.#gateway = gateway;
    this.#pool = new UpstreamPool(clock);
  }

  /**
   * Carry out a request, as the `fetch` of browsers does.
   *
   * @param isolation Isolation key; see {@linkcode GatewayTarget}.
   * @throws {ConfigError} `http.scheme` for anything but `http:`;
   * `service.address_*` for a mistyped address.
   * @throws {ProtocolError} `proxy.not_anon` for other hosts.
   * @throws {UnreachableError} `service.*`, `http.redirects`.
   * @throws the reason of the request's signal.
   */
  async fetch(
    request: Request,
    isolation: string | undefined,
  ): Promise<Response> {
    const { signal, redirect } = request;
    let outgoing: Outgoing = {
      url: new URL(request.url),
      method: request.method,
      headers: new Headers(request.headers),
      body: await measureBody(request.body),
    };
    for (let redirects = 0;; redirects++) {
      const response = await this.#exchange(outgoing, isolation, signal);
      const location = response.headers.get("location");
      if (
        !REDIRECTS.has(response.status) || location === null ||
        redirect === "manual"
      ) return withUrl(response, outgoing.url, redirects);
      await response.body?.cancel();
      if (redirect === "error") throw redirectError("one came, unwanted");
      if (redirects >= MAX_REDIRECTS) throw redirectError("there are too many");
      outgoing = redirected(outgoing, response.status, location);
    }
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }

  async #exchange(
    outgoing: Outgoing,
    isolation: string | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    signal.throwIfAborted();
    const head = headOf(outgoing);
    const { host, port } = head.target;
    const target: GatewayTarget = { host, port, isolation };
    // One that may end at any moment will do for what can be asked again.
    const idle = canRetry(head) ? this.#pool.take(target) : undefined;
    if (idle !== undefined) {
      const exchange = new Exchange(idle, head, outgoing.body, signal);
      try {
        return await exchange.run((upstream) =>
          this.#pool.give(target, upstream)
        );
      } catch (error) {
        if (exchange.wasHeard || signal.aborted) throw error;
      }
    }
    const stream = await this.#gateway.connect(target, { signal });
    const upstream = new Upstream(stream);
    return await new Exchange(upstream, head, outgoing.body, signal)
      .run((upstream) => this.#pool.give(target, upstream));
  }
}

/** One request and its response, on one connection. */
class Exchange {
  readonly #upstream: Upstream;
  readonly #head: AbsoluteRequest;
  readonly #body: MeasuredBody;
  readonly #signal: AbortSignal;
  #wasHeard = false;
  #isSent = false;

  constructor(
    upstream: Upstream,
    head: AbsoluteRequest,
    body: MeasuredBody,
    signal: AbortSignal,
  ) {
    this.#upstream = upstream;
    this.#head = head;
    this.#body = body;
    this.#signal = signal;
  }

  /** Whether the service has sent anything: then the request must not be repeated. */
  get wasHeard(): boolean {
    return this.#wasHeard;
  }

  /** @param onReusable Gets the connection back, if it can carry another request. */
  async run(onReusable: (upstream: Upstream) => void): Promise<Response> {
    const { stream } = this.#upstream;
    const onAbort = () => stream.abort();
    this.#signal.addEventListener("abort", onAbort, { once: true });
    const over = () => this.#signal.removeEventListener("abort", onAbort);
    const broken = () => {
      over();
      stream.abort();
    };
    const finished = (response: ResponseHead) => {
      over();
      if (response.canReuse && this.#isSent) onReusable(this.#upstream);
      else stream.abort();
    };
    try {
      this.#signal.throwIfAborted();
      this.#send();
      const head = await this.#readFinalHead();
      return this.#respond(head, () => finished(head), broken);
    } catch (error) {
      broken();
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  /** Not waited for: a service may answer before it has read all. */
  async #send(): Promise<void> {
    const { stream } = this.#upstream;
    try {
      await stream.write(latin1Bytes(formatRequest(this.#head)));
      await writeBody(stream, this.#body);
      this.#isSent = true;
    } catch (error) {
      // The body's own failure; that of the stream shows where it is read.
      if (this.#body.rest !== undefined) stream.abort();
      await this.#body.rest?.cancel(error).catch(() => {});
    }
  }

  async #readFinalHead(): Promise<ResponseHead> {
    const { source } = this.#upstream;
    for (let count = 0; count <= MAX_INTERIM_RESPONSES; count++) {
      const response = await this.#readHead(source);
      if (response.status >= 200) return response;
      if (response.status === 101) throw badResponse("a change of protocol");
    }
    throw badResponse("interim responses without end");
  }

  async #readHead(source: ByteSource): Promise<ResponseHead> {
    try {
      const head = await readHead(source, "tolerant", async () => {
        const isMore = await source.more();
        if (isMore) this.#wasHeard = true;
        return isMore;
      });
      if (head === undefined) throw badResponse("nothing at all");
      const response = decodeResponseHead(head, this.#head.method);
      source.take(head.length);
      return response;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw badResponse("no HTTP", error);
    }
  }

  #respond(
    head: ResponseHead,
    finished: () => void,
    broken: () => void,
  ): Response {
    const { status, reason } = head;
    const headers = new Headers();
    for (const { name, value } of head.fields) headers.append(name, value);
    const init = { status, statusText: reason, headers };
    if (head.body.type === "none" || BODILESS.has(status)) {
      if (head.body.type === "none") finished();
      else broken();
      return new Response(null, init);
    }
    const body = readBody(
      this.#upstream.source,
      head.body,
      { onEnd: finished, onBroken: broken },
      () => this.#signal.aborted ? this.#signal.reason : undefined,
    );
    return new Response(body, init);
  }
}

/** @throws as {@linkcode HttpClient.fetch}. */
function headOf({ url, method, headers, body }: Outgoing): AbsoluteRequest {
  if (url.protocol !== "http:") {
    throw new ConfigError(
      "http.scheme",
      "Cannot fetch: write http://; the network itself encrypts and proves " +
        "the address",
    );
  }
  const fields = [...headers].filter(([name]) => name !== "upgrade")
    .map(([name, value]) => httpField(name, value));
  if (!headers.has("accept")) fields.push(httpField("Accept", "*/*"));
  const lacksBody = body.length.type === "none";
  if (lacksBody && (method === "POST" || method === "PUT")) {
    fields.push(httpField("Content-Length", "0"));
  }
  return {
    method,
    target: {
      type: "absolute",
      host: parseAnonHost(url.hostname),
      port: checkPort(url.port === "" ? 80 : Number(url.port)),
      path: url.pathname + url.search,
    },
    version: "1.1",
    fields,
    body: body.length,
  };
}

/** The request that a redirect asks for. */
function redirected(
  before: Outgoing,
  status: number,
  location: string,
): Outgoing {
  const url = URL.parse(location, before.url);
  if (url === null) throw redirectError("its address is none");
  const headers = new Headers(before.headers);
  if (url.host !== before.url.host) {
    for (const name of PRIVATE_FIELDS) headers.delete(name);
  }
  const { method } = before;
  const becomesGet = status === 303
    ? method !== "GET" && method !== "HEAD"
    : status < 303 && method === "POST";
  if (becomesGet) {
    for (const name of ["content-type", "content-encoding"]) {
      headers.delete(name);
    }
    return { url, method: "GET", headers, body: NO_BODY };
  }
  if (before.body.rest !== undefined) {
    throw redirectError("the body of the request cannot be sent twice");
  }
  return { url, method, headers, body: before.body };
}

/** What `fetch` promises of a response, and its constructor does not take. */
function withUrl(response: Response, url: URL, redirects: number): Response {
  return Object.defineProperties(response, {
    url: { value: url.href.split("#")[0] },
    redirected: { value: redirects > 0 },
  });
}

function redirectError(why: string): UnreachableError {
  return new UnreachableError(
    "http.redirects",
    `Cannot follow redirect: ${why}`,
  );
}

function badResponse(why: string, cause?: unknown): UnreachableError {
  return new UnreachableError(
    "service.bad_response",
    `Cannot use the response: ${why}`,
    { cause },
  );
}
