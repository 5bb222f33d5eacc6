/**
 * One request of `fetch` and its response, on one connection. Both bodies stream, at
 * the same time if need be.
 *
 *     head, body ─────▶ upstream          fails with what its body fails with
 *     head, body ◀───── upstream          the head ends `run`; the body goes on
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { onAbort } from "../base/on_abort.ts";
import { FetchedResponse } from "./fetched_response.ts";
import { type AbsoluteRequest, formatRequest } from "./forward.ts";
import { readBody } from "./incoming_body.ts";
import { writeMessage } from "./outgoing_body.ts";
import type { OutgoingRequest } from "./redirect.ts";
import type { ResponseHead } from "./response.ts";
import { readResponseHead } from "./response_reader.ts";
import type { Upstream } from "./upstream.ts";

/** Statuses whose responses never have a body (Fetch §2.2.3). */
const BODILESS = new Set([204, 205, 304]);

/** What an exchange takes. */
export interface HttpClientExchangeOptions {
  /** Gives up, until the body of the response has been read. */
  readonly signal: AbortSignal;
  /** The connection can carry another request. */
  readonly onReusable: () => void;
}

/** One request and its response, on one connection. */
export class HttpClientExchange {
  readonly #upstream: Upstream;
  readonly #head: AbsoluteRequest;
  readonly #request: OutgoingRequest;
  readonly #options: HttpClientExchangeOptions;
  /** Aborts when it is over for another reason than its own end. */
  readonly #failing = new AbortController();
  #wasHeard = false;
  #isSent = false;
  #listening: Disposable | undefined;

  constructor(
    upstream: Upstream,
    head: AbsoluteRequest,
    request: OutgoingRequest,
    options: HttpClientExchangeOptions,
  ) {
    this.#upstream = upstream;
    this.#head = head;
    this.#request = request;
    this.#options = options;
  }

  /** Whether the service has sent anything: then the request must not be repeated. */
  get wasHeard(): boolean {
    return this.#wasHeard;
  }

  /**
   * Send the request; resolves with the head of the response.
   *
   * @throws {UnreachableError} `service.bad_response`; what the stream fails with.
   * @throws the signal's reason; what the body of the request fails with.
   */
  async run(): Promise<FetchedResponse> {
    const { signal } = this.#failing;
    this.#listening = onAbort(
      this.#options.signal,
      (reason) => this.#fail(reason),
    );
    try {
      signal.throwIfAborted();
      this.#send(formatRequest(this.#head));
      const head = await readResponseHead(this.#upstream.source, {
        method: this.#head.method,
        isSwitch: () => false,
        onHeard: () => {
          this.#wasHeard = true;
        },
        onInterim() {},
      });
      signal.throwIfAborted();
      return this.#respond(head);
    } catch (error) {
      this.#fail(error);
      throw signal.reason;
    }
  }

  /** Not waited for: a service may answer before it has read all. */
  async #send(head: string): Promise<void> {
    const { stream } = this.#upstream;
    try {
      const { signal } = this.#failing;
      const fate = await writeMessage(stream, head, this.#request.body, signal);
      if (fate.type === "failed") return this.#fail(fate.error);
      this.#isSent = true;
    } catch {
      // A failure of the stream shows where it is read: there may be an answer.
    }
  }

  #respond(head: ResponseHead): FetchedResponse {
    const { url, redirects } = this.#request;
    const { status, reason, fields, body } = head;
    const redirected = redirects > 0;
    const init = { status, reason, fields, url, redirected };
    if (BODILESS.has(status) && body.type !== "none") {
      // What it announces does not exist, or is in the way of the next response.
      const isEmpty = body.type === "length" && body.bytes === 0;
      this.#end(head, { canReuse: isEmpty });
      return new FetchedResponse(null, init);
    }
    if (body.type === "none") {
      this.#end(head, { canReuse: true });
      return new FetchedResponse(null, init);
    }
    const stream = readBody(this.#upstream.source, body, {
      onEnd: () => this.#end(head, { canReuse: true }),
      onBroken: (error) => this.#fail(error),
    }, this.#failing.signal);
    return new FetchedResponse(stream, init);
  }

  /** The response has been read to its end. */
  #end(head: ResponseHead, { canReuse }: { canReuse: boolean }): void {
    this.#listening?.[Symbol.dispose]();
    if (!this.#isSent) return this.#fail(undefined); // the rest is not needed
    if (canReuse && head.canReuse) return this.#options.onReusable();
    this.#failing.abort();
    this.#upstream.stream.leave();
  }

  /** It is over: the connection, and the body that is being sent. */
  #fail(reason: unknown): void {
    this.#listening?.[Symbol.dispose]();
    this.#failing.abort(reason);
    this.#upstream.stream.abort();
  }
}
