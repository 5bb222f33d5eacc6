/**
 * What one node keeps for the DHT: records by key and publisher.
 *
 *     key ──┬── publisher, newest sequence      at most 20 publishers of a key,
 *           ├── publisher, newest sequence      10,000 keys, 64 MiB;
 *           └── …                               expired at `expiry`, to the ms
 *
 * When it is full, what has expired goes first, then the keys farthest from the
 * node. Checks run from the cheapest to the dearest, and nothing is given up for
 * a record before its signature is known to be right.
 *
 * @see protocol §4.5 "What a node stores"
 * @module
 */
import type { NodeId, PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import { type Random, randomBetween, randomFloat } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import {
  compareDistance,
  type DhtKey,
  leadingDistance,
  pointKey,
} from "./distance.ts";
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

/** How much a store may hold. Each limit stops somebody from filling a disk or memory. */
export interface RecordStoreLimits {
  /** Protocol: keys. */
  readonly maxKeys: number;
  /** Tuning: bytes of encoded records in sum. */
  readonly maxBytes: number;
  /** Tuning: records that came through one peer, so that one flood is not everybody's. */
  readonly maxRecordsPerPeer: number;
  /** Tuning: and their bytes. */
  readonly maxBytesPerPeer: number;
}

/** The limits of a relay. */
export const RECORD_STORE_LIMITS: RecordStoreLimits = {
  maxKeys: 10_000,
  maxBytes: 64 * 1024 * 1024,
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

/** What a store is made of. */
export interface RecordStoreOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  /** The node whose store it is. */
  readonly selfId: NodeId;
  /** Whether the node is among the closest to a key, as far as it knows. */
  readonly isAmongClosest: (key: DhtKey) => boolean;
  /** Default {@linkcode RECORD_STORE_LIMITS}. */
  readonly limits?: RecordStoreLimits;
}

/** One publisher's record. Only what is needed at hand: thousands are held. */
interface Held {
  readonly encoded: Bytes;
  readonly publisher: string;
  readonly sequence: number;
  readonly expiry: number;
  readonly isOpen: boolean;
  /** Through which peer it came; "" is ourselves. */
  readonly from: string;
}

interface KeyEntry {
  readonly key: DhtKey;
  /** {@linkcode leadingDistance} from the node. */
  readonly farness: number;
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
  readonly #selfId: NodeId;
  readonly #isAmongClosest: (key: DhtKey) => boolean;
  readonly #limits: RecordStoreLimits;
  readonly #keys = new Map<string, KeyEntry>();
  /** Never more entries than records. */
  readonly #shares = new Map<string, { records: number; bytes: number }>();
  #records = 0;
  #bytes = 0;
  #sweepMs = Infinity;
  /** No record expires before this. */
  #firstExpiry = Infinity;

  constructor(options: RecordStoreOptions) {
    this.#crypto = options.crypto;
    this.#network = options.network;
    this.#random = options.random;
    this.#selfId = options.selfId;
    this.#isAmongClosest = options.isAmongClosest;
    this.#limits = options.limits ?? RECORD_STORE_LIMITS;
  }

  /** Keys held. */
  get keys(): number {
    return this.#keys.size;
  }

  /** Records held. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of the encoded records held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When to call {@linkcode onTime} next; `undefined` while there is nothing to do. */
  get deadlineMs(): number | undefined {
    return this.#sweepMs === Infinity ? undefined : this.#sweepMs;
  }

  /**
   * Offer a record.
   *
   * @param from Key of the peer that hands it over, which it is counted against;
   * `""` for the node itself, which may store without share and anywhere.
   * @throws {ProtocolError} `wire.*` when it is malformed.
   */
  put(
    encoded: Uint8Array,
    from: string,
    nowMs: number,
    unixMs: number,
  ): StoreOutcome {
    if (encoded.length > maxStoredRecordBytes(this.#network)) {
      return rejected("too_large");
    }
    const record = decodeStoredRecord(encoded);
    const code = this.#refuseCheaply(record, from, unixMs);
    if (code !== undefined) return rejected(code);

    const publisher = pointKey(record.publisher);
    const entry = this.#keys.get(pointKey(record.key));
    if (entry !== undefined) this.#sweepKey(entry, unixMs);
    const old = entry?.held.find((held) => held.publisher === publisher);
    if (entry !== undefined && old !== undefined) {
      if (equalBytes(old.encoded, record.encoded)) {
        this.#skipTurn(entry, nowMs);
        return STORED;
      }
      // One sequence, two contents: the publisher contradicts itself, the first stays.
      if (record.sequence <= old.sequence) return rejected("older_sequence");
    }
    if (!this.#hasShare(from, old, record)) return rejected("quota");
    if (!isSigned(this.#crypto, record)) return rejected("bad_signature");

    const isOpen = !this.#isSelfCertifying(record);
    if (entry !== undefined && old === undefined) {
      if (!this.#makePlace(entry, isOpen)) return rejected("quota");
    }
    if (!this.#makeRoom(record, old, unixMs)) return rejected("quota");
    const { sequence, expiry } = record;
    this.#insert(
      record.key,
      { encoded: record.encoded, publisher, sequence, expiry, isOpen, from },
      nowMs,
    );
    return STORED;
  }

  /**
   * The records under a key that have not expired, the self-certifying one first,
   * the others in random order: an answer that is cut short favours nobody.
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
    // In a flood, the store is full for every record: walk it when that can help.
    if (unixMs < this.#firstExpiry) return;
    this.#firstExpiry = Infinity;
    for (const entry of this.#keys.values()) {
      this.#sweepKey(entry, unixMs);
      for (const { expiry } of entry.held) {
        this.#firstExpiry = Math.min(this.#firstExpiry, expiry);
      }
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
   * a peer had sent it: a file may be torn, old, or somebody else's.
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
        if (this.put(encoded, "", nowMs, unixMs).type === "stored") kept++;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
    return kept;
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

  #hasShare(
    from: string,
    old: Held | undefined,
    record: StoredRecord,
  ): boolean {
    if (from === "") return true;
    const share = this.#shares.get(from) ?? { records: 0, bytes: 0 };
    const own = old?.from === from ? old : undefined;
    const records = share.records + (own === undefined ? 1 : 0);
    const bytes = share.bytes + record.encoded.length -
      (own?.encoded.length ?? 0);
    return records <= this.#limits.maxRecordsPerPeer &&
      bytes <= this.#limits.maxBytesPerPeer;
  }

  /** A place for one more publisher of a key. */
  #makePlace(entry: KeyEntry, isOpen: boolean): boolean {
    if (entry.held.length < this.#network.maxPublishers) return true;
    if (isOpen) return false;
    // The key belongs to this publisher: a squatter leaves, the first to expire.
    const [first] = entry.held.filter((held) => held.isOpen)
      .sort((a, b) => a.expiry - b.expiry);
    if (first === undefined) return false;
    this.#drop(entry, first);
    return true;
  }

  /** Room for one more key, and for the bytes of `record`. */
  #makeRoom(
    record: StoredRecord,
    old: Held | undefined,
    unixMs: number,
  ): boolean {
    const id = pointKey(record.key);
    const { maxKeys, maxBytes } = this.#limits;
    const growth = record.encoded.length - (old?.encoded.length ?? 0);
    const fits = () =>
      this.#bytes + growth <= maxBytes &&
      (this.#keys.has(id) || this.#keys.size < maxKeys);
    if (fits()) return true;
    this.sweep(unixMs);
    while (!fits()) {
      const farthest = this.#farthest();
      if (farthest === undefined) return false;
      const order = compareDistance(this.#selfId, farthest.key, record.key);
      if (order <= 0) return false; // The newcomer is the farthest itself.
      for (const held of [...farthest.held]) this.#drop(farthest, held);
    }
    return true;
  }

  #farthest(): KeyEntry | undefined {
    let farthest: KeyEntry | undefined;
    for (const entry of this.#keys.values()) {
      if (farthest === undefined || entry.farness > farthest.farness) {
        farthest = entry;
      } else if (
        entry.farness === farthest.farness &&
        compareDistance(this.#selfId, entry.key, farthest.key) > 0
      ) farthest = entry;
    }
    return farthest;
  }

  #insert(key: DhtKey, held: Held, nowMs: number): void {
    const id = pointKey(key);
    let entry = this.#keys.get(id);
    if (entry === undefined) {
      const farness = leadingDistance(this.#selfId, key);
      entry = { key, farness, held: [], republishMs: 0 };
      this.#keys.set(id, entry);
    }
    const old = entry.held.find(({ publisher }) =>
      publisher === held.publisher
    );
    if (old !== undefined) this.#forget(entry, old);
    entry.held.push(held);
    this.#firstExpiry = Math.min(this.#firstExpiry, held.expiry);
    entry.republishMs = this.#nextTurn(nowMs);
    this.#count(held, 1);
    if (this.#sweepMs === Infinity) this.#sweepMs = nowMs + SWEEP_MS;
  }

  #sweepKey(entry: KeyEntry, unixMs: number): void {
    if (entry.held.every((held) => held.expiry > unixMs)) return;
    for (const held of [...entry.held]) {
      if (held.expiry <= unixMs) this.#drop(entry, held);
    }
  }

  /** Remove a record, and its key with the last one. */
  #drop(entry: KeyEntry, held: Held): void {
    this.#forget(entry, held);
    if (entry.held.length === 0) this.#keys.delete(pointKey(entry.key));
  }

  #forget(entry: KeyEntry, held: Held): void {
    entry.held.splice(entry.held.indexOf(held), 1);
    this.#count(held, -1);
  }

  #count(held: Held, sign: 1 | -1): void {
    const length = sign * held.encoded.length;
    this.#records += sign;
    this.#bytes += length;
    if (held.from === "") return;
    const share = this.#shares.get(held.from) ?? { records: 0, bytes: 0 };
    share.records += sign;
    share.bytes += length;
    if (share.records === 0) this.#shares.delete(held.from);
    else this.#shares.set(held.from, share);
  }
}
