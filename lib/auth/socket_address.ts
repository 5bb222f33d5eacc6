/**
 * Where a peer listens: an IP literal and a UDP port. Never a host name: nothing
 * in this program asks a resolver.
 *
 *     192.0.2.7:4001      [2001:db8::7]:4001
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";

/** An IP literal and a port. */
export interface SocketAddress {
  /** IPv4 in dotted decimal, or IPv6 in the canonical text of RFC 5952, without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 only where a port is to be chosen. */
  readonly port: number;
}

/** The longest text of an IP address: eight groups, two of them dotted. */
const MAX_IP_CHARACTERS = 45;

/** An IP address as bytes: 4 for IPv4, 16 for IPv6; `undefined` if it is neither. */
export function parseIp(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > MAX_IP_CHARACTERS) return undefined;
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Whether only programs of this machine reach an address. */
export function isLoopback(host: string): boolean {
  return host === "::1" ||
    (host.startsWith("127.") && parseIp(host) !== undefined);
}

function parseIpv4(text: string): Uint8Array<ArrayBuffer> | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) {
      return undefined;
    }
    bytes[index] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array<ArrayBuffer> | undefined {
  const [first = "", second, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  // Dotted decimal may only stand at the very end (RFC 4291 §2.2).
  const isWhole = second === undefined;
  const head = parseGroups(first, isWhole ? "dotted" : "plain");
  const tail = isWhole ? [] : parseGroups(second, "dotted");
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (isWhole ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [index, group] of all.entries()) {
    bytes[2 * index] = group >> 8;
    bytes[2 * index + 1] = group & 0xff;
  }
  return bytes;
}

/** Groups between colons, 16 bits each; the last may be IPv4 if `end` allows. */
function parseGroups(
  text: string,
  end: "dotted" | "plain",
): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const pieces = text.split(":");
  for (const [index, piece] of pieces.entries()) {
    const v4 = end === "dotted" && index === pieces.length - 1
      ? parseIpv4(piece)
      : undefined;
    if (v4 !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = v4;
      groups.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) {
      groups.push(parseInt(piece, 16));
    } else return undefined;
  }
  return groups;
}

/** Text of 4 or 16 address bytes; IPv4-mapped IPv6 becomes IPv4 (RFC 5952 otherwise). */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) {
    throw new RangeError(`Cannot format an IP of ${bytes.length} bytes`);
  }
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  }
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  const hex = (part: number[]) =>
    part.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${
    hex(groups.slice(bestStart + bestLength))
  }`;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Text of an address, as `host:port` or `[host]:port`. */
export function formatSocketAddress(address: SocketAddress): string {
  return address.host.includes(":")
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/**
 * Read `host:port` with an IP literal.
 *
 * @throws {ConfigError} `auth.socket_address`; the message says what is wrong.
 */
export function parseSocketAddress(text: string): SocketAddress {
  const fail = (why: string) =>
    new ConfigError(
      "auth.socket_address",
      `Cannot read address "${
        text.slice(0, 80)
      }": ${why}; write 192.0.2.7:4001 or [2001:db8::7]:4001`,
    );
  const match = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  if (match === null) throw fail("it is not an IP literal and a port");
  const port = Number(match[3]);
  if (port > 65535) throw fail("the port is above 65535");
  const bytes = parseIp(match[1] ?? match[2] ?? "");
  if (
    bytes === undefined || (match[1] !== undefined) !== (bytes.length === 16)
  ) {
    throw fail("the host is not an IP literal");
  }
  return { host: formatIp(bytes), port };
}

/** Whether an address means "all of this machine's". */
export function isUnspecified(address: SocketAddress): boolean {
  return address.host === "0.0.0.0" || address.host === "::";
}
