/**
 * How the relay list is filled and passed on: the calls of gossip and of the
 * hourly rounds.
 *
 *     Announce in ─▶ verify ─▶ new? ─▶ reached by us ─▶ gathered ─▶ Announce out
 *     round ─▶ ListRelays out ─▶ verify ─▶ reached by us ─▶ the list
 *
 * A record is passed on once this node has reached its relay. What comes in pages
 * is not passed on: it is news to us, but not to others.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { RecentMap } from "../base/recent_map.ts";
import { CALL_MS, type Calls, IGNORE_ANSWER } from "./calls.ts";
import { pointKey } from "./records/distance.ts";
import { type Announcement, Gossip, type GossipContacts } from "./gossip.ts";
import { nodeKey } from "./table/node_key.ts";
import type { MergeOutcome, RelayList } from "./relay_list.ts";
import { RelaySync, type SyncAction } from "./relay_sync.ts";

/**
 * Tuning: announced records whose relays are not reached yet. What comes on top
 * travels by pages.
 */
const MAX_UNREACHED = 4096;

/** What news needs from the node. */
export interface RelayNewsOptions {
  readonly random: Random;
  readonly calls: Calls;
  /** Nodes that may be told of news. */
  readonly contacts: GossipContacts;
  /** Nodes that may be asked for their lists. */
  readonly sources: (at: Moment) => Iterable<NodeRecord>;
  /** A round has ended: the list is as complete as it can be had. */
  readonly onRound: (at: Moment) => void;
  readonly relays: RelayList;
  /** Take up a verified record, and reach its relay if that is needed. */
  readonly learn: (
    record: NodeRecord,
    from: NodeId,
    at: Moment,
  ) => MergeOutcome;
  /** A node passed on what no honest node would. */
  readonly onBroken: (id: NodeId, code: string, at: Moment) => void;
}

/** Gossip and rounds. */
export class RelayNews {
  readonly #options: RelayNewsOptions;
  readonly #gossip: Gossip;
  readonly #sync: RelaySync;
  /** News that waits until we have reached its relay: the record, and who told us. */
  readonly #unreached = new RecentMap<
    string,
    { readonly record: NodeRecord; readonly from: string }
  >(MAX_UNREACHED);

  constructor(options: RelayNewsOptions) {
    this.#options = options;
    this.#gossip = new Gossip(options.random);
    this.#sync = new RelaySync(options.random);
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number | undefined {
    const due = Math.min(
      this.#gossip.deadlineMs ?? Infinity,
      this.#sync.deadlineMs ?? Infinity,
    );
    return due === Infinity ? undefined : due;
  }

  /** Sources that were read to the end in the last round begun. */
  get sources(): number {
    return this.#sync.finished;
  }

  /** A peer announces records. */
  onAnnounce(encoded: readonly Bytes[], from: NodeId, nowMs: number): void {
    const key = pointKey(from);
    const admitted = this.#gossip.admit(key, encoded.length, nowMs);
    if (admitted === 0) return;
    const { calls, onBroken } = this.#options;
    calls.verify(encoded.slice(0, admitted), ({ records, lie }, at) => {
      for (const record of records) this.hear(record, from, at);
      if (lie !== undefined) onBroken(from, lie, at);
    });
  }

  /** A verified record that is news if we do not have it: first-hand, or announced. */
  hear(record: NodeRecord, from: NodeId, at: Moment): void {
    const { learn, relays } = this.#options;
    const outcome = learn(record, from, at);
    if (outcome === "known" || outcome === "too_soon") return;
    if (relays.isListed(record.nodeId)) {
      this.#gossip.spread(record, pointKey(from), at.nowMs);
    } else {
      this.#unreached.set(nodeKey(record), { record, from: pointKey(from) });
    }
  }

  /** This node has reached a relay: what was announced of it may be passed on. */
  onReached(relay: NodeRecord, nowMs: number): void {
    const news = this.#unreached.get(nodeKey(relay));
    if (news === undefined) return;
    if (!this.#options.relays.isListed(relay.nodeId)) return;
    this.#unreached.delete(nodeKey(relay));
    this.#gossip.spread(news.record, news.from, nowMs);
  }

  /** Tell some contacts of our own record. */
  introduce(self: NodeRecord, nowMs: number): void {
    const { contacts } = this.#options;
    this.#announce(this.#gossip.introduce(self, contacts), nowMs);
  }

  /** Rounds begun. */
  get rounds(): number {
    return this.#sync.rounds;
  }

  /** Begin a round. */
  startRound(at: Moment): void {
    const sources = this.#options.sources(at);
    this.#obey(this.#sync.start(sources, at.nowMs), at);
  }

  /** Time has come. */
  onTime(at: Moment): void {
    const { nowMs } = at;
    const { contacts } = this.#options;
    if ((this.#gossip.deadlineMs ?? Infinity) <= nowMs) {
      this.#announce(this.#gossip.onTime(contacts, nowMs), nowMs);
    }
    if ((this.#sync.deadlineMs ?? Infinity) <= nowMs) this.startRound(at);
  }

  #announce(news: readonly Announcement[], nowMs: number): void {
    for (const { to, records } of news) {
      const request = { type: "announce", records } as const;
      const { calls } = this.#options;
      calls.call(to, request, nowMs + CALL_MS, IGNORE_ANSWER);
    }
  }

  #obey(actions: readonly SyncAction[], at: Moment): void {
    for (const { record, cursor } of actions) {
      this.#list(record, cursor, at.nowMs);
    }
    if (!this.#sync.isReading) this.#options.onRound(at);
  }

  #list(source: NodeRecord, cursor: Bytes, nowMs: number): void {
    const fail = (at: Moment) => this.#obey(this.#sync.onFailure(source), at);
    const request = { type: "list_relays", cursor } as const;
    this.#options.calls.call(source, request, nowMs + CALL_MS, {
      onAnswer: (response, _address, at) => {
        if (response.type !== "relays") return fail(at);
        const { records, cursor, more } = response;
        this.#onPage(source, records, cursor, more, at);
      },
      onFailure: fail,
    });
  }

  #onPage(
    source: NodeRecord,
    encoded: readonly Bytes[],
    cursor: Bytes,
    more: boolean,
    at: Moment,
  ): void {
    const { calls, learn, onBroken } = this.#options;
    const isWaiting = calls.verify(encoded, ({ records, lie }, at) => {
      for (const record of records) learn(record, source.nodeId, at);
      if (lie !== undefined) onBroken(source.nodeId, lie, at);
      const actions = lie === undefined
        ? this.#sync.onPage(source, cursor, more)
        : this.#sync.onFailure(source);
      this.#obey(actions, at);
    });
    if (!isWaiting) this.#obey(this.#sync.onFailure(source), at);
  }
}
