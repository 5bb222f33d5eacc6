/**
 * Every relay that a node has heard of: paths are drawn from this list, never
 * from look-ups, which leak and can be captured.
 *
 *     log     … │ relay 7 │ (gone) │ relay 2 │ relay 9 │ ← changed last
 *     version …    41        42       43        44
 *
 *     cursor = epoch(8) ‖ version(8)     "what has changed since?"
 *
 * A record that changes moves to the end of the log, so a reader with a cursor
 * gets what is new and no more. The epoch is drawn at start: a cursor of an
 * earlier run begins anew.
 *
 * When the list is full, the subnet with the most relays gives one up, chosen by
 * a keyed hash that no outsider can compute. So a flood from few subnets evicts
 * itself; a flood from everywhere is a fair draw, and relays that this node has
 * reached itself do not take part in it.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { addressGroup, PATH_PREFIX } from "../auth/subnet.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { isRelay } from "./contact.ts";
import { leadingDistance, pointKey } from "./records/distance.ts";
import { MAX_PAGE_RECORDS } from "./messages.ts";
import { nodeKey } from "./node_key.ts";

/** Tuning: relays in a list, about 2 KiB each. Stops a flood from filling memory. */
export const MAX_RELAYS = 10_000;
/**
 * Tuning: a relay may change its record this often. What comes sooner is taken
 * up when it comes again: nobody makes the whole network gossip every second.
 */
export const MIN_CHANGE_MS = 60 * 1000;

/**
 * Tuning: a relay that did not answer is not tried again for so long, and for
 * twice as long each time that it does not, up to 8 times this.
 */
export const SILENT_MS = 10 * 60 * 1000;
const MAX_DOUBLINGS = 3;

const EPOCH_BYTES = 8;
/** Distance from here is the number itself. */
const NOTHING = new Uint8Array(32);
const CURSOR_BYTES = EPOCH_BYTES + 8;

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

/** Part of the list, as a `ListRelays` answer has it. */
export interface RelayPage {
  readonly records: readonly Bytes[];
  readonly cursor: Bytes;
  readonly more: boolean;
}

/** Figures about a list. */
export interface RelayListStatistics {
  readonly relays: number;
  /** Those that this node has reached itself. */
  readonly proven: number;
  /** Subnets that the relays are spread over; 0 where subnets do not count. */
  readonly groups: number;
  /** Since the start: records taken up, turned away because full, and evicted. */
  readonly added: number;
  readonly refused: number;
  readonly evicted: number;
}

/** What a list is made of. */
export interface RelayListOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Default {@linkcode MAX_RELAYS}. */
  readonly maxRelays?: number;
}

interface Entry {
  record: NodeRecord;
  /** Of its place in the log; ascending, never used twice; 0 before it has one. */
  version: number;
  changedMs: number;
  /** Whether this node has had an authenticated link with it. */
  isProven: boolean;
  /** How often in a row it did not answer, and until when it is not tried. */
  silences: number;
  silentUntilMs: number;
  group: string;
  /** The keyed hash, uniform in 0 ≤ n < 1; drawn when it is first needed. */
  draw: number | undefined;
}

/** Signed records of all relays, as complete as can be had. */
export class RelayList {
  readonly #crypto: CryptoSuite;
  readonly #network: NetworkParameters;
  readonly #maxRelays: number;
  readonly #epoch: Bytes;
  /** Key of the draw that decides who leaves. */
  readonly #drawKey: Bytes;
  readonly #entries = new Map<string, Entry>();
  /** In order of the last change; entries that moved on or left are gaps. */
  #log: (Entry | undefined)[] = [];
  /** The version of each place in the log, ascending. */
  #versions: number[] = [];
  #nextVersion = 1;
  #changes = 0;
  /** Keys of the entries, by subnet. */
  readonly #groups = new Map<string, Set<string>>();
  /** No record expires before this. */
  #firstExpiry = Infinity;
  #added = 0;
  #refused = 0;
  #evicted = 0;

  constructor(options: RelayListOptions) {
    this.#crypto = options.crypto;
    this.#network = options.network;
    this.#maxRelays = options.maxRelays ?? MAX_RELAYS;
    this.#epoch = options.random.bytes(EPOCH_BYTES);
    this.#drawKey = options.random.bytes(32);
  }

