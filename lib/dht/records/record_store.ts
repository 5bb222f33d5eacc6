/**
 * What one node keeps for the DHT: records by key and publisher.
 *
 *     key ──┬── publisher, newest sequence      at most 20 publishers of a key,
 *           ├── publisher, newest sequence      expired at `expiry`, to the ms
 *           └── …
 *     shelf of self-certifying records          10,000, 48 MiB
 *     shelf of open ones                        2,500, 16 MiB
 *
 * When a shelf is full, what has expired goes first; then the shelf says who leaves.
 * Checks run from the cheapest to the dearest, and nothing is given up for a record
 * before its signature is known to be right.
 *
 * @see protocol §4.5 "What a node stores"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { Moment } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { IndexedHeap } from "../../base/indexed_heap.ts";
import { type Random, randomBetween, randomFloat } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { type DhtKey, pointKey } from "./distance.ts";
import { Shelf, type Shelved } from "./shelf.ts";
import {
  decodeStoredRecord,
  isSelfCertifying,
  isSigned,
  isTooFarAhead,
  maxStoredRecordBytes,
  type StoredRecord,
} from "./stored_record.ts";

/** Protocol: why a node does not keep a record, in the order of the checks. */
export const REJECT_CODES = [
  "not_a_relay",
  "too_large",
  "expired",
  "too_far_in_future",
  "not_closest",
  "older_sequence",
  "quota",
  "bad_signature",
] as const;

/** One of {@linkcode REJECT_CODES}. */
export type RejectCode = typeof REJECT_CODES[number];

/** What became of a record that was offered. */
export type StoreOutcome =
  | { readonly type: "stored" }
  | { readonly type: "rejected"; readonly code: RejectCode };

/** How much a store may hold. Each limit stops a peer from filling a disk or memory. */
export interface RecordStoreLimits {
  /** Protocol: self-certifying records. */
  readonly maxRecords: number;
  /** Tuning: their bytes, encoded, in sum. */
  readonly maxBytes: number;
  /** Protocol: records under open keys, which any publisher may choose. */
  readonly maxOpenRecords: number;
  /** Tuning: their bytes. */
  readonly maxOpenBytes: number;
  /** Tuning: records of either kind that came through one peer. */
  readonly maxRecordsPerPeer: number;
  /** Tuning: and their bytes. */
  readonly maxBytesPerPeer: number;
}

/** The limits of a relay. */
export const RECORD_STORE_LIMITS: RecordStoreLimits = {
  maxRecords: 10_000,
  maxBytes: 48 * 1024 * 1024,
  maxOpenRecords: 2_500,
  maxOpenBytes: 16 * 1024 * 1024,
  maxRecordsPerPeer: 2_000,
  maxBytesPerPeer: 8 * 1024 * 1024,
};

/** Tuning: holders hand a record on about this often, so that it outlives churn. */
export const REPUBLISH_MS = 3600 * 1000;
/** Tuning: republishing is spread over ± this share, so that one holder is first. */
const REPUBLISH_JITTER = 0.1;
/**
 * Tuning: who is handed a record that it holds believes with this chance that
 * the other holders were handed it too, and skips its own turn. Below 1, so that
 * a hostile holder cannot silence the honest ones for long.
 */
const SKIP_TURN_CHANCE = 0.9;
/** Tuning: how often expired records are swept out. Reads never show one. */
export const SWEEP_MS = 60 * 1000;

/**
 * Tuning: a record that its publisher renews this long after it first came, or later, is
 * proven. Services renew theirs every 54 to 66 minutes.
 */
export const PROVEN_AFTER_MS = 45 * 60 * 1000;
/** By whom records came that circuits stored here; a peer's name is longer. */
export const FROM_CIRCUITS = "circuits";

/** What a store is made of. */
interface RecordStoreOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Whether the node is among the closest to a key, as far as it knows. */
  readonly isAmongClosest: (key: DhtKey) => boolean;
  /** Default {@linkcode RECORD_STORE_LIMITS}. */
  readonly limits?: RecordStoreLimits;
}

/** One publisher's record. Only what is needed at hand: thousands are held. */
interface Held extends Shelved {
  readonly entry: KeyEntry;
  readonly encoded: Bytes;
  readonly publisher: string;
  readonly sequence: number;
  readonly expiry: number;
  readonly isOpen: boolean;
  /** When the first record of this publisher and key came. */
  readonly firstMs: number;
}

interface KeyEntry {
  readonly key: DhtKey;
  readonly held: Held[];
  republishMs: number;
}

const STORED: StoreOutcome = { type: "stored" };
const rejected = (code: RejectCode): StoreOutcome => ({
  type: "rejected",
  code,
});

/** Records, with limits. */
export class RecordStore {
  readonly #crypto: CryptoSuite;
  readonly #network: NetworkParameters;
  readonly #random: Random;
  readonly #isAmongClosest: (key: DhtKey) => boolean;
  readonly #keys = new Map<string, KeyEntry>();
  readonly #owned: Shelf<Held>;
  readonly #open: Shelf<Held>;
  /** The first to expire first. */
  readonly #expiries = new IndexedHeap<Held>();
  #sweepMs = Infinity;

