/**
 * Where the body of an HTTP/1 message ends. Bodies pass through as they are: a
 * reader only counts, so that what follows is the next message and nothing else.
 *
 *     chunk    hex size [";" extension] CRLF  data  CRLF
 *     last     "0" [";" extension] CRLF  *( trailer field CRLF )  CRLF
 *
 * @see protocol §8.4 "HTTP"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112#section-6 | RFC 9112 §6, §7}
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import { type HttpField, isHopByHop, parseFields } from "./head.ts";
import { latin1Text } from "./latin1.ts";

/** How the end of a body is marked. */
export type BodyLength =
  | { readonly type: "none" }
  | { readonly type: "length"; readonly bytes: number }
  | { readonly type: "chunked" }
  /** The connection ends with it: responses alone. */
  | { readonly type: "close" };

/** Hears of the payload, without its framing; the bytes are a view of the input. */
export type OnPayload = (payload: Uint8Array) => void;

/** Counts its way through one body. */
export interface BodyReader {
  /** The last byte of it has been taken. */
  readonly isDone: boolean;
  /**
   * Take what belongs to the body.
   *
   * @returns How many of `bytes`, from the first; fewer than all once it is done.
   * @throws {ProtocolError} `http.chunk`, `http.trailer`. What was taken must then
   * go nowhere.
   */
  take(bytes: Uint8Array, onPayload?: OnPayload): number;
  /** Nothing more will come. @throws {ProtocolError} `http.body_cut`. */
  end(): void;
}

/** A reader for a body of this length. */
export function createBodyReader(length: BodyLength): BodyReader {
  switch (length.type) {
    case "none":
      return new CountedBody(0);
    case "length":
      return new CountedBody(length.bytes);
    case "close":
      return new EndlessBody();
    case "chunked":
      return new ChunkedBody();
  }
}

/** Largest `Content-Length`: 15 digits, so that numbers stay exact. */
const LENGTH = /^[0-9]{1,15}$/;

/**
 * Read a `Content-Length`.
 *
 * @throws {ProtocolError} `http.content_length` for anything but one decimal number.
 */
export function parseContentLength(values: readonly string[]): number {
  const [value = ""] = values;
  if (values.length !== 1 || !LENGTH.test(value)) {
    throw new ProtocolError(
      "http.content_length",
      "Cannot read head: not one content length",
    );
  }
  return Number(value);
}

class CountedBody implements BodyReader {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  take(bytes: Uint8Array, onPayload?: OnPayload): number {
    const taken = Math.min(this.#left, bytes.length);
    this.#left -= taken;
    if (taken > 0) onPayload?.(bytes.subarray(0, taken));
    return taken;
  }

  end(): void {
    if (!this.isDone) throw bodyCut();
  }
}

class EndlessBody implements BodyReader {
  #isDone = false;

  get isDone(): boolean {
    return this.#isDone;
  }

  take(bytes: Uint8Array, onPayload?: OnPayload): number {
    if (bytes.length > 0) onPayload?.(bytes);
    return bytes.length;
  }

  end(): void {
    this.#isDone = true;
  }
}

function bodyCut(): ProtocolError {
  return new ProtocolError("http.body_cut", "Cannot read body: it is cut");
}

/** Digits of a chunk size, so that numbers stay exact. */
const MAX_SIZE_DIGITS = 13;
/** Bytes of extensions in one body: else a byte of payload could cost us kilobytes. */
const MAX_EXTENSION_BYTES = 16 * 1024;
/** Bytes of trailer fields in one body. */
const MAX_TRAILER_BYTES = 8 * 1024;

/**
 * Fields that, in a trailer, would change what has been read already, beside those
 * that are between two neighbours: a trailer passes as it is.
 */
const NOT_IN_TRAILERS = new Set([
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "trailer",
]);

type ChunkedState =
  | "size"
  | "extension"
  | "size LF"
  | "data"
  | "data CR"
  | "data LF"
  | "trailer"
  | "trailer LF"
  | "done";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SEMICOLON = 0x3b;

class ChunkedBody implements BodyReader {
  #state: ChunkedState = "size";
  #size = 0;
  #sizeDigits = 0;
  #extensionBytes = 0;
  #trailer = "";
  #trailerLines: string[] = [];
  #trailerBytes = 0;

  get isDone(): boolean {
    return this.#state === "done";
  }

  end(): void {
    if (!this.isDone) throw bodyCut();
  }

  take(bytes: Uint8Array, onPayload?: OnPayload): number {
    let offset = 0;
    while (offset < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const taken = Math.min(this.#size, bytes.length - offset);
        onPayload?.(bytes.subarray(offset, offset + taken));
        this.#size -= taken;
        offset += taken;
        if (this.#size === 0) this.#state = "data CR";
      } else {
        this.#state = this.#step(this.#state, bytes[offset++] as number);
      }
    }
    return offset;
  }

  /** The state after a byte that is not payload. */
  #step(
    state: Exclude<ChunkedState, "data" | "done">,
    byte: number,
  ): ChunkedState {
    switch (state) {
      case "size":
        return this.#onSize(byte);
      case "extension":
        return this.#onExtension(byte);
      case "size LF":
        expect(byte, LF);
        this.#sizeDigits = 0;
        return this.#size > 0 ? "data" : "trailer";
      case "data CR":
        expect(byte, CR);
        return "data LF";
      case "data LF":
        expect(byte, LF);
        return "size";
      case "trailer":
        return this.#onTrailer(byte);
      case "trailer LF":
        expect(byte, LF);
        return this.#onTrailerLine();
    }
  }

  #onSize(byte: number): ChunkedState {
    const digit = hexDigit(byte);
    if (digit !== undefined) {
      if (++this.#sizeDigits > MAX_SIZE_DIGITS) throw badChunk("size too long");
      this.#size = this.#size * 16 + digit;
      return "size";
    }
    if (this.#sizeDigits === 0) throw badChunk("no size");
    if (byte === CR) return "size LF";
    if (byte === SEMICOLON) return "extension";
    throw badChunk("bad size");
  }

  #onExtension(byte: number): ChunkedState {
    if (byte === CR) return "size LF";
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) {
      throw badChunk("too many extensions");
    }
    if (isControl(byte)) throw badChunk("bad extension");
    return "extension";
  }

  #onTrailer(byte: number): ChunkedState {
    if (byte === CR) return "trailer LF";
    if (++this.#trailerBytes > MAX_TRAILER_BYTES || isControl(byte)) {
      throw badTrailer();
    }
    this.#trailer += latin1Text(Uint8Array.of(byte));
    return "trailer";
  }

  #onTrailerLine(): ChunkedState {
    if (this.#trailer !== "") {
      this.#trailerLines.push(this.#trailer);
      this.#trailer = "";
      return "trailer";
    }
    const isForbidden = (field: HttpField) =>
      NOT_IN_TRAILERS.has(field.key) || isHopByHop(field);
    if (parseFields(this.#trailerLines, "strict").some(isForbidden)) {
      throw badTrailer();
    }
    return "done";
  }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}

function isControl(byte: number): boolean {
  return byte === 0x7f || (byte < 0x20 && byte !== TAB);
}

function expect(byte: number, expected: number): void {
  if (byte !== expected) throw badChunk(`found byte ${byte}`);
}

function badChunk(why: string): ProtocolError {
  return new ProtocolError("http.chunk", `Cannot read chunk: ${why}`);
}

function badTrailer(): ProtocolError {
  return new ProtocolError("http.trailer", "Cannot read trailer");
}
