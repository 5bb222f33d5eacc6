/**
 * Who signs the descriptors of a service: the holder of its key, or a host that the
 * holder has named.
 *
 *     OwnKey    under A', the service's key as blinded for the period
 *     HostKey   under a key of its own for the period, which the roster under A' names
 *
 * @see protocol §7.2 "Time periods and blinded keys", §7.8 "Several hosts"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { type Bytes, utf8, wipe } from "../../base/bytes.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  type Signer,
} from "../../crypto/suite.ts";
import { DescriptorDates } from "../descriptor_dates.ts";
import type { ServiceIdentity } from "../service_identity.ts";
import {
  blindedKey,
  blindedSigner,
  type TimePeriod,
  uint64,
} from "../time_period.ts";
import { formatIssue } from "./issue.ts";

const HOST_KEY_INFO = utf8("anonnet v1 host key");

/** What a service signs its descriptors with. */
export interface ServiceKey extends Disposable {
  /** A: the service's address. */
  readonly publicKey: PublicKey;
  /** The clock that the descriptors show. */
  readonly dates: DescriptorDates;
  /** Words that every descriptor has. */
  readonly features: readonly string[];
  /** The public key that descriptors of a period are under. */
  blinded(period: TimePeriod): PublicKey;
  /** Signs descriptors of a period. */
  signer(period: TimePeriod): Signer;
}

/** The service's own key. */
export class OwnKey implements ServiceKey {
  readonly publicKey: PublicKey;
  readonly dates: DescriptorDates;
  readonly features: readonly string[];
  readonly #crypto: CryptoSuite;
  readonly #identity: ServiceIdentity;

  /**
   * @param identity Disposed of with it.
   * @param issue When the key was last delegated, in hours since 1970; 0: never.
   */
  constructor(crypto: CryptoSuite, identity: ServiceIdentity, issue = 0) {
    this.#crypto = crypto;
    this.#identity = identity;
    this.publicKey = identity.publicKey;
    this.features = issue === 0 ? [] : [formatIssue(issue)];
    const seed = identity.exportSeed();
    this.dates = new DescriptorDates(crypto, seed, { issue });
    wipe(seed);
  }

  blinded(period: TimePeriod): PublicKey {
    return blindedKey(this.#crypto, this.publicKey, period);
  }

  signer(period: TimePeriod): Signer {
    const seed = this.#identity.exportSeed();
    const signer = blindedSigner(this.#crypto, seed, this.publicKey, period);
    wipe(seed);
    return signer;
  }

  [Symbol.dispose](): void {
    this.dates[Symbol.dispose]();
    this.#identity[Symbol.dispose]();
  }
}

/** The key of a host, which never had the service's. Prints as `[scrubbed]`. */
export class HostKey implements ServiceKey {
  readonly publicKey: PublicKey;
  readonly dates: DescriptorDates;
  readonly features: readonly string[] = [];
  readonly #crypto: CryptoSuite;
  readonly #seed: Bytes;

  /**
   * @param service A.
   * @param seed The host's, 32 bytes; copied.
   * @param periods Those that it is named for.
   */
  constructor(
    crypto: CryptoSuite,
    service: PublicKey,
    seed: Uint8Array,
    periods: ReadonlySet<TimePeriod>,
  ) {
    this.#crypto = crypto;
    this.#seed = new Uint8Array(seed);
    this.publicKey = service;
    this.dates = new DescriptorDates(crypto, seed, { periods });
  }

  blinded(period: TimePeriod): PublicKey {
    return this.signer(period).publicKey;
  }

  signer(period: TimePeriod): Signer {
    return hostSigner(this.#crypto, this.#seed, period);
  }

  [Symbol.dispose](): void {
    this.dates[Symbol.dispose]();
    wipe(this.#seed);
  }

  toJSON(): string {
    return "[scrubbed]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "HostKey([scrubbed])";
  }
}

/** Signs the descriptors of a host in one period. */
export function hostSigner(
  crypto: CryptoSuite,
  seed: Uint8Array,
  period: TimePeriod,
): Signer {
  const derived = crypto.hkdf(
    seed,
    uint64(period),
    HOST_KEY_INFO,
    ED25519_KEY_BYTES,
  );
  const signer = crypto.signer(derived);
  wipe(derived);
  return signer;
}
