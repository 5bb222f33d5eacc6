/**
 * Addresses of services: a public key that people can copy, and that says so
 * when they copied it wrongly.
 *
 *     base32( publicKey(32) ‖ checksum(2) ‖ version(1) ) ".anon"      56 characters
 *     checksum = H("anonnet v1 address" ‖ publicKey ‖ version)[0..2)
 *
 * Names in front of it are accepted and mean nothing here: `www.<address>.anon`.
 *
 * @see protocol §7.1 "Addresses"
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
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";

/** The top-level name of all services. */
const SERVICE_SUFFIX = ".anon";
/** The one version there is. */
const ADDRESS_VERSION = 1;
/** Characters in front of the suffix. */
const ADDRESS_CHARACTERS = 56;

const CHECKSUM_BYTES = 2;
const ADDRESS_BYTES = ED25519_KEY_BYTES + CHECKSUM_BYTES + 1;
const CHECKSUM_CONTEXT = utf8("anonnet v1 address");
/** Longest host name that DNS has (RFC 1035 §2.3.4). */
const MAX_HOST_CHARACTERS = 253;

/** The host name of a service: 56 characters and `.anon`. */
export function formatServiceHost(
  crypto: CryptoSuite,
  publicKey: PublicKey,
): string {
  const version = Uint8Array.of(ADDRESS_VERSION);
  const sum = checksum(crypto, publicKey, ADDRESS_VERSION);
  return formatBase32(concat(publicKey, sum, version)) + SERVICE_SUFFIX;
}

/**
 * The public key of a host name, in upper or lower case. The key's point is
 * checked where it is blinded.
 *
 * @throws {ConfigError} whose message tells a person what is wrong:
 * - `service.address_suffix`: not under `.anon`
 * - `service.address_length`, `service.address_characters`: not an address
 * - `service.address_version`: of a later version of this program
 * - `service.address_checksum`: mistyped
 */
export function parseServiceHost(crypto: CryptoSuite, host: string): PublicKey {
  const name = host.length > MAX_HOST_CHARACTERS ? "" : host.toLowerCase();
  if (!name.endsWith(SERVICE_SUFFIX)) {
    throw fail("suffix", `it does not end in ${SERVICE_SUFFIX}`);
  }
  const labels = name.slice(0, -SERVICE_SUFFIX.length).split(".");
  const label = labels.at(-1) ?? "";
  if (labels.slice(0, -1).some((part) => !/^[a-z0-9_-]{1,63}$/.test(part))) {
    throw fail("characters", "a name in front of it is not a host name");
  }
  if (label.length !== ADDRESS_CHARACTERS) {
    throw fail(
      "length",
      `it has ${label.length} characters where ${ADDRESS_CHARACTERS} belong`,
    );
  }
  const bytes = parseBase32(label);
  if (bytes?.length !== ADDRESS_BYTES) {
    throw fail("characters", "it may hold only letters and the digits 2 to 7");
  }
  const publicKey = asPublicKey(bytes.subarray(0, ED25519_KEY_BYTES));
  const version = bytes[ADDRESS_BYTES - 1] ?? 0;
  const sum = bytes.subarray(ED25519_KEY_BYTES, ADDRESS_BYTES - 1);
  const isMistyped = !equalBytes(sum, checksum(crypto, publicKey, version));
  if (isMistyped) {
    throw fail("checksum", "it is mistyped or cut: its check does not match");
  }
  if (version !== ADDRESS_VERSION) {
    throw fail(
      "version",
      `it is of version ${version}, which this program does not know`,
    );
  }
  return publicKey;
}

function checksum(
  crypto: CryptoSuite,
  publicKey: PublicKey,
  version: number,
): Uint8Array {
  return crypto.sha256(CHECKSUM_CONTEXT, publicKey, Uint8Array.of(version))
    .subarray(0, CHECKSUM_BYTES);
}

function fail(code: string, why: string): ConfigError {
  return new ConfigError(
    `service.address_${code}`,
    `Cannot use this ${SERVICE_SUFFIX} address: ${why}`,
  );
}
