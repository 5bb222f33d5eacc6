/**
 * The keys of one introduction point of a service. The point knows the
 * authentication key; what clients send through it is encrypted to the others.
 *
 *     authentication   Ed25519 32     proves to the point who listens
 *     static           X25519 32      of introductions and rendezvous handshakes
 *     kem              ML-KEM-768     of introductions
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { Identity, type PublicKey } from "../../auth/identity.ts";
import { type Bytes, wipe } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import {
  type CryptoSuite,
  KEM_SEED_BYTES,
  type KemPair,
  X25519_BYTES,
} from "../../crypto/suite.ts";

/** The public halves, as a descriptor carries them. */
export interface IntroductionPublicKeys {
  /** Ed25519, 32 bytes. */
  readonly authentication: PublicKey;
  /** X25519, 32 bytes. */
  readonly staticKey: Bytes;
  /** ML-KEM-768, 1184 bytes. */
  readonly kemKey: Bytes;
}

/** All halves, made anew for every introduction circuit. */
export class IntroductionKeys implements Disposable {
  readonly public: IntroductionPublicKeys;
  readonly identity: Identity;
  readonly kem: KemPair;
  readonly #staticSecret: Bytes;

  private constructor(
    crypto: CryptoSuite,
    identity: Identity,
    staticSecret: Bytes,
    kem: KemPair,
  ) {
    this.identity = identity;
    this.kem = kem;
    this.#staticSecret = staticSecret;
    this.public = {
      authentication: identity.publicKey,
      staticKey: crypto.x25519Public(staticSecret),
      kemKey: kem.publicKey,
    };
  }

  /** Fresh keys. */
  static async generate(
    crypto: CryptoSuite,
    random: Random,
  ): Promise<IntroductionKeys> {
    const identity = Identity.generate(crypto, random);
    const staticSecret = random.bytes(X25519_BYTES);
    const seed = random.bytes(KEM_SEED_BYTES);
    const kem = await crypto.kemPair(seed);
    wipe(seed);
    return new IntroductionKeys(crypto, identity, staticSecret, kem);
  }

  /** The X25519 secret. Handle with care. */
  get staticSecret(): Bytes {
    return this.#staticSecret;
  }

  [Symbol.dispose](): void {
    wipe(this.#staticSecret);
    this.kem.wipe();
    this.identity[Symbol.dispose]();
  }
}
