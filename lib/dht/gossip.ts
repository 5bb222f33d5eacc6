/**
 * Gossip of relay records: what is new to us goes to a few others, once.
 *
 *     announced, verified, new to the list ─▶ gathered ─▶ 4 contacts, drawn anew every 10 min
 *
 * With 4 partners each, news reaches all but about 2 % of the nodes; those hear of
 * it with their next page of the relay list. A record that is not new is not
 * passed on, so gossip dies out by itself.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import { type Random, sampled } from "../base/random.ts";
import { MAX_PAGE_RECORDS } from "./messages.ts";
import { nodeKey } from "./table/node_key.ts";

/** Tuning: how many hear of news from us. */
export const GOSSIP_FANOUT = 4;
/**
 * Tuning: for how long they are the same ones. Links to them stay up meanwhile,
 * where a new draw each time would dial for most messages; yet no relay decides
 * for long whom our news reaches.
 */
export const PARTNERS_MS = 10 * 60 * 1000;
/** Tuning: how many hear of our own record from us: no other node knows it yet. */
export const OWN_FANOUT = 8;
/** Tuning: how long news is gathered in quiet times. */
export const GATHER_MS = 1000;
/**
 * Tuning: least time between two rounds of telling. Where relays come and go all
 * the time, a message then carries several of them, and there are fewer.
 */
export const TELL_MS = 15 * 1000;
/**
 * Tuning: news gathered at once. What comes on top travels by pages: a flood of
 * records is not made four times as large by us.
 */
export const MAX_GATHERED = 4 * MAX_PAGE_RECORDS;
/** Tuning: span of the limit below. */
export const ANNOUNCE_WINDOW_MS = 10 * 1000;
/** Tuning: records of one peer's announcements that are looked at in a window. */
export const MAX_ANNOUNCED = 2 * MAX_PAGE_RECORDS;
/** Tuning: peers whose announcements are looked at in a window. */
export const MAX_ANNOUNCERS = 1024;

/** Nodes that may be told. */
export interface GossipContacts {
  /** The node with this id, if it is one of them. */
  get(id: NodeId): NodeRecord | undefined;
  /** All of them. */
  all(): Iterable<NodeRecord>;
}

/** News for one node. */
export interface Announcement {
  readonly to: NodeRecord;
  /** Encoded, at most {@linkcode MAX_PAGE_RECORDS}. */
  readonly records: readonly Bytes[];
}

/** News on its way, and how much of it is taken from whom. */
export class Gossip {
  readonly #random: Random;
  /** By node: the record, and who told us. */
  readonly #news = new Map<string, { record: NodeRecord; from: string }>();
  readonly #announced = new Map<string, number>();
  #windowMs = -Infinity;
  #dueMs = Infinity;
  #toldMs = -Infinity;
  /** Who hears of news from us, and until when. */
  #partners: readonly NodeId[] = [];
  #partnersMs = -Infinity;

  constructor(random: Random) {
    this.#random = random;
  }

  /** When to call {@linkcode onTime} next; `undefined` without news. */
  get deadlineMs(): number | undefined {
    return this.#dueMs === Infinity ? undefined : this.#dueMs;
  }

  /** How many of `count` records that a peer announces are to be looked at. */
  admit(peer: string, count: number, nowMs: number): number {
    if (nowMs - this.#windowMs >= ANNOUNCE_WINDOW_MS) {
      this.#announced.clear();
      this.#windowMs = nowMs;
    }
    const before = this.#announced.get(peer);
    if (before === undefined && this.#announced.size >= MAX_ANNOUNCERS) {
      return 0;
    }
    const admitted = Math.min(count, MAX_ANNOUNCED - (before ?? 0));
    this.#announced.set(peer, (before ?? 0) + admitted);
    return admitted;
  }

  /**
   * Pass on a record that was new to us.
   *
   * @param from Key of who told us, who need not hear it again.
   */
  spread(record: NodeRecord, from: string, nowMs: number): void {
    const key = nodeKey(record);
    if (!this.#news.has(key) && this.#news.size >= MAX_GATHERED) return;
    this.#news.set(key, { record, from });
    if (this.#dueMs < Infinity) return;
    this.#dueMs = Math.max(nowMs + GATHER_MS, this.#toldMs + TELL_MS);
  }

  /** Time has come: the news, for some of these contacts. */
  onTime(contacts: GossipContacts, nowMs: number): Announcement[] {
    if (nowMs < this.#dueMs) return [];
    const news = [...this.#news.values()];
    this.#news.clear();
    this.#dueMs = Infinity;
    this.#toldMs = nowMs;
    const partners = this.#choosePartners(contacts, nowMs);
    return partners.flatMap((to) => announcements(to, news));
  }

  /** The partners that are contacts still, and others in place of the rest. */
  #choosePartners(
    contacts: GossipContacts,
    nowMs: number,
  ): readonly NodeRecord[] {
    if (nowMs >= this.#partnersMs) {
      this.#partners = [];
      this.#partnersMs = nowMs + PARTNERS_MS;
    }
    const kept = this.#partners.map((id) => contacts.get(id))
      .filter((contact) => contact !== undefined);
    const missing = GOSSIP_FANOUT - kept.length;
    if (missing === 0) return kept;
    const others = Array.from(contacts.all())
      .filter((contact) => !kept.includes(contact));
    const partners = [...kept, ...sampled(this.#random, others, missing)];
    this.#partners = partners.map(({ nodeId }) => nodeId);
    return partners;
  }

  /** Our own record, for some of these contacts. */
  introduce(self: NodeRecord, contacts: GossipContacts): Announcement[] {
    return sampled(this.#random, contacts.all(), OWN_FANOUT)
      .map((to) => ({ to, records: [self.encoded] }));
  }
}

function announcements(
  to: NodeRecord,
  news: readonly { record: NodeRecord; from: string }[],
): Announcement[] {
  const key = nodeKey(to);
  const fresh = news.filter(({ record, from }) =>
    from !== key && nodeKey(record) !== key
  );
  const out: Announcement[] = [];
  for (let at = 0; at < fresh.length; at += MAX_PAGE_RECORDS) {
    const page = fresh.slice(at, at + MAX_PAGE_RECORDS);
    out.push({ to, records: page.map(({ record }) => record.encoded) });
  }
  return out;
}
