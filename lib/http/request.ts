/**
 * Heads of HTTP/1 requests, read so strictly that no second reader can take them
 * for something else.
 *
 *     GET http://<address>.anon/path HTTP/1.1     absolute: to be forwarded
 *     CONNECT <address>.anon:443 HTTP/1.1         authority: to be tunnelled
 *     GET /proxy.pac HTTP/1.1                     origin: for the proxy itself
 *
 * @see protocol §8.4 "HTTP"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112#section-3 | RFC 9112 §3}
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { checkPort } from "./anon_host.ts";
import { type BodyLength, parseContentLength } from "./body.ts";
import {
  fieldValues,
  headLines,
  type HttpField,
  isToken,
  parseFields,
} from "./head.ts";

/** A host and a port as a request names them; not checked to be a service's. */
export interface HttpAuthority {
  /** As it was sent; an IPv6 address has its brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** What a request is for. */
export type RequestTarget =
  | (HttpAuthority & {
    readonly type: "absolute";
    /** Path and query, or `*`. */
    readonly path: string;
  })
  | (HttpAuthority & { readonly type: "authority" })
  | {
    readonly type: "origin";
    /** Path and query, or `*`. */
    readonly path: string;
    /** Value of the `Host` field; empty when there is none. */
    readonly hostField: string;
  };

/** The head of a request. */
export interface RequestHead {
  /** A token; methods are case-sensitive. */
  readonly method: string;
  readonly target: RequestTarget;
  readonly version: "1.0" | "1.1";
  readonly fields: readonly HttpField[];
  readonly body: BodyLength;
}

const REQUEST_LINE = /^([^ ]+) ([^ ]+) HTTP\/([0-9])\.([0-9])$/;
const ABSOLUTE = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([^#]*)$/;
const AUTHORITY = /^(\[[0-9a-fA-F:.]+\]|[^:@[\]\\]+)(?::([0-9]{1,9}))?$/;
const HTTP_PORT = 80;

/**
 * Read a head that `HeadScanner("strict")` found whole.
 *
 * @throws {ProtocolError} `http.request_line`, `http.version`, `http.method`,
 * `http.target`, `http.scheme`, `http.host`, `http.field`, `http.folded`,
 * `http.content_length`, `http.transfer_encoding`, `proxy.port`.
 */
export function decodeRequestHead(head: Uint8Array): RequestHead {
  const [requestLine = "", ...lines] = headLines(head);
  const parts = REQUEST_LINE.exec(requestLine);
  if (parts === null) throw broken("request_line", "bad request line");
  const [, method = "", targetText = "", major, minor] = parts;
  if (!isToken(method)) throw broken("request_line", "bad method");
  if (major !== "1" || (minor !== "0" && minor !== "1")) {
    throw broken("version", "unknown version");
  }
  const version = `1.${minor}` as const;
  const fields = parseFields(lines, "strict");
  const target = parseTarget(method, targetText, hostOf(fields, version));
  const body = requestBody(fields, version);
  if (target.type === "authority" && body.type !== "none") {
    // What follows a CONNECT belongs to the tunnel: a body could be read as either.
    throw broken("content_length", "a tunnel with a body");
  }
  return { method, target, version, fields, body };
}

/** The `Host` field; `undefined` when there is none, which only HTTP/1.0 may do. */
function hostOf(
  fields: readonly HttpField[],
  version: "1.0" | "1.1",
): string | undefined {
  const values = fieldValues(fields, "host");
  if (values.length > 1 || (values.length === 0 && version === "1.1")) {
    throw broken("host", "not one host");
  }
  return values[0];
}

function parseTarget(
  method: string,
  text: string,
  hostField: string | undefined,
): RequestTarget {
  if (method === "CONNECT") {
    const authority = parseAuthority(text);
    if (authority?.port === undefined) throw broken("target", "bad target");
    const { host, port } = authority;
    checkAgreement({ host, port }, hostField, port);
    return { type: "authority", host, port };
  }
  if (text.startsWith("/") || text === "*") {
    return { type: "origin", path: text, hostField: hostField ?? "" };
  }
  const [, scheme = "", authorityText = "", rest = ""] = ABSOLUTE.exec(text) ??
    [];
  if (scheme === "") throw broken("target", "bad target");
  if (scheme.toLowerCase() !== "http") throw broken("scheme", "not http");
  const authority = parseAuthority(authorityText);
  if (authority === undefined) throw broken("target", "bad authority");
  const { host, port = HTTP_PORT } = authority;
  checkAgreement({ host, port }, hostField, HTTP_PORT);
  return { type: "absolute", host, port, path: pathOf(method, rest) };
}

/** RFC 9112 §3.2.4: `OPTIONS` of a whole server has no path. */
function pathOf(method: string, rest: string): string {
  if (rest.startsWith("/")) return rest;
  return rest === "" && method === "OPTIONS" ? "*" : `/${rest}`;
}

function parseAuthority(
  text: string,
): { readonly host: string; readonly port: number | undefined } | undefined {
  const [, host, port] = AUTHORITY.exec(text) ?? [];
  if (host === undefined) return undefined;
  return { host, port: port === undefined ? port : checkPort(Number(port)) };
}

/**
 * Refuse a `Host` field that names another host than the target: we would go by
 * one, and a log or filter on the way by the other.
 */
function checkAgreement(
  target: HttpAuthority,
  hostField: string | undefined,
  defaultPort: number,
): void {
  if (hostField === undefined) return;
  const named = parseAuthority(hostField);
  const isSame = named?.host.toLowerCase() === target.host.toLowerCase() &&
    (named.port ?? defaultPort) === target.port;
  if (!isSame) throw broken("host", "host and target differ");
}

function requestBody(
  fields: readonly HttpField[],
  version: "1.0" | "1.1",
): BodyLength {
  const codings = fieldValues(fields, "transfer-encoding");
  const lengths = fieldValues(fields, "content-length");
  if (codings.length > 0) {
    const isChunked = codings.length === 1 &&
      codings[0]?.toLowerCase() === "chunked";
    if (!isChunked || version === "1.0" || lengths.length > 0) {
      throw broken("transfer_encoding", "ambiguous length of body");
    }
    return { type: "chunked" };
  }
  if (lengths.length === 0) return { type: "none" };
  const bytes = parseContentLength(lengths);
  return bytes === 0 ? { type: "none" } : { type: "length", bytes };
}

function broken(code: string, why: string): ProtocolError {
  return new ProtocolError(`http.${code}`, `Cannot read request: ${why}`);
}
