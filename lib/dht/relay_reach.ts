/**
 * Reaching relays oneself, before they are listed and passed on, and now and then
 * afterwards.
 *
 *     heard of from a peer ─▶ its queue ─┐ fewest misses first
 *     not reached for 4 h ───────────────┴─▶ ping, 16 at once ─▶ listed, news passed on
 *                                                            └▶ a miss of that peer
 *
 * Each peer has a queue of its own: one that names thousands that are not there
 * waits behind those who name few that are.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Random, sampled } from "../base/random.ts";
import type { Moment } from "../base/clock.ts";
import type { Blamed } from "./table/blamed.ts";
import { nodeKey } from "./table/node_key.ts";
import type { RelayList } from "./relay_list.ts";

/** Tuning: relays being reached at once; a dead one takes 8 s. */
export const MAX_REACHING = 16;
/**
 * Tuning: of these, at most so many that one peer named, and at most so many that
 * may well be dead: named by peers who named such before, or not named lately.
 */
const MAX_OF_ONE = 8;
const MAX_DOUBTFUL = 8;
/** Tuning: a relay is tried so long after it was reached. */
export const RECHECK_MS = 4 * 3600 * 1000;
/** Tuning: relays that one peer named and that wait to be reached. */
export const MAX_WANTED = 4096;
/** Tuning: of all peers. Against floods of records by many: the peer with most misses loses its own. */
export const MAX_ALL_WANTED = 8192;
/** Tuning: peers whose misses are remembered. */
const MAX_SOURCES = 1024;
/**
 * Tuning: least time between two looks at the whole list. Longer while relays of the
 * last look wait to be tried: a list that a flood has filled has always more of them.
 */
const LOOK_MS = 30 * 1000;
/** Tuning: relays that one look picks. */
const MAX_PICKED = 256;

/** A peer that names relays. */
interface Source {
  readonly key: string;
  readonly wanted: Map<string, NodeRecord>;
  /** Relays that it named and that were not there, less those that were. */
  misses: number;
  /** Relays that it named and that are being reached. */
  reaching: number;
}

/** A relay being reached. */
interface Attempt {
  readonly record: NodeRecord;
  /** A newer record of it that was named meanwhile, and by whom: it may be elsewhere. */
  newer?: { readonly record: NodeRecord; readonly from: string };
  /** The peer that named it, if it was named. */
  readonly source: Source | undefined;
  readonly isDoubtful: boolean;
}

/** What reaching is made of. */
export interface RelayReachOptions {
  readonly random: Random;
  /** Never tried, as those that are kept out. */
  readonly selfId: NodeId;
  readonly relays: RelayList;
  readonly blamed: Blamed;
}

/** Decides which relay to reach next. */
export class RelayReach {
  readonly #options: RelayReachOptions;
  readonly #sources = new Map<string, Source>();
  /** Those that named relays that wait; the one that has waited longest first. */
  readonly #waiting = new Set<Source>();
  #wanted = 0;
  readonly #reaching = new Map<string, Attempt>();
  /** Picked by the last look at the list, to be tried when there is room. */
  #picked: NodeRecord[] = [];
  #lookMs = Infinity;
  #doubtful = 0;

  constructor(options: RelayReachOptions) {
    this.#options = options;
  }

  /** When to call {@linkcode next}, if it is not called before. */
  get deadlineMs(): number {
    return this.#lookMs;
  }

  /** From now on relays of the list are tried. */
  start(nowMs: number): void {
    this.#lookMs = nowMs + LOOK_MS;
  }

