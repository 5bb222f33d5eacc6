/**
 * SOCKS5 greetings: which ways of introducing itself a client offers.
 *
 *     VER  NMETHODS  METHODS
 *     1    1         1 each
 *
 * User name and password win when offered: they are an isolation key, and a
 * client that has one wants it used. Method 0xf0 is never chosen; offering it
 * says "I can take extended replies" (RFC 1928 leaves 0x80 to 0xfe to private use).
 *
 * @see protocol §8.3 "SOCKS5"
 * @see {@link https://www.rfc-editor.org/rfc/rfc1928#section-3 | RFC 1928 §3}
 * @module
 */
import { ProtocolError } from "../../base/errors.ts";

const VERSION = 0x05;

/** How a client introduces itself. */
const SOCKS_METHOD = {
  none: 0x00,
  password: 0x02,
  /** Not a method: the client can take extended replies. */
  extendedReplies: 0xf0,
  /** None of what was offered will do. */
  unacceptable: 0xff,
} as const;

/** What a greeting comes to. */
export interface SocksGreeting {
  /** The method to answer with; after `unacceptable` the connection ends. */
  readonly method: "none" | "password" | "unacceptable";
  readonly takesExtendedReplies: boolean;
  /** Bytes the greeting took, at most 257. */
  readonly bytesRead: number;
}

/**
 * Read one greeting from the start of `data`.
 *
 * @returns The greeting, or `undefined` while `data` holds only the beginning.
 * @throws {ProtocolError} `socks.version`.
 */
export function decodeSocksGreeting(
  data: Uint8Array,
): SocksGreeting | undefined {
  const [version, count] = data;
  if (version === undefined) return undefined;
  if (version !== VERSION) {
    throw new ProtocolError(
      "socks.version",
      `Cannot read greeting: found byte ${version}`,
    );
  }
  if (count === undefined || data.length < 2 + count) return undefined;
  const methods = data.subarray(2, 2 + count);
  return {
    method: methods.includes(SOCKS_METHOD.password)
      ? "password"
      : methods.includes(SOCKS_METHOD.none)
      ? "none"
      : "unacceptable",
    takesExtendedReplies: methods.includes(SOCKS_METHOD.extendedReplies),
    bytesRead: 2 + count,
  };
}

/** The answer to a greeting. */
export function encodeSocksMethod(
  method: SocksGreeting["method"],
): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(VERSION, SOCKS_METHOD[method]);
}
