/**
 * Every relay that a node has heard of: paths are drawn from this list, never
 * from look-ups, which leak and can be captured.
 *
 * A relay is listed once this node has reached it at an address that its record
 * claims. Until then, and when it was not reached for long, it is a rumour: kept,
 * so that it can be tried, but neither counted nor passed on. A peer can invent
 * any number of records; it cannot answer at addresses that are not its own.
 *
 * When there is no room, one leaves, chosen by a keyed hash that no outsider can
 * compute, over the whole list: of those never reached, else of those not reached
 * lately, else of those that came lately. This node's own record, relays that it
 * relies on and relays that have been there for days are not evicted.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { ReachAnswer } from "../auth/own_reach.ts";
import type { Bytes } from "../base/bytes.ts";
import { IndexedHeap } from "../base/indexed_heap.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { isRelay, listedAddress } from "./table/contact.ts";
import { leadingDistance, pointKey } from "./records/distance.ts";
import { type LogEntry, RelayLog, type RelayPage } from "./relay_log.ts";
import { nodeKey } from "./table/node_key.ts";

/** Tuning: relays in a list, about 2 KiB each. Stops a flood from filling memory. */
export const MAX_RELAYS = 10_000;
/**
 * Tuning: a relay may change its record this often. What comes sooner is taken
 * up when it comes again: no relay makes the whole network gossip every second.
 */
export const MIN_CHANGE_MS = 60 * 1000;

/**
 * Tuning: a relay that was not reached for so long is a rumour again. Three times
 * the pace at which relays are tried.
 */
export const LATELY_MS = 12 * 3600 * 1000;
/** Tuning: a relay reached over so long a time is not evicted for newcomers. */
export const LONG_RECORD_MS = 3 * 24 * 3600 * 1000;
/** Tuning: tries in a row that a listed relay may leave unanswered. */
const MAX_SILENCES = 1;

/**
 * Tuning: a relay that did not answer is not tried again for so long, and for
 * twice as long each time that it does not, up to 8 times this.
 */
export const SILENT_MS = 10 * 60 * 1000;
const MAX_DOUBLINGS = 3;

/** Distance from here is the number itself. */
const NOTHING = new Uint8Array(32);

/** What became of a record. */
export type MergeOutcome =
  /** A relay that was not in the list. */
  | "added"
  /** A newer record of one that was. */
  | "changed"
  /** Known already, or older than what we have, or no relay. */
  | "known"
  /** A newer record, too soon after the last. */
  | "too_soon"
  /** The list is full, and the draw went against it. */
  | "full";

/** How well an entry has shown that it is there; who leaves first is the last. */
const RANK = {
  own: 0,
  kept: 1,
  longRecord: 2,
  reached: 3,
  reachedOnce: 4,
  rumour: 5,
};

/** Figures about a list. */
export interface RelayListStatistics {
  /** Listed relays. */
  readonly listed: number;
  /** Relays that were heard of, and were not reached, or not lately. */
  readonly rumours: number;
  /** Since the start: records taken up, turned away because full, and evicted. */
  readonly added: number;
  readonly refused: number;
  readonly evicted: number;
}

/** What a list is made of. */
export interface RelayListOptions {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  /** Default {@linkcode MAX_RELAYS}. */
  readonly maxRelays?: number;
}

interface Entry extends LogEntry {
  record: NodeRecord;
  changedMs: number;
  /** Whether it was reached lately at an address of this record: then it is in the log. */
  isListed: boolean;
  /** Whether it is this node's own. */
  readonly isOwn: boolean;
  /** Whether it stays whatever comes, our own record excepted. */
  isKept: boolean;
  /** When it was reached for the first and for the last time; ±Infinity if never. */
  firstReachedMs: number;
  reachedMs: number;
  /** How often in a row it did not answer, and until when it is not tried. */
  silences: number;
  silentUntilMs: number;
  /** The keyed hash, uniform in 0 ≤ n < 1; drawn when it is first needed. */
  draw: number | undefined;
}

/** Signed records of all relays, as complete as can be had. */
export class RelayList {
  readonly #crypto: CryptoSuite;
  readonly #maxRelays: number;
  /** Listed relays: each entry that is listed is in it. */
  readonly #log: RelayLog;
  /** Key of the draw that decides who leaves. */
  readonly #drawKey: Bytes;
  readonly #entries = new Map<string, Entry>();
  /**
   * Those never reached, the next to leave first; made when the list is full for the
   * first time. Without it each rumour of a flood would cost a walk of the whole list.
   */
  #rumours: IndexedHeap<Entry> | undefined;
  #changes = 0;
  /** No record expires before this. */
  #firstExpiry = Infinity;
  #added = 0;
  #refused = 0;
  #evicted = 0;

