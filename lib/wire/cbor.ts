/**
 * Deterministic CBOR, the encoding of every control message and signed record:
 *
 *     major type   0 uint  1 negative  2 bytes  3 text  4 array  5 map  7 false true null
 *     head         type(3 bits) ‖ argument(5 bits, or 1, 2, 4, 8 bytes; the shortest)
 *
 * One value has one encoding, and no other is accepted: the shortest heads, map
 * keys that are text, in ascending order of their encoded bytes, no duplicates.
 * There are no floats, tags, indefinite lengths, `undefined` or other simple
 * values; integers are safe integers; text is well-formed UTF-8.
 *
 * `cborg` reads and writes; {@linkcode StrictTokenizer} stands between it and
 * the bytes, and refuses what the library would let pass.
 *
 * @see protocol §0.1 "CBOR", {@link https://www.rfc-editor.org/rfc/rfc8949#section-4.2.1 | RFC 8949 §4.2.1}
 * @module
 */
import {
  decode,
  type DecodeOptions,
  encode,
  type EncodeOptions,
  Token,
  Tokenizer,
  Type,
} from "cborg";
import { type Bytes, compareBytes, utf8Text } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** What can be encoded. Object fields that are `undefined` are left out. */
export type CborValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<string, CborValue>
  | { readonly [key: string]: CborValue | undefined };

/** What decoding gives: fresh byte arrays, and maps without a prototype to poison. */
export type DecodedCbor =
  | null
  | boolean
  | number
  | string
  | Bytes
  | DecodedCbor[]
  | Map<string, DecodedCbor>;

/** How much one encoding may make us build. */
export interface CborLimits {
  /** Arrays and maps inside one another. Default {@linkcode MAX_CBOR_DEPTH}. */
  readonly maxDepth?: number;
  /** Values of any kind, keys included. Default {@linkcode MAX_CBOR_ITEMS}. */
  readonly maxItems?: number;
}

/** Nesting accepted: the deepest message of the protocol needs 5. Stops stack exhaustion. */
export const MAX_CBOR_DEPTH = 16;

/**
 * Values accepted in one encoding. One byte of input can become an array of some
 * 50 bytes of memory: without this, a frame of 10 MiB would take half a gigabyte.
 */
export const MAX_CBOR_ITEMS = 16_384;

const ENCODE_OPTIONS: EncodeOptions = {
  ignoreUndefinedProperties: true,
  // Each of these refuses, or returns null: "encode it as you would have".
  typeEncoders: {
    number(value: number) {
      if (Number.isSafeInteger(value)) return null;
      throw new TypeError("Cannot encode CBOR: not a safe integer");
    },
    string(value: string) {
      if (value.isWellFormed()) return null;
      throw new TypeError("Cannot encode CBOR: a lone surrogate in text");
    },
    undefined() {
      throw new TypeError("Cannot encode CBOR: undefined has no place here");
    },
    bigint() {
      throw new TypeError("Cannot encode CBOR: integers are numbers");
    },
  },
};

/**
 * Encode a value, in its one encoding.
 *
 * @throws {TypeError} for what {@linkcode CborValue} excludes but types cannot
 * say: fractions, unsafe integers, lone surrogates, circles.
 */
export function encodeCbor(value: CborValue): Bytes {
  let bytes: Uint8Array<ArrayBufferLike>;
  try {
    bytes = encode(value, ENCODE_OPTIONS);
  } catch (cause) {
    if (cause instanceof TypeError) throw cause;
    throw new TypeError("Cannot encode CBOR", { cause });
  }
  // The library may hand out a view into a larger scratch buffer.
  return bytes.byteLength === bytes.buffer.byteLength
    ? bytes as Bytes
    : new Uint8Array(bytes);
}

/**
 * Decode exactly one value, in time proportional to `bytes.length`.
 *
 * @throws {ProtocolError}
 * - `wire.cbor`: malformed, cut short, or a head longer than need be
 * - `wire.cbor_depth`, `wire.cbor_items`: over a limit
 * - `wire.cbor_keys`: map keys unsorted, repeated, or not text
 * - `wire.cbor_type`: a float, tag, simple value, or unsafe integer
 * - `wire.cbor_utf8`: text that is not UTF-8
 * - `wire.cbor_trailing`: bytes after the value
 */
export function decodeCbor(
  bytes: Uint8Array,
  limits: CborLimits = {},
): DecodedCbor {
  const tokenizer = new StrictTokenizer(bytes, limits);
  let value: DecodedCbor;
  try {
    value = decode(bytes, { ...DECODE_OPTIONS, tokenizer: tokenizer });
  } catch (cause) {
    if (cause instanceof ProtocolError) throw cause;
    // The library ran on into bytes behind a complete value.
    if (tokenizer.complete && tokenizer.pos() < bytes.length) {
      throw fail("trailing", "bytes after the value", cause);
    }
    throw fail("", "malformed", cause);
  }
  return value;
}

