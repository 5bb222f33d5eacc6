/**
 * One relay's part in the DHT: routing table, record store, relay list, look-ups
 * and housekeeping, wired to each other. Its driver is a loop:
 *
 *     link up, down ───▶ onLink, onLinkLost
 *     RPC comes in ────▶ onRequest
 *     deadlineMs ──────▶ onTime                 ─▶ actions, see dht_action.ts
 *     a caller asks ───▶ findNode, findValue, put
 *     it obeys ────────▶ onResponse, onFailure, onVerified
 *
 * Node records from others reach a table through `verify` alone: the driver checks
 * signature and proof of work, which takes time, and hands back what passed.
 *
 * @see protocol §4 "DHT"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { type Random, sampled } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { Blamed } from "./table/blamed.ts";
import { BootstrapPace } from "./bootstrap_pace.ts";
import { CALL_MS, Calls, type CallWatcher, IGNORE_ANSWER } from "./calls.ts";
import { Chores } from "./chores.ts";
import { Copies } from "./copies.ts";
import type { DhtAction, VerifiedRecords } from "./dht_action.ts";
import { type DhtPeer, DhtServer } from "./dht_server.ts";
import { type DhtKey, pointKey } from "./records/distance.ts";
import type { Lookup } from "./lookup/lookup.ts";
import { decodeRequest, encodeResponse } from "./messages.ts";
import { isRelay, listedAddress } from "./table/contact.ts";
import {
  FROM_CIRCUITS,
  RecordStore,
  type RecordStoreLimits,
} from "./records/record_store.ts";
import { type MergeOutcome, RelayList } from "./relay_list.ts";
import { RelayReach } from "./relay_reach.ts";
import { RelayNews } from "./relay_news.ts";
import { RoutingTable, type TableAction } from "./table/routing_table.ts";
import { Searches } from "./searches.ts";
import { TableFill } from "./table_fill.ts";
import {
  decodeStoredRecord,
  type StoredRecord,
} from "./records/stored_record.ts";

/** Tuning: tasks of others under way at once: circuits can ask for any number. */
export const MAX_TASKS = 128;
/** Tuning: relays of the list that are tried each time. */
const BOOTSTRAP_RELAYS = 8;
/** Tuning: rounds of asking for lists after which rumours have had their turn: a minute. */
const SETTLED_ROUNDS = 3;
/** Tuning: how often the relay list is swept. */
const SWEEP_RELAYS_MS = 60 * 1000;
/** A response, and what follows from the request. */
interface DhtReply {
  readonly response: Bytes;
  readonly actions: DhtAction[];
}

/** A task begun: its result comes as an action with this number. */
export interface DhtTask {
  readonly taskId: number;
  readonly actions: DhtAction[];
}

/** What a node is made of. */
export interface DhtNodeOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  readonly selfId: NodeId;
  /** Where we are: the place of our record. */
  readonly selfPlace: Place;
  /** Default: those of a relay. */
  readonly storeLimits?: RecordStoreLimits;
  /** Most relays in the list. Default: that of a relay. */
  readonly maxRelays?: number;
}

/** Figures about a node. */
export interface DhtStatistics {
  readonly contacts: number;
  readonly relays: number;
  readonly keys: number;
  readonly records: number;
  readonly recordBytes: number;
  readonly lookups: number;
  readonly calls: number;
}

/** Whom the parts of a node tell of others. */
interface NodeWatcher extends CallWatcher {
  /** A verified record that a node named. */
  onHeard(record: NodeRecord, from: NodeId, at: Moment): MergeOutcome;
}

/** One relay's part in the DHT. */
export class DhtNode {
  /** Whom we know. */
  readonly table: RoutingTable;
  /** What we keep for others. */
  readonly store: RecordStore;
  /** All relays we have reached, and those we have heard of. */
  readonly relays: RelayList;
  readonly #options: DhtNodeOptions;
  readonly #calls: Calls;
  readonly #searches: Searches;
  readonly #server: DhtServer;
  readonly #news: RelayNews;
  readonly #copies: Copies;
  readonly #chores: Chores;
  readonly #fill: TableFill;
  readonly #reach: RelayReach;
  readonly #blamed = new Blamed();
  readonly #bootstrapPace = new BootstrapPace();
  #self: NodeRecord | undefined;
  #tasks = 0;
  #nextTaskId = 1;
  #hasJoined = false;
  #sweepMs = Infinity;
  #out: DhtAction[] = [];