  /** A peer named a relay that has to be reached; {@linkcode next} is due. */
  want(record: NodeRecord, from: string): void {
    const key = nodeKey(record);
    const attempt = this.#reaching.get(key);
    if (attempt !== undefined) {
      if (record !== attempt.record) attempt.newer = { record, from };
      return;
    }
    const source = this.#sourceOf(from);
    if (source === undefined || source.wanted.size >= MAX_WANTED) return;
    if (!source.wanted.has(key)) this.#wanted++;
    source.wanted.set(key, record);
    this.#waiting.add(source);
    if (this.#wanted > MAX_ALL_WANTED) this.#dropWorst();
  }

  /** Relays to ping now; {@linkcode onEnd} is to be called for each. */
  next({ nowMs, unixMs }: Moment): NodeRecord[] {
    const { selfId, relays, blamed } = this.#options;
    const drawn: NodeRecord[] = [];
    const add = (record: NodeRecord, source: Source | undefined) => {
      const key = nodeKey(record);
      const known = relays.get(record.nodeId);
      if (
        this.#reaching.has(key) || equalBytes(record.nodeId, selfId) ||
        blamed.has(record.nodeId, nowMs) ||
        // Reached meanwhile, as what was named or as something newer.
        source !== undefined && known !== undefined && known !== record &&
          relays.isListed(record.nodeId)
      ) return;
      const isDoubtful = source === undefined || source.misses > 0;
      this.#reaching.set(key, { record, source, isDoubtful });
      if (isDoubtful) this.#doubtful++;
      if (source !== undefined) source.reaching++;
      drawn.push(record);
    };
    while (this.#wanted > 0 && this.#reaching.size < MAX_REACHING) {
      const source = this.#bestSource();
      const [entry] = source?.wanted ?? [];
      if (source === undefined || entry === undefined) break;
      const [key, record] = entry;
      this.#unwant(source, key);
      add(record, source);
    }
    if (nowMs >= this.#lookMs) {
      if (this.#picked.length === 0) this.#look(nowMs, unixMs);
      this.#lookMs = nowMs + LOOK_MS;
    }
    while (this.#mayRetry) {
      const record = this.#picked.shift();
      if (record === undefined) break;
      add(relays.get(record.nodeId) ?? record, undefined);
    }
    return drawn;
  }

  /** A ping of {@linkcode next} was answered, or was not; `next` is due. */
  onEnd(record: NodeRecord, isReached: boolean): void {
    const key = nodeKey(record);
    const attempt = this.#reaching.get(key);
    if (attempt === undefined) return;
    this.#reaching.delete(key);
    const { newer, source, isDoubtful } = attempt;
    if (isDoubtful) this.#doubtful--;
    if (newer !== undefined) this.want(newer.record, newer.from);
    if (source === undefined) return;
    source.reaching--;
    source.misses = Math.max(0, source.misses + (isReached ? -1 : 1));
  }

  get #mayRetry(): boolean {
    return this.#doubtful < MAX_DOUBTFUL && this.#reaching.size < MAX_REACHING;
  }

  /** Pick what is due: those that were there before, then those that never were. */
  #look(nowMs: number, unixMs: number): void {
    const { random, relays } = this.#options;
    const known: NodeRecord[] = [];
    const rumours: NodeRecord[] = [];
    relays.visitDue(unixMs, RECHECK_MS, (record, dueMs, wasReached) => {
      if (dueMs <= nowMs) (wasReached ? known : rumours).push(record);
    });
    this.#picked = sampled(random, known, MAX_PICKED);
    const room = MAX_PICKED - this.#picked.length;
    this.#picked.push(...sampled(random, rumours, room));
  }

  #sourceOf(key: string): Source | undefined {
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    if (this.#sources.size >= MAX_SOURCES) {
      for (const { key, wanted, misses } of this.#sources.values()) {
        if (wanted.size === 0 && misses === 0) this.#sources.delete(key);
      }
      if (this.#sources.size >= MAX_SOURCES) this.#dropWorst();
    }
    const source: Source = { key, wanted: new Map(), misses: 0, reaching: 0 };
    this.#sources.set(key, source);
    return source;
  }

  /** Of peers whose turn it may be, the one with the fewest misses that has waited longest. */
  #bestSource(): Source | undefined {
    let best: Source | undefined;
    for (const source of this.#waiting) {
      const { misses, reaching } = source;
      if (reaching >= MAX_OF_ONE) continue;
      if (misses > 0 && this.#doubtful >= MAX_DOUBTFUL) continue;
      if (best === undefined || source.misses < best.misses) best = source;
      if (best.misses === 0) break;
    }
    return best;
  }

  #dropWorst(): void {
    let worst: Source | undefined;
    for (const source of this.#sources.values()) {
      const isWorse = worst === undefined || source.misses > worst.misses ||
        source.misses === worst.misses &&
          source.wanted.size > worst.wanted.size;
      if (isWorse) worst = source;
    }
    if (worst === undefined) return;
    this.#wanted -= worst.wanted.size;
    this.#sources.delete(worst.key);
    this.#waiting.delete(worst);
  }

  /** To the end: peers that are as good as each other take turns. */
  #unwant(source: Source, key: string): void {
    if (source.wanted.delete(key)) this.#wanted--;
    this.#waiting.delete(source);
    if (source.wanted.size > 0) this.#waiting.add(source);
  }
}
