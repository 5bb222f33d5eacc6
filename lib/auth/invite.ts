/**
 * An invite: by which relays to join a network, and which network that is, signed by
 * the network's key. Who has the key vouches for the relays; it admits and expels no
 * node, and no link or record knows of it.
 *
 *     body = CBOR {name, work, private, key, relays, until}
 *     signature = sign(network key, "anonnet v1 invite", body)
 *
 * @see protocol §9.6 "Invites"
 * @module
 */
import { type Bytes, concat, equalBytes, formatBase32 } from "../base/bytes.ts";
import { ConfigError, ProtocolError } from "../base/errors.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  SIGNATURE_BYTES,
} from "../crypto/suite.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields } from "../wire/fields.ts";
import {
  asPublicKey,
  type Identity,
  type PublicKey,
  verifySigned,
} from "./identity.ts";
import {
  formatInviteLine,
  MAX_PAYLOAD_BYTES,
  parseInviteLine,
} from "./invite_line.ts";
import {
  customNetwork,
  type NetworkParameters,
  type NetworkTraits,
  sameTraits,
  wellKnownNetwork,
} from "./network.ts";
import { formatNodeAddress, type NodeAddress } from "./node_address.ts";
import { formatIp, parseIp } from "./socket_address.ts";
import { isAllowedAddress } from "./subnet.ts";

/** Protocol: most relays in one invite. */
export const MAX_INVITE_RELAYS = 8;
/** Fewer relays than these make an invite that one dead machine can spoil. */
export const FEW_INVITE_RELAYS = 3;

const CONTEXT = "anonnet v1 invite";
const MINUTE_MS = 60_000;
/** Minutes since 1970 that a date of JavaScript can show. */
const MAX_MINUTES = 8.64e15 / MINUTE_MS;
const MAX_NAME_BYTES = 32;
const PORT_BYTES = 2;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;

/** What an invite says. */
export interface InviteContent {
  readonly network: NetworkTraits;
  /** Relays to join by, best first. */
  readonly relays: readonly NodeAddress[];
  /** When it ends, ms since 1970; whole minutes. */
  readonly expiryMs: number;
}

/** An invite whose signature is right. It may have lapsed. */
export interface Invite extends InviteContent {
  readonly network: NetworkParameters;
  /** The network's key. */
  readonly networkKey: PublicKey;
  /** Body and signature. */
  readonly encoded: Bytes;
}

/**
 * Make an invite. Of the relays it takes the first ones that fit into a line, at most
 * {@linkcode MAX_INVITE_RELAYS}.
 *
 * @param key The network's key pair.
 * @throws {RangeError} for no relays, or traits that no network has.
 */
export function signInvite(
  crypto: CryptoSuite,
  key: Identity,
  content: InviteContent,
): Invite {
  if (content.relays.length === 0) {
    throw new RangeError("Cannot make an invite: no relays");
  }
  const most = content.relays.slice(0, MAX_INVITE_RELAYS);
  for (let count = most.length; count > 0; count--) {
    const body = encodeBody(key.publicKey, {
      ...content,
      relays: most.slice(0, count),
    });
    if (body.length + SIGNATURE_BYTES > MAX_PAYLOAD_BYTES) continue;
    return decodeInvite(crypto, concat(body, key.sign(CONTEXT, body)));
  }
  throw new RangeError("Cannot make an invite: too long");
}

/** The line of an invite; {@linkcode parseInvite} undoes it. */
export function formatInvite(crypto: CryptoSuite, invite: Invite): string {
  return formatInviteLine(crypto, invite.encoded);
}

/**
 * Read the line of an invite. Whether it has lapsed is for {@linkcode checkLapse}.
 *
 * @throws {ConfigError} as {@linkcode parseInviteLine}, and as {@linkcode decodeInvite}.
 */
export function parseInvite(crypto: CryptoSuite, text: string): Invite {
  return decodeInvite(crypto, parseInviteLine(crypto, text));
}

/**
 * Read body and signature.
 *
 * @throws {ConfigError} `auth.invite_signature`: changed on purpose;
 * `auth.invite_content`: signed, and no invite.
 */
