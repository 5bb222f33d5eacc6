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
import { type Clock, deadline, raceSignal, sleep } from "../base/clock.ts";
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import { onAbort } from "../base/on_abort.ts";
import { parseAnonHost } from "./anon_host.ts";
import { type ByteSource, streamSource } from "./byte_source.ts";
import { wantsKeepAlive } from "./forward.ts";
import type { GatewayStream } from "./gateway.ts";
import {
  endToEndFields,
  fieldOptions,
  formatHead,
  httpField,
  readHead,
} from "./head.ts";
import { readBody } from "./incoming_body.ts";
import { latin1Bytes } from "./latin1.ts";
import { type OutgoingBody, writeMessage } from "./outgoing_body.ts";
import { decodeRequestHead, type RequestHead } from "./request.ts";
import {
  type ErrorHandler,
  formatAnswer,
  SiteAnswers,
  type SiteHandler,
} from "./site_answer.ts";

/** How long a client may take for the head of a request, ms. */
export const SITE_HEAD_MS = 20_000;
/** How long a connection may wait for its next request, ms. */
export const SITE_KEEP_ALIVE_MS = 75_000;
/** Tuning: how often to look whether an answer has been confirmed, ms. */
const CONFIRMED_LOOK_MS = 100;

/** What a site is made of. */
export interface SiteOptions {
  readonly clock: Clock;
  /** The service's host name, for the URLs of requests. */
  readonly host: () => string;
  readonly handler: SiteHandler;
  /** Answers where the handler fails. Default: a bare 500, and `onFault` hears of it. */
  readonly onError?: ErrorHandler | undefined;
  /** Hears of what is wrong with the site itself; a visitor who leaves is not. */
  readonly onFault: (error: unknown) => void;
}

/** A stream of a visitor, as a site sees it; that of a session is one. */
export interface SiteStream extends GatewayStream {
  /** Tell the visitor that the stream has been taken. */
  accept(): void;
  /** Resolves when the stream is over; never rejects. */
  readonly closed: Promise<unknown>;
  /**
   * Bytes written that the visitor's side has not confirmed; a stream that cannot
   * tell has none.
   */
  readonly unconfirmedBytes?: number;
}

/**
 * Serve a site on one virtual port. What it returns serves one stream.
 *
 * @throws {UnreachableError} `site.body_failed` where an answer breaks off, so that the
 * caller resets the stream.
 */
export function siteTarget(
  port: number,
  options: SiteOptions,
): (stream: SiteStream, signal: AbortSignal) => Promise<void> {
  return async (stream, signal) => {
    stream.accept();
    using visit = new SiteConnection(stream, port, options, signal);
    try {
      await visit.serve();
    } catch (error) {
      if (!visit.isOver) throw error;
    }
  };
}

/** What stands in the way of an answer, and what the visitor is told. */
interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly allow?: string;
}

const BAD_REQUEST: Refusal = { status: 400, reason: "Bad Request" };
const NOT_ALLOWED: Refusal = {
  status: 405,
  reason: "Method Not Allowed",
  allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
};
/** Methods that no `Request` can have (Fetch §2.2.1). */
const FORBIDDEN_METHODS = new Set(["CONNECT", "TRACE", "TRACK"]);

/** Why the handlers of `fetch` cannot be given a request, if they cannot. */
function refusalOf({ method, target, body }: RequestHead): Refusal | undefined {
  const isForbidden = FORBIDDEN_METHODS.has(method.toUpperCase());
  if (target.type === "authority" || isForbidden) return NOT_ALLOWED;
  const isBodiless = method === "GET" || method === "HEAD";
  return isBodiless && body.type !== "none" ? BAD_REQUEST : undefined;
}

/** What becomes of a connection after a request; `refuse` for one that was broken. */
type Fate = "close" | "keep-alive" | "refuse";

/** One connection of a visitor. */
class SiteConnection implements Disposable {
  readonly #stream: SiteStream;
  readonly #source: ByteSource;
  readonly #port: number;
  readonly #options: SiteOptions;
  readonly #answers: SiteAnswers;
  /** Aborts when the visitor is gone, or the service stops. */
  readonly #over = new AbortController();
  readonly #stopping: Disposable;
  /** Bytes of all answers so far. */
  #written = 0;
  #isUnreadable = false;

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
    this.#answers = new SiteAnswers(options);
    this.#stopping = onAbort(stop, (reason) => this.#over.abort(reason));
    stream.closed.then(() => this.#over.abort());
  }

