/**
 * Strict reading of Curve25519 encodings: what libraries disagree about is
 * decided here, on the bytes, before either of them sees it.
 *
 *     Ed25519 public key, R    y, 255 bits little-endian ‖ sign of x, 1 bit
 *     Ed25519 S                scalar, 256 bits little-endian
 *     X25519 public key        u, 255 bits little-endian ‖ ignored, 1 bit
 *
 * With p = 2²⁵⁵ − 19 and L the order of the prime subgroup, y must be below p
 * and S below L. Points of order 1, 2, 4 and 8 are refused as public keys: one
 * signature under such a key is valid for many messages, and any X25519 exchange
 * with one gives zero.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8032#section-5.1.7 | RFC 8032 §5.1.7},
 * {@link https://eprint.iacr.org/2020/1244 | Taming the many EdDSAs}
 * @module
 */
import { ED25519_KEY_BYTES, SIGNATURE_BYTES, X25519_BYTES } from "./suite.ts";

/** Length of every encoding here. */
const ENCODED_BYTES = 32;

/** The y of the eight points of small order; those of order 8 share two. */
const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
].map(Uint8Array.fromHex);

/** Every u below 2²⁵⁵ of small order, on the curve and on its twist. */
const SMALL_ORDER_U = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(Uint8Array.fromHex);

/** p and L, little-endian: the first values that are not canonical. */
const FIELD_ORDER = Uint8Array.fromHex(
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
);
const GROUP_ORDER = Uint8Array.fromHex(
  "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
);

/**
 * Whether a key and a signature are worth verifying: right lengths, canonical,
 * and the key not of small order. That they are points at all is left to the
 * implementation.
 */
export function isStrictEd25519(
  publicKey: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== ED25519_KEY_BYTES) return false;
  if (signature.length !== SIGNATURE_BYTES) return false;
  return isStrictEdwardsKey(publicKey) &&
    isBelow(signature, 0, 0x7f, FIELD_ORDER) &&
    isBelow(signature, ENCODED_BYTES, 0xff, GROUP_ORDER);
}

/** Whether 32 bytes are canonical and not of small order. */
export function isStrictEdwardsKey(publicKey: Uint8Array): boolean {
  return publicKey.length === ED25519_KEY_BYTES &&
    isBelow(publicKey, 0, 0x7f, FIELD_ORDER) &&
    !isListed(publicKey, SMALL_ORDER_Y);
}

/** Whether an X25519 exchange with this public key gives zero. */
export function isSmallOrderX25519(publicKey: Uint8Array): boolean {
  return publicKey.length === X25519_BYTES &&
    isListed(publicKey, SMALL_ORDER_U);
}

/** Whether 32 little-endian bytes from `start`, the top one masked, are below `bound`. */
function isBelow(
  bytes: Uint8Array,
  start: number,
  topMask: number,
  bound: Uint8Array,
): boolean {
  for (let i = ENCODED_BYTES - 1; i >= 0; i--) {
    const mask = i === ENCODED_BYTES - 1 ? topMask : 0xff;
    const difference = ((bytes[start + i] as number) & mask) -
      (bound[i] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Whether 32 bytes, their top bit aside, are in `list`. */
function isListed(bytes: Uint8Array, list: readonly Uint8Array[]): boolean {
  return list.some((listed) => {
    for (let i = 0; i < ENCODED_BYTES; i++) {
      const mask = i === ENCODED_BYTES - 1 ? 0x7f : 0xff;
      if (((bytes[i] as number) & mask) !== listed[i]) return false;
    }
    return true;
  });
}
