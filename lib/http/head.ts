/**
 * Heads of HTTP/1 messages, and their fields.
 *
 *     start-line CRLF  *( name ":" OWS value OWS CRLF )  CRLF
 *
 * From a client every line must end in CRLF, and nothing may be folded, spaced or
 * spelt in a way that the next reader could take for something else: what two
 * parsers read differently is how requests are smuggled. From a service a bare LF,
 * a folded line and a space before the colon are mended, as RFC 9112 allows; what
 * goes on to the client is written anew.
 *
 * @see protocol §8.4 "HTTP"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112 | RFC 9112 §2 to §5}
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { HeadScanner, type HeadStrictness } from "./head_scanner.ts";
import { latin1Text } from "./latin1.ts";

const TAB = 0x09;
const SPACE = 0x20;

/** `token` of RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Whether text is a token: a method, a field name. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** One header field. */
export interface HttpField {
  /** As it was sent. */
  readonly name: string;
  /** In lower case, to compare with. */
  readonly key: string;
  /** Without white space around it; Latin-1. */
  readonly value: string;
}

/** A field of our own. */
export function httpField(name: string, value: string): HttpField {
  return { name, key: name.toLowerCase(), value };
}

/** The lines of a head that {@linkcode HeadScanner} found whole. */
export function headLines(head: Uint8Array): string[] {
  const lines = latin1Text(head).split(/\r?\n/);
  if (lines[0] === "") lines.shift();
  return lines.slice(0, -2);
}

/**
 * Read field lines.
 *
 * @throws {ProtocolError} `http.folded`, `http.field`.
 */
export function parseFields(
  lines: readonly string[],
  strictness: HeadStrictness,
): HttpField[] {
  const fields: HttpField[] = [];
  for (const line of lines) {
    if (line.startsWith(" ") || line.startsWith("\t")) {
      const last = fields.pop();
      if (strictness === "strict" || last === undefined) {
        throw new ProtocolError("http.folded", "Cannot read head: folded line");
      }
      fields.push({ ...last, value: `${last.value} ${trim(line)}`.trim() });
      continue;
    }
    const colon = line.indexOf(":");
    const before = line.slice(0, Math.max(0, colon));
    const name = strictness === "strict" ? before : trim(before);
    if (colon < 0 || !isToken(name)) {
      throw new ProtocolError("http.field", "Cannot read head: bad field name");
    }
    fields.push(httpField(name, trim(line.slice(colon + 1))));
  }
  return fields;
}

/** Without spaces and tabs around it. In two steps: each looks at a byte once. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(unit: number): boolean {
  return unit === SPACE || unit === TAB;
}

/** Values of all fields with this name, in lower case. */
export function fieldValues(
  fields: readonly HttpField[],
  key: string,
): string[] {
  return fields.filter((field) => field.key === key)
    .map(({ value }) => value);
}

/** Members of comma-separated fields, in lower case: `Connection: close, X-Y`. */
export function fieldOptions(
  fields: readonly HttpField[],
  key: string,
): string[] {
  return fieldValues(fields, key)
    .flatMap((value) => value.split(","))
    .map((option) => trim(option).toLowerCase())
    .filter((option) => option !== "");
}

/** What is between two neighbours and goes no further (RFC 9110 §7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Whether a field is between two neighbours. All that begins with `Proxy-` is: it
 * speaks of this proxy, which alone has to say something of itself.
 */
export function isHopByHop({ key }: Pick<HttpField, "key">): boolean {
  return HOP_BY_HOP.has(key) || key.startsWith("proxy-");
}

/** The fields that go on to the other side. */
export function endToEndFields(fields: readonly HttpField[]): HttpField[] {
  const listed = new Set(fieldOptions(fields, "connection"));
  return fields.filter((field) => !isHopByHop(field) && !listed.has(field.key));
}

/** A head in bytes, as text: the start line and fields, with the empty line. */
export function formatHead(
  startLine: string,
  fields: readonly HttpField[],
): string {
  let text = `${startLine}\r\n`;
  for (const { name, value } of fields) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

/**
 * Wait for a head. It stays in the source: decode it, then take as many bytes.
 *
 * @returns The head, valid until the source's next `more`; `undefined` when the
 * other side ended without a byte of one.
 * @throws {ProtocolError} of {@linkcode HeadScanner}; `http.head_cut`. What
 * `more` throws.
 */
export async function readHead(
  source: ByteSource,
  strictness: HeadStrictness,
  more: () => Promise<boolean> = () => source.more(),
): Promise<Uint8Array | undefined> {
  const scanner = new HeadScanner(strictness);
  for (;;) {
    const length = scanner.scan(source.bytes);
    if (length !== undefined) return source.bytes.subarray(0, length);
    if (await more()) continue;
    if (source.bytes.length === 0) return undefined;
    throw new ProtocolError("http.head_cut", "Cannot read head: it is cut");
  }
}
