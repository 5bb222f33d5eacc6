/**
 * What a site answers: the response of its handler, or what stands in for one that
 * the handler did not give.
 *
 *     handler(Request) ─▶ Response, whose body begins well ─▶ answer
 *            └─ fails ─▶ onError(error) ─▶ Response ────────▶ answer
 *                              └─ fails, or there is none ──▶ 500
 *
 * @see protocol §9.5 "Library"
 * @module
 */
import type { Clock } from "../base/clock.ts";
import {
  endToEndFields,
  formatHead,
  type HttpField,
  httpField,
} from "./head.ts";
import { measureBody, NO_BODY, type OutgoingBody } from "./outgoing_body.ts";
import type { RequestHead } from "./request.ts";

/**
 * Tuning: how long the head of an answer waits for the first byte of its body, ms. A
 * body that fails before makes a 500 of it; a page that is silent at first must not
 * keep its visitor waiting for the head.
 */
export const FIRST_BYTE_MS = 100;

/** What a handler learns of a request beside the request itself. */
export interface SiteRequestInfo {
  /**
   * Resolves once the visitor's side has confirmed every byte of the answer; rejects
   * where the answer breaks off. A handler need not listen.
   */
  readonly completed: Promise<void>;
}

/** Answers requests to a site. */
export type SiteHandler = (
  request: Request,
  info: SiteRequestInfo,
) => Response | Promise<Response>;

/** Answers a request whose handler has failed, as that of `Deno.serve` does. */
export type ErrorHandler = (error: unknown) => Response | Promise<Response>;

/** A response, and its body as far as it has been read. */
export interface SiteAnswer {
  readonly response: Response;
  readonly body: OutgoingBody;
}

/** What answers come from. */
export interface SiteAnswersOptions {
  readonly clock: Clock;
  readonly handler: SiteHandler;
  readonly onError?: ErrorHandler | undefined;
  /** Hears of failures that `onError` does not take. */
  readonly onFault: (error: unknown) => void;
}

/** The answers of one site. */
export class SiteAnswers {
  readonly #options: SiteAnswersOptions;

  constructor(options: SiteAnswersOptions) {
    this.#options = options;
  }

  /**
   * Answer a request. Never rejects.
   *
   * @param info For the handler.
   * @param isVisitorsFault Whether a handler that fails now does so because of its
   * visitor, who is gone or sent a broken body: then there is no answer.
   */
  async to(
    request: Request,
    info: SiteRequestInfo,
    isVisitorsFault: () => boolean,
  ): Promise<SiteAnswer | undefined> {
    const { handler, onError, onFault } = this.#options;
    const { method } = request;
    try {
      return await this.#prepare(await handler(request, info), method);
    } catch (error) {
      if (isVisitorsFault()) return undefined;
      try {
        if (onError === undefined) throw error;
        return await this.#prepare(await onError(error), method);
      } catch (error) {
        onFault(error);
        return await this.#prepare(bareAnswer(), method);
      }
    }
  }

  /** @throws what the body fails with at once; {@linkcode TypeError} for no response. */
  async #prepare(response: Response, method: string): Promise<SiteAnswer> {
    checkResponse(response);
    if (method === "HEAD" || !mayHaveBody(response.status)) {
      await response.body?.cancel();
      return { response, body: NO_BODY };
    }
    if (response.body === null) return { response, body: NO_BODY };
    const { clock } = this.#options;
    const body = await measureBody(response.body, {
      clock,
      firstByteMs: FIRST_BYTE_MS,
    });
    const said = response.headers.get("content-length");
    return { response, body: said === null ? body : ofLength(said, body) };
  }
}

/**
 * A body as long as its response says. What comes by and by is counted where it is
 * sent.
 *
 * @throws {TypeError} for a length that is none, or that a body which is there as a
 * whole has not.
 */
function ofLength(said: string, body: OutgoingBody): OutgoingBody {
  const bytes = /^[0-9]{1,15}$/.test(said) ? Number(said) : NaN;
  const isRight = body.length.type === "length"
    ? body.length.bytes === bytes
    : body.length.type === "none"
    ? bytes === 0
    : Number.isFinite(bytes);
  if (isRight) {
    return body.length.type === "chunked"
      ? { ...body, length: { type: "length", bytes } }
      : body;
  }
  throw new TypeError(
    `Cannot answer: the body has not the ${said.slice(0, 20)} bytes that its ` +
      "Content-Length says",
  );
}

function checkResponse(response: unknown): void {
  if (!(response instanceof Response)) {
    throw new TypeError("Cannot answer: the handler returned no Response");
  }
  if (response.bodyUsed || response.body?.locked) {
    throw new TypeError("Cannot answer: the body of the Response was used");
  }
  if (response.status < 200) { // of Response.error(), and of an upgrade
    throw new TypeError("Cannot answer: the Response has no final status");
  }
}

function bareAnswer(): Response {
  return new Response("Internal Server Error\n", { status: 500 });
}

function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

/** Fields that say where the body ends are ours to write. */
const FRAMING = new Set(["content-length", "transfer-encoding"]);

/** The head of an answer. */
export function formatAnswer(
  response: Response,
  { method, version }: RequestHead,
  { length }: OutgoingBody,
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
