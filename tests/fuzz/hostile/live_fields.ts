import { decode, encode } from "cborg";
import { type Bytes, utf8, utf8Text } from "../../../lib/base/bytes.ts";

/** Begins the values that stand for something of this run: `LIVE handshake`. */
const MARK = "LIVE ";

/** A value that {@linkcode fillLive} replaces. */
export function live(name: string): Bytes {
  return utf8(`${MARK}${name}`);
}

/** The bytes for a mark; anything else stays. */
function resolve(
  bytes: Uint8Array,
  values: ReadonlyMap<string, Bytes>,
): Uint8Array {
  if (bytes.length > 40 || bytes[0] !== 0x4c) return bytes;
  try {
    const text = utf8Text(bytes);
    return text.startsWith(MARK)
      ? values.get(text.slice(MARK.length)) ?? bytes
      : bytes;
  } catch {
    return bytes;
  }
}

/**
 * A CBOR message whose marks are replaced by what they stand for. Keys and cookies
 * are others in each run: so a recorded message fits into all of them.
 */
export function fillLive(
  message: Bytes,
  values: ReadonlyMap<string, Bytes>,
): Bytes {
  const fill = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return resolve(value, values);
    if (Array.isArray(value)) return value.map(fill);
    if (value instanceof Map) {
      return new Map([...value].map(([key, value]) => [key, fill(value)]));
    }
    return value;
  };
  try {
    const tree: unknown = decode(message, { useMaps: true, allowBigInt: true });
    return new Uint8Array(encode(fill(tree)));
  } catch {
    return new Uint8Array(resolve(message, values));
  }
}
