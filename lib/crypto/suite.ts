/**
 * The cryptography we use, behind one interface with two implementations:
 * `noble.ts` defines every output, `native.ts` is faster. Both take raw keys;
 * everything is synchronous but ML-KEM and scrypt. Arguments of a wrong length
 * are misuse (`RangeError`) except where a method says otherwise.
 *
 *     key             bytes    key                    bytes
 *     AEAD, filler    32       ML-KEM-768 public      1184
 *     nonce           12       ML-KEM-768 ciphertext  1088
 *     tag             16       ML-KEM-768 seed        64
 *     X25519          32       Ed25519 seed, public   32
 *     shared secret   32       Ed25519 signature      64
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8439 | RFC 8439},
 * {@link https://www.rfc-editor.org/rfc/rfc7748 | RFC 7748},
 * {@link https://www.rfc-editor.org/rfc/rfc8032 | RFC 8032},
 * {@link https://www.rfc-editor.org/rfc/rfc5869 | RFC 5869},
 * {@link https://www.rfc-editor.org/rfc/rfc7914 | RFC 7914}, FIPS 203
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";

/** Bytes of a symmetric key. */
export const KEY_BYTES = 32;
/** Bytes of an AEAD nonce. */
export const NONCE_BYTES = 12;
/** Bytes of an AEAD tag. */
export const TAG_BYTES = 16;
/** Bytes of an X25519 key, either half, and of its shared secret. */
export const X25519_BYTES = 32;
/** Bytes of an Ed25519 public key and of a seed. */
export const ED25519_KEY_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;
/** Bytes of an ML-KEM-768 encapsulation key. */
export const KEM_PUBLIC_BYTES = 1184;
/** Bytes of an ML-KEM-768 ciphertext. */
export const KEM_CIPHERTEXT_BYTES = 1088;
/** Bytes of the seed (d ‖ z) that an ML-KEM-768 key pair is made of. */
export const KEM_SEED_BYTES = 64;

/**
 * ChaCha20-Poly1305 under one key with an implicit counter nonce that is never
 * used twice: 4 zero bytes, then the number of the message, big-endian.
 */
export interface CounterAead {
  /**
   * Encrypt the next message.
   *
   * @param plaintext May lie inside `out` at `out[0..plaintext.length)`.
   * @param out Takes ciphertext ‖ tag (RFC 8439 §2.8): plaintext.length + 16 bytes.
   * @throws {BugError} `crypto.wiped` after {@linkcode wipe}.
   */
  seal(plaintext: Uint8Array, out: Uint8Array): void;
  /**
   * Decrypt the next message. The counter moves on success alone.
   *
   * @param sealed ciphertext ‖ tag; `out` may be its own start.
   * @param out Takes sealed.length − 16 bytes. On failure it holds nothing that
   * depends on the key (zeros or what it held before).
   * @returns Whether the tag was right.
   */
  open(sealed: Uint8Array, out: Uint8Array): boolean;
  /**
   * XOR into `bytes` the keystream that the next message has from byte `offset`
   * on. The counter stays. Onion layers use it to know beforehand what a relay
   * makes of bytes that are not theirs (protocol §5 "Circuits").
   */
  xorNext(offset: number, bytes: Uint8Array): void;
  /** Forget the key. */
  wipe(): void;
}

/** A ChaCha20 keystream (nonce 0, block counter 0), read piece by piece. */
export interface Keystream {
  /** XOR the next `bytes.length` bytes of the stream into `bytes`. */
  xor(bytes: Uint8Array): void;
  /** Forget the key. */
  wipe(): void;
}

/** One half of an ML-KEM-768 exchange. */
export interface KemPair {
  /** Encapsulation key, 1184 bytes. */
  readonly publicKey: Bytes;
  /**
   * Recover the secret of a ciphertext. A foreign ciphertext gives another
   * secret, never an error (implicit rejection, FIPS 203 §6.3).
   *
   * @throws {ProtocolError} `crypto.kem_length` unless 1088 bytes.
   */
  decapsulate(ciphertext: Uint8Array): Promise<Bytes>;
  /** Forget the key. */
  wipe(): void;
}

/** An Ed25519 key that signs. */
export interface Signer {
  readonly publicKey: Bytes;
  /** Sign (RFC 8032 §5.1.6, deterministic). */
  sign(message: Uint8Array): Bytes;
}

/** What one run of scrypt costs. Time grows with N · r · p, memory with N · r. */
export interface ScryptOptions {
  /** Cost: a power of two, at least 2. */
  readonly N: number;
  /** Block size: memory is 128 · N · r bytes. */
  readonly r: number;
  /** Parallelisation: how often it all is done. */
  readonly p: number;
  /** Bytes wanted, 1 to 1024. */
  readonly length: number;
}

/** Every primitive that the protocol uses. */
export interface CryptoSuite {
  /** For logs and `anonnet version`. */
  readonly name: string;

  /** SHA-256 of the parts, one after the other. */
  sha256(...parts: readonly Uint8Array[]): Bytes;
  /** HMAC-SHA-256. */
  hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes;
  /** HKDF-SHA-256, extract and expand (RFC 5869). `length` ≤ 8160. */
  hkdf(
    secret: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    length: number,
  ): Bytes;
  /** HKDF-Expand alone (RFC 5869 §2.3). `key` ≥ 32 bytes, `length` ≤ 8160. */
  hkdfExpand(key: Uint8Array, info: Uint8Array, length: number): Bytes;
  /**
   * scrypt (RFC 7914), the memory-hard function under proofs of work. It may
   * hold the thread for as long as it takes: about 2 ms at N = 1024, r = 8.
   *
   * @throws {RangeError} for impossible costs, and above 256 MiB.
   */
  scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    options: ScryptOptions,
  ): Promise<Bytes>;

  /** ChaCha20-Poly1305 with counter nonces. */
  counterAead(key: Uint8Array): CounterAead;
  /** One-off ChaCha20-Poly1305: ciphertext ‖ tag. */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    aad?: Uint8Array,
  ): Bytes;
  /** One-off decryption; `undefined` when the tag is wrong. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    aad?: Uint8Array,
  ): Bytes | undefined;
  /** A ChaCha20 keystream. */
  keystream(key: Uint8Array): Keystream;

  /** Public half of an X25519 secret. */
  x25519Public(secret: Uint8Array): Bytes;
  /**
   * X25519 shared secret; `undefined` when it is all zero, that is, for a
   * public key of low order (RFC 7748 §6.1).
   */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Bytes | undefined;

  /** An Ed25519 key made of its 32-byte seed. */
  signer(seed: Uint8Array): Signer;
  /**
   * Check a signature: RFC 8032 §5.1.7, cofactorless, strict: non-canonical
   * encodings of S, R and A and public keys of low order give `false`. Never throws.
   */
  verify(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean;

  /** An ML-KEM-768 key pair made of its 64-byte seed. */
  kemPair(seed: Uint8Array): Promise<KemPair>;
  /**
   * Encapsulate to a public key. An implementation may take its randomness from
   * the platform instead of `random`.
   *
   * @throws {ProtocolError} `crypto.kem_key` for a malformed key (FIPS 203 §7.2).
   */
  encapsulate(
    publicKey: Uint8Array,
    random: Random,
  ): Promise<{ ciphertext: Bytes; secret: Bytes }>;
}
