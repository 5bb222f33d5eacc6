/**
 * What a node says of itself, signed: a CBOR map of at most 1 KiB.
 *
 *     version 1 · network text · publicKey 32 · onionKey 32 · work 16 · place 32
 *     addresses [[ip 4 or 16 bytes, port], …]    flags [text, …]
 *     bandwidth bytes/s · sequence unix ms · expiry unix ms
 *     rent 16, where the network has work
 *     contact text, family [key 32, signature 64], where there are any
 *     signature Ed25519("anonnet v1 node record" ‖ 0x00 ‖ the map without it)
 *
 * The record with the higher sequence replaces the one with the lower. Encoding
 * is deterministic, so the signature covers the one encoding there is.
 *
 * @see protocol §2.3 "Node records"
 * @module
 */
import { type Bytes, compareBytes, equalBytes, utf8 } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { type CryptoSuite, SIGNATURE_BYTES } from "../crypto/suite.ts";
import { X25519_BYTES } from "../crypto/suite.ts";
import { decodeCbor, type DecodedCbor, encodeCbor } from "../wire/cbor.ts";
import { decodeFields, Fields } from "../wire/fields.ts";
import { isContact, MAX_CONTACT_BYTES } from "./contact.ts";
import {
  checkFamily,
  encodeFamily,
  type Family,
  readFamily,
} from "./family.ts";
import {
  asPublicKey,
  type Identity,
  type NodeId,
  nodeIdOf,
  type PublicKey,
  verifySigned,
} from "./identity.ts";
import type { NetworkParameters } from "./network.ts";
import {
  type Place,
  PLACE_BYTES,
  placeWithoutWork,
  WORK_NONCE_BYTES,
} from "./proof_of_work.ts";
import { hasRent } from "./rent.ts";
import { formatIp, parseIp, type SocketAddress } from "./socket_address.ts";
import { isAllowedAddress } from "./subnet.ts";

/** A flag that this version understands. `relay`: forwards circuits, serves the DHT. */
export type NodeFlag = "relay";

/** What a node chooses to say. */
export interface NodeRecordContent {
  /** X25519 key for circuit handshakes, 32 bytes. */
  readonly onionKey: Bytes;
  /** Where it can be dialled, best first; at most 4, and at least 1 for a relay. */
  readonly addresses: readonly SocketAddress[];
  /** What it does. */
  readonly flags: readonly NodeFlag[];
  /** Bytes per second that it is willing to carry. */
  readonly bandwidth: number;
  /** When this was written, unix ms; of two records the higher one counts. */
  readonly sequence: number;
  /** When it ends, unix ms; at most 24 h after `sequence`. */
  readonly expiry: number;
  /** The proof of work of this identity, 16 bytes; anything at difficulty 0. */
  readonly workNonce: Bytes;
  /** The place that this work gives. Default: the one of a network without work. */
  readonly place?: Place;
  /** What pays for the period in which the record ends, 16 bytes; none at difficulty 0. */
  readonly rent?: Bytes | undefined;
  /** How to reach its operator, in the operator's words; nothing is checked. */
  readonly contact?: string | undefined;
  /** Which relays are of one operator with it. Default: none says so. */
  readonly family?: Family | undefined;
}

/** A record whose signature, dates and addresses have been checked. */
export interface NodeRecord extends NodeRecordContent {
  /** Name of its network. */
  readonly network: string;
  /** Whose it is. */
  readonly publicKey: PublicKey;
  /** Follows from the public key; it is not in the encoding. */
  readonly nodeId: NodeId;
  /** Where it is in the DHT. Carried, so that reading a record takes no work to be checked. */
  readonly place: Place;
  /** The flags that we know; others stay in `encoded`. */
  readonly flags: readonly NodeFlag[];
  /** The owner's, over all the rest. */
  readonly signature: Bytes;
  /** What is passed on, byte for byte as it was signed. */
  readonly encoded: Bytes;
}

const SIGNATURE_CONTEXT = "anonnet v1 node record";

/** Flags of the future that a record may carry beside ours. */
const MAX_FLAGS = 8;
const FLAG_PATTERN = /^[a-z0-9-]{1,16}$/;

/** Longest network name in a record; a longer one cannot be ours. */
const MAX_NETWORK_BYTES = 32;

/**
 * Write and sign a record.
 *
 * @throws {RangeError} when the content would be refused by others; the cause says why.
 */