  constructor(options: RelayListOptions) {
    this.#crypto = options.crypto;
    this.#maxRelays = options.maxRelays ?? MAX_RELAYS;
    this.#log = new RelayLog(options.random);
    this.#drawKey = options.random.bytes(32);
  }

  /** Relays heard of, rumours too; some may have expired since the last {@linkcode sweep}. */
  get size(): number {
    return this.#entries.size;
  }

  /** Listed relays. */
  get listed(): number {
    return this.#log.size;
  }

  /** Grows whenever a record comes, changes or leaves, or a relay is listed or no more. */
  get changes(): number {
    return this.#changes;
  }

  /** The record of a relay, or of a rumour. */
  get(id: NodeId): NodeRecord | undefined {
    return this.#entries.get(pointKey(id))?.record;
  }

  /** Whether a relay is listed: reached lately, at an address that its record claims. */
  isListed(id: NodeId): boolean {
    return this.#entries.get(pointKey(id))?.isListed ?? false;
  }

  /**
   * Whether the relay of a record was reached at the addresses that this record
   * claims. What is known of other addresses says nothing of these.
   */
  reachOf(record: NodeRecord): ReachAnswer {
    const entry = this.#entries.get(nodeKey(record));
    if (entry === undefined || !claimsAll(entry.record, record)) {
      return "untried";
    }
    if (entry.isListed) return "reached";
    return entry.silences > 0 ? "silent" : "untried";
  }

  /** All records that have not expired, rumours too. */
  *records(unixMs: number): Generator<NodeRecord> {
    for (const { record } of this.#entries.values()) {
      if (record.expiry > unixMs) yield record;
    }
  }

  /** Records of listed relays that have not expired. */
  *listedRecords(unixMs: number): Generator<NodeRecord> {
    for (const { record, isListed } of this.#entries.values()) {
      if (isListed && record.expiry > unixMs) yield record;
    }
  }

  /** Since when a relay was reached at times, monotonic, ms; Infinity if it never was. */
  firstReachedMs(id: NodeId): number {
    return this.#entries.get(pointKey(id))?.firstReachedMs ?? Infinity;
  }

  /** Take up a verified record: a rumour, or news of a relay that is known. */
  merge(record: NodeRecord, nowMs: number): MergeOutcome {
    if (!isRelay(record)) return "known";
    const key = nodeKey(record);
    const known = this.#entries.get(key);
    if (known === undefined) return this.#add(key, record, nowMs);
    if (record.sequence <= known.record.sequence) return "known";
    if (nowMs - known.changedMs < MIN_CHANGE_MS) return "too_soon";
    this.#change(known, record, nowMs);
    return "changed";
  }

  /** The node's own record: it may change at any time, and is always listed. */
  setOwn(record: NodeRecord, nowMs: number): void {
    const key = nodeKey(record);
    const known = this.#entries.get(key);
    if (known?.isOwn) this.#change(known, record, nowMs);
    else {
      // It may have come from others before.
      this.#remove(key, known);
      this.#add(key, record, nowMs, { isOwn: true });
    }
    this.prove(record, nowMs);
  }

  /** A relay that this node relies on: it is not evicted. */
  keep(id: NodeId): void {
    const entry = this.#entries.get(pointKey(id));
    if (entry === undefined) return;
    entry.isKept = true;
    this.#rank(entry);
  }

  /**
   * This node has reached a relay, by an authenticated link, at an address that
   * this record claims.
   *
   * @param firstMs When that was for the first time, if that is known from an earlier run.
   */
  prove(relay: NodeRecord, nowMs: number, firstMs = nowMs): void {
    const key = nodeKey(relay);
    if (!this.#entries.has(key) && isRelay(relay)) {
      this.#add(key, relay, nowMs, { firstReachedMs: firstMs });
    }
    const entry = this.#entries.get(key);
    // What was reached may have another address than what is claimed since.
    if (entry === undefined || !claimsAll(relay, entry.record)) return;
    entry.silences = 0;
    entry.silentUntilMs = -Infinity;
    entry.reachedMs = nowMs;
    entry.firstReachedMs = Math.min(entry.firstReachedMs, firstMs);
    this.#rank(entry);
    if (entry.isListed) return;
    entry.isListed = true;
    this.#toEnd(entry);
  }

