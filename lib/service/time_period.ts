/**
 * Days of descriptors. A service's key is blinded anew for each, so that storing
 * nodes see a different key every day and cannot tell whose.
 *
 *     period  = ⌊unix ms / 24 h⌋
 *     factor  = H("anonnet v1 blinding" ‖ A ‖ period(8))
 *     blinded = [clamp(factor)] A
 *
 * @see protocol §7.2 "Time periods and blinded keys", {@link https://spec.torproject.org/rend-spec/keyblinding-scheme.html | rend-spec-v3, A.2}
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { type Bytes, utf8 } from "../base/bytes.ts";
import { BlindedSigner, blindPublicKey } from "../crypto/blinding.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** Length of a period, ms. */
export const PERIOD_MS = 24 * 3600 * 1000;
/**
 * A service publishes for the next period as long before it begins at least, and for
 * the last one as long after it ended: clocks may be wrong by as much.
 */
export const OVERLAP_MS = 6 * 3600 * 1000;

const BLINDING_CONTEXT = utf8("anonnet v1 blinding");

/** Number of a period; counts days since 1970. */
export type TimePeriod = number;

/** The period of a moment. */
export function timePeriod(unixMs: number): TimePeriod {
  return Math.floor(unixMs / PERIOD_MS);
}

/**
 * A service's public key as the DHT sees it in one period.
 *
 * @throws {ProtocolError} `crypto.blind_key` for a key that no service can have.
 */
export function blindedKey(
  crypto: CryptoSuite,
  publicKey: PublicKey,
  period: TimePeriod,
): PublicKey {
  return blindPublicKey(publicKey, blindingFactor(crypto, publicKey, period));
}

/**
 * Signs the descriptors of one period.
 *
 * @param secret The seed of the service's key, or its expanded key.
 */
export function blindedSigner(
  crypto: CryptoSuite,
  secret: Uint8Array,
  publicKey: PublicKey,
  period: TimePeriod,
): BlindedSigner {
  return new BlindedSigner(secret, blindingFactor(crypto, publicKey, period));
}

function blindingFactor(
  crypto: CryptoSuite,
  publicKey: PublicKey,
  period: TimePeriod,
): Bytes {
  return crypto.sha256(BLINDING_CONTEXT, publicKey, uint64(period));
}

/** An integer as 8 bytes. */
export function uint64(value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
