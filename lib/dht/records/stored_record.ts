/**
 * Signed values that the DHT keeps. A record is deterministic CBOR, at most
 * {@linkcode maxStoredRecordBytes}:
 *
 *     { key: bytes(32), value: bytes(0 to 16384), expiry: uint, sequence: uint,
 *       publisher: bytes(32), signature: bytes(64) }
 *
 * Signed is "anonnet v1 stored record" ‖ 0x00 ‖ the same map without signature.
 *
 * Two kinds of keys:
 *
 *     self-certifying   key = H("anonnet v1 record key" ‖ publisher ‖ replica)
 *                       replica 0 to 7, one byte: no other key can sign for it
 *     open              any other: any publisher may write beside the others
 *
 * @see protocol §4.4 "Stored records"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { type Bytes, concat, equalBytes, utf8 } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  SIGNATURE_BYTES,
} from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";
import { type DhtKey, POINT_BYTES } from "./distance.ts";

/** Protocol: most bytes of a record beside its value. */
const RECORD_FRAME_BYTES = 256;

const KEY_CONTEXT = utf8("anonnet v1 record key");
const SIGNATURE_PREFIX = concat(
  utf8("anonnet v1 stored record"),
  Uint8Array.of(0),
);

/** Most bytes of a whole encoded record. */
export function maxStoredRecordBytes(network: NetworkParameters): number {
  return network.maxRecordValueBytes + RECORD_FRAME_BYTES;
}

/** What a publisher says. */
export interface StoredRecordContent {
  /** Where it is kept. */
  readonly key: DhtKey;
  /** Who signs: an Ed25519 public key, blinded or not. */
  readonly publisher: PublicKey;
  /** The higher replaces the lower of the same key and publisher. */
  readonly sequence: number;
  /** When it ends, Unix time in ms, at most 24 h ahead. */
  readonly expiry: number;
  /** At most 16 KiB. */
  readonly value: Uint8Array;
}

/** A record whose form is right. Whether it is signed, {@linkcode isSigned} tells. */
export interface StoredRecord extends StoredRecordContent {
  readonly value: Bytes;
  readonly signature: Bytes;
  /** The whole record, as it travels. */
  readonly encoded: Bytes;
}

/** Signs messages with the key whose public half is the publisher: a `Signer`, or a blinded key. */
interface RecordSigner {
  readonly publicKey: PublicKey;
  sign(message: Uint8Array): Bytes;
}

/**
 * One of a publisher's own places.
 *
 * @param replica 0 to 7 (`recordReplicas` of the network, less 1).
 * @throws {RangeError} for what is not a byte.
 */
export function selfCertifyingKey(
  crypto: CryptoSuite,
  publisher: PublicKey,
  replica: number,
): DhtKey {
  if (!Number.isInteger(replica) || replica < 0 || replica > 255) {
    throw new RangeError(`Cannot make a key for replica ${replica}`);
  }
  return crypto.sha256(KEY_CONTEXT, publisher, Uint8Array.of(replica));
}

/** Whether `key` is one of the places that belong to `publisher` alone. */
export function isSelfCertifying(
  crypto: CryptoSuite,
  network: NetworkParameters,
  key: DhtKey,
  publisher: PublicKey,
): boolean {
  for (let replica = 0; replica < network.recordReplicas; replica++) {
    if (equalBytes(key, selfCertifyingKey(crypto, publisher, replica))) {
      return true;
    }
  }
  return false;
}

/**
 * Sign a record.
 *
 * @throws {RangeError} when the value is too large, or a field out of range.
 */
export function createStoredRecord(
  network: NetworkParameters,
  signer: RecordSigner,
  content: Omit<StoredRecordContent, "publisher">,
): StoredRecord {
  const { key, sequence, expiry } = content;
  if (content.value.length > network.maxRecordValueBytes) {
    throw new RangeError(
      `Cannot store a value of ${content.value.length} bytes`,
    );
  }
  if (key.length !== POINT_BYTES || !isUint(sequence) || !isUint(expiry)) {
    throw new RangeError("Cannot sign record: a field is out of range");
  }
  const value = new Uint8Array(content.value);
  const signed = { key, publisher: signer.publicKey, sequence, expiry, value };
  const signature = signer.sign(signedMessage(signed));
  return {
    ...signed,
    signature,
    encoded: encodeCbor({ ...signed, signature }),
  };
}

/**
 * Read a record. Checks its form and bounds, but for the length of the value,
 * which is a reason to refuse it and not to break with who sent it; neither
 * signature nor dates.
 *
 * @throws {ProtocolError} `wire.*` when it is malformed.
 */
export function decodeStoredRecord(bytes: Uint8Array): StoredRecord {
  const fields = decodeFields(bytes, "stored record", { maxDepth: 1 });
  const record = {
    key: fields.bytes("key", { length: POINT_BYTES }),
    publisher: fields.bytes("publisher", { length: ED25519_KEY_BYTES }),
    sequence: fields.uint("sequence"),
    expiry: fields.uint("expiry"),
    value: fields.bytes("value"),
    signature: fields.bytes("signature", { length: SIGNATURE_BYTES }),
    encoded: new Uint8Array(bytes),
  };
  fields.finish();
  return record;
}

/** Whether the publisher signed this record. */
export function isSigned(crypto: CryptoSuite, record: StoredRecord): boolean {
  return crypto.verify(
    record.publisher,
    signedMessage(record),
    record.signature,
  );
}

/**
 * Read what a peer gave as an answer to "what is under `key`?".
 *
 * @throws {ProtocolError} `dht.record_key` (another key), `dht.record_expired`,
 * `dht.record_future`, `dht.record_size`, `dht.record_signature`, or `wire.*`.
 */
export function checkStoredRecord(
  crypto: CryptoSuite,
  network: NetworkParameters,
  bytes: Uint8Array,
  key: DhtKey,
  unixMs: number,
): StoredRecord {
  const record = decodeStoredRecord(bytes);
  const fail = (code: string, why: string) =>
    new ProtocolError(`dht.record_${code}`, `Cannot take record: ${why}`);
  if (!equalBytes(record.key, key)) {
    throw fail("key", "it is under another key");
  }
  if (record.expiry <= unixMs) throw fail("expired", "it has expired");
  if (isTooFarAhead(network, record, unixMs)) {
    throw fail("future", "it expires too far ahead");
  }
  if (record.value.length > network.maxRecordValueBytes) {
    throw fail("size", "its value is too large");
  }
  if (!isSigned(crypto, record)) {
    throw fail("signature", "the signature is wrong");
  }
  return record;
}

/**
 * Whether a record claims to live longer than any may. Clocks may disagree by
 * `maxClockSkewMs`: without it, a publisher a minute ahead of us could not use
 * the longest life.
 */
export function isTooFarAhead(
  network: NetworkParameters,
  record: StoredRecord,
  unixMs: number,
): boolean {
  const { maxRecordLifeMs, maxClockSkewMs } = network;
  return record.expiry > unixMs + maxRecordLifeMs + maxClockSkewMs;
}

function isUint(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function signedMessage(content: StoredRecordContent): Bytes {
  const { key, publisher, sequence, expiry, value } = content;
  return concat(
    SIGNATURE_PREFIX,
    encodeCbor({ key, publisher, sequence, expiry, value }),
  );
}
