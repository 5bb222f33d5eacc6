/**
 * One relay's part in the DHT: what its parts return goes to the part that it
 * concerns, or to the driver, which is a loop:
 *
 *     link up, down ───▶ onLink, onLinkLost
 *     RPC comes in ────▶ onRequest
 *     deadlineMs ──────▶ onTime                 ─▶ actions, see dht_action.ts
 *     a caller asks ───▶ findNode, findValue, put
 *     it obeys ────────▶ onResponse, onFailure, onVerified
 *
 * No part calls another: each returns actions (part_action.ts), and the node alone
 * knows them all. Node records from others reach a table through `check` alone.
 *
 * @see protocol §4 "DHT"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { ReachAnswer } from "../auth/own_reach.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { type CallAnswer, type CallEnd, Calls } from "./calls.ts";
import { Checks } from "./checks.ts";
import type { DhtAction, VerifiedRecords } from "./dht_action.ts";
import { type DhtPeer, DhtServer } from "./dht_server.ts";
import { Errands } from "./errands.ts";
import { KnownNodes } from "./known_nodes.ts";
import { decodeRequest, encodeResponse } from "./messages.ts";
import type {
  CallAction,
  CallPurpose,
  CheckAction,
  CheckPurpose,
  PartAction,
} from "./part_action.ts";
import type { DhtKey } from "./records/distance.ts";
import { RecordStore, type RecordStoreLimits } from "./records/record_store.ts";
import type { StoredRecord } from "./records/stored_record.ts";
import type { MergeOutcome, RelayList } from "./relay_list.ts";
import { RelayNews } from "./relay_news.ts";
import { isRelay } from "./table/contact.ts";
import type { RoutingTable } from "./table/routing_table.ts";

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

/** One relay's part in the DHT. */
export class DhtNode {
  /** What we keep for others. */
  readonly store: RecordStore;
  readonly #options: DhtNodeOptions;
  readonly #known: KnownNodes;
  readonly #news: RelayNews;
  readonly #errands: Errands;
  readonly #server: DhtServer;
  readonly #calls: Calls;
  readonly #checks = new Checks();
  #self: NodeRecord | undefined;
  #hasJoined = false;
  #sweepMs = Infinity;
  #out: DhtAction[] = [];

  constructor(options: DhtNodeOptions) {
    const { crypto, network, random, selfId, storeLimits } = options;
    this.#options = options;
    this.#known = new KnownNodes(options);
    const { table, relays } = this.#known;
    this.store = new RecordStore({
      crypto,
      network,
      random,
      isAmongClosest: (key) => table.isAmongClosest(key),
      ...storeLimits !== undefined && { limits: storeLimits },
    });
    const { store } = this;
    this.#news = new RelayNews({ random, selfId, table, relays });
    this.#errands = new Errands({ ...options, table, store });
    this.#server = new DhtServer({ network, table, store, relays });
    this.#calls = new Calls(network);
  }

  /** Whom we know. */
  get table(): RoutingTable {
    return this.#known.table;
  }

  /** All relays we have reached, and those we have heard of. */
  get relays(): RelayList {
    return this.#known.relays;
  }

