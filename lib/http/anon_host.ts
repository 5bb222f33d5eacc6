/**
 * Which hosts the proxies take: names under `.anon`, judged by their letters
 * alone. Everything else is refused before anything could ask a resolver.
 *
 *     taken    <address>.anon   www.<address>.anon   <ADDRESS>.ANON
 *     refused  example.com  192.0.2.7  [2001:db8::7]  x.anon.  пример.anon  anon
 *
 * Whether the address is a right one is for the gateway to say.
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import { ProtocolError } from "../base/errors.ts";

/** Longest host name that DNS has (RFC 1035 §2.3.4). */
const MAX_HOST_CHARACTERS = 253;

/** Asked before case is folded: the Kelvin sign folds into an ordinary k. */
const LABEL = /^[a-zA-Z0-9_-]{1,63}$/;

/**
 * The host name in lower case.
 *
 * @throws {ProtocolError} `proxy.not_anon` for clearnet names, IP addresses, names
 * with a final dot, and names that are not of ASCII letters, digits, `-` and `_`.
 */
export function parseAnonHost(host: string): string {
  const labels = host.slice(0, MAX_HOST_CHARACTERS + 1).split(".");
  const isName = host.length <= MAX_HOST_CHARACTERS &&
    labels.every((label) => LABEL.test(label));
  const isAnon = labels.length >= 2 &&
    labels.at(-1)?.toLowerCase() === "anon";
  if (!isName || !isAnon) {
    throw new ProtocolError(
      "proxy.not_anon",
      "Cannot connect: only .anon addresses are reachable",
    );
  }
  return host.toLowerCase();
}

/**
 * A port that something can listen on.
 *
 * @throws {ProtocolError} `proxy.port` for anything but 1 to 65535.
 */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new ProtocolError(
    "proxy.port",
    "Cannot connect: ports go from 1 to 65535",
  );
}