export function createNodeRecord(
  crypto: CryptoSuite,
  identity: Identity,
  network: NetworkParameters,
  content: NodeRecordContent,
): NodeRecord {
  const unsigned = {
    version: network.version,
    network: network.name,
    publicKey: identity.publicKey,
    onionKey: content.onionKey,
    addresses: content.addresses.map(encodeAddress),
    flags: [...new Set(content.flags)].sort(),
    bandwidth: content.bandwidth,
    sequence: content.sequence,
    expiry: content.expiry,
    work: content.workNonce,
    place: content.place ?? placeWithoutWork(crypto, identity.publicKey),
    ...content.rent !== undefined && { rent: content.rent },
    ...content.contact !== undefined && { contact: content.contact },
    ...content.family && { family: encodeFamily(content.family) },
  };
  const signature = identity.sign(SIGNATURE_CONTEXT, encodeCbor(unsigned));
  const encoded = encodeCbor({ ...unsigned, signature });
  try {
    return readNodeRecord(crypto, network, encoded, content.sequence).record;
  } catch (cause) {
    throw new RangeError("Cannot create node record", { cause });
  }
}

/**
 * Read a record and check all of it but the proof of work, which takes longer
 * and has {@linkcode RecordVerifier}. The signature comes last: whatever is
 * cheaper to refuse is refused before.
 *
 * @param unixMs Wall-clock time now.
 * @throws {ProtocolError}
 * - `auth.record_size`, `auth.record_version`, `auth.record_network`
 * - `auth.record_date`: expired, too far in the future, or too long a life
 * - `auth.record_address`: too many, none for a relay, twice the same, or not
 *   allowed in this network
 * - `auth.record_flags`: unsorted, repeated, or not words
 * - `auth.record_place`: another than the key's, in a network without work
 * - `auth.record_rent`: none in a network with work, or one in a network without
 * - `auth.record_contact`: not one line of printable ASCII
 * - `auth.record_signature`
 * - `auth.record_family`: its signature of this key is wrong
 * - `wire.*`: not strict CBOR, or fields missing, unknown or of the wrong type
 */
export function decodeNodeRecord(
  crypto: CryptoSuite,
  network: NetworkParameters,
  encoded: Uint8Array,
  unixMs: number,
): NodeRecord {
  const { record, signed } = readNodeRecord(crypto, network, encoded, unixMs);
  const { publicKey, signature } = record;
  if (!verifySigned(crypto, publicKey, SIGNATURE_CONTEXT, signed, signature)) {
    throw fail("signature", "the signature is wrong");
  }
  // Last: only the owner of the key can have us check a second signature.
  if (!checkFamily(crypto, record.family, publicKey)) {
    throw fail("family", "its family did not sign this key");
  }
  return record;
}

/**
 * When a record was written by its own word; none of it is checked.
 *
 * @throws {ProtocolError} `auth.record_size`, `wire.*`.
 */
export function claimedSequence(
  network: NetworkParameters,
  encoded: Uint8Array,
): number {
  if (encoded.length > network.maxNodeRecordBytes) {
    throw fail("size", `${encoded.length} bytes`);
  }
  return decodeFields(encoded, "node record").uint("sequence");
}

/**
 * A record whose dates do not fit our clock. From a peer that has just proven who it
 * is, it says that one of the two clocks is wrong.
 */
export class RecordDateError extends ProtocolError {
  /** How far its clock is ahead of ours at least, ms; below zero where ours is. */
  readonly aheadMs: number;

  /** @param why Such as `it has expired`. */
  constructor(why: string, aheadMs: number) {
    super("auth.record_date", `Cannot accept node record: ${why}`);
    this.aheadMs = aheadMs;
  }
}

/**
 * Whether a record that was valid once still is, by its dates alone.
 *
 * @throws {ProtocolError} `auth.record_date`.
 */
export function checkRecordDates(
  network: NetworkParameters,
  record: Pick<NodeRecord, "sequence" | "expiry">,
  unixMs: number,
): void {
  const { sequence, expiry } = record;
  if (sequence > unixMs + network.maxClockSkewMs) {
    throw new RecordDateError("it is from the future", sequence - unixMs);
  }
  if (expiry <= unixMs) {
    throw new RecordDateError("it has expired", expiry - unixMs);
  }
  if (expiry - sequence > network.maxNodeRecordLifeMs) {
    throw fail("date", "it lives too long");
  }
}

