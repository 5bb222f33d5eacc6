/**
 * The suite in JavaScript, by `@noble/*`. It is the reference: what it gives is
 * what the protocol means, and it alone must be enough to take part.
 *
 * Slower than `native.ts` by 3 (AEAD) to 30 times (Ed25519). JavaScript has no
 * constant-time promise to give; noble says so too.
 *
 * @module
 */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { expand, hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { scrypt } from "@noble/hashes/scrypt.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { type Bytes, concat, equalBytes, wipe } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import {
  checkExpandKey,
  checkHkdfLength,
  checkLength,
  checkOpenOutput,
  checkScrypt,
  checkSealOutput,
  copyKey,
  MAX_SCRYPT_BYTES,
  wipedError,
} from "./_checks.ts";
import { CounterNonce, xorAeadStream } from "./_counter_nonce.ts";
import { isSmallOrderX25519, isStrictEd25519 } from "./_curve_encoding.ts";
import { checkKemCiphertext, checkKemKey } from "./_kem_encoding.ts";
import { ReadAheadKeystream } from "./_read_ahead.ts";
import {
  type CounterAead,
  type CryptoSuite,
  ED25519_KEY_BYTES,
  KEM_SEED_BYTES,
  type KemPair,
  KEY_BYTES,
  NONCE_BYTES,
  type ScryptOptions,
  type Signer,
  TAG_BYTES,
  X25519_BYTES,
} from "./suite.ts";

/** Bytes of randomness in one encapsulation (FIPS 203 §7.2). */
const KEM_MESSAGE_BYTES = 32;

/** The suite in JavaScript. */
export function nobleSuite(): CryptoSuite {
  return NOBLE;
}

const NOBLE: CryptoSuite = {
  name: "noble",

  sha256: (...parts) => {
    const hash = sha256.create();
    for (const part of parts) hash.update(part);
    return hash.digest();
  },
  hmac: nobleHmac,
  hkdf: (secret, salt, info, length) => {
    checkHkdfLength(length);
    return hkdf(sha256, secret, salt, info, length);
  },
  hkdfExpand: nobleHkdfExpand,
  // deno-lint-ignore require-await -- the interface is what native can give
  scrypt: async (password, salt, options: ScryptOptions) => {
    checkScrypt(options);
    const { N, r, p, length } = options;
    const limits = { dkLen: length, maxmem: 2 * MAX_SCRYPT_BYTES };
    return scrypt(password, salt, { N, r, p, ...limits });
  },

  counterAead: (key) => new NobleCounterAead(key),
  seal: (key, nonce, plaintext, aad) => {
    checkLength(key, KEY_BYTES, "key");
    checkLength(nonce, NONCE_BYTES, "nonce");
    return chacha20poly1305(key, nonce, aad).encrypt(plaintext);
  },
  open: (key, nonce, sealed, aad) => {
    checkLength(key, KEY_BYTES, "key");
    checkLength(nonce, NONCE_BYTES, "nonce");
    if (sealed.length < TAG_BYTES) return undefined;
    try {
      return chacha20poly1305(key, nonce, aad).decrypt(sealed);
    } catch {
      return undefined; // the one thing left that it throws for: the tag
    }
  },
  keystream: (key) => new ReadAheadKeystream(key),

  x25519Public: (secret) => {
    checkLength(secret, X25519_BYTES, "X25519 secret");
    return x25519.getPublicKey(secret);
  },
  x25519: (secret, publicKey) => {
    checkLength(secret, X25519_BYTES, "X25519 secret");
    checkLength(publicKey, X25519_BYTES, "X25519 public key");
    // Before the ladder: a late check would time the long-term key.
    if (isSmallOrderX25519(publicKey)) return undefined;
    return x25519.getSharedSecret(secret, publicKey);
  },

  signer: (seed) => new NobleSigner(seed),
  verify: nobleVerify,

  kemPair: nobleKemPair,
  encapsulate: nobleEncapsulate,
};

