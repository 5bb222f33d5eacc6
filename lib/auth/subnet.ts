/**
 * What an IP address tells of its owner: whether the Internet routes it at all,
 * and which other addresses likely are the same party's. One party easily holds
 * thousands of addresses, but seldom in thousands of subnets.
 *
 * @see protocol §2.3 "Node records"
 * @see {@link https://www.rfc-editor.org/rfc/rfc6890 | RFC 6890} and the IANA special-purpose address registries
 * @module
 */
import type { NetworkParameters } from "./network.ts";
import { formatIp, parseIp, type SocketAddress } from "./socket_address.ts";

/** Leading bits that addresses of one group share. */
export interface GroupPrefix {
  /** Bits of an IPv4 address, 0 to 32. */
  readonly v4: number;
  /** Bits of an IPv6 address, 0 to 128. */
  readonly v6: number;
}

/** Groups for routing tables: what one customer is given. */
export const DHT_PREFIX: GroupPrefix = Object.freeze({ v4: 24, v6: 48 });

/** Groups for paths, wider: what one provider is given. */
export const PATH_PREFIX: GroupPrefix = Object.freeze({ v4: 16, v6: 32 });

/** A range of addresses: its first bytes, and how many of their bits count. */
type Range = readonly [bits: number, ...bytes: number[]];

/** IPv4 that the Internet does not route to one host (IANA registry, RFC 6890). */
const NOT_PUBLIC_V4: readonly Range[] = [
  [8, 0], // this network, and unspecified
  [8, 10], // private
  [10, 100, 64], // carrier-grade NAT
  [8, 127], // loopback
  [16, 169, 254], // link-local
  [12, 172, 16], // private
  [24, 192, 0, 0], // IETF protocol assignments
  [24, 192, 0, 2], // documentation
  [24, 192, 88, 99], // 6to4 relays, deprecated
  [16, 192, 168], // private
  [15, 198, 18], // benchmarks
  [24, 198, 51, 100], // documentation
  [24, 203, 0, 113], // documentation
  [4, 224], // multicast
  [4, 240], // reserved, and broadcast
];

/** The only IPv6 that is routed: everything else is reserved, local or multicast. */
const PUBLIC_V6: Range = [3, 0x20];

/** Parts of it that are not: tunnels would also give one IPv4 owner many groups. */
const NOT_PUBLIC_V6: readonly Range[] = [
  [23, 0x20, 0x01, 0x00], // IETF protocol assignments: Teredo, ORCHID, benchmarks
  [32, 0x20, 0x01, 0x0d, 0xb8], // documentation
  [16, 0x20, 0x02], // 6to4
  [20, 0x3f, 0xff, 0x00], // documentation (RFC 9637)
];

/** Addresses of no single host, refused in every network. */
const NOT_UNICAST_V4: readonly Range[] = [
  [8, 0],
  [4, 224],
  [32, 255, 255, 255, 255],
];
const NOT_UNICAST_V6: readonly Range[] = [
  [128, ...new Array<number>(16).fill(0)],
  [8, 0xff],
];

/** Whether the Internet routes to this address. */
function isPublicAddress(address: SocketAddress): boolean {
  const bytes = ipBytes(address);
  if (bytes === undefined) return false;
  if (bytes.length === 4) return !isInAny(bytes, NOT_PUBLIC_V4);
  return isIn(bytes, PUBLIC_V6) && !isInAny(bytes, NOT_PUBLIC_V6);
}

/**
 * Whether nodes of `network` may dial this address: a port, one host, and
 * a public one unless the network allows private ones.
 */
export function isAllowedAddress(
  network: NetworkParameters,
  address: SocketAddress,
): boolean {
  const { port } = address;
  if (!Number.isInteger(port) || port < 1 || port > 65535) return false;
  if (!network.allowPrivateAddresses) return isPublicAddress(address);
  const bytes = ipBytes(address);
  if (bytes === undefined) return false;
  return !isInAny(bytes, bytes.length === 4 ? NOT_UNICAST_V4 : NOT_UNICAST_V6);
}

/**
 * The group of an address: equal text for addresses with equal prefixes, such as
 * `"192.0.2.0/24"`. Groups of IPv4 and IPv6 never coincide; an IPv4-mapped IPv6
 * address is in the group of its IPv4 address.
 *
 * @throws {RangeError} when the host is not an IP literal.
 */
export function addressGroup(
  address: SocketAddress,
  prefix: GroupPrefix,
): string {
  const bytes = ipBytes(address);
  if (bytes === undefined) {
    throw new RangeError("Cannot group an address: not an IP literal");
  }
  const bits = bytes.length === 4 ? prefix.v4 : prefix.v6;
  for (const [index, byte] of bytes.entries()) {
    const kept = Math.max(0, Math.min(8, bits - 8 * index));
    bytes[index] = byte & (0xff00 >> kept);
  }
  return `${formatIp(bytes)}/${bits}`;
}

/** Bytes of the host, 4 or 16, IPv4-mapped IPv6 as 4. */
function ipBytes(address: SocketAddress): Uint8Array | undefined {
  const bytes = parseIp(address.host);
  return bytes === undefined ? undefined : parseIp(formatIp(bytes));
}

function isInAny(bytes: Uint8Array, ranges: readonly Range[]): boolean {
  return ranges.some((range) => isIn(bytes, range));
}

function isIn(bytes: Uint8Array, [bits, ...first]: Range): boolean {
  return first.every((expected, index) => {
    const counted = Math.max(0, Math.min(8, bits - 8 * index));
    const mask = 0xff00 >> counted & 0xff;
    return ((bytes[index] ?? 0) & mask) === (expected & mask);
  });
}
