/**
 * The suite by the platform: `node:crypto` for what is synchronous, WebCrypto
 * for ML-KEM, noble for ML-KEM where WebCrypto has none. Every output equals that of `noble.ts`; where the platform is
 * slower for the sizes we use (HMAC, HKDF-Expand, 16 bytes of keystream),
 * noble's stays.
 *
 * Keys travel as DER around the raw bytes:
 *
 *     private  30 2e 02 01 00 30 05 06 03 2b 65 tt 04 22 04 20 ‖ secret(32)
 *     public   30 2a 30 05 06 03 2b 65 tt 03 21 00 ‖ key(32)
 *     tt       6e X25519, 70 Ed25519
 *
 * Parsed public keys are not cached: parsing is 6 of the 38 µs of a
 * verification, and 2 of the 58 µs of an exchange.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8410 | RFC 8410} for the DER
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  scrypt,
  sign,
  verify,
  webcrypto,
} from "node:crypto";
import { type Bytes, concat, wipe } from "../base/bytes.ts";
import {
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
import { platformKem } from "./_platform_kem.ts";
import { ReadAheadKeystream } from "./_read_ahead.ts";
import { nobleHkdfExpand, nobleHmac } from "./noble.ts";
import {
  type CounterAead,
  type CryptoSuite,
  ED25519_KEY_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  type ScryptOptions,
  type Signer,
  TAG_BYTES,
  X25519_BYTES,
} from "./suite.ts";

const AEAD = "chacha20-poly1305";
/** Pins the tag's length: without it a short tag would do. */
const AEAD_OPTIONS = { authTagLength: TAG_BYTES } as const;

const PRIVATE_DER = {
  x25519: Uint8Array.fromHex("302e020100300506032b656e04220420"),
  ed25519: Uint8Array.fromHex("302e020100300506032b657004220420"),
} as const;
const PUBLIC_DER = {
  x25519: Uint8Array.fromHex("302a300506032b656e032100"),
  ed25519: Uint8Array.fromHex("302a300506032b6570032100"),
} as const;

type Curve = keyof typeof PUBLIC_DER;

/**
 * The suite by the platform. Whether the platform computes what we mean is
 * found out by `selectSuite()`, not here.
 */
export function nativeSuite(): CryptoSuite {
  return {
    name: "native",
    sha256: nativeSha256,
    hmac: nobleHmac,
    hkdf: (secret, salt, info, length) => {
      checkHkdfLength(length);
      return new Uint8Array(hkdfSync("sha256", secret, salt, info, length));
    },
    hkdfExpand: nobleHkdfExpand,
    scrypt: nativeScrypt,
    counterAead: (key) => new NativeCounterAead(key),
    seal: nativeSeal,
    open: nativeOpen,
    keystream: (key) => new ReadAheadKeystream(key),
    x25519Public: (secret) => {
      checkLength(secret, X25519_BYTES, "X25519 secret");
      return rawPublic(createPublicKey(importPrivate("x25519", secret)));
    },
    x25519: nativeX25519,
    signer: (seed) => new NativeSigner(seed),
    verify: nativeVerify,
    ...platformKem(webcrypto.subtle),
  };
}

function nativeSha256(...parts: readonly Uint8Array[]): Bytes {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}

/** A plain array over a `Buffer`'s bytes, or over a copy if it came from a pool. */
function plain(buffer: Uint8Array): Bytes {
  const { buffer: memory, byteLength } = buffer;
  return memory instanceof ArrayBuffer && memory.byteLength === byteLength
    ? new Uint8Array(memory)
    : new Uint8Array(buffer);
}

/**
 * Encrypt to `out`. One cipher per message is what the platform offers: it has
 * no way to give an AEAD another nonce.
 */
function sealInto(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  out: Uint8Array,
  aad: Uint8Array | undefined,
): void {
  const cipher = createCipheriv(AEAD, key, nonce, AEAD_OPTIONS);
  if (aad !== undefined) {
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
  }
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  out.set(ciphertext);
  out.set(cipher.getAuthTag(), plaintext.length);
}