  /** Relays in the list; some may have expired since the last {@linkcode sweep}. */
  get size(): number {
    return this.#entries.size;
  }

  /** Grows whenever a record comes, changes or leaves. */
  get changes(): number {
    return this.#changes;
  }

  /** The record of a relay. */
  get(id: NodeId): NodeRecord | undefined {
    return this.#entries.get(pointKey(id))?.record;
  }

  /** All records that have not expired. */
  *records(unixMs: number): Generator<NodeRecord> {
    for (const { record } of this.#entries.values()) {
      if (record.expiry > unixMs) yield record;
    }
  }

  /** Take up a verified record. */
  merge(record: NodeRecord, nowMs: number): MergeOutcome {
    if (!isRelay(record)) return "known";
    const key = nodeKey(record);
    const known = this.#entries.get(key);
    if (known === undefined) return this.#add(key, record, nowMs);
    if (record.sequence <= known.record.sequence) return "known";
    if (nowMs - known.changedMs < MIN_CHANGE_MS) return "too_soon";
    this.#change(key, known, record, nowMs);
    return "changed";
  }

  /** The node's own record: it may change at any time, and is not evicted for others. */
  setOwn(record: NodeRecord, nowMs: number): void {
    const key = nodeKey(record);
    const known = this.#entries.get(key);
    if (known === undefined) this.#add(key, record, nowMs);
    else this.#change(key, known, record, nowMs);
    this.prove(record);
  }

  /** This node has had an authenticated link with a relay: it will not be evicted for strangers. */
  prove(relay: NodeRecord): void {
    const entry = this.#entries.get(nodeKey(relay));
    if (entry === undefined) return;
    entry.isProven = true;
    entry.silences = 0;
    entry.silentUntilMs = -Infinity;
  }

