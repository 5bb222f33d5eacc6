/**
 * Descriptors: where a service can be reached, for those who know its address.
 *
 *     value     version(1) ‖ salt(16) ‖ sealed        a multiple of 4 KiB
 *     sealed    AEAD(outer key, 0, length(4) ‖ CBOR ‖ zeros; aad)
 *     outer     { authorisation?, content }           content sealed once more
 *     content   { features, points: [{ authentication, kem, relay, static }],
 *                 period, revision }
 *     aad       "anonnet v1 descriptor" ‖ blinded key ‖ period(8) ‖ revision(8)
 *     outer key HKDF(A ‖ blinded key, salt, "anonnet v1 descriptor outer")
 *     inner key HKDF(A ‖ blinded key ‖ cookie, salt, "anonnet v1 descriptor inner")
 *
 * The value is that of a stored record (protocol §4.4 "Stored records") whose publisher is the blinded
 * key and whose sequence is the revision: the record's signature covers it all.
 * The cookie is empty unless clients must be authorised.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { asPublicKey } from "../auth/identity.ts";
import { type Bytes, concat, utf8, wipe } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  KEM_PUBLIC_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
  X25519_BYTES,
} from "../crypto/suite.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";
import {
  type Authorisation,
  authoriseClients,
  readAuthorisation,
  recoverCookie,
  writeAuthorisation,
} from "./client_authorisation.ts";
import type { IntroductionPublicKeys } from "./meeting/introduction_keys.ts";
import { type TimePeriod, uint64 } from "./time_period.ts";

/** Introduction points that a service keeps. */
export const INTRODUCTION_POINTS = 3;
/** Most introduction points that a descriptor may name: old and new ones during a change. */
const MAX_INTRODUCTION_POINTS = 5;
/** Values are padded to multiples of this, bytes. */
export const DESCRIPTOR_STEP_BYTES = 4096;
/** Longest value: what the DHT stores. */
const MAX_DESCRIPTOR_BYTES = 16 * 1024;
/** Longest node record in a descriptor. */
const MAX_RECORD_BYTES = 1024;
const MAX_FEATURES = 16;
const MAX_FEATURE_BYTES = 32;
const VERSION = 1;
const SALT_BYTES = 16;
const LENGTH_BYTES = 4;
const HEAD_BYTES = 1 + SALT_BYTES;

const AAD_CONTEXT = utf8("anonnet v1 descriptor");
const OUTER_INFO = utf8("anonnet v1 descriptor outer");
const INNER_INFO = utf8("anonnet v1 descriptor inner");
/** Each key encrypts one message: its salt is fresh. */
const ZERO_NONCE = new Uint8Array(NONCE_BYTES);

/** One way to a service. */
export interface IntroductionPoint {
  /** Signed node record of the relay, as it travels; not yet verified. */
  readonly relay: Bytes;
  readonly keys: IntroductionPublicKeys;
}

/** What a descriptor says. */
export interface DescriptorContent {
  readonly points: readonly IntroductionPoint[];
  /** Words for abilities beyond this version; unknown ones are ignored. */
  readonly features: readonly string[];
}

/** Whose descriptor it is, and which: all of it is authenticated. */
export interface DescriptorName {
  /** A, the service's own key. */
  readonly publicKey: PublicKey;
  /** A as blinded for the period. */
  readonly blinded: PublicKey;
  readonly period: TimePeriod;
  /** Equal to the sequence of the stored record. */
  readonly revision: number;
}

/**
 * Encrypt a descriptor.
 *
 * @param clients Keys of those who may read it, as they gave them to the service;
 * empty: every client that knows the address.
 * @returns The value of the stored record.
 * @throws {RangeError} when it does not fit into 16 KiB.
 */
export function encodeDescriptor(
  crypto: CryptoSuite,
  random: Random,
  name: DescriptorName,
  content: DescriptorContent,
  clients: readonly Bytes[] = [],
): Bytes {
  const salt = random.bytes(SALT_BYTES);
  const authorisation = clients.length === 0
    ? undefined
    : authoriseClients(crypto, random, name.blinded, clients);
  const cookie = authorisation?.cookie ?? new Uint8Array(0);
  const inner = encodeCbor({
    features: content.features,
    period: name.period,
    points: content.points.map(({ relay, keys }) => ({
      authentication: keys.authentication,
      kem: keys.kemKey,
      relay,
      static: keys.staticKey,
    })),
    revision: name.revision,
  });
  const innerKey = deriveKey(crypto, name, cookie, salt, INNER_INFO);
  const aad = additionalData(name);
  const outer = encodeCbor({
    authorisation: authorisation === undefined
      ? undefined
      : writeAuthorisation(authorisation.public),
    content: crypto.seal(innerKey, ZERO_NONCE, inner, aad),
  });
  const used = HEAD_BYTES + LENGTH_BYTES + outer.length + TAG_BYTES;
  const total = Math.ceil(used / DESCRIPTOR_STEP_BYTES) * DESCRIPTOR_STEP_BYTES;
  if (total > MAX_DESCRIPTOR_BYTES) {
    throw new RangeError(`Cannot encode descriptor: it has ${used} bytes`);
  }
  const plaintext = new Uint8Array(total - HEAD_BYTES - TAG_BYTES);
  new DataView(plaintext.buffer).setUint32(0, outer.length);
  plaintext.set(outer, LENGTH_BYTES);
  const outerKey = deriveKey(crypto, name, undefined, salt, OUTER_INFO);
  const sealed = crypto.seal(outerKey, ZERO_NONCE, plaintext, aad);
  wipe(innerKey, outerKey, cookie);
  return concat(Uint8Array.of(VERSION), salt, sealed);
}

