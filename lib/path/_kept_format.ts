/**
 * A set of kept relays as bytes, for the state directory.
 *
 *     version 1 · kind "guards" or "layer2" · extras [unix ms, …]
 *     relays [{ key 32, addresses [[ip, port], …], sampled, expires unix ms,
 *               reached, failures, missing? unix ms }, …]
 *
 * Node ids are not in it: they follow from the keys.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import {
  asPublicKey,
  type NodeId,
  nodeIdOf,
  type PublicKey,
} from "../auth/identity.ts";
import {
  formatIp,
  parseIp,
  type SocketAddress,
} from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";
import { type DecodedCbor, encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";

/** Of the format; a later one is refused, and the driver says so. */
const VERSION = 1;

/** Most relays in one set, whatever happened to it. */
export const MAX_KEPT = 16;

const MAX_EXTRAS = 16;
const MAX_ADDRESSES = 4;
const MAX_FAILURES = 3;
const MAX_REACHED = 2 ** 32;

/** One relay of a set. */
export interface KeptRelayState {
  readonly publicKey: PublicKey;
  readonly nodeId: NodeId;
  readonly addresses: readonly SocketAddress[];
  readonly sampledUnixMs: number;
  readonly expiresUnixMs: number;
  readonly missingUnixMs: number | undefined;
  readonly reachedOrder: number;
  readonly failures: number;
}

/** A set. */
export interface KeptState {
  readonly relays: readonly KeptRelayState[];
  readonly extras: readonly number[];
}

/** Write a set. */
export function encodeKept(kind: string, { relays, extras }: KeptState): Bytes {
  return encodeCbor({
    version: VERSION,
    kind,
    extras: extras.slice(-MAX_EXTRAS),
    relays: relays.map((relay) => ({
      key: relay.publicKey,
      addresses: relay.addresses.map(encodeAddress),
      sampled: relay.sampledUnixMs,
      expires: relay.expiresUnixMs,
      missing: relay.missingUnixMs,
      reached: relay.reachedOrder,
      failures: Math.min(relay.failures, MAX_FAILURES),
    })),
  });
}

/**
 * Read a set.
 *
 * @param longestLifeMs No relay is kept for longer, whatever the file says.
 * @throws {ProtocolError} `path.kept` when it is of another kind or version, or
 * makes no sense; `wire.*` when it is not strict CBOR or has other fields.
 */
export function decodeKept(
  crypto: CryptoSuite,
  kind: string,
  longestLifeMs: number,
  encoded: Uint8Array,
): KeptState {
  const fields = decodeFields(encoded, kind);
  if (fields.uint("version") !== VERSION) throw fail("another version");
  if (fields.text("kind", 16) !== kind) throw fail("another kind");
  const extras = fields.array("extras", MAX_EXTRAS).map(asUnixMs);
  const relays = fields.mapArray("relays", MAX_KEPT)
    .map((relay) => readRelay(crypto, longestLifeMs, relay));
  fields.finish();
  const keys = new Set(relays.map(({ publicKey }) => publicKey.join()));
  if (keys.size < relays.length) throw fail("a relay twice");
  const reached = relays.map(({ reachedOrder }) => reachedOrder)
    .filter((order) => order > 0);
  if (new Set(reached).size < reached.length) throw fail("no order");
  return { relays, extras };
}

function readRelay(
  crypto: CryptoSuite,
  longestLifeMs: number,
  fields: Fields,
): KeptRelayState {
  const publicKey = asPublicKey(
    fields.bytes("key", { length: ED25519_KEY_BYTES }),
  );
  const sampledUnixMs = fields.uint("sampled");
  const expiresUnixMs = fields.uint("expires");
  const lifeMs = expiresUnixMs - sampledUnixMs;
  if (lifeMs <= 0 || lifeMs > longestLifeMs) throw fail("impossible dates");
  const relay = {
    publicKey,
    nodeId: nodeIdOf(crypto, publicKey),
    addresses: fields.array("addresses", MAX_ADDRESSES).map(readAddress),
    sampledUnixMs,
    expiresUnixMs,
    missingUnixMs: fields.has("missing") ? fields.uint("missing") : undefined,
    reachedOrder: fields.uint("reached", MAX_REACHED),
    failures: fields.uint("failures", MAX_FAILURES),
  };
  fields.finish();
  return relay;
}

function encodeAddress({ host, port }: SocketAddress): [Uint8Array, number] {
  const ip = parseIp(host);
  if (ip === undefined) {
    throw new RangeError("Cannot store a kept relay: a host is no IP literal");
  }
  return [ip, port];
}

function readAddress(item: DecodedCbor): SocketAddress {
  if (!Array.isArray(item) || item.length !== 2) throw fail("a bad address");
  const [ip, port] = item;
  const isIp = ip instanceof Uint8Array &&
    (ip.length === 4 || ip.length === 16);
  const isPort = typeof port === "number" && port >= 1 && port <= 65535;
  if (!isIp || !isPort) throw fail("a bad address");
  return { host: formatIp(ip), port };
}

function asUnixMs(item: DecodedCbor): number {
  if (typeof item === "number" && item >= 0) return item;
  throw fail("a bad date");
}

function fail(what: string): ProtocolError {
  return new ProtocolError("path.kept", `Cannot read kept relays: ${what}`);
}