  /** Whether the visitor is gone, or the service stops: then no failure is news. */
  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Whether what fails now does so because of the visitor, who is gone or sent a broken body. */
  get #isVisitorsFault(): boolean {
    return this.isOver || this.#isUnreadable;
  }

  [Symbol.dispose](): void {
    this.#stopping[Symbol.dispose]();
  }

  async serve(): Promise<void> {
    let waitMs = SITE_HEAD_MS;
    for (;;) {
      let head: RequestHead | undefined;
      try {
        head = await this.#readHead(waitMs);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return await this.#refuse(BAD_REQUEST);
      }
      if (head === undefined) return await this.#stream.closeWrite();
      const refusal = refusalOf(head);
      if (refusal !== undefined) return await this.#refuse(refusal);
      const fate = await this.#answer(head);
      if (fate === "refuse") return await this.#refuse(BAD_REQUEST);
      if (fate === "close") return await this.#stream.closeWrite();
      waitMs = SITE_KEEP_ALIVE_MS;
    }
  }

  /** @returns `undefined` when there is none, and no visitor to be told. */
  async #readHead(waitMs: number): Promise<RequestHead | undefined> {
    const source = this.#source;
    const { clock } = this.#options;
    const tooSlow = () => new ProtocolError("http.timeout", "Took too long");
    if (source.bytes.length === 0) {
      using wait = deadline(clock, waitMs, tooSlow, this.#over.signal);
      try {
        if (!await raceSignal(source.more(), wait.signal)) return undefined;
      } catch {
        return undefined; // silent, or gone
      }
    }
    using limit = deadline(clock, SITE_HEAD_MS, tooSlow, this.#over.signal);
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

  async #answer(head: RequestHead): Promise<Fate> {
    const completed = Promise.withResolvers<void>();
    completed.promise.catch(() => {});
    try {
      const fate = await this.#carryOut(head, completed.promise);
      if (fate === "refuse") completed.reject(brokenOff(undefined));
      else this.#whenConfirmed(this.#written, completed);
      return fate;
    } catch (error) {
      completed.reject(error);
      throw error;
    }
  }

  async #carryOut(head: RequestHead, completed: Promise<void>): Promise<Fate> {
    // Of this request alone: what it aborts must not hear of the next ones.
    const asked = new AbortController();
    using _listening = onAbort(
      this.#over.signal,
      (reason) => asked.abort(reason),
    );
    let isBodyRead = head.body.type === "none";
    const request = this.#requestOf(head, asked.signal, () => {
      isBodyRead = true;
    });
    const answer = await this.#answers.to(
      request,
      { completed },
      () => this.#isVisitorsFault,
    );
    if (answer === undefined) {
      this.#over.signal.throwIfAborted();
      return "refuse";
    }
    const { response, body } = answer;
    // Where its body was not read, the next request begins somewhere unknown.
    const isLast = !isBodyRead || !wantsKeepAlive(head) ||
      (body.length.type === "chunked" && head.version === "1.0");
    const fate = isLast ? "close" : "keep-alive";
    // HTTP/1.0 knows no chunks: there the end of the stream ends the body.
    const framed: OutgoingBody =
      head.version === "1.0" && body.length.type === "chunked"
        ? { ...body, length: { type: "close" } }
        : body;
    const text = formatAnswer(response, head, body, fate);
    const sent = await writeMessage(this.#counted, text, framed, asked.signal);
    if (sent.type === "failed") this.#breakOff(sent.error);
    return fate;
  }

  /** The stream, for an answer: its bytes are counted. */
  get #counted(): Pick<SiteStream, "write"> {
    return {
      write: (bytes) => {
        this.#written += bytes.length;
        return this.#stream.write(bytes);
      },
    };
  }

  /** Settle `completed` once so many bytes are confirmed, or never will be. */
  async #whenConfirmed(
    bytes: number,
    { resolve, reject }: PromiseWithResolvers<void>,
  ): Promise<void> {
    const { clock } = this.#options;
    let isOver = false;
    this.#stream.closed.then(() => isOver = true);
    for (;;) {
      const { unconfirmedBytes = 0 } = this.#stream;
      if (this.#written - unconfirmedBytes >= bytes) return resolve();
      if (isOver) return reject(brokenOff(undefined));
      await sleep(clock, CONFIRMED_LOOK_MS, { keepAlive: false });
    }
  }

  /** A visitor must not take a part of an answer for the whole. */
  #breakOff(error: unknown): never {
    if (!this.#isVisitorsFault) this.#options.onFault(error);
    throw brokenOff(error);
  }

  #requestOf(
    { method, target, fields, body, version }: RequestHead,
    signal: AbortSignal,
    onBodyRead: () => void,
  ): Request {
    const headers = new Headers();
    for (const { name, value } of endToEndFields(fields)) {
      headers.append(name, value);
    }
    const wantsContinue = version === "1.1" &&
      fieldOptions(fields, "expect").includes("100-continue");
    const stream = body.type === "none" ? null : readBody(this.#source, body, {
      onStart: async () => {
        if (!wantsContinue) return;
        await this.#stream.write(latin1Bytes(CONTINUE));
      },
      onEnd: onBodyRead,
      onBroken: (error) => {
        if (error instanceof ProtocolError) this.#isUnreadable = true;
        else if (error !== undefined) this.#over.abort();
      },
    }, signal);
    const path = target.type === "authority" ? "/" : target.path;
    const url = this.#urlOf(path, headers);
    return new Request(url, { method, headers, body: stream, signal });
  }

  /** Names in front of the address are the site's to tell apart; others are not ours. */
  #urlOf(path: string, headers: Headers): string {
    const host = this.#options.host();
    const named = hostNamed(headers.get("host") ?? "");
    const isOurs = named === host || named?.endsWith(`.${host}`);
    const port = this.#port === 80 ? "" : `:${this.#port}`;
    const rest = path.startsWith("/") ? path : `/${path}`;
    return `http://${isOurs ? named : host}${port}${rest}`;
  }

  async #refuse({ status, reason, allow }: Refusal): Promise<void> {
    const text = latin1Bytes(`${reason}\n`);
    const head = formatHead(`HTTP/1.1 ${status} ${reason}`, [
      ...allow === undefined ? [] : [httpField("Allow", allow)],
      httpField("Content-Type", "text/plain"),
      httpField("Content-Length", String(text.length)),
      httpField("Connection", "close"),
    ]);
    await this.#stream.write(latin1Bytes(head));
    await this.#stream.write(text);
    await this.#stream.closeWrite();
  }
}

function brokenOff(cause: unknown): UnreachableError {
  return new UnreachableError(
    "site.body_failed",
    "Cannot send the rest of an answer: its body has failed",
    { cause },
  );
}

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** The host of a `Host` field that can be part of a URL; `undefined` for all else. */
function hostNamed(field: string): string | undefined {
  const [host = ""] = field.split(":");
  try {
    return parseAnonHost(host);
  } catch {
    return undefined;
  }
}
