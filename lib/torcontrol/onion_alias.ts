/**
 * The address of a service in the form that programs made for Tor take for one of
 * theirs: the same key, with Tor's checksum and suffix. It names nothing at Tor.
 *
 *     base32( publicKey(32) ‖ checksum(2) ‖ version(1) ) ".onion"      56 characters
 *     checksum = SHA3-256(".onion checksum" ‖ publicKey ‖ version)[0..2)    version = 3
 *
 * @see protocol §7.1 "Addresses", {@link https://spec.torproject.org/rend-spec/encoding-onion-addresses.html | rend-spec-v3, 6}
 * @module
 */
import { asPublicKey, type PublicKey } from "../auth/identity.ts";
import {
  concat,
  equalBytes,
  formatBase32,
  parseBase32,
  utf8,
} from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import { sha3_256 } from "../crypto/foreign_hashes.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";
import { formatServiceHost } from "../service/address.ts";

const ONION_SUFFIX = ".onion";
const ONION_VERSION = 3;
/** Characters in front of the suffix, and the bytes that they stand for. */
const ONION_CHARACTERS = 56;
const ONION_BYTES = ED25519_KEY_BYTES + 2 + 1;
const CHECKSUM_CONTEXT = utf8(".onion checksum");

/** The 56 characters of a key's alias, without the suffix. */
export function formatOnionLabel(publicKey: PublicKey): string {
  const version = Uint8Array.of(ONION_VERSION);
  return formatBase32(concat(publicKey, checksum(publicKey), version));
}

/** The key of 56 characters in Tor's form, in either case; `undefined` for others. */
export function parseOnionLabel(label: string): PublicKey | undefined {
  if (label.length !== ONION_CHARACTERS) return undefined;
  const bytes = parseBase32(label);
  if (bytes?.length !== ONION_BYTES) return undefined;
  const publicKey = asPublicKey(bytes.subarray(0, ED25519_KEY_BYTES));
  const sum = bytes.subarray(ED25519_KEY_BYTES, ONION_BYTES - 1);
  const isRight = bytes[ONION_BYTES - 1] === ONION_VERSION &&
    equalBytes(sum, checksum(publicKey));
  return isRight ? publicKey : undefined;
}

/**
 * The `.anon` host of an alias, with what stands in front of it.
 *
 * @returns `undefined` for a host that does not end in `.onion`.
 * @throws {ConfigError} `service.address_onion` for one that does, and is no address of
 * Tor's form.
 */
export function hostOfAlias(
  crypto: CryptoSuite,
  host: string,
): string | undefined {
  const name = host.toLowerCase();
  if (!name.endsWith(ONION_SUFFIX)) return undefined;
  const labels = name.slice(0, -ONION_SUFFIX.length).split(".");
  const publicKey = parseOnionLabel(labels.pop() ?? "");
  if (publicKey === undefined) {
    throw new ConfigError(
      "service.address_onion",
      "Cannot use this .onion address: it is mistyped or cut, or is not of version 3",
    );
  }
  return [...labels, formatServiceHost(crypto, publicKey)].join(".");
}

function checksum(publicKey: PublicKey): Uint8Array {
  const version = Uint8Array.of(ONION_VERSION);
  return sha3_256(CHECKSUM_CONTEXT, publicKey, version).subarray(0, 2);
}
