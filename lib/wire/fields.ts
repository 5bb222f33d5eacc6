/**
 * Reading a decoded CBOR map, field by field: a message becomes, once and at the
 * door, a value that cannot be wrong.
 *
 *     const fields = decodeFields(bytes, "hello");
 *     const nonce = fields.bytes("nonce", { length: 32 });
 *     const record = fields.has("record") ? fields.bytes("record", { max: 1024 }) : undefined;
 *     fields.finish();
 *
 * @see protocol §0.1 "CBOR"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { utf8 } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { type CborLimits, decodeCbor, type DecodedCbor } from "./cbor.ts";

/** How long a byte string may be: exactly `length`, or at most `max`. */
export interface BytesLimit {
  /** Exact length. */
  readonly length?: number;
  /** Greatest length; by default only the frame bounds it. */
  readonly max?: number;
}

/**
 * A map, and which of its fields have been read. Each reading method throws
 * `ProtocolError` `wire.field` when the field is missing, of another type, or
 * out of its range; for an optional one, ask {@linkcode has} first.
 */
export class Fields {
  readonly #map: Map<string, DecodedCbor>;
  readonly #what: string;
  readonly #read = new Set<string>();

  /**
   * Begin to read a map.
   *
   * @param value What {@linkcode decodeCbor} gave.
   * @param what Its name in errors, such as `"hello"`.
   * @throws {ProtocolError} `wire.field` unless `value` is a map.
   */
  constructor(value: DecodedCbor, what: string) {
    if (!(value instanceof Map)) {
      throw new ProtocolError("wire.field", `Cannot read ${what}: not a map`);
    }
    this.#map = value;
    this.#what = what;
  }

  /** Whether the field is there. Does not count as reading it. */
  has(name: string): boolean {
    return this.#map.has(name);
  }

  /** A byte string. */
  bytes(name: string, limit: BytesLimit = {}): Bytes {
    return this.#asBytes(name, this.#take(name), limit);
  }

  /** An integer, 0 to `max`. */
  uint(name: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(name);
    if (typeof value !== "number") throw this.#fail(name, "is not an integer");
    if (value < 0 || value > max) throw this.#fail(name, "is out of range");
    return value;
  }

  /** Text of at most `maxBytes` in UTF-8. */
  text(name: string, maxBytes: number): string {
    return this.#asText(name, this.#take(name), maxBytes);
  }

  /** `true` or `false`. */
  boolean(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== "boolean") throw this.#fail(name, "is not a boolean");
    return value;
  }

  /** An array of at most `maxItems` values of any kind. */
  array(name: string, maxItems: number): DecodedCbor[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) throw this.#fail(name, "is not an array");
    if (value.length > maxItems) throw this.#fail(name, "has too many items");
    return value;
  }

  /** An array of at most `maxItems` byte strings, each within `limit`. */
  bytesArray(name: string, maxItems: number, limit: BytesLimit = {}): Bytes[] {
    return this.array(name, maxItems).map((item) =>
      this.#asBytes(name, item, limit)
    );
  }

  /** An array of at most `maxItems` texts, each of at most `maxBytes` in UTF-8. */
  textArray(name: string, maxItems: number, maxBytes: number): string[] {
    return this.array(name, maxItems).map((item) =>
      this.#asText(name, item, maxBytes)
    );
  }

  /** A map inside this one. Call its own {@linkcode finish} too. */
  map(name: string): Fields {
    return new Fields(this.#take(name), `${this.#what}.${name}`);
  }

  /** An array of at most `maxItems` maps. */
  mapArray(name: string, maxItems: number): Fields[] {
    return this.array(name, maxItems).map((item) =>
      new Fields(item, `${this.#what}.${name}`)
    );
  }

  /**
   * Call last: nothing may be left over that we did not understand.
   *
   * @throws {ProtocolError} `wire.unknown_field` when a field was not read.
   */
  finish(): void {
    if (this.#read.size === this.#map.size) return;
    throw new ProtocolError(
      "wire.unknown_field",
      `Cannot read ${this.#what}: unknown fields`,
    );
  }

  #take(name: string): DecodedCbor {
    const value = this.#map.get(name);
    if (value === undefined) throw this.#fail(name, "is missing");
    this.#read.add(name);
    return value;
  }

  #asBytes(name: string, value: DecodedCbor, limit: BytesLimit): Bytes {
    if (!(value instanceof Uint8Array)) {
      throw this.#fail(name, "is not a byte string");
    }
    const { length = value.length, max = value.length } = limit;
    if (value.length !== length || value.length > max) {
      throw this.#fail(name, `has ${value.length} bytes`);
    }
    return value;
  }

  #asText(name: string, value: DecodedCbor, maxBytes: number): string {
    if (typeof value !== "string") throw this.#fail(name, "is not text");
    // UTF-8 takes at least one byte for each UTF-16 unit: spares most the encoding.
    if (value.length > maxBytes || utf8(value).length > maxBytes) {
      throw this.#fail(name, "is too long");
    }
    return value;
  }

  #fail(name: string, why: string): ProtocolError {
    return new ProtocolError(
      "wire.field",
      `Cannot read ${this.#what}: field "${name}" ${why}`,
    );
  }
}

/**
 * Decode a message that is one map.
 *
 * @param what Its name in errors.
 * @throws {ProtocolError} as {@linkcode decodeCbor}, or `wire.field` for another type.
 */
export function decodeFields(
  bytes: Uint8Array,
  what: string,
  limits: CborLimits = {},
): Fields {
  return new Fields(decodeCbor(bytes, limits), what);
}
