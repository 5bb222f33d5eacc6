/**
 * A site from a function: HTTP/1.1 over the streams of a service, read as strictly
 * as the proxy reads its clients. No local socket is involved.
 *
 *     stream ─▶ head, body ─▶ handler(Request) ─▶ Response ─▶ head, body ─▶ stream
 *       ▲                                                          │
 *       └───────────────────── the next request ◀──────────────────┘
 *
 * @see protocol §7.7 "Behind the service", §8.4 "HTTP"
 * @module
 */
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { type ByteSource, streamSource } from "./byte_source.ts";
import { wantsKeepAlive } from "./forward.ts";
import {
  endToEndFields,
  fieldOptions,
  formatHead,
  type HttpField,
  httpField,
  readHead,
} from "./head.ts";
import { decodeRequestHead, type RequestHead } from "./request.ts";
import { latin1Bytes } from "./latin1.ts";
import {
  measureBody,
  type MeasuredBody,
  NO_BODY,
  readBody,
  writeBody,
} from "./streams.ts";
import type { GatewayStream } from "./gateway.ts";

/** How long a client may take for the head of a request, ms. */
export const SITE_HEAD_MS = 20_000;
/** How long a connection may wait for its next request, ms. */
export const SITE_KEEP_ALIVE_MS = 75_000;

/** Answers requests to a site. */
export type SiteHandler = (request: Request) => Response | Promise<Response>;

/** What a site is made of. */
export interface SiteOptions {
  readonly clock: Clock;
  /** The service's host name, for the URLs of requests. */
  readonly host: () => string;
  readonly handler: SiteHandler;
  /** Hears of handlers that throw; the visitor gets a bare 500. */
  readonly onError: (error: unknown) => void;
}

/** A stream of a visitor, as a site sees it; that of a session is one. */
export interface SiteStream extends GatewayStream {
  /** Tell the visitor that the stream has been taken. */
  accept(): void;
  /** Resolves when the stream is over; never rejects. */
  readonly closed: Promise<unknown>;
}

/** Serve a site on one virtual port. */
export function siteTarget(
  port: number,
  options: SiteOptions,
): (stream: SiteStream, signal: AbortSignal) => Promise<void> {
  return async (stream, signal) => {
    stream.accept();
    const visit = new SiteConnection(stream, port, options, signal);
    try {
      await visit.serve();
    } finally {
      visit[Symbol.dispose]();
    }
  };
}

