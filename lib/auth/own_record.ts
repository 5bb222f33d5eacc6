/**
 * The record that a relay signs of itself, renewed long before it ends and
 * whenever what it says has changed.
 *
 * Its dates tell nothing of how far the machine's clock is off, which would tie the relay
 * to whatever else runs there:
 *
 *     lag      = 15 min + u · 1 h / 2³²             u: HKDF(seed, "", "anonnet v1 record lag", 4)
 *     shown    = Unix time − lag
 *     quarter  = ⌊shown / 15 min⌋
 *     sequence = quarter · 15 min + base + ⌊(shown mod 15 min) / 1 s⌋
 *     base     = HKDF(seed, quarter(8), "anonnet v1 record sequence", 4) mod 890,000
 *     expiry   = quarter · 15 min + 24 h            in 22½ to 23¾ h
 *
 * Where the network has rent, and that for the period of this expiry is not paid yet, the
 * record ends with the period before.
 *
 * @see protocol §2.3 "Node records", docs/decisions/0049-no-clock-on-the-wire.md
 * @module
 */
import type { Family } from "./family.ts";
import type { Identity } from "./identity.ts";
import type { NetworkParameters } from "./network.ts";
import { createNodeRecord, type NodeRecord } from "./node_record.ts";
import type { Work } from "./proof_of_work.ts";
import { hasRent, rentEndMs, rentPeriod } from "./rent.ts";
import type { SocketAddress } from "./socket_address.ts";
import { type Bytes, utf8, wipe } from "../base/bytes.ts";
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

/** Records say the time by quarters of an hour, ms. */
const QUARTER_MS = 15 * 60 * 1000;
/** Lags are spread over so much, ms. */
const LAG_SPREAD_MS = 60 * 60 * 1000;
/** Where in its quarter a sequence may begin, ms: behind it is room for the seconds, and for more. */
const BASES = 890_000;
const LAG_INFO = utf8("anonnet v1 record lag");
const SEQUENCE_INFO = utf8("anonnet v1 record sequence");

/** What stays the same over all records of a node. */
export interface OwnRecordOptions {
  readonly crypto: CryptoSuite;
  readonly identity: Identity;
  readonly network: NetworkParameters;
  /** The proof of work of the identity. */
  readonly work: Work;
  /** What pays for a period, if that is known. Default: nothing, which will do without rent. */
  readonly rentOf?: (period: number) => Bytes | undefined;
  /** How to reach the operator. Default: not said. */
  readonly contact?: string | undefined;
  /** The relay's family. Default: none. */
  readonly family?: Family | undefined;
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
  readonly #lagMs: number;
  #current: NodeRecord | undefined;
  #signedMs = 0;

  constructor(options: OwnRecordOptions) {
    this.#options = options;
    const drawn = this.#derive(new Uint8Array(0), LAG_INFO);
    this.#lagMs = QUARTER_MS + Math.floor(drawn * LAG_SPREAD_MS / 2 ** 32);
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
    return this.#current === undefined ? 0 : this.#signedMs + RECORD_RENEWAL_MS;
  }

  /**
   * Sign a new record, which replaces the one before everywhere.
   *
   * @returns The one before, where no rent is known that a new one could carry.
   * @throws {RangeError} when there is none before either.
   */
  sign(content: OwnRecordContent, unixMs: number): NodeRecord {
    const { crypto, identity, network, work, contact, family } = this.#options;
    const addresses = content.addresses.slice(0, network.maxAddresses);
    const sequence = this.#nextSequence(unixMs);
    const paid = this.#paid(sequence);
    if (paid === undefined) {
      if (this.#current !== undefined) return this.#current;
      throw new RangeError("Cannot sign a record: its period is not paid for");
    }
    this.#signedMs = unixMs;
    this.#current = createNodeRecord(crypto, identity, network, {
      onionKey: content.onionKey,
      addresses,
      flags: addresses.length === 0 ? [] : ["relay"],
      bandwidth: content.bandwidth,
      contact,
      family,
      sequence,
      ...paid,
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
        unixMs - this.#signedMs >= MIN_CHANGE_MS;
  }

  /** When it may end, and what pays for that; `undefined` if nothing does. */
  #paid(sequence: number): Pick<NodeRecord, "expiry" | "rent"> | undefined {
    const { network, rentOf = () => undefined } = this.#options;
    const expiry = this.#expiryOf(sequence);
    if (!hasRent(network)) return { expiry };
    const period = rentPeriod(expiry);
    const rent = rentOf(period);
    if (rent !== undefined) return { expiry, rent };
    const endMs = rentEndMs(period - 1);
    const last = endMs > sequence ? rentOf(period - 1) : undefined;
    return last && { expiry: endMs, rent: last };
  }

  #expiryOf(sequence: number): number {
    const quarterMs = Math.floor(sequence / QUARTER_MS) * QUARTER_MS;
    return quarterMs + this.#options.network.maxNodeRecordLifeMs;
  }

  /** Whether the clock was set back so far that no peer takes the record any more. */
  #isFuture(unixMs: number): boolean {
    const { maxClockSkewMs } = this.#options.network;
    return (this.#current?.sequence ?? 0) > unixMs + maxClockSkewMs;
  }

  /** Above the last one, so that the new record replaces it, if that can be. */
  #nextSequence(unixMs: number): number {
    const sequence = this.#sequenceAt(unixMs);
    if (this.#current === undefined || this.#isFuture(unixMs)) return sequence;
    return Math.max(sequence, this.#current.sequence + 1);
  }

  /** Rises with the time, over restarts as well, and says no more than the quarter. */
  #sequenceAt(unixMs: number): number {
    const shownMs = Math.max(0, unixMs - this.#lagMs);
    const quarter = Math.floor(shownMs / QUARTER_MS);
    const salt = new Uint8Array(8);
    new DataView(salt.buffer).setBigUint64(0, BigInt(quarter));
    const base = this.#derive(salt, SEQUENCE_INFO) % BASES;
    const startMs = quarter * QUARTER_MS;
    return startMs + base + Math.floor((shownMs - startMs) / 1000);
  }

  /** 32 bits that only the holder of the identity can work out. */
  #derive(salt: Uint8Array, info: Uint8Array): number {
    const { crypto, identity } = this.#options;
    const seed = identity.exportSeed();
    const okm = crypto.hkdf(seed, salt, info, 4);
    wipe(seed);
    return new DataView(okm.buffer, okm.byteOffset).getUint32(0);
  }
}