  constructor(options: DhtNodeOptions) {
    const { crypto, network, random, storeLimits, maxRelays } = options;
    const { selfId, selfPlace } = options;
    this.#options = options;
    this.table = new RoutingTable({ network, random, selfId, selfPlace });
    this.relays = new RelayList({
      crypto,
      random,
      ...maxRelays !== undefined && { maxRelays },
    });
    this.store = new RecordStore({
      crypto,
      network,
      random,
      isAmongClosest: (key) => this.table.isAmongClosest(key),
      ...storeLimits !== undefined && { limits: storeLimits },
    });
    const { table, store, relays } = this;
    const watcher = this.#watcher();
    const calls = new Calls(network, watcher);
    const news = new RelayNews({
      random,
      calls,
      contacts: {
        get: (id) => table.get(id)?.record,
        all: () => Array.from(table.contacts(), ({ record }) => record),
      },
      sources: ({ nowMs, unixMs }) => this.#others(nowMs, unixMs),
      onRound: (at) => this.#onRound(at),
      relays,
      learn: watcher.onHeard,
      onBroken: watcher.onBroken,
    });
    this.#calls = calls;
    this.#news = news;
    this.#copies = new Copies({ network, selfPlace, store, calls });
    this.#server = new DhtServer({ network, table, store, relays, news });
    this.#searches = new Searches({ crypto, network, selfId, calls, watcher });
    const blamed = this.#blamed;
    this.#fill = new TableFill({
      random,
      table,
      relays,
      blamed,
      isSettled: () =>
        news.rounds >= SETTLED_ROUNDS && table.size > 0 && relays.listed > 1,
    });
    this.#reach = new RelayReach({
      random,
      relays,
      isLeftOut: ({ nodeId }, nowMs) =>
        equalBytes(nodeId, selfId) || blamed.has(nodeId, nowMs),
    });
    this.#chores = new Chores({
      refresh: (target, at, done) => this.#lookNear(target, at, done),
      republish: (key, at, done) => this.#republish(key, at, done),
    });
  }

  /** What its parts tell the node of others. */
  #watcher(): NodeWatcher {
    return {
      act: (action) => this.#out.push(action),
      onAlive: (node, address, at) => this.#onAlive(node, address, at),
      onSilent: (node, at) => this.#onSilent(node, at),
      onBroken: (id, code, at) => this.#blame(id, code, at),
      onHeard: (record, from, at) => this.#learn(record, from, at),
    };
  }

  /** When to call {@linkcode onTime} next; `Infinity` before {@linkcode start}. */
  get deadlineMs(): number {
    return Math.min(
      this.#bootstrapPace.deadlineMs,
      this.#sweepMs,
      this.#fill.deadlineMs,
      this.#reach.deadlineMs,
      this.table.deadlineMs,
      this.table.refreshMs,
      this.store.deadlineMs,
      this.#news.deadlineMs ?? Infinity,
      this.#calls.deadlineMs,
      this.#searches.deadlineMs,
      this.#copies.deadlineMs,
    );
  }

  /** Whether a node answered a look-up of our own place. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Figures for status and tests. */
  statistics(): DhtStatistics {
    return {
      contacts: this.table.size,
      relays: this.relays.listed,
      keys: this.store.keys,
      records: this.store.records,
      recordBytes: this.store.bytes,
      lookups: this.#searches.size,
      calls: this.#calls.size,
    };
  }

  /**
   * Begin.
   *
   * @param self Our own record.
   * @param known Relays of an earlier run, verified anew.
   */
  start(
    self: NodeRecord,
    known: Iterable<NodeRecord>,
    nowMs: number,
    unixMs: number,
  ): DhtAction[] {
    this.#self = self;
    this.relays.setOwn(self, nowMs);
    for (const record of known) this.relays.merge(record, nowMs);
    this.#sweepMs = nowMs + SWEEP_RELAYS_MS;
    this.#reach.start(nowMs);
    this.#bootstrap({ nowMs, unixMs });
    return this.#flush();
  }

  /** Our own record was renewed: some contacts hear of it, and tell others. */
  renewSelf(self: NodeRecord, nowMs: number): DhtAction[] {
    this.#self = self;
    this.relays.setOwn(self, nowMs);
    this.#news.introduce(self, nowMs);
    return this.#flush();
  }

  /**
   * A relay has linked to us, or we to an address that we were configured with.
   * Not for links that `send` asked for: whom others name must not fill the table.
   *
   * @param record Its record, verified.
   */
  onLink(record: NodeRecord, nowMs: number, unixMs: number): DhtAction[] {
    const at = { nowMs, unixMs };
    this.#news.hear(record, record.nodeId, at);
    if (!this.#blamed.has(record.nodeId, nowMs)) this.#consider(record, nowMs);
    return this.#flush();
  }

  /** A link was lost: see whether its node still answers. */
  onLinkLost(id: NodeId, nowMs: number): DhtAction[] {
    const contact = this.table.get(id);
    if (contact !== undefined) this.#ping(contact.record, nowMs);
    return this.#flush();
  }

  /**
   * A request came in over an authenticated link.
   *
   * @throws {ProtocolError} `dht.*` or `wire.*`: close the link.
   */
  onRequest(
    peer: DhtPeer,
    bytes: Uint8Array,
    nowMs: number,
    unixMs: number,
  ): DhtReply {
    const request = decodeRequest(this.#options.network, bytes);
    this.table.onHeard(peer.nodeId, nowMs);
    const at = { nowMs, unixMs };
    const response = this.#server.answer(peer, request, at);
    return { response: encodeResponse(response), actions: this.#flush() };
  }

  /** Find the k nodes closest to a target. Ends with `nodes`. */
  findNode(target: Place | DhtKey, nowMs: number, unixMs: number): DhtTask {
    return this.#task(
      { nowMs, unixMs },
      (taskId, at, end) =>
        this.#lookNear(target, at, (lookup) => {
          const { closest, hops, askedCount } = lookup;
          end({ type: "nodes", taskId, closest, hops, asked: askedCount });
        }),
    );
  }

  /**
   * Find the records under a key. Ends with `values`.
   *
   * @param publisher Only this one's; then the answers are small.
   */
  findValue(
    key: DhtKey,
    publisher: PublicKey | undefined,
    nowMs: number,
    unixMs: number,
  ): DhtTask {
    return this.#task({ nowMs, unixMs }, (taskId, at, end) => {
      const held = this.store.get(key, unixMs, publisher)
        .map(decodeStoredRecord);
      const seeds = this.#seeds(key);
      const goal = {
        target: key,
        kind: "value",
        publisher,
        seeds,
        held,
      } as const;
      this.#searches.begin(goal, at, (lookup, at) => {
        const { values, hops, askedCount } = lookup;
        this.#copies.restore(lookup, at);
        end({
          type: "values",
          taskId,
          records: values,
          hops,
          asked: askedCount,
        });
      });
    });
  }

  /** Store a record on the k nodes closest to its key. Ends with `stored`. */
  put(record: StoredRecord, nowMs: number, unixMs: number): DhtTask {
    return this.#task(
      { nowMs, unixMs },
      (taskId, at, end) =>
        this.#lookNear(
          record.key,
          at,
          (lookup, at) =>
            this.#copies.place(
              [record.encoded],
              FROM_CIRCUITS,
              lookup,
              at,
              (made) => end({ type: "stored", taskId, ...made }),
            ),
        ),
    );
  }

  /**
   * The response to an RPC.
   *
   * @param address The other end of the link it came over.
   */
  onResponse(
    rpcId: number,
    bytes: Uint8Array,
    address: SocketAddress,
    nowMs: number,
    unixMs: number,
  ): DhtAction[] {
    this.#calls.onResponse(rpcId, bytes, address, { nowMs, unixMs });
    return this.#flush();
  }

  /** An RPC failed: no link, or no answer. */
  onFailure(rpcId: number, nowMs: number, unixMs: number): DhtAction[] {
    this.#calls.onFailure(rpcId, { nowMs, unixMs });
    return this.#flush();
  }

  /** The driver has done what `verify` asked for. */
  onVerified(
    verifyId: number,
    verified: VerifiedRecords,
    nowMs: number,
    unixMs: number,
  ): DhtAction[] {
    this.#calls.onVerified(verifyId, verified, { nowMs, unixMs });
    return this.#flush();
  }

  /** The deadline has come. */
  onTime(nowMs: number, unixMs: number): DhtAction[] {
    const at = { nowMs, unixMs };
    this.#calls.onTime(at);
    this.#searches.onTime(at);
    this.#copies.onTime(at);
    this.#obeyTable(this.table.onTime(nowMs), nowMs);
    for (const key of this.store.onTime(nowMs, unixMs)) {
      this.#chores.add({ type: "republish", key });
    }
    const target = this.table.refreshTarget(nowMs);
    if (target !== undefined) {
      this.table.onLookup(target, nowMs);
      this.#chores.add({ type: "refresh", target });
    }
    if (nowMs >= this.#sweepMs) {
      this.relays.sweep(unixMs);
      this.relays.unlistOld(nowMs);
      this.#sweepMs = nowMs + SWEEP_RELAYS_MS;
      if (!this.#hasJoined && this.table.size > 0) this.#join(at);
    }
    this.#news.onTime(at);
    if (nowMs >= this.#bootstrapPace.deadlineMs) this.#bootstrap(at);
    if (nowMs >= this.#fill.deadlineMs) this.#fillTable(at);
    if (nowMs >= this.#reach.deadlineMs) this.#reachRelays(at);
    this.#chores.run(at);
    return this.#flush();
  }

  #flush(): DhtAction[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #seeds(target: Place | DhtKey): NodeRecord[] {
    return this.table.closest(target, this.#options.network.k)
      .map(({ record }) => record);
  }

  /** Number a task of a caller, and count it until its end. */
  #task(
    at: Moment,
    run: (taskId: number, at: Moment, end: (action: DhtAction) => void) => void,
  ): DhtTask {
    const taskId = this.#nextTaskId++;
    if (this.#tasks >= MAX_TASKS) {
      this.#out.push({ type: "busy", taskId });
      return { taskId, actions: this.#flush() };
    }
    this.#tasks++;
    run(taskId, at, (action) => {
      this.#tasks--;
      this.#out.push(action);
    });
    return { taskId, actions: this.#flush() };
  }

  #lookNear(
    target: Place | DhtKey,
    at: Moment,
    done: (lookup: Lookup, at: Moment) => void,
  ): void {
    this.table.onLookup(target, at.nowMs);
    const seeds = this.#seeds(target);
    this.#searches.begin({ kind: "node", target, seeds }, at, done);
  }

  #republish(key: DhtKey, at: Moment, done: (at: Moment) => void): void {
    const records = this.store.get(key, at.unixMs);
    if (records.length === 0) return done(at);
    this.#lookNear(
      key,
      at,
      (lookup, at) =>
        this.#copies.place(records, "", lookup, at, (_made, at) => done(at)),
    );
  }

  #ping(record: NodeRecord, nowMs: number): void {
    this.#calls.call(record, { type: "ping" }, nowMs + CALL_MS, IGNORE_ANSWER);
  }

  #obeyTable(actions: readonly TableAction[], nowMs: number): void {
    for (const { record } of actions) this.#ping(record, nowMs);
  }

  #onAlive(node: NodeRecord, address: SocketAddress, at: Moment): void {
    if (this.#blamed.has(node.nodeId, at.nowMs)) return;
    const isFirst = this.table.size === 0;
    this.table.onAlive(node, address, at.nowMs);
    if (isRelay(node) && listedAddress(node, address) !== undefined) {
      const before = this.relays.listed;
      this.relays.prove(node, at.nowMs);
      this.#news.onReached(node, at.nowMs);
      const isBack = this.relays.listed > before &&
        this.table.vacancyFor(node) !== undefined;
      if (isBack) this.#fill.hurry(at.nowMs);
    }
    if (isFirst && this.table.size > 0) this.#join(at);
  }

  #onSilent(node: NodeRecord, { nowMs }: Moment): void {
    const before = this.table.size;
    this.#obeyTable(this.table.onFailure(node.nodeId, nowMs), nowMs);
    if (this.table.get(node.nodeId) === undefined) {
      this.relays.doubt(node.nodeId, nowMs);
    }
    if (this.table.size < before) this.#onContactLost(nowMs);
  }

  #onContactLost(nowMs: number): void {
    this.#fill.hurry(nowMs);
    if (this.table.size === 0) this.#bootstrapPace.onAlone(nowMs);
  }

  #blame(nodeId: NodeId, code: string, { nowMs }: Moment): void {
    this.#out.push({ type: "blame", nodeId, code });
    this.relays.doubt(nodeId, nowMs);
    this.relays.unlist(nodeId);
    this.#blamed.add(nodeId, nowMs);
    const before = this.table.size;
    this.table.remove(nodeId);
    if (this.table.size < before) this.#onContactLost(nowMs);
  }

  /** No contact is known: try relays of the list, and have the driver try what it has. */
  #bootstrap({ nowMs, unixMs }: Moment): void {
    if (this.table.size > 0) {
      this.#bootstrapPace.stop();
      return;
    }
    // Also those that were silent: perhaps it was our own line that was dead.
    const known = Array.from(this.relays.records(unixMs)).filter((record) =>
      !equalBytes(record.nodeId, this.#options.selfId)
    );
    const relays = sampled(this.#options.random, known, BOOTSTRAP_RELAYS);
    this.#out.push({ type: "bootstrap", relays });
    this.#bootstrapPace.onTry(nowMs);
  }

  /** The first contact: look for our own neighbourhood, then get the relay list. */
  #join(at: Moment): void {
    this.#bootstrapPace.stop();
    this.#lookNear(this.#options.selfPlace, at, (lookup, at) => {
      if (lookup.closest.length === 0) return;
      if (!this.#hasJoined) this.#out.push({ type: "joined" });
      this.#hasJoined = true;
      if (this.#self !== undefined) {
        this.#news.introduce(this.#self, at.nowMs);
      }
      this.#news.startRound(at);
    });
  }

  /**
   * A verified record from any node: for the list, once we have reached its relay,
   * and perhaps for the table.
   */
  #learn(record: NodeRecord, from: NodeId, at: Moment): MergeOutcome {
    const { nowMs } = at;
    const isSelf = equalBytes(record.nodeId, this.#options.selfId);
    if (isSelf || this.#blamed.has(record.nodeId, nowMs)) return "known";
    const outcome = this.relays.merge(record, nowMs);
    // What is known to the list came to the table the same way.
    if (outcome !== "known") this.table.renew(record);
    const isWanted = isRelay(record) && outcome !== "known" &&
      outcome !== "too_soon" && !this.relays.isListed(record.nodeId);
    if (isWanted) {
      this.#reach.want(record, pointKey(from));
      this.#reachRelays(at);
    }
    const isFill = outcome === "added" && this.#news.rounds > 0 &&
      this.table.vacancyFor(record) !== undefined;
    if (isFill) this.#fill.hurry(nowMs);
    return outcome;
  }

  #consider(record: NodeRecord, nowMs: number): void {
    this.#obeyTable(this.table.consider(record, nowMs), nowMs);
  }

  /** The list is complete: draw from it, and have a look at our neighbourhood again. */
  #onRound(at: Moment): void {
    this.#fillTable(at);
    if (this.#news.rounds > 1) return;
    const { selfPlace } = this.#options;
    this.#chores.add({ type: "refresh", target: selfPlace });
    this.#chores.run(at);
  }

  #reachRelays(at: Moment): void {
    for (const record of this.#reach.next(at)) {
      const request = { type: "ping" } as const;
      this.#calls.call(record, request, at.nowMs + CALL_MS, {
        onAnswer: (_response, _address, at) => {
          const isReached = this.relays.isListed(record.nodeId);
          // It answers, but not where it says that it is.
          if (!isReached) this.relays.doubt(record.nodeId, at.nowMs);
          this.#reach.onEnd(record, isReached);
          this.#reachRelays(at);
        },
        onFailure: (at) => {
          this.#reach.onEnd(record, false);
          this.#reachRelays(at);
        },
      }, { isAtAddress: true });
    }
  }

  #fillTable(at: Moment): void {
    for (const record of this.#fill.draw(at)) this.#consider(record, at.nowMs);
  }

  /** Whom to ask for lists: relays that we have reached; until there are any, rumours. */
  *#others(nowMs: number, unixMs: number): Generator<NodeRecord> {
    const hasOthers = this.relays.listed > 1;
    for (const record of this.relays.promising(nowMs, unixMs)) {
      if (equalBytes(record.nodeId, this.#options.selfId)) continue;
      if (!hasOthers || this.relays.isListed(record.nodeId)) yield record;
    }
  }
}
