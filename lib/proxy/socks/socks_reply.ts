/**
 * SOCKS5 replies. The bound address is 0.0.0.0:0, as there is none to tell, but in
 * answers to RESOLVE and RESOLVE_PTR, whose answer it is.
 *
 *     VER  REP  RSV  ATYP  BND.ADDR  BND.PORT
 *     1    1    1    1     4         2
 *
 * @see protocol §8.2 "Errors", §8.3 "SOCKS5"
 * @see {@link https://www.rfc-editor.org/rfc/rfc1928#section-6 | RFC 1928 §6}
 * @module
 */
import { type Bytes, concat } from "../../base/bytes.ts";
import { parseIp } from "../../auth/socket_address.ts";
import { latin1Bytes } from "../../http/latin1.ts";
import {
  describeFailure,
  type ExtendedReply,
  SOCKS_REPLY,
  type SocksReply,
} from "../failure.ts";

/** Which reply bytes a client can take. */
export type SocksReplySet = "standard" | "extended";

/** A reply with this byte. */
function encodeSocksReply(reply: SocksReply | ExtendedReply): Bytes {
  return Uint8Array.of(0x05, reply, 0x00, 0x01, 0, 0, 0, 0, 0, 0);
}

/** The reply that the connection is there. */
export function encodeSocksSuccess(): Bytes {
  return encodeSocksReply(SOCKS_REPLY.succeeded);
}

/** The reply to RESOLVE: an IPv4 address. */
export function encodeSocksAddress(address: string): Bytes {
  const bytes = parseIp(address);
  if (bytes?.length !== 4) throw new TypeError("An IPv4 address is wanted");
  const port = Uint8Array.of(0, 0);
  return concat(
    Uint8Array.of(0x05, SOCKS_REPLY.succeeded, 0, 0x01),
    bytes,
    port,
  );
}

/** The reply to RESOLVE_PTR: a name of at most 255 bytes. */
export function encodeSocksName(name: string): Bytes {
  const bytes = latin1Bytes(name);
  const head = [0x05, SOCKS_REPLY.succeeded, 0, 0x03, bytes.length];
  return concat(Uint8Array.from(head), bytes, Uint8Array.of(0, 0));
}

/** The reply that tells an error, as exactly as the client can take it. */
export function encodeSocksFailure(error: unknown, set: SocksReplySet): Bytes {
  const { reply, extended } = describeFailure(error);
  return encodeSocksReply(
    set === "extended" && extended !== undefined ? extended : reply,
  );
}