  constructor(options: RecordStoreOptions) {
    this.#crypto = options.crypto;
    this.#network = options.network;
    this.#random = options.random;
    this.#isAmongClosest = options.isAmongClosest;
    const limits = options.limits ?? RECORD_STORE_LIMITS;
    const { maxOpenRecords, maxOpenBytes, ...owned } = limits;
    const open = { maxRecords: maxOpenRecords, maxBytes: maxOpenBytes };
    this.#owned = new Shelf(owned, options.random);
    this.#open = new Shelf({ ...owned, ...open }, options.random);
  }

  /** Keys held. */
  get keys(): number {
    return this.#keys.size;
  }

  /** Records held. */
  get records(): number {
    return this.#owned.records + this.#open.records;
  }

  /** Bytes of the encoded records held. */
  get bytes(): number {
    return this.#owned.bytes + this.#open.bytes;
  }

  /** When to call {@linkcode onTime} next; `undefined` while there is nothing to do. */
  get deadlineMs(): number {
    return this.#sweepMs;
  }

  /**
   * Offer a record.
   *
   * @param from Key of the peer that hands it over, which it is counted against, or
   * {@linkcode FROM_CIRCUITS}; `""` for the node itself, which may store without share
   * and anywhere.
   * @throws {ProtocolError} `wire.*` when it is malformed.
   */
  put(
    encoded: Uint8Array,
    from: string,
    nowMs: number,
    unixMs: number,
  ): StoreOutcome {
    return this.#offer(encoded, from, "peer", { nowMs, unixMs });
  }

