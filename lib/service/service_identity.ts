/**
 * The key of a service: made of a seed, or an expanded one, as programs keep keys that
 * came to them without the seed.
 *
 *     expanded key = a(32) ‖ p(32)                    scalar, clamped; nonce prefix
 *     of ours      p = H("anonnet v1 expanded key" ‖ a)
 *
 * Only a holder can tell that a key is of ours, and with it that it was not made for
 * another network: the prefix is as secret as the scalar.
 *
 * @see protocol §A.3 "Blinded keys", docs/decisions/0062-services-at-run-time.md
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { type Bytes, concat, equalSecret, utf8, wipe } from "../base/bytes.ts";
import { BugError, ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { EXPANDED_KEY_BYTES, expandedPublicKey } from "../crypto/blinding.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";

const PREFIX_CONTEXT = utf8("anonnet v1 expanded key");

/** What a service signs by. */
export interface ServiceIdentity extends Disposable {
  readonly publicKey: PublicKey;
  /** A copy of the seed, 32 bytes, or of the expanded key, 64. Handle with care. */
  exportSeed(): Bytes;
}

/** A new expanded key, recognisable as ours to its holder. */
export function newExpandedKey(crypto: CryptoSuite, random: Random): Bytes {
  const scalar = random.bytes(ED25519_KEY_BYTES);
  scalar[0] = (scalar[0] as number) & 0xf8;
  scalar[31] = ((scalar[31] as number) & 0x3f) | 0x40;
  const prefix = crypto.sha256(PREFIX_CONTEXT, scalar);
  const secret = concat(scalar, prefix);
  wipe(scalar, prefix);
  return secret;
}

/** Whether an expanded key was made by {@linkcode newExpandedKey}, here or elsewhere. */
export function isExpandedByUs(
  crypto: CryptoSuite,
  secret: Uint8Array,
): boolean {
  const scalar = secret.subarray(0, ED25519_KEY_BYTES);
  const prefix = crypto.sha256(PREFIX_CONTEXT, scalar);
  return equalSecret(prefix, secret.subarray(ED25519_KEY_BYTES));
}

/** An expanded key. Prints as `[scrubbed]`. */
export class ExpandedIdentity implements ServiceIdentity {
  readonly publicKey: PublicKey;
  readonly #secret: Bytes;
  #isDisposed = false;

  /**
   * @param secret 64 bytes; copied.
   * @throws {ConfigError} `service.key` for what no seed expands to.
   */
  constructor(secret: Uint8Array) {
    if (secret.length !== EXPANDED_KEY_BYTES) {
      throw new ConfigError(
        "service.key",
        `Cannot use expanded key: it has ${secret.length} bytes, and not ` +
          `${EXPANDED_KEY_BYTES}`,
      );
    }
    try {
      this.publicKey = expandedPublicKey(secret);
    } catch (cause) {
      throw new ConfigError(
        "service.key",
        "Cannot use expanded key: its first half is no clamped scalar",
        { cause },
      );
    }
    this.#secret = new Uint8Array(secret);
  }

  /** @throws {BugError} `auth.identity_disposed`. */
  exportSeed(): Bytes {
    if (this.#isDisposed) {
      throw new BugError(
        "auth.identity_disposed",
        "Cannot use an identity after disposing of it",
      );
    }
    return new Uint8Array(this.#secret);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    wipe(this.#secret);
  }

  toJSON(): string {
    return "[scrubbed]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "ExpandedIdentity([scrubbed])";
  }
}