  /**
   * A relay did not answer: when that happens twice, it is a rumour again.
   *
   * @param tried By which record. Where it is elsewhere since, that says nothing.
   */
  doubt(id: NodeId, nowMs: number, tried?: NodeRecord): void {
    const entry = this.#entries.get(pointKey(id));
    if (entry === undefined) return;
    if (tried !== undefined && !claimsAll(tried, entry.record)) return;
    // Requests that fail together are one silence.
    if (nowMs >= entry.silentUntilMs) entry.silences++;
    const doublings = Math.min(entry.silences - 1, MAX_DOUBLINGS);
    entry.silentUntilMs = nowMs + SILENT_MS * 2 ** doublings;
    if (entry.silences > MAX_SILENCES) this.#unlist(entry);
  }

  /** A relay broke the protocol: it is not listed until it is reached again. */
  unlist(id: NodeId): void {
    const entry = this.#entries.get(pointKey(id));
    if (entry !== undefined) this.#unlist(entry);
  }

  /** Records of relays that may well be alive: not expired, and not silent lately. */
  *promising(nowMs: number, unixMs: number): Generator<NodeRecord> {
    for (const { record, silentUntilMs } of this.#entries.values()) {
      if (record.expiry > unixMs && nowMs >= silentUntilMs) yield record;
    }
  }

