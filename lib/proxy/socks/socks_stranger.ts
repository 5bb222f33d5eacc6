/**
 * Clients at the SOCKS port that speak something else: a web browser that was
 * given it as its HTTP proxy, a program with SOCKS4. Each gets a short answer in
 * its own language; nothing else is read from it.
 *
 *     0x04          SOCKS4 and 4a    VN(0) CD(91) DSTPORT(2) DSTIP(4): rejected
 *     'A' to 'Z'    HTTP             a page that says what this port is
 *     else          who knows        silence
 *
 * @see {@link https://www.openssh.com/txt/socks4.protocol | SOCKS4}
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { encodePage } from "../http_page.ts";

const SOCKS4_VERSION = 0x04;
const SOCKS4_REJECTED = 91;

/** The answer to a client whose first byte is not that of SOCKS5, if there is one. */
export function answerStranger(firstByte: number): Bytes | undefined {
  if (firstByte === SOCKS4_VERSION) {
    return Uint8Array.of(0, SOCKS4_REJECTED, 0, 0, 0, 0, 0, 0);
  }
  if (firstByte < 0x41 || firstByte > 0x5a) return undefined;
  return encodePage({
    status: 400,
    title: "This is a SOCKS port",
    text:
      "AnonNet speaks SOCKS5 here. Set it as the SOCKS5 host of your program, with names resolved by the proxy; the HTTP proxy has a port of its own.",
    connection: "close",
  });
}