const DECODE_OPTIONS: DecodeOptions = {
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
  allowNaN: false,
  allowInfinity: false,
};

const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const MAJOR_TAG = 6;
const MAJOR_SIMPLE = 7;

/** `false`, `true` and `null`: the only values of major type 7 that we know. */
const FIRST_SIMPLE = 0xf4;
const LAST_SIMPLE = 0xf6;

/** An array or map whose items are still being read. */
interface Container {
  /** Items to come; a map has two for each of its pairs. */
  remaining: number;
  readonly isMap: boolean;
  /** Where the last key began and ended, encoded. Equal before the first. */
  keyStart: number;
  keyEnd: number;
}

/**
 * The library's tokenizer, and after each token the rules that it lacks. As the
 * library asks for a container's items only after this has passed its head,
 * depth is refused before the library recurses.
 */
class StrictTokenizer {
  readonly #bytes: Uint8Array;
  readonly #tokenizer: Tokenizer;
  readonly #open: Container[] = [];
  readonly #maxDepth: number;
  #itemsLeft: number;
  #started = false;

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.#bytes = bytes;
    this.#tokenizer = new Tokenizer(bytes, DECODE_OPTIONS);
    this.#maxDepth = limits.maxDepth ?? MAX_CBOR_DEPTH;
    this.#itemsLeft = limits.maxItems ?? MAX_CBOR_ITEMS;
  }

  /** Whether one whole value has been read. */
  get complete(): boolean {
    return this.#started && this.#open.length === 0;
  }

  pos(): number {
    return this.#tokenizer.pos();
  }

  done(): boolean {
    return this.#tokenizer.done();
  }

  next(): Token {
    const start = this.pos();
    const head = this.#bytes[start] ?? 0;
    const major = head >> 5;
    this.#checkHead(head, major);
    const token = this.#tokenizer.next();
    this.#started = true;
    this.#count(major, start);
    if (major === MAJOR_ARRAY) this.#enter(token.value, false);
    if (major === MAJOR_MAP) this.#enter(2 * token.value, true);
    // Only now: a container stays open until the last one inside it is full.
    while (this.#open.at(-1)?.remaining === 0) this.#open.pop();
    if (major === MAJOR_TEXT) this.#checkText(token, start);
    // The library shares one empty array among all; ours are fresh.
    return major === MAJOR_BYTES && token.encodedLength === 1
      ? new Token(Type.bytes, new Uint8Array(), 1)
      : token;
  }

  #checkHead(head: number, major: number): void {
    if (this.#itemsLeft-- <= 0) throw fail("items", "too many values");
    const isSimple = head >= FIRST_SIMPLE && head <= LAST_SIMPLE;
    if (major === MAJOR_TAG || (major === MAJOR_SIMPLE && !isSimple)) {
      throw fail("type", `a value with head ${head}`);
    }
  }

  /** Count an item against its container; compare a key with the one before. */
  #count(major: number, start: number): void {
    const container = this.#open.at(-1);
    if (container === undefined) return;
    const isKey = container.isMap && container.remaining % 2 === 0;
    container.remaining--;
    if (!isKey) return;
    if (major !== MAJOR_TEXT) throw fail("keys", "a key that is not text");
    const { keyStart, keyEnd } = container;
    const last = this.#bytes.subarray(keyStart, keyEnd);
    const key = this.#bytes.subarray(start, this.pos());
    if (last.length > 0 && compareBytes(last, key) >= 0) {
      throw fail("keys", "keys out of order, or one twice");
    }
    container.keyStart = start;
    container.keyEnd = this.pos();
  }

  #enter(items: number, isMap: boolean): void {
    if (this.#open.length >= this.#maxDepth) {
      throw fail("depth", "nested too deep");
    }
    // Also keeps a claimed count of 2^53 from ever being worked with.
    if (items > this.#bytes.length - this.pos()) {
      throw fail("", "a container claims more items than bytes follow");
    }
    this.#open.push({ remaining: items, isMap, keyStart: 0, keyEnd: 0 });
  }

  /** The library replaces what is not UTF-8, and drops a byte order mark. */
  #checkText(token: Token, start: number): void {
    const info = (this.#bytes[start] ?? 0) & 31;
    const headBytes = info < 24 ? 1 : 1 + 2 ** (info - 24);
    const text = this.#bytes.subarray(start + headBytes, this.pos());
    if (isAscii(text)) return;
    try {
      token.value = utf8Text(text);
    } catch (cause) {
      throw fail("utf8", "text that is not UTF-8", cause);
    }
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x7f) return false;
  return true;
}

function fail(kind: string, what: string, cause?: unknown): ProtocolError {
  return new ProtocolError(
    kind === "" ? "wire.cbor" : `wire.cbor_${kind}`,
    `Cannot decode CBOR: ${what}`,
    { cause },
  );
}
