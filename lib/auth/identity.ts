/**
 * Who a node is: an Ed25519 key pair, and the name that follows from it.
 *
 *     nodeId = SHA-256("anonnet v1 node id" ‖ publicKey)      32 bytes
 *
 * @see protocol §2 "Identity"
 * @module
 */
import { type Bytes, formatBase32, utf8 } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  type Signer,
} from "../crypto/suite.ts";

/** A node's Ed25519 public key, 32 bytes, checked to be that long. */
export type PublicKey = Bytes & { readonly brand?: "PublicKey" };

/** A node's name in handshakes and tables, 32 bytes. Where it is in the DHT is its place. */
export type NodeId = Bytes & { readonly brand?: "NodeId" };

/** Bytes of a node id. */
export const NODE_ID_BYTES = 32;

const NODE_ID_CONTEXT = utf8("anonnet v1 node id");

/** The name that belongs to a public key. */
export function nodeIdOf(crypto: CryptoSuite, publicKey: PublicKey): NodeId {
  return crypto.sha256(NODE_ID_CONTEXT, publicKey);
}

/**
 * Take 32 bytes as a public key. The point itself is checked by every signature.
 *
 * @throws {ProtocolError} `auth.public_key` when they are not 32.
 */
export function asPublicKey(bytes: Uint8Array): PublicKey {
  if (bytes.length !== ED25519_KEY_BYTES) {
    throw new ProtocolError(
      "auth.public_key",
      `Cannot read public key: ${bytes.length} bytes`,
    );
  }
  return new Uint8Array(bytes);
}

/**
 * A node's own key pair. Prints as `[scrubbed]`.
 *
 * Disposing of it overwrites the seed; JavaScript and the platform may have
 * copied it, so this is the best there is.
 */
export class Identity implements Disposable {
  /** Who it is. */
  readonly publicKey: PublicKey;
  /** Its name on links and circuits. */
  readonly nodeId: NodeId;
  readonly #seed: Bytes;
  #signer: Signer | undefined;

  /**
   * The key pair of a seed.
   *
   * @param crypto The suite that signs.
   * @param seed The Ed25519 seed, 32 bytes; copied.
   */
  constructor(crypto: CryptoSuite, seed: Uint8Array) {
    this.#seed = new Uint8Array(seed);
    const signer = crypto.signer(this.#seed);
    this.#signer = signer;
    this.publicKey = signer.publicKey;
    this.nodeId = nodeIdOf(crypto, this.publicKey);
  }

  /** A new key pair. */
  static generate(crypto: CryptoSuite, random: Random): Identity {
    const seed = random.bytes(ED25519_KEY_BYTES);
    const identity = new Identity(crypto, seed);
    seed.fill(0);
    return identity;
  }

  /**
   * Sign `message` under a context string, so that no signature made for one
   * purpose is valid for another: Ed25519(context ‖ 0x00 ‖ message).
   *
   * @throws {BugError} `auth.identity_disposed`.
   */
  sign(context: string, message: Uint8Array): Bytes {
    if (this.#signer === undefined) throw disposed();
    return this.#signer.sign(signedBytes(context, message));
  }

  /**
   * The seed, for storing it and for TLS certificates. Handle with care.
   *
   * @throws {BugError} `auth.identity_disposed`: no caller may store zeros.
   */
  exportSeed(): Bytes {
    if (this.#signer === undefined) throw disposed();
    return new Uint8Array(this.#seed);
  }

  /** Overwrite the seed and sign no more. */
  [Symbol.dispose](): void {
    this.#seed.fill(0);
    this.#signer = undefined;
  }

  /** What `JSON.stringify` shows. */
  toJSON(): string {
    return "[scrubbed]";
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return "Identity([scrubbed])";
  }
}

function disposed(): BugError {
  return new BugError(
    "auth.identity_disposed",
    "Cannot use an identity after disposing of it",
  );
}

/** Check a signature that {@linkcode Identity.sign} makes. Never throws. */
export function verifySigned(
  crypto: CryptoSuite,
  publicKey: PublicKey,
  context: string,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return crypto.verify(publicKey, signedBytes(context, message), signature);
}

function signedBytes(context: string, message: Uint8Array): Bytes {
  const prefix = utf8(context);
  const bytes = new Uint8Array(prefix.length + 1 + message.length);
  bytes.set(prefix);
  bytes.set(message, prefix.length + 1);
  return bytes;
}

/** The first letters of a key: enough to tell nodes apart in a log. */
export function shortKey(publicKey: Uint8Array): string {
  return formatBase32(publicKey).slice(0, 8);
}
