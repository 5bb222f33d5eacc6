/**
 * Targets that are one function: bytes in, a value out.
 *
 * @module
 */
import { type Bytes, equalBytes } from "../../../lib/base/bytes.ts";
import {
  type CpuLimit,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";

/** What a decoder's target is made of. */
export interface DecoderTarget<Value> {
  readonly name: string;
  readonly about: string;
  /** Honest messages. */
  readonly seeds: () => readonly Uint8Array[];
  readonly decode: (bytes: Bytes) => Value;
  /** Undoes `decode`: there is one encoding of each value. */
  readonly encode?: ((value: Value) => Uint8Array) | undefined;
  /** A word for a value: what it is, not what it says. */
  readonly word?: (value: Value) => string;
  /** Looks at a value with other eyes. */
  readonly check?: (value: Value, bytes: Bytes) => void;
  readonly allowed: readonly string[];
  readonly cpu?: CpuLimit;
}

/** Reading costs little, and in proportion to what is read. */
export const DECODER_CPU: CpuLimit = { baseMs: 15, perKibMs: 2 };

/** A decoder as a target. */
export function decoderTarget<Value>(
  options: DecoderTarget<Value>,
): FuzzTarget {
  const { name, about, allowed, cpu = DECODER_CPU } = options;
  return {
    name,
    about,
    allowed,
    cpu,
    hasSteps: false,
    seeds: () => options.seeds().map((seed) => [new Uint8Array(seed)]),
    run: (input) => runDecoder(options, input),
  };
}

function runDecoder<Value>(
  { decode, encode, word, check }: DecoderTarget<Value>,
  [bytes = new Uint8Array(0)]: FuzzInput,
): string {
  const before = new Uint8Array(bytes);
  const value = decode(bytes);
  promise(equalBytes(bytes, before), "decoding changed the bytes");
  check?.(value, bytes);
  if (encode !== undefined) {
    promise(
      equalBytes(encode(value), bytes),
      "another encoding of a value was accepted",
    );
  }
  return word?.(value) ?? "a value";
}

/** The field `type` of a value, for its word. */
export function typeOf({ type }: { readonly type: string }): string {
  return type;
}
