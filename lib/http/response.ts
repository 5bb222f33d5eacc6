/**
 * Heads of HTTP/1 responses. Services send all sorts of things; what is harmless
 * is mended, what could be read in two ways is refused.
 *
 *     HTTP/1.1 200 OK
 *
 * @see protocol §8.4 "HTTP"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112#section-6.3 | RFC 9112 §4, §6.3}
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { type BodyLength, parseContentLength } from "./body.ts";
import {
  fieldOptions,
  fieldValues,
  headLines,
  type HttpField,
  parseFields,
} from "./head.ts";

/** The head of a response. */
export interface ResponseHead {
  /** 100 to 599. */
  readonly status: number;
  /** May be empty. */
  readonly reason: string;
  readonly fields: readonly HttpField[];
  readonly body: BodyLength;
  /** Whether the connection may carry another request afterwards. */
  readonly canReuse: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([0-9]) ([1-5][0-9]{2})(?: (.*))?$/;

/**
 * Read a head that `HeadScanner("tolerant")` found whole.
 *
 * @param method Of the request: it decides whether there is a body.
 * @throws {ProtocolError} `http.status_line`, `http.field`, `http.folded`,
 * `http.content_length`, `http.transfer_encoding`, and `http.status` for a 407,
 * which is not a service's to send: it would make a browser ask its user for the
 * password of this proxy.
 */
export function decodeResponseHead(
  head: Uint8Array,
  method: string,
): ResponseHead {
  const [statusLine = "", ...lines] = headLines(head);
  const [, minor, statusText, reason = ""] = STATUS_LINE.exec(statusLine) ?? [];
  if (statusText === undefined) throw broken("status_line", "bad status line");
  const status = Number(statusText);
  if (status === 407) throw broken("status", "a service asks for our password");
  const fields = parseFields(lines, "tolerant");
  const body = responseBody(status, method, fields);
  const canReuse = minor !== "0" && body.type !== "close" &&
    !fieldOptions(fields, "connection").includes("close") &&
    // Both lengths at once: the service is confused, and we had better not be.
    !(fields.some(({ key }) => key === "content-length") &&
      fields.some(({ key }) => key === "transfer-encoding"));
  return { status, reason, fields, body, canReuse };
}

/** RFC 9112 §6.3, in its order. */
function responseBody(
  status: number,
  method: string,
  fields: readonly HttpField[],
): BodyLength {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) {
    return { type: "none" };
  }
  const codings = fieldOptions(fields, "transfer-encoding");
  if (codings.length > 0) {
    if (codings.length === 1 && codings[0] === "chunked") {
      return { type: "chunked" };
    }
    if (codings.length === 1 && codings[0] === "identity") {
      return { type: "close" };
    }
    throw broken("transfer_encoding", "unknown transfer coding");
  }
  const lengths = new Set(fieldValues(fields, "content-length"));
  if (lengths.size === 0) return { type: "close" };
  return { type: "length", bytes: parseContentLength([...lengths]) };
}

function broken(code: string, why: string): ProtocolError {
  return new ProtocolError(`http.${code}`, `Cannot read response: ${why}`);
}
