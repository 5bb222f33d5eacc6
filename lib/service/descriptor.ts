/**
 * Descriptors: where a service can be reached, for those who know its address.
 *
 *     content   { features, points: [{ authentication, kem, relay, static }],
 *                 period, revision }
 *
 * Sealed, it is the value of a stored record (protocol §4.4 "Stored records") whose publisher is the blinded
 * key and whose sequence is the revision: the record's signature covers it all.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import { asPublicKey } from "../auth/identity.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  KEM_PUBLIC_BYTES,
  X25519_BYTES,
} from "../crypto/suite.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";
import { authoriseClients } from "./client_authorisation.ts";
import {
  descriptorError,
  type DescriptorName,
  openDescriptor,
  SALT_BYTES,
  sealDescriptor,
} from "./descriptor_box.ts";
import type { IntroductionPublicKeys } from "./meeting/introduction_keys.ts";

/** Introduction points that a service keeps. */
export const INTRODUCTION_POINTS = 3;
/** Most introduction points that a descriptor may name: old and new ones during a change. */
const MAX_INTRODUCTION_POINTS = 5;
/** Longest node record in a descriptor. */
const MAX_RECORD_BYTES = 1024;
const MAX_FEATURES = 16;
const MAX_FEATURE_BYTES = 32;

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
  const authorised = clients.length === 0
    ? undefined
    : authoriseClients(crypto, random, name.blinded, clients);
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
  return sealDescriptor(crypto, name, inner, { salt, authorised });
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
  const inner = openDescriptor(crypto, name, value, clientSecret);
  return readContent(decodeFields(inner, "descriptor content"), name);
}

/** Read what was sealed. @throws {ProtocolError} `service.descriptor_content`, `wire.*`. */
export function readContent(
  fields: Fields,
  name: DescriptorName,
): DescriptorContent {
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
    throw descriptorError(
      "content",
      "with dates that contradict its signature",
    );
  }
  if (points.length === 0) {
    throw descriptorError("content", "without introduction points");
  }
  return { points, features };
}
