/**
 * Relays that one operator runs, so that no path uses two of them. A family is a key
 * pair, whose secret all of its relays hold; each signs its own key with it:
 *
 *     family    [key 32 bytes, Ed25519("anonnet v1 family" ‖ 0x00 ‖ relay's public key)]
 *
 * No relay can put itself into the family of others, nor others into its own: it would
 * keep clients from relays that have nothing to do with each other.
 *
 * @see protocol §2.3 "Node records"
 * @see docs/decisions/0056-families-by-a-shared-key.md
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { type CryptoSuite, SIGNATURE_BYTES } from "../crypto/suite.ts";
import type { Fields } from "../wire/fields.ts";
import {
  asPublicKey,
  type Identity,
  type PublicKey,
  verifySigned,
} from "./identity.ts";

const FAMILY_CONTEXT = "anonnet v1 family";

/** What a record says of its family. */
export interface Family {
  /** Names the family. */
  readonly key: PublicKey;
  /** Of the relay's public key, by the family's. */
  readonly signature: Bytes;
}

/** Take a relay into a family whose secret we hold. */
export function signFamily(family: Identity, relay: PublicKey): Family {
  return {
    key: family.publicKey,
    signature: family.sign(FAMILY_CONTEXT, relay),
  };
}

/** Whether a family is none, or took in the relay with this key. */
export function checkFamily(
  crypto: CryptoSuite,
  family: Family | undefined,
  relay: PublicKey,
): boolean {
  return family === undefined ||
    verifySigned(
      crypto,
      family.key,
      FAMILY_CONTEXT,
      relay,
      family.signature,
    );
}

/** For a record. */
export function encodeFamily({ key, signature }: Family): Uint8Array[] {
  return [key, signature];
}

/** @throws {ProtocolError} `wire.field`, `auth.record_family`. */
export function readFamily(fields: Fields): Family {
  const [key, signature, ...rest] = fields.bytesArray("family", 2, {
    max: SIGNATURE_BYTES,
  });
  if (
    key?.length !== 32 || signature?.length !== SIGNATURE_BYTES ||
    rest.length > 0
  ) {
    throw new ProtocolError(
      "auth.record_family",
      "Cannot accept node record: its family is no key and signature",
    );
  }
  return { key: asPublicKey(key), signature };
}
