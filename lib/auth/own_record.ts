/**
 * The record that a relay signs of itself, renewed long before it ends and
 * whenever what it says has changed.
 *
 * @see protocol §2.3 "Node records"
 * @module
 */
import type { Identity } from "./identity.ts";
import type { NetworkParameters } from "./network.ts";
import { createNodeRecord, type NodeRecord } from "./node_record.ts";
import type { Work } from "./proof_of_work.ts";
import type { SocketAddress } from "./socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/**
 * Tuning: age of a record, ms, at which it is renewed. Peers must see a new one
 * well before the old one ends, also those whose clocks are off by hours.
 */
const RECORD_RENEWAL_MS = 6 * 60 * 60 * 1000;

/**
 * Protocol: a relay that carries more and more signs no more often than this for
 * it, ms.
 */
const MIN_CHANGE_MS = 60 * 60 * 1000;
/** Protocol: it signs when it carried so many times what the record says. */
const MORE = 2;

/** What stays the same over all records of a node. */
export interface OwnRecordOptions {
  readonly crypto: CryptoSuite;
  readonly identity: Identity;
  readonly network: NetworkParameters;
  /** The proof of work of the identity. */
  readonly work: Work;
}

/** What changes from record to record. */
export interface OwnRecordContent {
  /** X25519 key, 32 bytes. */
  readonly onionKey: Bytes;
  /** Where the node can be dialled, best first. */
  readonly addresses: readonly SocketAddress[];
  /** Bytes per second that the node has carried, or will by its operator's word. */
  readonly bandwidth: number;
}

/** A node's own record. */
export class OwnRecord {
  readonly #options: OwnRecordOptions;
  #current: NodeRecord | undefined;

  constructor(options: OwnRecordOptions) {
    this.#options = options;
  }

  /**
   * The record to show; `undefined` as long as {@linkcode sign} has not been
   * called. Without an address it does not claim to be a relay.
   */
  get current(): NodeRecord | undefined {
    return this.#current;
  }

  /** When to sign again at the latest, unix ms, if the clock is not set back. */
  get renewAtMs(): number {
    return this.#current === undefined
      ? 0
      : this.#current.sequence + RECORD_RENEWAL_MS;
  }

  /** Sign a new record, which replaces the one before everywhere. */
  sign(content: OwnRecordContent, unixMs: number): NodeRecord {
    const { crypto, identity, network, work } = this.#options;
    const addresses = content.addresses.slice(0, network.maxAddresses);
    const sequence = this.#nextSequence(unixMs);
    this.#current = createNodeRecord(crypto, identity, network, {
      onionKey: content.onionKey,
      addresses,
      flags: addresses.length === 0 ? [] : ["relay"],
      bandwidth: content.bandwidth,
      sequence,
      expiry: sequence + network.maxNodeRecordLifeMs,
      ...work,
    });
    return this.#current;
  }

  /**
   * Whether to sign now though no key or address has changed: the record is old, or of
   * the future, or has said for a while half of what the relay carries.
   *
   * @param bandwidth What the next record would declare.
   */
  isDue(bandwidth: number, unixMs: number): boolean {
    const current = this.#current;
    return current === undefined || unixMs >= this.renewAtMs ||
      this.#isFuture(unixMs) ||
      bandwidth >= MORE * current.bandwidth &&
        unixMs - current.sequence >= MIN_CHANGE_MS;
  }

  /** Whether the clock was set back so far that no peer takes the record any more. */
  #isFuture(unixMs: number): boolean {
    const { maxClockSkewMs } = this.#options.network;
    return (this.#current?.sequence ?? 0) > unixMs + maxClockSkewMs;
  }

  /** Above the last one, so that the new record replaces it, if that can be. */
  #nextSequence(unixMs: number): number {
    if (this.#current === undefined || this.#isFuture(unixMs)) return unixMs;
    return Math.max(unixMs, this.#current.sequence + 1);
  }
}