/** Decrypt to `out`, which stays as it was when the tag is wrong. */
function openInto(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  out: Uint8Array,
  aad: Uint8Array | undefined,
): boolean {
  const length = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(AEAD, key, nonce, AEAD_OPTIONS);
  if (aad !== undefined) decipher.setAAD(aad, { plaintextLength: length });
  decipher.setAuthTag(sealed.subarray(length));
  const unauthenticated = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
  } catch {
    unauthenticated.fill(0);
    return false;
  }
  out.set(unauthenticated);
  return true;
}

function nativeSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad?: Uint8Array,
): Bytes {
  checkLength(key, KEY_BYTES, "key");
  checkLength(nonce, NONCE_BYTES, "nonce");
  const out = new Uint8Array(plaintext.length + TAG_BYTES);
  sealInto(key, nonce, plaintext, out, aad);
  return out;
}

function nativeOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad?: Uint8Array,
): Bytes | undefined {
  checkLength(key, KEY_BYTES, "key");
  checkLength(nonce, NONCE_BYTES, "nonce");
  if (sealed.length < TAG_BYTES) return undefined;
  const out = new Uint8Array(sealed.length - TAG_BYTES);
  return openInto(key, nonce, sealed, out, aad) ? out : undefined;
}

class NativeCounterAead implements CounterAead {
  readonly #key: Bytes;
  readonly #nonce = new CounterNonce();
  #wiped = false;

  constructor(key: Uint8Array) {
    this.#key = copyKey(key);
  }

  seal(plaintext: Uint8Array, out: Uint8Array): void {
    if (this.#wiped) throw wipedError("AEAD");
    checkSealOutput(plaintext, out);
    sealInto(this.#key, this.#nonce.bytes, plaintext, out, undefined);
    this.#nonce.advance();
  }

  open(sealed: Uint8Array, out: Uint8Array): boolean {
    if (this.#wiped) throw wipedError("AEAD");
    checkOpenOutput(sealed, out);
    if (!openInto(this.#key, this.#nonce.bytes, sealed, out, undefined)) {
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

/** scrypt on a thread of the platform's. */
function nativeScrypt(
  password: Uint8Array,
  salt: Uint8Array,
  options: ScryptOptions,
): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    checkScrypt(options);
    const { N, r, p, length } = options;
    const limits = { N, r, p, maxmem: 2 * MAX_SCRYPT_BYTES };
    scrypt(password, salt, length, limits, (error, derived) => {
      if (error === null) resolve(plain(derived));
      else reject(error);
    });
  });
}

function importPrivate(curve: Curve, secret: Uint8Array): KeyObject {
  const der = concat(PRIVATE_DER[curve], secret);
  const key = createPrivateKey({
    key: Buffer.from(der.buffer),
    format: "der",
    type: "pkcs8",
  });
  wipe(der);
  return key;
}

function importPublic(curve: Curve, publicKey: Uint8Array): KeyObject {
  const der = concat(PUBLIC_DER[curve], publicKey);
  return createPublicKey({
    key: Buffer.from(der.buffer),
    format: "der",
    type: "spki",
  });
}

/** The last 32 bytes of a public key's DER. */
function rawPublic(key: KeyObject): Bytes {
  return new Uint8Array(key.export({ format: "der", type: "spki" }).slice(-32));
}

function nativeX25519(
  secret: Uint8Array,
  publicKey: Uint8Array,
): Bytes | undefined {
  checkLength(secret, X25519_BYTES, "X25519 secret");
  checkLength(publicKey, X25519_BYTES, "X25519 public key");
  // Before the ladder: a late check would time the long-term key.
  if (isSmallOrderX25519(publicKey)) return undefined;
  return plain(diffieHellman({
    privateKey: importPrivate("x25519", secret),
    publicKey: importPublic("x25519", publicKey),
  }));
}

class NativeSigner implements Signer {
  readonly publicKey: Bytes;
  readonly #key: KeyObject;

  constructor(seed: Uint8Array) {
    checkLength(seed, ED25519_KEY_BYTES, "Ed25519 seed");
    this.#key = importPrivate("ed25519", seed);
    this.publicKey = rawPublic(createPublicKey(this.#key));
  }

  sign(message: Uint8Array): Bytes {
    return plain(sign(null, message, this.#key));
  }
}

function nativeVerify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isStrictEd25519(publicKey, signature)) return false;
  try {
    const key = importPublic("ed25519", publicKey);
    return verify(null, message, key, signature);
  } catch {
    return false; // not on the curve
  }
}