/** One connection of a visitor. */
class SiteConnection implements Disposable {
  readonly #stream: SiteStream;
  readonly #source: ByteSource;
  readonly #port: number;
  readonly #options: SiteOptions;
  /** Aborts when the visitor is gone, or the service stops. */
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    stream: SiteStream,
    port: number,
    options: SiteOptions,
    stop: AbortSignal,
  ) {
    this.#stream = stream;
    this.#source = streamSource(stream);
    this.#port = port;
    this.#options = options;
    this.#signal = AbortSignal.any([stop, this.#over.signal]);
    stream.closed.then(() => this.#over.abort());
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }

  async serve(): Promise<void> {
    let waitMs = SITE_HEAD_MS;
    for (;;) {
      let head: RequestHead | undefined;
      try {
        head = await this.#readHead(waitMs);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        await this.#sendPlain(400, "Bad Request");
        return await this.#stream.closeWrite();
      }
      if (head === undefined) return await this.#stream.closeWrite();
      const fate = await this.#answer(head);
      if (fate === "close") return await this.#stream.closeWrite();
      waitMs = SITE_KEEP_ALIVE_MS;
    }
  }

  /** @returns `undefined` when there is none, and nobody to be told. */
  async #readHead(waitMs: number): Promise<RequestHead | undefined> {
    const source = this.#source;
    const { clock } = this.#options;
    const tooSlow = () => new ProtocolError("http.timeout", "Took too long");
    if (source.bytes.length === 0) {
      using wait = deadline(clock, waitMs, tooSlow, this.#signal);
      try {
        if (!await raceSignal(source.more(), wait.signal)) return undefined;
      } catch {
        return undefined; // silent, or gone
      }
    }
    using limit = deadline(clock, SITE_HEAD_MS, tooSlow, this.#signal);
    const head = await readHead(
      source,
      "strict",
      () => raceSignal(source.more(), limit.signal),
    );
    if (head === undefined) return undefined;
    const request = decodeRequestHead(head);
    source.take(head.length);
    return request;
  }

  async #answer(head: RequestHead): Promise<"close" | "keep-alive"> {
    let isBodyRead = head.body.type === "none";
    const request = this.#requestOf(head, () => isBodyRead = true);
    if (request === undefined) {
      await this.#sendPlain(405, "Method Not Allowed");
      return "close";
    }
    let response: Response;
    try {
      response = await this.#options.handler(request);
    } catch (error) {
      this.#options.onError(error);
      response = new Response("Internal Server Error\n", { status: 500 });
    }
    const hasBody = head.method !== "HEAD" && mayHaveBody(response.status);
    if (!hasBody) await response.body?.cancel();
    const body = hasBody ? await measureBody(response.body) : NO_BODY;
    // Where its body was not read, nobody knows where the next request begins.
    const isLast = !isBodyRead || !wantsKeepAlive(head) ||
      (body.length.type === "chunked" && head.version === "1.0");
    const fate = isLast ? "close" : "keep-alive";
    await this.#stream.write(
      latin1Bytes(formatAnswer(response, head, body, fate)),
    );
    // HTTP/1.0 knows no chunks: there the end of the stream ends the body.
    await writeBody(
      this.#stream,
      head.version === "1.0" ? { ...body, length: { type: "close" } } : body,
    );
    return fate;
  }

  /** @returns `undefined` for what the handlers of `fetch` cannot be given. */
  #requestOf(head: RequestHead, onBodyRead: () => void): Request | undefined {
    const { method, target, fields, body } = head;
    if (target.type === "authority" || method === "TRACE") return undefined;
    const hasBody = body.type !== "none";
    if (hasBody && (method === "GET" || method === "HEAD")) return undefined;
    const headers = new Headers();
    for (const { name, value } of endToEndFields(fields)) {
      headers.append(name, value);
    }
    const wantsContinue = head.version === "1.1" &&
      fieldOptions(fields, "expect").includes("100-continue");
    const stream = hasBody
      ? readBody(this.#source, body, {
        onStart: async () => {
          if (!wantsContinue) return;
          await this.#stream.write(latin1Bytes(CONTINUE));
        },
        onEnd: onBodyRead,
        onBroken() {},
      })
      : null;
    return new Request(this.#urlOf(target.path, headers), {
      method,
      headers,
      body: stream,
      signal: this.#signal,
    });
  }

  /** Names in front of the address are the site's to tell apart; others are not ours. */
  #urlOf(path: string, headers: Headers): string {
    const host = this.#options.host();
    const [named = ""] = (headers.get("host") ?? "").toLowerCase().split(":");
    const isOurs = named === host || named.endsWith(`.${host}`);
    const port = this.#port === 80 ? "" : `:${this.#port}`;
    const rest = path.startsWith("/") ? path : `/${path}`;
    return `http://${isOurs ? named : host}${port}${rest}`;
  }

  async #sendPlain(status: number, reason: string): Promise<void> {
    const text = latin1Bytes(`${reason}\n`);
    const head = formatHead(`HTTP/1.1 ${status} ${reason}`, [
      httpField("Content-Type", "text/plain"),
      httpField("Content-Length", String(text.length)),
      httpField("Connection", "close"),
    ]);
    await this.#stream.write(latin1Bytes(head));
    await this.#stream.write(text);
  }
}

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

/** Fields that say where the body ends are ours to write. */
const FRAMING = new Set(["content-length", "transfer-encoding"]);

function formatAnswer(
  response: Response,
  { method, version }: RequestHead,
  { length }: MeasuredBody,
  fate: "close" | "keep-alive",
): string {
  const { status, statusText, headers } = response;
  const fields = endToEndFields(
    [...headers].map(([name, value]) => httpField(name, value)),
  ).filter(({ key }) => !FRAMING.has(key));
  const framing: HttpField[] = [];
  const said = headers.get("content-length");
  if (method === "HEAD") {
    if (said !== null) framing.push(httpField("Content-Length", said));
  } else if (!mayHaveBody(status)) {
    // Neither has one, and saying so would be an error.
  } else if (length.type === "length") {
    framing.push(httpField("Content-Length", String(length.bytes)));
  } else if (length.type === "none") {
    framing.push(httpField("Content-Length", "0"));
  } else if (version === "1.1") {
    framing.push(httpField("Transfer-Encoding", "chunked"));
  }
  return formatHead(`HTTP/1.1 ${status} ${statusText}`, [
    ...fields,
    ...framing,
    httpField("Connection", fate),
  ]);
}