  /** When to call {@linkcode onTime} next; `Infinity` before {@linkcode start}. */
  get deadlineMs(): number {
    return Math.min(
      this.#sweepMs,
      this.#known.deadlineMs,
      this.#news.deadlineMs,
      this.#errands.deadlineMs,
      this.#calls.deadlineMs,
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
      lookups: this.#errands.lookups,
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
    const at = { nowMs, unixMs };
    this.#self = self;
    this.relays.setOwn(self, nowMs);
    this.#sweepMs = nowMs + SWEEP_RELAYS_MS;
    this.#obey(this.#known.start(known, at), at);
    return this.#flush();
  }

  /** Our own record was renewed: some contacts hear of it, and tell others. */
  renewSelf(self: NodeRecord, nowMs: number): DhtAction[] {
    this.#self = self;
    this.relays.setOwn(self, nowMs);
    this.#send(this.#news.introduce(self, nowMs));
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
    this.#hearNews(record, record.nodeId, at);
    this.#obey(this.#known.consider(record, nowMs), at);
    return this.#flush();
  }

  /** A link was lost: see whether its node still answers. */
  onLinkLost(id: NodeId, nowMs: number): DhtAction[] {
    this.#send(this.#known.onLinkLost(id, nowMs));
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
    const at = { nowMs, unixMs };
    const request = decodeRequest(this.#options.network, bytes);
    this.table.onHeard(peer.nodeId, nowMs);
    const response = this.#server.answer(peer, request, at);
    if (request.type === "announce" && response.type === "done") {
      const { records } = request;
      this.#obey(this.#news.onAnnounce(records, peer.nodeId, nowMs), at);
    }
    return { response: encodeResponse(response), actions: this.#flush() };
  }

  /**
   * A relay asks whether we reached it. We try it now, if we had not heard of it.
   *
   * @param record Its own, of the link that it asks on; a client has none.
   */
  answerReach(
    record: NodeRecord | undefined,
    nowMs: number,
    unixMs: number,
  ): { readonly answer: ReachAnswer; readonly actions: DhtAction[] } {
    if (record === undefined || !isRelay(record)) {
      return { answer: "untried", actions: [] };
    }
    const at = { nowMs, unixMs };
    this.#hearNews(record, record.nodeId, at);
    const answer = this.relays.reachOf(record);
    return { answer, actions: this.#flush() };
  }

  /** Find the k nodes closest to a target. Ends with `nodes`. */
  findNode(target: Place | DhtKey, nowMs: number, unixMs: number): DhtTask {
    const at = { nowMs, unixMs };
    return this.#begun(this.#errands.findNode(target, at), at);
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
    const at = { nowMs, unixMs };
    return this.#begun(this.#errands.findValue(key, publisher, at), at);
  }

  /** Store a record on the k nodes closest to its key. Ends with `stored`. */
  put(record: StoredRecord, nowMs: number, unixMs: number): DhtTask {
    const at = { nowMs, unixMs };
    return this.#begun(this.#errands.put(record, at), at);
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
    const end = this.#calls.onResponse(rpcId, bytes, address);
    this.#onCallEnd(end, { nowMs, unixMs });
    return this.#flush();
  }

  /** An RPC failed: no link, or no answer. */
  onFailure(rpcId: number, nowMs: number, unixMs: number): DhtAction[] {
    this.#onCallEnd(this.#calls.onFailure(rpcId), { nowMs, unixMs });
    return this.#flush();
  }

  /** The driver has done what `verify` asked for. */
  onVerified(
    verifyId: number,
    verified: VerifiedRecords,
    nowMs: number,
    unixMs: number,
  ): DhtAction[] {
    const purpose = this.#checks.onVerified(verifyId);
    if (purpose !== undefined) {
      this.#onChecked(purpose, verified, { nowMs, unixMs });
    }
    return this.#flush();
  }

  /** The deadline has come. */
  onTime(nowMs: number, unixMs: number): DhtAction[] {
    const at = { nowMs, unixMs };
    for (const rpcId of this.#calls.overdue(nowMs)) {
      this.#out.push({ type: "cancel", rpcId });
      this.#onCallEnd(this.#calls.onFailure(rpcId), at);
    }
    if (nowMs >= this.#sweepMs) this.#sweep(at);
    this.#obey(this.#news.onTime(at), at);
    this.#obey(this.#known.onTime(this.#news.rounds, at), at);
    this.#obey(this.#errands.onTime(at), at);
    return this.#flush();
  }

  #flush(): DhtAction[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #begun(
    { taskId, actions }: { taskId: number; actions: readonly PartAction[] },
    at: Moment,
  ): DhtTask {
    this.#obey(actions, at);
    return { taskId, actions: this.#flush() };
  }

  /** Carry out what a part asks for, each action to its end. */
  #obey(actions: readonly PartAction[], at: Moment): void {
    for (const action of actions) {
      switch (action.type) {
        case "call":
          this.#out.push(this.#calls.call(action));
          break;
        case "check":
          this.#check(action, at);
          break;
        case "heard":
          this.#learn(action.record, action.from, at);
          break;
        case "broken":
          this.#blame(action.nodeId, action.code, at);
          break;
        case "reached":
          this.#news.onReached(action.record, at.nowMs);
          break;
        case "first_contact":
          this.#obey(this.#errands.join(at), at);
          break;
        case "joined_place":
          this.#onJoined(at);
          break;
        case "round_ended":
          this.#onRound(at);
          break;
        default:
          this.#out.push(action);
      }
    }
  }

  #check(action: CheckAction, at: Moment): void {
    const verify = this.#checks.check(action);
    if (verify !== undefined) {
      this.#out.push(verify);
      return;
    }
    // Too many are under way: as if there had been no answer.
    const { purpose } = action;
    switch (purpose.part) {
      case "search":
        return this.#toPart(purpose, purpose.from, undefined, at);
      case "page":
        return this.#toPart({ part: "news" }, purpose.from, undefined, at);
      case "announced":
    }
  }

  /** A call has ended: first what that shows of its node, then what it was for. */
  #onCallEnd(end: CallEnd | undefined, at: Moment): void {
    if (end === undefined) return;
    const { to, purpose } = end;
    switch (end.type) {
      case "answered":
        this.#obey(this.#known.onAlive(to, end.answer.address, at), at);
        return this.#toPart(purpose, to, end.answer, at);
      case "silent":
        this.#obey(this.#known.onSilent(to, at), at);
        return this.#toPart(purpose, to, undefined, at);
      case "broken":
        this.#blame(to.nodeId, end.code, at);
        return this.#toPart(purpose, to, undefined, at);
    }
  }

  #toPart(
    purpose: CallPurpose,
    node: NodeRecord,
    answer: CallAnswer | undefined,
    at: Moment,
  ): void {
    this.#obey(this.#partOf(purpose, node, answer, at), at);
  }

  #partOf(
    purpose: CallPurpose,
    node: NodeRecord,
    answer: CallAnswer | undefined,
    at: Moment,
  ): PartAction[] {
    switch (purpose.part) {
      case "none":
        return [];
      case "reach":
        return this.#known.onReachEnd(node, answer !== undefined, at);
      case "news":
        return this.#news.onEnd(node, answer?.response, at);
      case "search":
        return this.#errands.onSearchEnd(purpose.searchId, node, answer, at);
      case "copies":
        return this.#errands.onCopyEnd(purpose.placementId, answer, at);
    }
  }

