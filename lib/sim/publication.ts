/**
 * A value in the DHT, at its publisher's own places.
 *
 * @module
 */
import type { Random } from "../base/random.ts";
import type { Signer } from "../crypto/suite.ts";
import type { DhtKey } from "../dht/records/distance.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../dht/records/stored_record.ts";
import type { SimWorld } from "./world/sim_world.ts";

/** Bytes of a simulated value: those of a small descriptor. */
const VALUE_BYTES = 1024;

/** How a value is published. */
export interface PublishOptions {
  /** Places, 1 to 8. */
  readonly replicas: number;
  /** When it ends, unix ms. */
  readonly expiry: number;
}

/** A publisher, and what it has published. */
export class Publication {
  readonly #signer: Signer;
  readonly #key: (replica: number) => DhtKey;
  #records: readonly StoredRecord[] = [];

  private constructor(signer: Signer, key: (replica: number) => DhtKey) {
    this.#signer = signer;
    this.#key = key;
  }

  /** A publisher that has published nothing yet. */
  static draw(
    { crypto }: Pick<SimWorld, "crypto">,
    random: Random,
  ): Publication {
    const signer = crypto.signer(random.bytes(32));
    return new Publication(
      signer,
      (replica) => selfCertifyingKey(crypto, signer.publicKey, replica),
    );
  }

  /** The publisher's place number `replica`. */
  key(replica: number): DhtKey {
    return this.#key(replica);
  }

  /** Sign the value for each place. */
  publish(
    { network, unixMs }: Pick<SimWorld, "network" | "unixMs">,
    { replicas, expiry }: PublishOptions,
  ): readonly StoredRecord[] {
    const value = new Uint8Array(VALUE_BYTES);
    this.#records = Array.from(
      { length: replicas },
      (_, replica) =>
        createStoredRecord(network, this.#signer, {
          key: this.key(replica),
          sequence: unixMs,
          expiry,
          value,
        }),
    );
    return this.#records;
  }

  /** What was published last, one for each place. */
  get records(): readonly StoredRecord[] {
    return this.#records;
  }
}