  /** The same, for who looks at all of them often. */
  visitPromising(
    nowMs: number,
    unixMs: number,
    visit: (record: NodeRecord, wasReached: boolean) => void,
  ): void {
    this.#entries.forEach(({ record, silentUntilMs, firstReachedMs }) => {
      if (nowMs >= silentUntilMs && record.expiry > unixMs) {
        visit(record, firstReachedMs < Infinity);
      }
    });
  }

  /** Relays that have not expired, with when they are to be tried again. */
  visitDue(
    unixMs: number,
    retryMs: number,
    visit: (record: NodeRecord, dueMs: number, wasReached: boolean) => void,
  ): void {
    this.#entries.forEach(({ record, silentUntilMs, reachedMs }) => {
      if (record.expiry <= unixMs) return;
      const dueMs = Math.max(silentUntilMs, reachedMs + retryMs);
      visit(record, dueMs, reachedMs > -Infinity);
    });
  }

  /** What was not reached for long becomes a rumour. */
  unlistOld(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      const { isKept, reachedMs } = entry;
      if (!isKept && nowMs - reachedMs > LATELY_MS) this.#unlist(entry);
    }
  }

  /** Drop what has expired. */
  sweep(unixMs: number): void {
    if (unixMs < this.#firstExpiry) return;
    this.#firstExpiry = Infinity;
    for (const [key, entry] of this.#entries) {
      const { expiry } = entry.record;
      if (expiry <= unixMs) this.#remove(key, entry);
      else this.#firstExpiry = Math.min(this.#firstExpiry, expiry);
    }
    this.#log.compact();
  }

  /**
   * What has changed since `cursor` among listed relays.
   *
   * @param cursor The last page's, or empty. One that is not ours begins anew.
   */
  page(cursor: Uint8Array, unixMs: number): RelayPage {
    return this.#log.page(cursor, unixMs);
  }

  /** Encoded records, to be kept across a restart. */
  export(unixMs: number): Bytes[] {
    return Array.from(this.records(unixMs), ({ encoded }) => encoded);
  }

  /** Figures for status and tests. */
  statistics(): RelayListStatistics {
    return {
      listed: this.#log.size,
      rumours: this.#entries.size - this.#log.size,
      added: this.#added,
      refused: this.#refused,
      evicted: this.#evicted,
    };
  }

  /** @param about When it was reached, never if it is a rumour; whether it is our own. */
  #add(
    key: string,
    record: NodeRecord,
    nowMs: number,
    about: { readonly firstReachedMs?: number; readonly isOwn?: boolean } = {},
  ): MergeOutcome {
    const { firstReachedMs = Infinity, isOwn = false } = about;
    const entry: Entry = {
      record,
      version: 0,
      // It may be an old one, from the disk or from a peer: the next comes at any time.
      changedMs: -Infinity,
      isListed: false,
      isOwn,
      isKept: isOwn,
      firstReachedMs,
      reachedMs: firstReachedMs === Infinity ? -Infinity : nowMs,
      silences: 0,
      silentUntilMs: -Infinity,
      draw: undefined,
    };
    if (this.#isFullFor(entry)) {
      this.#refused++;
      return "full";
    }
    this.#entries.set(key, entry);
    this.#rank(entry);
    this.#firstExpiry = Math.min(this.#firstExpiry, record.expiry);
    if (this.#entries.size > this.#maxRelays) {
      const victim = this.#draw(entry, nowMs);
      this.#remove(nodeKey(victim.record), victim);
      if (victim === entry) {
        this.#refused++;
        return "full";
      }
      this.#evicted++;
    }
    this.#added++;
    return "added";
  }

  /** Whether a rumour would be the first to leave: most of a flood is, and need not come in for that. */
  #isFullFor(newcomer: Entry): boolean {
    if (this.#entries.size < this.#maxRelays || !isRumour(newcomer)) {
      return false;
    }
    const first = this.#ranked().first;
    return first === undefined || this.#drawn(newcomer) >= -first.rank;
  }

  #change(entry: Entry, record: NodeRecord, nowMs: number): void {
    const isElsewhere = !claimsAll(entry.record, record);
    entry.record = record;
    this.#firstExpiry = Math.min(this.#firstExpiry, record.expiry);
    entry.changedMs = nowMs;
    if (entry.isListed) this.#toEnd(entry);
    if (!isElsewhere) return;
    // Nothing is known of its new address; what it was counts when it is reached.
    this.#unlist(entry);
    entry.reachedMs = -Infinity;
    entry.silences = 0;
    entry.silentUntilMs = -Infinity;
    this.#rank(entry);
  }

  /** It was reached, or is where it was not: whether it is among the first to leave. */
  #rank(entry: Entry): void {
    const rumours = this.#rumours;
    if (rumours === undefined) return;
    if (isRumour(entry)) rumours.set(entry, -this.#drawn(entry));
    else rumours.delete(entry);
  }

  /** All of those never reached; from now on they are kept in order. */
  #ranked(): IndexedHeap<Entry> {
    if (this.#rumours === undefined) {
      this.#rumours = new IndexedHeap();
      for (const entry of this.#entries.values()) this.#rank(entry);
    }
    return this.#rumours;
  }

  /** Who leaves for a newcomer, or the newcomer: the worst rank, by the keyed hash. */
  #draw(newcomer: Entry, nowMs: number): Entry {
    const rumour = this.#ranked().first;
    if (rumour !== undefined) return rumour.item;
    let victim = newcomer;
    let worst = rankOf(newcomer, nowMs);
    for (const entry of this.#entries.values()) {
      const rank = rankOf(entry, nowMs);
      if (rank < worst) continue;
      if (rank > worst || this.#drawn(entry) > this.#drawn(victim)) {
        [victim, worst] = [entry, rank];
      }
    }
    return victim;
  }

  /** Uniform in 0 ≤ n < 1. */
  #drawn(entry: Entry): number {
    if (entry.draw === undefined) {
      const hash = this.#crypto.hmac(this.#drawKey, entry.record.nodeId);
      entry.draw = leadingDistance(hash, NOTHING) / 2 ** 48;
    }
    return entry.draw;
  }

  #unlist(entry: Entry): void {
    if (!entry.isListed) return;
    entry.isListed = false;
    this.#changes++;
    this.#log.remove(entry);
  }

  #remove(key: string, entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#changes++;
    this.#entries.delete(key);
    this.#rumours?.delete(entry);
    this.#unlist(entry);
  }

  #toEnd(entry: Entry): void {
    this.#changes++;
    this.#log.toEnd(entry);
  }
}

/** Whether it was never reached where it says it is, and none relies on it. */
function isRumour({ isOwn, isKept, reachedMs }: Entry): boolean {
  return !isOwn && !isKept && reachedMs === -Infinity;
}

/** How well an entry has shown that it is there, as {@linkcode RANK} has it. */
function rankOf(entry: Entry, nowMs: number): number {
  const { isOwn, isKept, isListed, silences, firstReachedMs, reachedMs } =
    entry;
  if (isOwn) return RANK.own;
  if (isKept) return RANK.kept;
  if (isRumour(entry)) return RANK.rumour;
  const isSilent = !isListed && silences > MAX_SILENCES;
  if (isSilent || nowMs - reachedMs > LATELY_MS) return RANK.reachedOnce;
  const isOld = reachedMs - firstReachedMs >= LONG_RECORD_MS;
  return isOld ? RANK.longRecord : RANK.reached;
}

/** Whether all addresses that `next` claims were claimed by `known`. */
function claimsAll(known: NodeRecord, next: NodeRecord): boolean {
  return known === next ||
    next.addresses.every((address) =>
      listedAddress(known, address) !== undefined
    );
}