  /**
   * The records under a key that have not expired, the self-certifying one first,
   * the others in random order: an answer that is cut short favours no publisher.
   *
   * @param publisher Only this one's.
   */
  get(key: DhtKey, unixMs: number, publisher?: PublicKey): Bytes[] {
    const only = publisher === undefined ? undefined : pointKey(publisher);
    const found = (this.#keys.get(pointKey(key))?.held ?? []).filter((held) =>
      held.expiry > unixMs && (only === undefined || held.publisher === only)
    );
    if (found.length > 1) {
      const rank = new Map(
        found.map((
          held,
        ) => [held, held.isOpen ? randomFloat(this.#random) : -1]),
      );
      found.sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
    }
    return found.map((held) => held.encoded);
  }

  /** Sweep, and say which keys are due to be handed on to the k closest. */
  onTime(nowMs: number, unixMs: number): DhtKey[] {
    if (nowMs < this.#sweepMs) return [];
    this.sweep(unixMs);
    this.#sweepMs = this.#keys.size === 0 ? Infinity : nowMs + SWEEP_MS;
    const due: DhtKey[] = [];
    for (const entry of this.#keys.values()) {
      if (entry.republishMs > nowMs) continue;
      entry.republishMs = this.#nextTurn(nowMs);
      due.push(entry.key);
    }
    return due;
  }

  /** Drop what has expired. */
  sweep(unixMs: number): void {
    for (;;) {
      const { first } = this.#expiries;
      if (first === undefined || first.rank > unixMs) return;
      this.#drop(first.item);
    }
  }

  /** All records that have not expired, encoded, to be kept across a restart. */
  export(unixMs: number): Bytes[] {
    const out: Bytes[] = [];
    for (const { held } of this.#keys.values()) {
      for (const { encoded, expiry } of held) {
        if (expiry > unixMs) out.push(encoded);
      }
    }
    return out;
  }

  /**
   * Take back what {@linkcode export} gave. Every record is checked again, as if
   * a peer had sent it: a file may be torn, old, or another node's.
   *
   * @returns How many were kept.
   */
  import(
    records: Iterable<Uint8Array>,
    nowMs: number,
    unixMs: number,
  ): number {
    let kept = 0;
    for (const encoded of records) {
      try {
        const outcome = this.#offer(encoded, "", "own", { nowMs, unixMs });
        if (outcome.type === "stored") kept++;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
    return kept;
  }

  /** @param origin `own` is what this node held before: it is proven. */
  #offer(
    encoded: Uint8Array,
    from: string,
    origin: "peer" | "own",
    { nowMs, unixMs }: Moment,
  ): StoreOutcome {
    if (encoded.length > maxStoredRecordBytes(this.#network)) {
      return rejected("too_large");
    }
    const record = decodeStoredRecord(encoded);
    const code = this.#refuseCheaply(record, from, unixMs);
    if (code !== undefined) return rejected(code);

    const publisher = pointKey(record.publisher);
    const entry = this.#keys.get(pointKey(record.key)) ??
      { key: record.key, held: [], republishMs: 0 };
    this.#sweepKey(entry, unixMs);
    const old = entry.held.find((held) => held.publisher === publisher);
    if (old !== undefined) {
      if (equalBytes(old.encoded, record.encoded)) {
        this.#skipTurn(entry, nowMs);
        return STORED;
      }
      // One sequence, two contents: the publisher contradicts itself, the first stays.
      if (record.sequence <= old.sequence) return rejected("older_sequence");
    }
    if (!isSigned(this.#crypto, record)) return rejected("bad_signature");

    const isOpen = !this.#isSelfCertifying(record);
    if (old === undefined && !this.#makePlace(entry, isOpen)) {
      return rejected("quota");
    }
    const firstMs = old?.firstMs ?? nowMs;
    const held: Held = {
      entry,
      encoded: record.encoded,
      publisher,
      sequence: record.sequence,
      expiry: record.expiry,
      isOpen,
      from,
      bytes: record.encoded.length,
      firstMs,
      isProven: origin === "own" || old?.isProven === true ||
        nowMs - firstMs >= PROVEN_AFTER_MS,
    };
    return this.#shelve(held, old, { nowMs, unixMs })
      ? STORED
      : rejected("quota");
  }

  #refuseCheaply(
    record: StoredRecord,
    from: string,
    unixMs: number,
  ): RejectCode | undefined {
    if (record.value.length > this.#network.maxRecordValueBytes) {
      return "too_large";
    }
    if (record.expiry <= unixMs) return "expired";
    if (isTooFarAhead(this.#network, record, unixMs)) {
      return "too_far_in_future";
    }
    if (from !== "" && !this.#isAmongClosest(record.key)) return "not_closest";
    return undefined;
  }

  #isSelfCertifying({ key, publisher }: StoredRecord): boolean {
    return isSelfCertifying(this.#crypto, this.#network, key, publisher);
  }

  #skipTurn(entry: KeyEntry, nowMs: number): void {
    if (randomFloat(this.#random) < SKIP_TURN_CHANCE) {
      entry.republishMs = this.#nextTurn(nowMs);
    }
  }

  #nextTurn(nowMs: number): number {
    const low = REPUBLISH_MS * (1 - REPUBLISH_JITTER);
    const high = REPUBLISH_MS * (1 + REPUBLISH_JITTER);
    return nowMs + Math.round(randomBetween(this.#random, low, high));
  }

  /** A place for one more publisher of a key. */
  #makePlace(entry: KeyEntry, isOpen: boolean): boolean {
    if (entry.held.length < this.#network.maxPublishers) return true;
    if (isOpen) return false;
    // The key belongs to this publisher: a squatter leaves, the first to expire.
    const [first] = entry.held.filter((held) => held.isOpen)
      .sort((a, b) => a.expiry - b.expiry);
    if (first === undefined) return false;
    this.#drop(first);
    return true;
  }

  /**
   * Find a record its place, whichever record has to leave for it.
   *
   * @param old What it replaces; it stays where there is no place.
   * @returns Whether there was one.
   */
  #shelve(
    held: Held,
    old: Held | undefined,
    { nowMs, unixMs }: Moment,
  ): boolean {
    const shelf = this.#shelfOf(held);
    if (old !== undefined) this.#shelfOf(old).remove(old);
    if (!this.#makeRoom(shelf, held, old, unixMs)) {
      if (old !== undefined) this.#shelfOf(old).add(old);
      return false;
    }
    const { entry } = held;
    if (old !== undefined) {
      entry.held.splice(entry.held.indexOf(old), 1);
      this.#expiries.delete(old);
    }
    shelf.add(held);
    entry.held.push(held);
    entry.republishMs = this.#nextTurn(nowMs);
    this.#expiries.set(held, held.expiry);
    this.#keys.set(pointKey(entry.key), entry);
    if (this.#sweepMs === Infinity) this.#sweepMs = nowMs + SWEEP_MS;
    return true;
  }

  #makeRoom(
    shelf: Shelf<Held>,
    held: Held,
    old: Held | undefined,
    unixMs: number,
  ): boolean {
    const claim = old === undefined ? "newcomer" : "renewal";
    for (let isSwept = false;;) {
      const leaver = shelf.leaver(held, claim);
      if (leaver.type === "none") return true;
      if (!isSwept) {
        isSwept = true;
        this.sweep(unixMs);
      } else if (leaver.type === "newcomer") return false;
      else this.#drop(leaver.item);
    }
  }

  #shelfOf({ isOpen }: Held): Shelf<Held> {
    return isOpen ? this.#open : this.#owned;
  }

  #sweepKey(entry: KeyEntry, unixMs: number): void {
    for (const held of [...entry.held]) {
      if (held.expiry <= unixMs) this.#drop(held);
    }
  }

  /** Remove a record, and its key with the last one. */
  #drop(held: Held): void {
    const { entry } = held;
    this.#shelfOf(held).remove(held);
    this.#expiries.delete(held);
    entry.held.splice(entry.held.indexOf(held), 1);
    if (entry.held.length === 0) this.#keys.delete(pointKey(entry.key));
  }
}
