/**
 * Where a head of HTTP/1 ends, found while its bytes arrive.
 *
 * From a client every line must end in CRLF; from a service a bare LF will do. What
 * two parsers could take for different line ends is refused from both.
 *
 * @see protocol §8.4 "HTTP"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112 | RFC 9112 §2.2}
 * @module
 */
import { ProtocolError } from "../base/errors.ts";

/** Longest head, bytes. Against clients that fill memory with header fields. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Longest first line, bytes (RFC 9112 §3 asks for 8,000 at least). */
export const MAX_START_LINE_BYTES = 16 * 1024;
/** Most fields in a head. Browsers send about 20. */
export const MAX_FIELDS = 128;

/** Whose head it is: a client's is taken literally, a service's may be mended. */
export type HeadStrictness = "strict" | "tolerant";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;

/**
 * Finds the end of a head that arrives in pieces, and looks at each byte once: a
 * client that sends them one by one costs no more than one that sends them all.
 */
export class HeadScanner {
  readonly #strictness: HeadStrictness;
  #scanned = 0;
  #lineStart = 0;
  #lines = 0;
  #emptyLines = 0;

  constructor(strictness: HeadStrictness) {
    this.#strictness = strictness;
  }

  /**
   * Look at what has arrived.
   *
   * @param data All bytes since the head began; those seen before are skipped.
   * @returns Bytes of the head with its empty line, or `undefined` while it is
   * not complete. One empty line in front is allowed (RFC 9112 §2.2).
   * @throws {ProtocolError} `http.line_end`, `http.character`,
   * `http.target_too_long`, `http.head_too_large`, as soon as it is certain.
   */
  scan(data: Uint8Array): number | undefined {
    const end = Math.min(data.length, MAX_HEAD_BYTES);
    for (; this.#scanned < end; this.#scanned++) {
      const byte = data[this.#scanned] as number;
      const afterCr = this.#scanned > this.#lineStart &&
        data[this.#scanned - 1] === CR;
      if (byte === LF) {
        const isOver = this.#onLineEnd(afterCr);
        if (isOver) return this.#scanned + 1;
        continue;
      }
      if (afterCr) {
        throw new ProtocolError("http.line_end", "Cannot read head: bare CR");
      }
      if (byte === DELETE || (byte < SPACE && byte !== TAB && byte !== CR)) {
        throw new ProtocolError(
          "http.character",
          `Cannot read head: found byte ${byte}`,
        );
      }
      if (
        this.#lines === 0 && byte !== CR &&
        this.#scanned - this.#lineStart >= MAX_START_LINE_BYTES
      ) {
        throw new ProtocolError(
          "http.target_too_long",
          "Cannot read head: its first line is too long",
        );
      }
    }
    if (data.length >= MAX_HEAD_BYTES) throw tooLarge();
    return undefined;
  }

  /** Whether the head ends with this line. */
  #onLineEnd(afterCr: boolean): boolean {
    if (!afterCr && this.#strictness === "strict") {
      throw new ProtocolError("http.line_end", "Cannot read head: bare LF");
    }
    const lineBytes = this.#scanned - this.#lineStart - (afterCr ? 1 : 0);
    this.#lineStart = this.#scanned + 1;
    if (lineBytes > 0) {
      if (++this.#lines > 1 + MAX_FIELDS) throw tooLarge();
      return false;
    }
    if (this.#lines > 0) return true;
    if (++this.#emptyLines > 1) {
      throw new ProtocolError("http.line_end", "Cannot read head: empty lines");
    }
    return false;
  }
}

function tooLarge(): ProtocolError {
  return new ProtocolError(
    "http.head_too_large",
    "Cannot read head: it is too large",
  );
}
