/**
 * The five messages of the link handshake, each one frame of CBOR:
 *
 *     dialler                                                  answerer
 *       Hello     {type, versions, network, publicKey, nonce, record?} →
 *       ← Challenge {type, body, signature}
 *                    body: {version, versions, publicKey, nonce, record}
 *       Proof     {type, signature}                                    →
 *       ← Welcome   {type, host, port, limits}  or  Refused {type, code}
 *
 * A Challenge carries its signed part as a byte string, so that what is signed is
 * exactly what was sent, and no side has to encode it again.
 *
 * @see protocol §3.2 "Handshake"
 * @module
 */
import { asPublicKey, type PublicKey } from "../auth/identity.ts";
import {
  formatIp,
  parseIp,
  type SocketAddress,
} from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import { ED25519_KEY_BYTES, SIGNATURE_BYTES } from "../crypto/suite.ts";
import { type CborValue, encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";

/** Bytes of each side's nonce. */
export const NONCE_BYTES = 32;

/**
 * Longest handshake message. A record takes at most 1 KiB of it; a peer that has not
 * yet proven anything cannot make us hold more.
 */
export const MAX_HANDSHAKE_BYTES = 2048;

/** Most protocol versions that one side may offer. */
const MAX_VERSIONS = 8;

const MAX_RECORD_BYTES = 1024;
const MAX_NETWORK_BYTES = 32;
const MAX_TYPE_BYTES = 16;
const MAX_VERSION = 65_535;

/** What the answerer tells the dialler that it will bear. */
export interface WelcomeLimits {
  /** Requests per second, on average. */
  readonly requestsPerSecond: number;
  /** Circuit creations per second, on average. */
  readonly circuitsPerSecond: number;
  /** Streams that the dialler may have open at once. */
  readonly openStreams: number;
}

/** First message: who is calling, and in what terms. */
export interface Hello {
  readonly type: "hello";
  /** Versions that the dialler speaks, all different, at least 1. */
  readonly versions: readonly number[];
  readonly network: string;
  readonly publicKey: PublicKey;
  readonly nonce: Bytes;
  /** The dialler's node record; a client has none. */
  readonly record: Bytes | undefined;
}

/** The answerer's half of the proof. */
export interface Challenge {
  readonly type: "challenge";
  /** The signed part: an encoded {@linkcode ChallengeBody}. */
  readonly body: Bytes;
  readonly signature: Bytes;
}

/** What a {@linkcode Challenge} signs, besides the Hello. */
export interface ChallengeBody {
  /** The version chosen: the highest that both speak. */
  readonly version: number;
  /** Versions that the answerer speaks. */
  readonly versions: readonly number[];
  readonly publicKey: PublicKey;
  readonly nonce: Bytes;
  readonly record: Bytes;
}

/** The dialler's half of the proof. */
export interface Proof {
  readonly type: "proof";
  readonly signature: Bytes;
}

/** The link stands. */
export interface Welcome {
  readonly type: "welcome";
  /** Where the answerer sees the dialler. */
  readonly observedAddress: SocketAddress;
  readonly limits: WelcomeLimits;
}

/** The link does not stand: `busy` for want of room, else `refused`. */
export interface Refused {
  readonly type: "refused";
  readonly code: "refused" | "busy";
}

/** Any message of the handshake. */
export type HandshakeMessage = Hello | Challenge | Proof | Welcome | Refused;

/** Encode a message. @throws {BugError} `link.handshake_size` if it is too long. */
export function encodeHandshake(message: HandshakeMessage): Bytes {
  const bytes = encodeCbor(cborOf(message));
  if (bytes.length > MAX_HANDSHAKE_BYTES) {
    throw new BugError(
      "link.handshake_size",
      `Cannot encode ${message.type}: ${bytes.length} bytes`,
    );
  }
  return bytes;
}

function cborOf(message: HandshakeMessage): CborValue {
  if (message.type !== "welcome") return { ...message };
  // Without the zone of a link-local IPv6 address: it means nothing over there.
  const host = parseIp(message.observedAddress.host.replace(/%.*$/, ""));
  if (host === undefined) {
    throw new BugError("link.observed_address", "Cannot encode welcome: no IP");
  }
  const { type, observedAddress: { port }, limits } = message;
  return { type, host, port, limits: { ...limits } };
}

/**
 * Decode a message, strictly.
 *
 * @throws {ProtocolError} `wire.*` for malformed bytes and fields, `link.message`
 * for a type that does not exist.
 */
export function decodeHandshake(bytes: Uint8Array): HandshakeMessage {
  const fields = decodeFields(bytes, "handshake message");
  const message = messageOf(fields.text("type", MAX_TYPE_BYTES), fields);
  fields.finish();
  return message;
}

function messageOf(type: string, fields: Fields): HandshakeMessage {
  switch (type) {
    case "hello":
      return helloOf(fields);
    case "challenge": {
      const body = fields.bytes("body", { max: MAX_HANDSHAKE_BYTES });
      return { type, body, signature: signatureOf(fields) };
    }
    case "proof":
      return { type, signature: signatureOf(fields) };
    case "welcome":
      return welcomeOf(fields);
    case "refused": {
      const code = fields.text("code", MAX_TYPE_BYTES);
      if (code === "refused" || code === "busy") return { type, code };
      throw new ProtocolError("link.message", "Cannot read refusal: its code");
    }
    default:
      throw new ProtocolError(
        "link.message",
        "Cannot read handshake: its type",
      );
  }
}

function helloOf(fields: Fields): Hello {
  return {
    type: "hello",
    versions: versionsOf(fields),
    network: fields.text("network", MAX_NETWORK_BYTES),
    publicKey: publicKeyOf(fields),
    nonce: fields.bytes("nonce", { length: NONCE_BYTES }),
    record: fields.has("record") ? recordOf(fields) : undefined,
  };
}

function welcomeOf(fields: Fields): Welcome {
  const host = fields.bytes("host", { max: 16 });
  if (host.length !== 4 && host.length !== 16) {
    throw new ProtocolError("link.message", "Cannot read welcome: its address");
  }
  const port = fields.uint("port", 65_535);
  const limits = fields.map("limits");
  const welcome: Welcome = {
    type: "welcome",
    observedAddress: { host: formatIp(host), port },
    limits: {
      requestsPerSecond: limits.uint("requestsPerSecond"),
      circuitsPerSecond: limits.uint("circuitsPerSecond"),
      openStreams: limits.uint("openStreams"),
    },
  };
  limits.finish();
  return welcome;
}

/** Encode the signed part of a Challenge. */
export function encodeChallengeBody(body: ChallengeBody): Bytes {
  return encodeCbor({ ...body });
}

/** Decode the signed part of a Challenge. @throws {ProtocolError} as {@linkcode decodeHandshake}. */
export function decodeChallengeBody(bytes: Uint8Array): ChallengeBody {
  const fields = decodeFields(bytes, "challenge");
  const body: ChallengeBody = {
    version: fields.uint("version", MAX_VERSION),
    versions: versionsOf(fields),
    publicKey: publicKeyOf(fields),
    nonce: fields.bytes("nonce", { length: NONCE_BYTES }),
    record: recordOf(fields),
  };
  fields.finish();
  return body;
}

function versionsOf(fields: Fields): number[] {
  const versions: number[] = [];
  for (const version of fields.array("versions", MAX_VERSIONS)) {
    const isNew = typeof version === "number" && !versions.includes(version);
    if (!isNew || version < 1 || version > MAX_VERSION) {
      throw new ProtocolError("link.message", "Cannot read versions");
    }
    versions.push(version);
  }
  if (versions.length > 0) return versions;
  throw new ProtocolError("link.message", "Cannot read versions: none");
}

function publicKeyOf(fields: Fields): PublicKey {
  return asPublicKey(fields.bytes("publicKey", { length: ED25519_KEY_BYTES }));
}

function signatureOf(fields: Fields): Bytes {
  return fields.bytes("signature", { length: SIGNATURE_BYTES });
}

function recordOf(fields: Fields): Bytes {
  return fields.bytes("record", { max: MAX_RECORD_BYTES });
}