/**
 * Decrypt the descriptor of a given name. What was signed by another key, for
 * another address, another period or another revision does not open.
 *
 * @param clientSecret The key that we keep for the service, where the service wants one.
 * @throws {ProtocolError}
 * - `service.descriptor_version`, `service.descriptor_size`
 * - `service.descriptor_sealed`: not of this name
 * - `service.descriptor_unauthorised`: readable only with a client key that we lack
 * - `service.descriptor_content`, `wire.*`: the service wrote nonsense
 */
export function decodeDescriptor(
  crypto: CryptoSuite,
  name: DescriptorName,
  value: Uint8Array,
  clientSecret?: Bytes,
): DescriptorContent {
  if (value[0] !== VERSION) throw fail("version", "of another version");
  const isSize = value.length <= MAX_DESCRIPTOR_BYTES &&
    value.length % DESCRIPTOR_STEP_BYTES === 0;
  if (!isSize) throw fail("size", `of ${value.length} bytes`);
  const salt = value.subarray(1, HEAD_BYTES);
  const aad = additionalData(name);
  const outerKey = deriveKey(crypto, name, undefined, salt, OUTER_INFO);
  const sealed = value.subarray(HEAD_BYTES);
  const plaintext = crypto.open(outerKey, ZERO_NONCE, sealed, aad);
  if (plaintext === undefined) throw fail("sealed", "not of this address");
  const outer = decodeFields(unpad(plaintext), "descriptor");
  const content = outer.bytes("content", { max: MAX_DESCRIPTOR_BYTES });
  const authorisation = outer.has("authorisation")
    ? readAuthorisation(outer.map("authorisation"))
    : undefined;
  outer.finish();
  const cookie = cookieOf(crypto, name, authorisation, clientSecret);
  const innerKey = deriveKey(crypto, name, cookie, salt, INNER_INFO);
  const inner = crypto.open(innerKey, ZERO_NONCE, content, aad);
  if (inner === undefined) throw fail("sealed", "not of this address");
  wipe(innerKey, outerKey, cookie);
  return readContent(decodeFields(inner, "descriptor content"), name);
}

function cookieOf(
  crypto: CryptoSuite,
  name: DescriptorName,
  authorisation: Authorisation | undefined,
  clientSecret: Bytes | undefined,
): Bytes {
  if (authorisation === undefined) return new Uint8Array(0);
  const cookie = clientSecret === undefined
    ? undefined
    : recoverCookie(crypto, name.blinded, authorisation, clientSecret);
  if (cookie === undefined) {
    throw fail("unauthorised", "for authorised clients only");
  }
  return cookie;
}

function readContent(fields: Fields, name: DescriptorName): DescriptorContent {
  const period = fields.uint("period");
  const revision = fields.uint("revision");
  const features = fields.textArray(
    "features",
    MAX_FEATURES,
    MAX_FEATURE_BYTES,
  );
  const points = fields.mapArray("points", MAX_INTRODUCTION_POINTS)
    .map((point) => {
      const read = {
        relay: point.bytes("relay", { max: MAX_RECORD_BYTES }),
        keys: {
          authentication: asPublicKey(
            point.bytes("authentication", { length: ED25519_KEY_BYTES }),
          ),
          staticKey: point.bytes("static", { length: X25519_BYTES }),
          kemKey: point.bytes("kem", { length: KEM_PUBLIC_BYTES }),
        },
      };
      point.finish();
      return read;
    });
  fields.finish();
  if (period !== name.period || revision !== name.revision) {
    throw fail("content", "with dates that contradict its signature");
  }
  if (points.length === 0) {
    throw fail("content", "without introduction points");
  }
  return { points, features };
}

function unpad(plaintext: Bytes): Bytes {
  const length = new DataView(plaintext.buffer, plaintext.byteOffset)
    .getUint32(0);
  const end = LENGTH_BYTES + length;
  if (end > plaintext.length) throw fail("content", "that is cut short");
  for (const byte of plaintext.subarray(end)) {
    if (byte !== 0) throw fail("content", "whose padding is not zero");
  }
  return plaintext.subarray(LENGTH_BYTES, end);
}

function deriveKey(
  crypto: CryptoSuite,
  name: DescriptorName,
  cookie: Bytes | undefined,
  salt: Uint8Array,
  info: Uint8Array,
): Bytes {
  const secret = concat(
    name.publicKey,
    name.blinded,
    cookie ?? new Uint8Array(0),
  );
  return crypto.hkdf(secret, salt, info, KEY_BYTES);
}

function additionalData(name: DescriptorName): Bytes {
  return concat(
    AAD_CONTEXT,
    name.blinded,
    uint64(name.period),
    uint64(name.revision),
  );
}

function fail(code: string, what: string): ProtocolError {
  return new ProtocolError(
    `service.descriptor_${code}`,
    `Cannot read descriptor: it is one ${what}`,
  );
}
