/**
 * What a descriptor is wrapped in: whose it is and of when is authenticated, and how
 * long it is says as little as can be.
 *
 *     value     version(1) ‖ salt(16) ‖ sealed        a multiple of 4 KiB
 *     sealed    AEAD(outer key, 0, length(4) ‖ CBOR ‖ zeros; aad)
 *     outer     { authorisation?, content }           content sealed once more
 *     aad       "anonnet v1 descriptor" ‖ blinded key ‖ period(8) ‖ revision(8)
 *     outer key HKDF(A ‖ blinded key, salt, "anonnet v1 descriptor outer")
 *     inner key HKDF(A ‖ blinded key ‖ cookie, salt, "anonnet v1 descriptor inner")
 *
 * The cookie is empty unless clients must be authorised.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { type Bytes, concat, utf8, wipe } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import {
  type CryptoSuite,
  KEY_BYTES,
  NONCE_BYTES,
  TAG_BYTES,
} from "../crypto/suite.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields } from "../wire/fields.ts";
import {
  type Authorisation,
  type authoriseClients,
  readAuthorisation,
  recoverCookie,
  writeAuthorisation,
} from "./client_authorisation.ts";
import { type TimePeriod, uint64 } from "./time_period.ts";

/** Values are padded to multiples of this, bytes. */
export const DESCRIPTOR_STEP_BYTES = 4096;
/** Longest value: what the DHT stores. */
const MAX_DESCRIPTOR_BYTES = 16 * 1024;
const VERSION = 1;
/** Bytes of a salt. */
export const SALT_BYTES = 16;
const LENGTH_BYTES = 4;
const HEAD_BYTES = 1 + SALT_BYTES;

const AAD_CONTEXT = utf8("anonnet v1 descriptor");
const OUTER_INFO = utf8("anonnet v1 descriptor outer");
const INNER_INFO = utf8("anonnet v1 descriptor inner");
/** Each key encrypts one message: its salt is fresh, or its revision another. */
const ZERO_NONCE = new Uint8Array(NONCE_BYTES);

/** Whose descriptor it is, and which: all of it is authenticated. */
export interface DescriptorName {
  /** A, the service's own key. */
  readonly publicKey: PublicKey;
  /** A as blinded for the period, or a host's key of the period. */
  readonly blinded: PublicKey;
  readonly period: TimePeriod;
  /** Equal to the sequence of the stored record. */
  readonly revision: number;
}

/** How a descriptor is sealed. */
export interface SealOptions {
  /** 16 bytes. */
  readonly salt: Uint8Array;
  /** Who may read it, and their cookie, which is wiped. Default: every client. */
  readonly authorised?: ReturnType<typeof authoriseClients> | undefined;
  /** Least length of the value. Default: the least that it fits into. */
  readonly leastBytes?: number;
}

/**
 * Encrypt what a descriptor says.
 *
 * @returns The value of the stored record.
 * @throws {RangeError} when it does not fit into 16 KiB.
 */
export function sealDescriptor(
  crypto: CryptoSuite,
  name: DescriptorName,
  inner: Uint8Array,
  { salt, authorised, leastBytes = 0 }: SealOptions,
): Bytes {
  const cookie = authorised?.cookie ?? new Uint8Array(0);
  const innerKey = deriveKey(crypto, name, cookie, salt, INNER_INFO);
  const aad = additionalData(name);
  const outer = encodeCbor({
    authorisation: authorised === undefined
      ? undefined
      : writeAuthorisation(authorised.public),
    content: crypto.seal(innerKey, ZERO_NONCE, inner, aad),
  });
  const used = HEAD_BYTES + LENGTH_BYTES + outer.length + TAG_BYTES;
  const steps = Math.ceil(Math.max(used, leastBytes) / DESCRIPTOR_STEP_BYTES);
  const total = steps * DESCRIPTOR_STEP_BYTES;
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
 * Decrypt what a descriptor of a given name says.
 *
 * @throws {ProtocolError} as `decodeDescriptor` but for what is said.
 */
export function openDescriptor(
  crypto: CryptoSuite,
  name: DescriptorName,
  value: Uint8Array,
  clientSecret?: Bytes,
): Bytes {
  if (value[0] !== VERSION) {
    throw descriptorError("version", "of another version");
  }
  const isSize = value.length <= MAX_DESCRIPTOR_BYTES &&
    value.length % DESCRIPTOR_STEP_BYTES === 0;
  if (!isSize) throw descriptorError("size", `of ${value.length} bytes`);
  const salt = value.subarray(1, HEAD_BYTES);
  const aad = additionalData(name);
  const outerKey = deriveKey(crypto, name, undefined, salt, OUTER_INFO);
  const sealed = value.subarray(HEAD_BYTES);
  const plaintext = crypto.open(outerKey, ZERO_NONCE, sealed, aad);
  if (plaintext === undefined) {
    throw descriptorError("sealed", "not of this address");
  }
  const outer = decodeFields(unpad(plaintext), "descriptor");
  const content = outer.bytes("content", { max: MAX_DESCRIPTOR_BYTES });
  const authorisation = outer.has("authorisation")
    ? readAuthorisation(outer.map("authorisation"))
    : undefined;
  outer.finish();
  const cookie = cookieOf(crypto, name, authorisation, clientSecret);
  const innerKey = deriveKey(crypto, name, cookie, salt, INNER_INFO);
  const inner = crypto.open(innerKey, ZERO_NONCE, content, aad);
  if (inner === undefined) {
    throw descriptorError("sealed", "not of this address");
  }
  wipe(innerKey, outerKey, cookie);
  return inner;
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
    throw descriptorError("unauthorised", "for authorised clients only");
  }
  return cookie;
}

function unpad(plaintext: Bytes): Bytes {
  const length = new DataView(plaintext.buffer, plaintext.byteOffset)
    .getUint32(0);
  const end = LENGTH_BYTES + length;
  if (end > plaintext.length) {
    throw descriptorError("content", "that is cut short");
  }
  for (const byte of plaintext.subarray(end)) {
    if (byte !== 0) {
      throw descriptorError("content", "whose padding is not zero");
    }
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

/** @returns `service.descriptor_…`. */
export function descriptorError(code: string, what: string): ProtocolError {
  return new ProtocolError(
    `service.descriptor_${code}`,
    `Cannot read descriptor: it is one ${what}`,
  );
}