/** HMAC-SHA-256. */
export function nobleHmac(
  key: Uint8Array,
  ...parts: readonly Uint8Array[]
): Bytes {
  const mac = hmac.create(sha256, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF-Expand (RFC 5869 §2.3). */
export function nobleHkdfExpand(
  key: Uint8Array,
  info: Uint8Array,
  length: number,
): Bytes {
  checkExpandKey(key);
  checkHkdfLength(length);
  return expand(sha256, key, info, length);
}

class NobleCounterAead implements CounterAead {
  readonly #key: Bytes;
  readonly #nonce = new CounterNonce();
  #wiped = false;

  constructor(key: Uint8Array) {
    this.#key = copyKey(key);
  }

  seal(plaintext: Uint8Array, out: Uint8Array): void {
    if (this.#wiped) throw wipedError("AEAD");
    checkSealOutput(plaintext, out);
    chacha20poly1305(this.#key, this.#nonce.bytes).encrypt(plaintext, out);
    this.#nonce.advance();
  }

  open(sealed: Uint8Array, out: Uint8Array): boolean {
    if (this.#wiped) throw wipedError("AEAD");
    checkOpenOutput(sealed, out);
    try {
      // It looks at the tag first and writes to `out` after that.
      chacha20poly1305(this.#key, this.#nonce.bytes).decrypt(sealed, out);
    } catch {
      return false;
    }
    this.#nonce.advance();
    return true;
  }

  xorNext(offset: number, bytes: Uint8Array): void {
    if (this.#wiped) throw wipedError("AEAD");
    xorAeadStream(this.#key, this.#nonce.bytes, offset, bytes);
  }

  wipe(): void {
    this.#wiped = true;
    wipe(this.#key);
  }
}

class NobleSigner implements Signer {
  readonly publicKey: Bytes;
  readonly #seed: Bytes;

  constructor(seed: Uint8Array) {
    checkLength(seed, ED25519_KEY_BYTES, "Ed25519 seed");
    this.#seed = new Uint8Array(seed);
    this.publicKey = ed25519.getPublicKey(this.#seed);
  }

  sign(message: Uint8Array): Bytes {
    return ed25519.sign(message, this.#seed);
  }
}

/**
 * RFC 8032 §5.1.7 without the cofactor: R = [S]B − [k]A, compared as bytes.
 * Written out because `ed25519.verify` multiplies by the cofactor, and native
 * implementations do not: a network must not disagree about a signature.
 */
function nobleVerify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isStrictEd25519(publicKey, signature)) return false;
  const { BASE, Fn } = ed25519.Point;
  let keyPoint: typeof BASE;
  try {
    keyPoint = ed25519.Point.fromBytes(new Uint8Array(publicKey));
  } catch {
    return false; // not on the curve
  }
  const encodedR = signature.subarray(0, 32);
  const s = bytesToNumberLE(signature.slice(32));
  const digest = sha512(concat(encodedR, publicKey, message));
  const k = Fn.create(bytesToNumberLE(digest));
  const r = BASE.multiplyUnsafe(s).subtract(keyPoint.multiplyUnsafe(k));
  return equalBytes(r.toBytes(), encodedR);
}

/** An ML-KEM-768 key pair (FIPS 203 §7.1, from a seed). */
// deno-lint-ignore require-await -- the interface is what native can give
export async function nobleKemPair(seed: Uint8Array): Promise<KemPair> {
  checkLength(seed, KEM_SEED_BYTES, "ML-KEM seed");
  const { publicKey, secretKey } = ml_kem768.keygen(new Uint8Array(seed));
  let wiped = false;
  return {
    publicKey,
    // deno-lint-ignore require-await
    async decapsulate(ciphertext) {
      if (wiped) throw wipedError("ML-KEM key");
      checkKemCiphertext(ciphertext);
      return ml_kem768.decapsulate(new Uint8Array(ciphertext), secretKey);
    },
    wipe() {
      wiped = true;
      wipe(secretKey);
    },
  };
}

/** ML-KEM-768 encapsulation (FIPS 203 §7.2). */
// deno-lint-ignore require-await
export async function nobleEncapsulate(
  publicKey: Uint8Array,
  random: Random,
): Promise<{ ciphertext: Bytes; secret: Bytes }> {
  checkKemKey(publicKey);
  const message = random.bytes(KEM_MESSAGE_BYTES);
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(
    new Uint8Array(publicKey),
    message,
  );
  wipe(message);
  return { ciphertext: cipherText, secret: sharedSecret };
}
