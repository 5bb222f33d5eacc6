/**
 * The relay list of a node that is no relay. It takes no part in the DHT: it asks
 * its guards for their lists, or, until it has guards, the nodes that it was told
 * to join by; no other node learns that it is there.
 *
 *     ListPace: when ─▶ ListSources: whom ─▶ ListRound: dial, read, hear ─▶ RelayList
 *           ▲                                     │
 *           └──── brought a list, or nothing ─────┘
 *
 * No source is believed alone: a relay is listed when two name it that have nothing
 * to do with each other, or when this node has a link with it. Of a relay that is
 * listed, any node may bring a newer record, which it has signed itself.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { addressGroup, PATH_PREFIX } from "../../auth/subnet.ts";
import type { Moment } from "../../base/clock.ts";
import { BugError } from "../../base/errors.ts";
import { type Random, shuffled } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { RelayList } from "../relay_list.ts";
import { RelaySync } from "../relay_sync.ts";
import { nodeKey } from "../table/node_key.ts";
import type { ListAction, ListPage, RoundAction } from "./list_action.ts";
import { ListPace } from "./list_pace.ts";
import { ListRound, type RoundParts, takeRelay } from "./list_round.ts";
import {
  type KnownPeers,
  type ListGuards,
  type ListPeer,
  ListSources,
} from "./list_sources.ts";
import { RelayWitnesses } from "./relay_witnesses.ts";

/** Protocol: sources that are dialled for one round. */
const MAX_SOURCES = 4;

/** What it is made of. */
export interface FollowedListOptions extends KnownPeers {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly network: NetworkParameters;
  /**
   * Relays without which the node can do nothing: while fewer are known, it is asked
   * often. A young network grows by the minute.
   */
  readonly leastRelays: number;
}

/** A list of all relays, kept fresh from afar. */
export class FollowedList {
  readonly list: RelayList;
  readonly #options: FollowedListOptions;
  readonly #sources: ListSources;
  readonly #pace: ListPace;
  readonly #parts: RoundParts;
  /** Records of the last run: where it moved, they lead nowhere. */
  readonly #recalled = new WeakSet<NodeRecord>();
  #round: ListRound | undefined;
  #lonelyRounds = 0;
  /** Whether a source of the round sent records that our clock contradicts. */
  #isClockWrong = false;