function readNodeRecord(
  crypto: CryptoSuite,
  network: NetworkParameters,
  encoded: Uint8Array,
  unixMs: number,
): { record: NodeRecord; signed: Bytes } {
  if (encoded.length > network.maxNodeRecordBytes) {
    throw fail("size", `${encoded.length} bytes`);
  }
  const map = decodeCbor(encoded);
  const fields = new Fields(map, "node record");
  // First, so that a record of another version is not blamed for its fields.
  if (fields.uint("version") !== network.version) {
    throw fail("version", "it is of another version");
  }
  if (fields.text("network", MAX_NETWORK_BYTES) !== network.name) {
    throw fail("network", "it is of another network");
  }
  const publicKey = asPublicKey(fields.bytes("publicKey", { length: 32 }));
  const flags = readFlags(fields);
  const record = {
    network: network.name,
    publicKey,
    nodeId: nodeIdOf(crypto, publicKey),
    onionKey: fields.bytes("onionKey", { length: X25519_BYTES }),
    addresses: readAddresses(fields, network),
    flags,
    bandwidth: fields.uint("bandwidth"),
    sequence: fields.uint("sequence"),
    expiry: fields.uint("expiry"),
    workNonce: fields.bytes("work", { length: WORK_NONCE_BYTES }),
    place: fields.bytes("place", { length: PLACE_BYTES }),
    ...fields.has("rent") && {
      rent: fields.bytes("rent", { length: WORK_NONCE_BYTES }),
    },
    ...fields.has("contact") && { contact: readContact(fields) },
    ...fields.has("family") && { family: readFamily(fields) },
    signature: fields.bytes("signature", { length: SIGNATURE_BYTES }),
    encoded: new Uint8Array(encoded),
  };
  fields.finish();
  if (flags.includes("relay") && record.addresses.length === 0) {
    throw fail("address", "a relay without one");
  }
  checkRecordDates(network, record, unixMs);
  if (hasRent(network) !== (record.rent !== undefined)) {
    throw fail("rent", "it has none, or needs none in this network");
  }
  if (
    !hasRent(network) &&
    !equalBytes(record.place, placeWithoutWork(crypto, publicKey))
  ) throw fail("place", "it has the place of another key");
  return { record, signed: withoutSignature(map) };
}

/** The bytes that are signed: as there is one encoding, encoding again gives it. */
function withoutSignature(map: DecodedCbor): Bytes {
  const unsigned = new Map(map as Map<string, DecodedCbor>);
  unsigned.delete("signature");
  return encodeCbor(unsigned);
}

function readContact(fields: Fields): string {
  const contact = fields.text("contact", MAX_CONTACT_BYTES);
  if (!isContact(contact)) throw fail("contact", "it is no printable line");
  return contact;
}

function readFlags(fields: Fields): NodeFlag[] {
  const flags = fields.textArray("flags", MAX_FLAGS, 16);
  for (const [index, flag] of flags.entries()) {
    const last = flags[index - 1];
    if (!FLAG_PATTERN.test(flag)) throw fail("flags", "not a word");
    if (last !== undefined && compareBytes(utf8(last), utf8(flag)) >= 0) {
      throw fail("flags", "unsorted, or one twice");
    }
  }
  return flags.filter((flag): flag is NodeFlag => flag === "relay");
}

/** `[ip, port]`, an IPv4-mapped IPv6 address as IPv4. */
function encodeAddress(address: SocketAddress): [Uint8Array, number] {
  const bytes = parseIp(address.host);
  const ip = bytes === undefined ? undefined : parseIp(formatIp(bytes));
  if (ip === undefined) {
    throw new RangeError("Cannot create node record: a host is no IP literal");
  }
  return [ip, address.port];
}

function readAddresses(
  fields: Fields,
  network: NetworkParameters,
): SocketAddress[] {
  const items = fields.array("addresses", network.maxAddresses);
  const addresses = items.map(readAddress);
  const seen = new Set<string>();
  for (const address of addresses) {
    if (!isAllowedAddress(network, address)) {
      throw fail("address", "one that this network does not allow");
    }
    seen.add(`${address.host} ${address.port}`);
  }
  if (seen.size !== addresses.length) throw fail("address", "one twice");
  return addresses;
}

function readAddress(item: DecodedCbor): SocketAddress {
  if (!Array.isArray(item) || item.length !== 2) {
    throw fail("address", "not a pair");
  }
  const [ip, port] = item;
  if (!(ip instanceof Uint8Array) || (ip.length !== 4 && ip.length !== 16)) {
    throw fail("address", "not an IP address");
  }
  if (typeof port !== "number") throw fail("address", "not a port");
  const host = formatIp(ip);
  // IPv4 in IPv6 clothes would be a second encoding of one address.
  if (ip.length === 16 && !host.includes(":")) {
    throw fail("address", "an IPv4-mapped IPv6 address");
  }
  return { host, port };
}

function fail(kind: string, why: string): ProtocolError {
  return new ProtocolError(
    `auth.record_${kind}`,
    `Cannot accept node record: ${why}`,
  );
}