export function decodeInvite(crypto: CryptoSuite, encoded: Uint8Array): Invite {
  const end = Math.max(0, encoded.length - SIGNATURE_BYTES);
  const body = encoded.subarray(0, end);
  try {
    const invite = decodeBody(body, new Uint8Array(encoded));
    const { networkKey } = invite;
    const signature = encoded.subarray(end);
    if (verifySigned(crypto, networkKey, CONTEXT, body, signature)) {
      return invite;
    }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new ConfigError(
      "auth.invite_content",
      "Cannot use the invite: what it says makes no sense; ask for another one",
      { cause },
    );
  }
  throw new ConfigError(
    "auth.invite_signature",
    "Cannot use the invite: it was changed after it was signed, and the relays in " +
      "it may be those of a stranger; ask for it once more, by another way",
  );
}

/**
 * Refuse an invite that has lapsed.
 *
 * @throws {ConfigError} `auth.invite_lapsed`.
 */
export function checkLapse({ expiryMs }: Invite, unixMs: number): void {
  if (expiryMs > unixMs) return;
  throw new ConfigError(
    "auth.invite_lapsed",
    `Cannot use the invite: it lapsed at ${formatDate(expiryMs)}, and this ` +
      `machine's clock says ${
        formatDate(unixMs)
      }; ask for a new one, or set the clock`,
  );
}

/** `2026-12-05 12:30 UTC`. */
export function formatDate(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 16).replace("T", " ") + " UTC";
}

/** Letters of a network's key that people compare: 100 bits, in fives. */
export function networkFingerprint(key: PublicKey): string {
  return formatBase32(key).slice(0, 20).replaceAll(/(.{5})(?=.)/g, "$1 ");
}

function encodeBody(
  key: PublicKey,
  { network, relays, expiryMs }: InviteContent,
): Bytes {
  const { name, powDifficulty, allowPrivateAddresses } = network;
  return encodeCbor({
    name,
    work: powDifficulty,
    private: allowPrivateAddresses,
    key,
    relays: relays.map(relayBytes),
    until: Math.floor(expiryMs / MINUTE_MS),
  });
}

function decodeBody(body: Uint8Array, encoded: Bytes): Invite {
  const fields = decodeFields(body, "invite");
  const network = networkOf({
    name: fields.text("name", MAX_NAME_BYTES),
    powDifficulty: fields.uint("work", 32),
    allowPrivateAddresses: fields.boolean("private"),
  });
  const networkKey = asPublicKey(
    fields.bytes("key", { length: ED25519_KEY_BYTES }),
  );
  const relays = fields.bytesArray("relays", MAX_INVITE_RELAYS).map((bytes) =>
    relayOf(bytes, network)
  );
  const expiryMs = fields.uint("until", MAX_MINUTES) * MINUTE_MS;
  fields.finish();
  const addresses = new Set(relays.map(formatNodeAddress));
  if (relays.length === 0 || addresses.size < relays.length) {
    throw nonsense("no relays, or one twice");
  }
  return { network, networkKey, relays, expiryMs, encoded };
}

function networkOf(traits: NetworkTraits): NetworkParameters {
  const known = wellKnownNetwork(traits.name);
  if (known !== undefined && !sameTraits(known, traits)) {
    throw nonsense("a built-in network with other parameters");
  }
  try {
    return known ?? customNetwork(traits);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw nonsense("no network can be called that");
  }
}

function relayBytes(
  { publicKey, address: { host, port } }: NodeAddress,
): Bytes {
  const ip = parseIp(host) ?? new Uint8Array();
  return concat(publicKey, ip, Uint8Array.of(port >> 8, port & 0xff));
}

function relayOf(bytes: Uint8Array, network: NetworkParameters): NodeAddress {
  const end = bytes.length - PORT_BYTES;
  const ip = bytes.subarray(ED25519_KEY_BYTES, Math.max(end, 0));
  if (ip.length !== IPV4_BYTES && ip.length !== IPV6_BYTES) {
    throw nonsense("a relay of another length");
  }
  const host = formatIp(ip);
  const port = (bytes[end] ?? 0) << 8 | (bytes[end + 1] ?? 0);
  const written = parseIp(host);
  const isCanonical = written !== undefined && equalBytes(written, ip);
  if (!isCanonical || !isAllowedAddress(network, { host, port })) {
    throw nonsense("an address that no node of the network dials");
  }
  return {
    publicKey: asPublicKey(bytes.subarray(0, ED25519_KEY_BYTES)),
    address: { host, port },
  };
}

function nonsense(what: string): ProtocolError {
  return new ProtocolError("auth.invite", `Cannot read invite: ${what}`);
}