  /** A relay did not answer: if it was proven, it is like any other again. */
  doubt(id: NodeId, nowMs: number): void {
    const entry = this.#entries.get(pointKey(id));
    if (entry === undefined) return;
    entry.isProven = false;
    // Requests that fail together are one silence.
    if (nowMs >= entry.silentUntilMs) entry.silences++;
    const doublings = Math.min(entry.silences - 1, MAX_DOUBLINGS);
    entry.silentUntilMs = nowMs + SILENT_MS * 2 ** doublings;
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
    visit: (record: NodeRecord) => void,
  ): void {
    this.#entries.forEach(({ record, silentUntilMs }) => {
      if (nowMs >= silentUntilMs && record.expiry > unixMs) visit(record);
    });
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
    this.#compact();
  }

  /**
   * What has changed since `cursor`, at most {@linkcode MAX_PAGE_RECORDS}.
   *
   * @param cursor The last page's, or empty. One that is not ours begins anew.
   */
  page(cursor: Uint8Array, unixMs: number): RelayPage {
    const records: Bytes[] = [];
    let at = this.#placeAfter(this.#readCursor(cursor));
    for (; at < this.#log.length && records.length < MAX_PAGE_RECORDS; at++) {
      const record = this.#log[at]?.record;
      if (record !== undefined && record.expiry > unixMs) {
        records.push(record.encoded);
      }
    }
    return {
      records,
      cursor: this.#writeCursor(this.#versions[at - 1] ?? 0),
      more: at < this.#log.length,
    };
  }

  /** Encoded records, to be kept across a restart. */
  export(unixMs: number): Bytes[] {
    return Array.from(this.records(unixMs), ({ encoded }) => encoded);
  }

  /** Figures for status and tests. */
  statistics(): RelayListStatistics {
    let proven = 0;
    for (const { isProven } of this.#entries.values()) if (isProven) proven++;
    return {
      relays: this.#entries.size,
      proven,
      groups: this.#groups.size,
      added: this.#added,
      refused: this.#refused,
      evicted: this.#evicted,
    };
  }

  #add(key: string, record: NodeRecord, nowMs: number): MergeOutcome {
    const entry: Entry = {
      record,
      version: 0,
      changedMs: nowMs,
      isProven: false,
      silences: 0,
      silentUntilMs: -Infinity,
      group: "",
      draw: undefined,
    };
    this.#entries.set(key, entry);
    this.#firstExpiry = Math.min(this.#firstExpiry, record.expiry);
    this.#regroup(key, entry);
    if (this.#entries.size > this.#maxRelays) {
      const victim = this.#draw();
      this.#remove(victim, this.#entries.get(victim));
      if (victim === key) {
        this.#refused++;
        return "full";
      }
      this.#evicted++;
    }
    this.#added++;
    this.#toEnd(entry);
    return "added";
  }

  #change(key: string, entry: Entry, record: NodeRecord, nowMs: number): void {
    entry.record = record;
    this.#firstExpiry = Math.min(this.#firstExpiry, record.expiry);
    entry.changedMs = nowMs;
    this.#regroup(key, entry);
    this.#toEnd(entry);
  }

  /** Who leaves: of the largest subnet, unproven before proven, by the keyed hash. */
  #draw(): string {
    let largest: Iterable<string> = this.#entries.keys();
    let size = 0;
    for (const keys of this.#groups.values()) {
      if (keys.size > size) [largest, size] = [keys, keys.size];
    }
    let victim = "";
    let highest = -1;
    for (const key of largest) {
      const entry = this.#entries.get(key);
      const rank = this.#rank(entry as Entry);
      if (rank > highest) [victim, highest] = [key, rank];
    }
    return victim;
  }

  /** Uniform in 0 ≤ n < 2, proven relays below 1 and the others above. */
  #rank(entry: Entry): number {
    if (entry.draw === undefined) {
      const hash = this.#crypto.hmac(this.#drawKey, entry.record.nodeId);
      entry.draw = leadingDistance(hash, NOTHING) / 2 ** 48;
    }
    return entry.isProven ? entry.draw : entry.draw + 1;
  }

  #regroup(key: string, entry: Entry): void {
    const [address] = entry.record.addresses;
    if (this.#network.allowPrivateAddresses || address === undefined) return;
    const group = addressGroup(address, PATH_PREFIX);
    if (group === entry.group) return;
    this.#leaveGroup(key, entry);
    entry.group = group;
    const keys = this.#groups.get(group);
    if (keys === undefined) this.#groups.set(group, new Set([key]));
    else keys.add(key);
  }

  #leaveGroup(key: string, { group }: Entry): void {
    const keys = this.#groups.get(group);
    keys?.delete(key);
    if (keys?.size === 0) this.#groups.delete(group);
  }

  #remove(key: string, entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#changes++;
    this.#entries.delete(key);
    this.#leaveGroup(key, entry);
    this.#leaveLog(entry);
  }

  #toEnd(entry: Entry): void {
    this.#leaveLog(entry);
    this.#changes++;
    entry.version = this.#nextVersion++;
    this.#log.push(entry);
    this.#versions.push(entry.version);
    if (this.#log.length > 2 * this.#entries.size + MAX_PAGE_RECORDS) {
      this.#compact();
    }
  }

  #leaveLog(entry: Entry): void {
    if (entry.version > 0) {
      this.#log[this.#placeAfter(entry.version - 1)] = undefined;
    }
  }

  /** Close the gaps; versions, and so cursors, keep their meaning. */
  #compact(): void {
    this.#log = this.#log.filter((entry) => entry !== undefined);
    this.#versions = this.#log.map((entry) => entry?.version ?? 0);
  }

  /** The first place in the log with a version above this one. */
  #placeAfter(version: number): number {
    let low = 0;
    let high = this.#versions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#versions[middle] as number) <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #readCursor(cursor: Uint8Array): number {
    if (cursor.length !== CURSOR_BYTES) return 0;
    if (!equalBytes(cursor.subarray(0, EPOCH_BYTES), this.#epoch)) return 0;
    const view = new DataView(cursor.buffer, cursor.byteOffset + EPOCH_BYTES);
    return Number(view.getBigUint64(0));
  }

  #writeCursor(version: number): Bytes {
    const cursor = new Uint8Array(CURSOR_BYTES);
    cursor.set(this.#epoch);
    new DataView(cursor.buffer).setBigUint64(EPOCH_BYTES, BigInt(version));
    return cursor;
  }
}