  #onChecked(
    purpose: CheckPurpose,
    verified: VerifiedRecords,
    at: Moment,
  ): void {
    const { records, lie } = verified;
    switch (purpose.part) {
      case "search": {
        const { searchId, from, address } = purpose;
        const errands = this.#errands;
        return this.#obey(
          errands.onVerified(searchId, from, address, verified, at),
          at,
        );
      }
      case "announced": {
        const { from } = purpose;
        for (const record of records) this.#hearNews(record, from, at);
        if (lie !== undefined) this.#blame(from, lie, at);
        return;
      }
      case "page": {
        const { from, cursor, more } = purpose;
        for (const record of records) this.#learn(record, from.nodeId, at);
        if (lie !== undefined) this.#blame(from.nodeId, lie, at);
        const actions = lie === undefined
          ? this.#news.onPage(from, cursor, more, at)
          : this.#news.onFailure(from, at);
        return this.#obey(actions, at);
      }
    }
  }

  /** A verified record that may be passed on: first-hand, or announced. */
  #hearNews(record: NodeRecord, from: NodeId, at: Moment): void {
    const outcome = this.#learn(record, from, at);
    this.#news.onLearned(record, from, outcome, at.nowMs);
  }

  #learn(record: NodeRecord, from: NodeId, at: Moment): MergeOutcome {
    const isComplete = this.#news.rounds > 0;
    const learned = this.#known.learn(record, from, isComplete, at);
    this.#obey(learned.actions, at);
    return learned.outcome;
  }

  #blame(nodeId: NodeId, code: string, at: Moment): void {
    this.#out.push({ type: "blame", nodeId, code });
    this.#known.onBroken(nodeId, at);
  }

  #sweep(at: Moment): void {
    this.relays.sweep(at.unixMs);
    this.relays.unlistOld(at.nowMs);
    this.#sweepMs = at.nowMs + SWEEP_RELAYS_MS;
    const isTold = this.#hasJoined || this.table.size === 0;
    if (!isTold) this.#obey(this.#errands.join(at), at);
  }

  /** Our neighbourhood knows us: tell others too, and get the relay list. */
  #onJoined(at: Moment): void {
    if (!this.#hasJoined) this.#out.push({ type: "joined" });
    this.#hasJoined = true;
    if (this.#self !== undefined) {
      this.#send(this.#news.introduce(this.#self, at.nowMs));
    }
    this.#obey(this.#news.startRound(at), at);
  }

  /** The list is complete: draw from it, and have a look at our neighbourhood again. */
  #onRound(at: Moment): void {
    const { rounds } = this.#news;
    this.#obey(this.#known.fillTable(rounds, at), at);
    if (rounds > 1) return;
    this.#obey(this.#errands.refresh(this.#options.selfPlace, at), at);
  }

  #send(calls: readonly CallAction[]): void {
    for (const call of calls) this.#out.push(this.#calls.call(call));
  }
}
