/**
 * How the relay list is filled and passed on: the calls of gossip and of the
 * hourly rounds.
 *
 *     Announce in ─▶ check ─▶ new? ─▶ reached by us ─▶ gathered ─▶ Announce out
 *     round ─▶ ListRelays out ─▶ check ─▶ reached by us ─▶ the list
 *
 * A record is passed on once this node has reached its relay. What comes in pages
 * is not passed on: it is news to us, but not to others.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { RecentMap } from "../base/recent_map.ts";
import { CALL_MS } from "./calls.ts";
import { pointKey } from "./records/distance.ts";
import { type Announcement, Gossip, type GossipContacts } from "./gossip.ts";
import type { DhtResponse } from "./messages.ts";
import { type CallAction, NO_PURPOSE, type PartAction } from "./part_action.ts";
import { nodeKey } from "./table/node_key.ts";
import type { RoutingTable } from "./table/routing_table.ts";
import type { MergeOutcome, RelayList } from "./relay_list.ts";
import { RelaySync, type SyncAction } from "./relay_sync.ts";

/**
 * Tuning: announced records whose relays are not reached yet. What comes on top
 * travels by pages.
 */
const MAX_UNREACHED = 4096;

/** What news is made of. */
export interface RelayNewsOptions {
  readonly random: Random;
  readonly selfId: NodeId;
  /** Its contacts are told of news. */
  readonly table: RoutingTable;
  /** Its relays are asked for their lists. */
  readonly relays: RelayList;
}

/** Gossip and rounds. */
export class RelayNews {
  readonly #options: RelayNewsOptions;
  readonly #contacts: GossipContacts;
  readonly #gossip: Gossip;
  readonly #sync: RelaySync;
  /** News that waits until we have reached its relay: the record, and who told us. */
  readonly #unreached = new RecentMap<
    string,
    { readonly record: NodeRecord; readonly from: string }
  >(MAX_UNREACHED);

  constructor(options: RelayNewsOptions) {
    const { random, table } = options;
    this.#options = options;
    this.#gossip = new Gossip(random);
    this.#sync = new RelaySync(random);
    this.#contacts = {
      get: (id) => table.get(id)?.record,
      all: () => Array.from(table.contacts(), ({ record }) => record),
    };
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    return Math.min(
      this.#gossip.deadlineMs ?? Infinity,
      this.#sync.deadlineMs ?? Infinity,
    );
  }

  /** Rounds begun. */
  get rounds(): number {
    return this.#sync.rounds;
  }

  /** A relay announces records. */
  onAnnounce(
    encoded: readonly Bytes[],
    from: NodeId,
    nowMs: number,
  ): PartAction[] {
    const count = this.#gossip.admit(pointKey(from), encoded.length, nowMs);
    if (count === 0) return [];
    const purpose = { part: "announced", from } as const;
    return [{ type: "check", encoded: encoded.slice(0, count), purpose }];
  }

  /**
   * A verified record came first-hand, or was announced: it is news if the list did
   * not have it.
   *
   * @param outcome What became of it in the list.
   */
  onLearned(
    record: NodeRecord,
    from: NodeId,
    outcome: MergeOutcome,
    nowMs: number,
  ): void {
    if (outcome === "known" || outcome === "too_soon") return;
    if (this.#options.relays.isListed(record.nodeId)) {
      this.#gossip.spread(record, pointKey(from), nowMs);
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
  introduce(self: NodeRecord, nowMs: number): CallAction[] {
    return announce(this.#gossip.introduce(self, this.#contacts), nowMs);
  }

  /** Begin a round. */
  startRound(at: Moment): PartAction[] {
    return this.#follow(this.#sync.start(this.#sources(at), at.nowMs), at);
  }

  /** Time has come. */
  onTime(at: Moment): PartAction[] {
    const { nowMs } = at;
    const actions: PartAction[] = [];
    if ((this.#gossip.deadlineMs ?? Infinity) <= nowMs) {
      const news = this.#gossip.onTime(this.#contacts, nowMs);
      actions.push(...announce(news, nowMs));
    }
    if ((this.#sync.deadlineMs ?? Infinity) <= nowMs) {
      actions.push(...this.startRound(at));
    }
    return actions;
  }

  /**
   * A source was asked for a page, which is to be verified.
   *
   * @param response `undefined` when there was none, or none as the protocol has it.
   */
  onEnd(
    from: NodeRecord,
    response: DhtResponse | undefined,
    at: Moment,
  ): PartAction[] {
    if (response?.type !== "relays") return this.onFailure(from, at);
    const { records, cursor, more } = response;
    const purpose = { part: "page", from, cursor, more } as const;
    return [{ type: "check", encoded: records, purpose }];
  }

  /** A source cannot be read further: another takes its place. */
  onFailure(from: NodeRecord, at: Moment): PartAction[] {
    return this.#follow(this.#sync.onFailure(from), at);
  }

  /** A page was verified, all of it true. */
  onPage(
    from: NodeRecord,
    cursor: Bytes,
    more: boolean,
    at: Moment,
  ): PartAction[] {
    return this.#follow(this.#sync.onPage(from, cursor, more), at);
  }

  #follow(lists: readonly SyncAction[], { nowMs }: Moment): PartAction[] {
    const actions: PartAction[] = lists.map(({ record, cursor }) => ({
      type: "call",
      to: record,
      request: { type: "list_relays", cursor },
      dueMs: nowMs + CALL_MS,
      purpose: { part: "news" },
    }));
    if (!this.#sync.isReading) actions.push({ type: "round_ended" });
    return actions;
  }

  /** Whom to ask for lists: relays that we have reached; until there are any, rumours. */
  *#sources({ nowMs, unixMs }: Moment): Generator<NodeRecord> {
    const { relays, selfId } = this.#options;
    const hasOthers = relays.listed > 1;
    for (const record of relays.promising(nowMs, unixMs)) {
      if (equalBytes(record.nodeId, selfId)) continue;
      if (!hasOthers || relays.isListed(record.nodeId)) yield record;
    }
  }
}

function announce(
  news: readonly Announcement[],
  nowMs: number,
): CallAction[] {
  return news.map(({ to, records }) => ({
    type: "call",
    to,
    request: { type: "announce", records },
    dueMs: nowMs + CALL_MS,
    purpose: NO_PURPOSE,
  }));
}
