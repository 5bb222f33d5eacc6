/**
 * Filling the relay list: now and then, page by page, from three peers or more.
 *
 *     round   at once, after 10 s, after 60 s, then every hour
 *     source  ListRelays{cursor} ─▶ Relays{records, cursor, more} ─▶ … until there is no more
 *
 * Two sources of the last round are asked again, with their cursors: they send
 * what has changed. The third is drawn anew, so that no set of peers decides for
 * long what we know.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import { type Random, randomBetween, sampled } from "../base/random.ts";
import { RecentMap } from "../base/recent_map.ts";
import { MAX_PAGE_RECORDS } from "./messages.ts";
import { nodeKey } from "./table/node_key.ts";
import { MAX_RELAYS } from "./relay_list.ts";

/** Protocol: sources of a round. */
export const SYNC_SOURCES = 3;
/** Tuning: rounds after the start; a list that grows is soon asked again. */
const EARLY_ROUNDS_MS = [10 * 1000, 60 * 1000];
/** Tuning: and from then on. */
export const SYNC_MS = 3600 * 1000;
/** Tuning: rounds are spread over ± this share. */
const SYNC_JITTER = 0.1;
/** Tuning: pages that one source may send in a round: twice the longest list. */
export const MAX_PAGES = Math.ceil(2 * MAX_RELAYS / MAX_PAGE_RECORDS);
/** Tuning: sources whose cursors are remembered. */
const MAX_CURSORS = 16;
/** Tuning: sources tried in a round, when they do not answer. */
const MAX_TRIED = 12;

const EMPTY: Bytes = new Uint8Array(0);

/** Ask this node for the page after `cursor`. */
export interface SyncAction {
  readonly type: "list";
  readonly record: NodeRecord;
  readonly cursor: Bytes;
}

/** Rounds of asking for the relay list. */
export class RelaySync {
  readonly #random: Random;
  readonly #cursors = new RecentMap<string, Bytes>(MAX_CURSORS);
  /** Sources being read, and the pages they have sent. */
  readonly #reading = new Map<string, number>();
  /** Who else may be asked in this round. */
  #spare: NodeRecord[] = [];
  #tried = 0;
  #finished = 0;
  #rounds = 0;
  #nextMs: number | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** When to begin the next round; `undefined` before the first. */
  get deadlineMs(): number | undefined {
    return this.#nextMs;
  }

  /** Rounds begun. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Sources that were read to the end in this round. */
  get finished(): number {
    return this.#finished;
  }

  /** Whether sources are being read. */
  get isReading(): boolean {
    return this.#reading.size > 0;
  }

  /**
   * Begin a round. Sources of the last one that have not come to an end are
   * read no further.
   *
   * @param nodes Nodes that may be asked.
   */
  start(nodes: Iterable<NodeRecord>, nowMs: number): SyncAction[] {
    const all = [...nodes];
    const known = sampled(
      this.#random,
      all.filter((record) => this.#cursors.get(nodeKey(record)) !== undefined),
      SYNC_SOURCES - 1,
    );
    const others = sampled(
      this.#random,
      all.filter((record) => !known.includes(record)),
      MAX_TRIED,
    );
    this.#spare = [...known, ...others].slice(0, MAX_TRIED);
    this.#reading.clear();
    this.#tried = 0;
    this.#finished = 0;
    const spread = randomBetween(this.#random, -SYNC_JITTER, SYNC_JITTER);
    const delayMs = EARLY_ROUNDS_MS[this.#rounds] ?? SYNC_MS * (1 + spread);
    this.#nextMs = nowMs + Math.round(delayMs);
    this.#rounds++;
    return this.#fill();
  }

  /** A source sent a page, all of it verified. */
  onPage(from: NodeRecord, cursor: Bytes, more: boolean): SyncAction[] {
    const key = nodeKey(from);
    const pages = this.#reading.get(key);
    if (pages === undefined) return [];
    this.#cursors.set(key, cursor);
    if (more && pages + 1 < MAX_PAGES) {
      this.#reading.set(key, pages + 1);
      return [{ type: "list", record: from, cursor }];
    }
    this.#reading.delete(key);
    this.#finished++;
    return this.#fill();
  }

  /** A source did not answer, or sent what it must not: another takes its place. */
  onFailure(from: NodeRecord): SyncAction[] {
    const key = nodeKey(from);
    if (!this.#reading.delete(key)) return [];
    this.#cursors.delete(key);
    return this.#fill();
  }

  #fill(): SyncAction[] {
    const actions: SyncAction[] = [];
    while (this.#reading.size + this.#finished < SYNC_SOURCES) {
      const record = this.#spare[this.#tried];
      if (record === undefined) break;
      this.#tried++;
      const key = nodeKey(record);
      this.#reading.set(key, 0);
      const cursor = this.#cursors.get(key) ?? EMPTY;
      actions.push({ type: "list", record, cursor });
    }
    return actions;
  }
}
