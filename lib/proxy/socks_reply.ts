/**
 * SOCKS5 replies. The bound address is always 0.0.0.0:0: there is none to tell.
 *
 *     VER  REP  RSV  ATYP  BND.ADDR  BND.PORT
 *     1    1    1    1     4         2
 *
 * @see protocol §8.2 "Errors", §8.3 "SOCKS5"
 * @see {@link https://www.rfc-editor.org/rfc/rfc1928#section-6 | RFC 1928 §6}
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import {
  describeFailure,
  type ExtendedReply,
  SOCKS_REPLY,
  type SocksReply,
} from "./failure.ts";

/** Which reply bytes a client can take. */
export type SocksReplySet = "standard" | "extended";

/** A reply with this byte. */
export function encodeSocksReply(reply: SocksReply | ExtendedReply): Bytes {
  return Uint8Array.of(0x05, reply, 0x00, 0x01, 0, 0, 0, 0, 0, 0);
}

/** The reply that the connection is there. */
export function encodeSocksSuccess(): Bytes {
  return encodeSocksReply(SOCKS_REPLY.succeeded);
}

/** The reply that tells an error, as exactly as the client can take it. */
export function encodeSocksFailure(error: unknown, set: SocksReplySet): Bytes {
  const { reply, extended } = describeFailure(error);
  return encodeSocksReply(
    set === "extended" && extended !== undefined ? extended : reply,
  );
}
