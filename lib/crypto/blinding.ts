/**
 * Blinded Ed25519 keys: many public keys, which no observer can tell belong together,
 * of one secret (Tor's rend-spec-v3, appendix A.2).
 *
 *     f  = clamp(factor)                    as in RFC 8032 §5.1.5
 *     A' = [f]A                             by every holder of A
 *     a' = f · a mod L                      by its owner: A' = [a']B
 *     p' = SHA-512("anonnet v1 blinded nonce" ‖ p ‖ A'), its first 32 bytes
 *
 * a and p are the scalar and the nonce prefix of A's seed. Signatures are plain
 * Ed25519 under A'. p' is another for every A', so that no nonce is ever shared
 * by two keys: R twice under a and a' would give a away.
 *
 * The caller hashes the factor, over A and all that it stands for.
 *
 * @see {@link https://spec.torproject.org/rend-spec/keyblinding-scheme.html | rend-spec-v3, A.2}
 * @module
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { type Bytes, concat, utf8, wipe } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { checkLength } from "./_checks.ts";
import { isStrictEdwardsKey } from "./_curve_encoding.ts";
import { ED25519_KEY_BYTES, type Signer } from "./suite.ts";

/** Bytes of an expanded key: its scalar, clamped, and its nonce prefix. */
export const EXPANDED_KEY_BYTES = 2 * ED25519_KEY_BYTES;

/** Bytes of a blinding factor. */
const BLINDING_FACTOR_BYTES = 32;

const NONCE_CONTEXT = utf8("anonnet v1 blinded nonce");

const { Point, utils } = ed25519;
const { BASE, Fn } = Point;

/**
 * The blinded form of a public key.
 *
 * @param factor 32 bytes of a hash; clamped here.
 * @throws {ProtocolError} `crypto.blind_key` for a key that is no point of the
 * prime-order subgroup: with a point of small order added, two addresses would
 * share their blinded keys.
 */
export function blindPublicKey(
  publicKey: Uint8Array,
  factor: Uint8Array,
): Bytes {
  const scalar = factorScalar(factor);
  return new Uint8Array(readPoint(publicKey).multiply(scalar).toBytes());
}

/**
 * The public key of an expanded key: what is left of a seed once it was hashed
 * (RFC 8032 §5.1.5), and all that some programs keep.
 *
 * @param secret 64 bytes: a, clamped, and p.
 * @throws {RangeError} where the scalar is not clamped: no seed makes such a one, and
 * multiples of it may show in small subgroups.
 */
export function expandedPublicKey(secret: Uint8Array): Bytes {
  checkLength(secret, EXPANDED_KEY_BYTES, "expanded Ed25519 key");
  const [first, last] = [secret[0] as number, secret[31] as number];
  if ((first & 0x07) !== 0 || (last & 0xc0) !== 0x40) {
    throw new RangeError("Cannot use expanded key: its scalar is not clamped");
  }
  const { scalar } = readSecret(secret);
  return new Uint8Array(BASE.multiply(scalar).toBytes());
}

/** Signs under the blinded form of a key. Prints as `[scrubbed]`. */
export class BlindedSigner implements Signer {
  /** Equal to `blindPublicKey(A, factor)`. */
  readonly publicKey: Bytes;
  readonly #scalar: bigint;
  readonly #prefix: Bytes;

  /**
   * @param secret Of the unblinded key: the Ed25519 seed, 32 bytes, or a ‖ p, 64 bytes.
   * @param factor As for {@linkcode blindPublicKey}.
   */
  constructor(secret: Uint8Array, factor: Uint8Array) {
    const { scalar, prefix } = readSecret(secret);
    this.#scalar = Fn.mul(scalar, factorScalar(factor));
    this.publicKey = new Uint8Array(BASE.multiply(this.#scalar).toBytes());
    const input = concat(NONCE_CONTEXT, prefix, this.publicKey);
    const digest = sha512(input);
    this.#prefix = digest.slice(0, ED25519_KEY_BYTES);
    wipe(prefix, input, digest);
  }

  /** Sign (RFC 8032 §5.1.6 with the blinded scalar and prefix). */
  sign(message: Uint8Array): Bytes {
    const r = hashToScalar(this.#prefix, message);
    const encodedR = BASE.multiply(r).toBytes();
    const k = hashToScalar(encodedR, this.publicKey, message);
    const s = Fn.add(r, Fn.mul(k, this.#scalar));
    return concat(encodedR, Fn.toBytes(s));
  }

  toJSON(): string {
    return "[scrubbed]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "BlindedSigner([scrubbed])";
  }
}

/** The scalar and the nonce prefix of a seed, or of what was made of one. */
function readSecret(secret: Uint8Array): { scalar: bigint; prefix: Bytes } {
  if (secret.length === EXPANDED_KEY_BYTES) {
    const scalar = Fn.create(
      bytesToNumberLE(secret.subarray(0, ED25519_KEY_BYTES)),
    );
    return { scalar, prefix: new Uint8Array(secret.slice(ED25519_KEY_BYTES)) };
  }
  checkLength(secret, ED25519_KEY_BYTES, "Ed25519 seed");
  const { head, prefix, scalar } = utils.getExtendedPublicKey(
    new Uint8Array(secret),
  );
  wipe(head);
  return { scalar, prefix: new Uint8Array(prefix) };
}

/**
 * A factor, clamped, modulo L. It is never zero: it is a multiple of 8 below
 * 2²⁵⁵, and the smallest such multiple of L is 8 L.
 */
function factorScalar(factor: Uint8Array): bigint {
  checkLength(factor, BLINDING_FACTOR_BYTES, "blinding factor");
  const clamped = new Uint8Array(factor);
  clamped[0] = (clamped[0] as number) & 0xf8;
  clamped[31] = ((clamped[31] as number) & 0x7f) | 0x40;
  return Fn.create(bytesToNumberLE(clamped));
}

function readPoint(publicKey: Uint8Array): typeof BASE {
  const refused = (cause?: unknown) =>
    new ProtocolError(
      "crypto.blind_key",
      "Cannot blind public key: not a point of prime order",
      { cause },
    );
  if (!isStrictEdwardsKey(publicKey)) throw refused();
  let point: typeof BASE;
  try {
    point = Point.fromBytes(new Uint8Array(publicKey));
  } catch (cause) {
    throw refused(cause);
  }
  if (!point.isTorsionFree()) throw refused();
  return point;
}

function hashToScalar(...parts: readonly Uint8Array[]): bigint {
  return Fn.create(bytesToNumberLE(sha512(concat(...parts))));
}