  constructor(options: FollowedListOptions) {
    const { crypto, random, leastRelays } = options;
    this.#options = options;
    this.list = new RelayList({ crypto, random });
    this.#sources = new ListSources(options);
    this.#pace = new ListPace(random);
    this.#parts = {
      random,
      list: this.list,
      sync: new RelaySync(random),
      witnesses: new RelayWitnesses(),
      // Dialling where relays are no longer would hold the round up.
      isDoubtful: (record) =>
        this.#sources.isMoving && this.#recalled.has(record),
      leastRelays,
    };
  }

  /** When to call {@linkcode onTime} next; `Infinity` while a round is under way. */
  get deadlineMs(): number {
    return this.#pace.deadlineMs;
  }

  /** Whom it would ask now: guards, or nodes to join by. */
  get sources(): readonly ListPeer[] {
    if (this.list.size === 0) return this.#sources.choose("empty");
    const isScarce = this.list.size < this.#options.leastRelays;
    return this.#sources.choose(isScarce ? "scarce" : "ample");
  }

  /** Guards have come, gone, or been linked with: to be told before each other event. */
  onGuards(guards: ListGuards): void {
    this.#sources.onGuards(guards);
  }

  /** A record of the last run is still true. Before the {@linkcode start}. */
  onRecalled(record: NodeRecord, nowMs: number): void {
    this.#recalled.add(record);
    takeRelay(this.list, record, nowMs);
  }

  /** Begin. */
  start(at: Moment): ListAction[] {
    if (this.list.size === 0) return this.#begin(at);
    this.#sources.onRecalled([...this.list.listedRecords(at.unixMs)]);
    if (this.#sources.isMoving) return [{ type: "ready" }, ...this.#begin(at)];
    this.#pace.onRecalled(at.nowMs);
    return [{ type: "ready" }];
  }

  /**
   * There is a link with a node that was dialled.
   *
   * @param record Its own; `undefined` when it is no relay.
   * @param address Where it is, as the link shows.
   */
  onLinked(
    dialId: number,
    record: NodeRecord | undefined,
    address: SocketAddress,
    at: Moment,
  ): ListAction[] {
    const round = this.#current();
    if (record === undefined) {
      return this.#goOn(round, round.onNoLink(dialId, at), at);
    }
    const group = this.#options.network.allowPrivateAddresses
      ? nodeKey(record)
      : addressGroup(address, PATH_PREFIX);
    return this.#goOn(round, round.onLinked(dialId, { record, group }, at), at);
  }

  /** A node that was dialled does not answer. */
  onNoLink(dialId: number, at: Moment): ListAction[] {
    const round = this.#current();
    return this.#goOn(round, round.onNoLink(dialId, at), at);
  }

  /** A node that was dialled has a record of another time, now or lately. */
  onOtherTime(dialId: number, at: Moment): ListAction[] {
    this.#isClockWrong = true;
    return this.onNoLink(dialId, at);
  }

  /** A source has sent a page, of which all records up to a lie are verified. */
  onPage(dialId: number, page: ListPage, at: Moment): ListAction[] {
    const round = this.#current();
    return this.#goOn(round, round.onPage(dialId, page, at), at);
  }

  /** A source has no list for us, does not answer, or breaks the protocol. */
  onNoPage(dialId: number, at: Moment): ListAction[] {
    const round = this.#current();
    return this.#goOn(round, round.onNoPage(dialId, at), at);
  }

  /** The machine is on another network, or awake again: ask now, not in an hour. */
  onNetworkChange(at: Moment): ListAction[] {
    if (!this.#pace.canHurry) return [];
    this.#sweep(at);
    return this.#begin(at);
  }

  /** The deadline has come: look at what has expired, and at the time. */
  onTime(at: Moment): ListAction[] {
    if (this.#round !== undefined) return [];
    const wasEmpty = this.list.size === 0;
    this.#sweep(at);
    // All of it has expired while the machine slept: do not wait for the hour.
    const hasEnded = !wasEmpty && this.list.size === 0;
    if (hasEnded || this.#pace.isDue(at.nowMs)) return this.#begin(at);
    this.#pace.onLook(at.nowMs);
    return [];
  }

  #begin(at: Moment): ListAction[] {
    this.#pace.onRound();
    this.#isClockWrong = false;
    const all = this.sources;
    const round = new ListRound(this.#parts, {
      peers: shuffled(this.#options.random, all).slice(0, MAX_SOURCES),
      isOnly: all.length === 1,
      hasGuards: this.#sources.hasGuards,
      lonelyRounds: this.#lonelyRounds,
    });
    this.#round = round;
    return this.#goOn(round, round.start(at), at);
  }

  #current(): ListRound {
    if (this.#round === undefined) throw new BugError("dht.round", "No round");
    return this.#round;
  }

  #goOn(round: ListRound, actions: RoundAction[], at: Moment): ListAction[] {
    return round.isOver ? [...actions, ...this.#end(round, at)] : actions;
  }

  #end(round: ListRound, at: Moment): ListAction[] {
    const { nowMs } = at;
    this.#round = undefined;
    this.#lonelyRounds = round.lonelyRounds;
    const hasList = round.hasRead && this.list.size > 0;
    if (hasList) {
      this.#sources.onList();
      const isScarce = this.list.size < this.#options.leastRelays;
      const isEager = isScarce || this.#sources.isMoving;
      const dueMs = this.#parts.sync.deadlineMs ?? nowMs;
      this.#pace.onList({ dueMs, isEager }, nowMs);
    } else {
      this.#sources.onFailure();
      this.#pace.onFailure({ isClockWrong: this.#isClockWrong }, nowMs);
    }
    this.#sweep(at);
    return hasList
      ? [{ type: "over" }, { type: "ready" }, { type: "save" }]
      : [{ type: "over" }];
  }

  #sweep({ unixMs }: Moment): void {
    this.list.sweep(unixMs);
    this.#parts.witnesses.sweep(unixMs);
  }
}
