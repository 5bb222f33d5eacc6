/**
 * A world of {@linkcode DhtNode} machines and nothing between them but a delay:
 * no transport, no promises, and records without signatures. What a link costs in
 * time is kept: who has none with a node needs three round trips more.
 *
 *     send ─▶ link there? ─ no ─▶ 3 round trips ─▶ request ─▶ machine ─▶ response
 *
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place as DhtPlace } from "../auth/proof_of_work.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { type Random, randomFloat, seededRandom } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { DhtAction, SendAction, VerifyAction } from "../dht/dht_action.ts";
import { DhtNode, type DhtTask } from "../dht/dht_node.ts";
import { type DhtKey, POINT_BYTES } from "../dht/records/distance.ts";
import type { RecordStoreLimits } from "../dht/records/record_store.ts";
import type { StoredRecord } from "../dht/records/stored_record.ts";
import type { Behaviour, Conspiracy } from "./behaviour.ts";
import { EventQueue } from "./event_queue.ts";
import {
  jitterMs,
  latencyMs,
  type Place,
  randomPlace,
  REPEAT_MS,
} from "./geography.ts";
import {
  type Arrival,
  type Departure,
  seedFrom,
  type SimNode,
  type SimNodesFound,
  type SimValuesFound,
  type SimWorld,
} from "./sim_world.ts";
import { UnsignedRecords } from "./unsigned_record.ts";

/** Round trips before the first request on a new link. */
const LINK_ROUND_TRIPS = 3;
/** A link that was not used for so long has to be set up again, ms. */
const LINK_IDLE_MS = 300_000;
/** Time after which a node notices that the other end of a link is gone, ms. */
const LINK_SILENCE_MS = 10_000;
/** When links that are long over are forgotten, ms. */
const SWEEP_LINKS_MS = 60_000;

/** What a world is made of. */
export interface MachineWorldOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Wall-clock time at the start, unix ms. */
  readonly startUnixMs: number;
  /** Whom hostile relays are with. */
  readonly conspiracy: Conspiracy;
  /** Share of messages that are lost, and repeated. Default 0. */
  readonly loss?: number;
  /** Whether a relay may have this place in the DHT. Default: any. */
  readonly isWanted?: (nodeId: NodeId, behaviour: Behaviour) => boolean;
  /** How much a relay stores. Default: as real ones. */
  readonly storeLimits?: RecordStoreLimits;
  /** Relays in each one's list, at most. Default: as real ones. */
  readonly maxRelays?: number | undefined;
  /** What a relay declares, bytes per second. Default: all alike. */
  readonly bandwidthOf?: (behaviour: Behaviour) => number;
}

/** Whom relays take a client for: it makes up an identity for each link. */
const CLIENT_ID: NodeId = new Uint8Array(POINT_BYTES);

/** Numbers from here on are those of relays that are not there. */
const FIRST_INVENTED = 1 << 20;

/** A caller waits for the end of a task. */
type TaskEnd = (action: DhtAction | undefined) => void;

/** What a node has its world do. */
interface NodeHost {
  begin(
    node: MachineNode,
    work: (nowMs: number, unixMs: number) => DhtTask,
    end: TaskEnd,
  ): void;
  ask(node: MachineNode, to: SimNode, request: Bytes): void;
}

/** A machine, and what the world knows of it. */
class MachineNode implements SimNode {
  readonly index: number;
  readonly behaviour: Behaviour;
  readonly record: NodeRecord;
  readonly dht: DhtNode;
  readonly place: Place;
  /** The bootstrap node that it was told of. */
  readonly via: MachineNode | undefined;
  /** When links with others were last used, by their indexes. */
  readonly links = new Map<number, number>();
  readonly tasks = new Map<number, TaskEnd>();
  /** Number of the cut that it is on the far side of, if any. */
  side = 0;
  isUp = true;
  joinedMs: number | undefined;
  timerMs = Infinity;
  readonly #host: NodeHost;

  constructor(
    parts: Pick<
      MachineNode,
      "index" | "behaviour" | "record" | "dht" | "place" | "via"
    >,
    host: NodeHost,
  ) {
    this.index = parts.index;
    this.behaviour = parts.behaviour;
    this.record = parts.record;
    this.dht = parts.dht;
    this.place = parts.place;
    this.via = parts.via;
    this.#host = host;
  }

  findNode(
    target: DhtPlace | DhtKey,
    done: (found: SimNodesFound | undefined) => void,
  ): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.findNode(target, nowMs, unixMs),
      (end) => done(end?.type === "nodes" ? end : undefined),
    );
  }

  get(
    key: DhtKey,
    publisher: PublicKey,
    done: (found: SimValuesFound | undefined) => void,
  ): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.findValue(key, publisher, nowMs, unixMs),
      (end) => done(end?.type === "values" ? end : undefined),
    );
  }

  put(record: StoredRecord, done: (copies: number | undefined) => void): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.put(record, nowMs, unixMs),
      (end) => done(end?.type === "stored" ? end.copies : undefined),
    );
  }

  ask(to: SimNode, request: Bytes): void {
    this.#host.ask(this, to, request);
  }
}

/** Machines in one event loop. */
export class MachineWorld implements SimWorld {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly #options: MachineWorldOptions;
  readonly #events = new EventQueue();
  readonly #nodes: MachineNode[] = [];
  readonly #invented: NodeRecord[] = [];
  readonly #records: UnsignedRecords;
  readonly #host: NodeHost = {
    begin: (node, work, end) => this.#begin(node, work, end),
    ask: (node, to, request) => this.#ask(node, to, request),
  };
  #requests = 0;
  #dials = 0;
  #cuts = 0;

  constructor(options: MachineWorldOptions) {
    const { crypto, network, startUnixMs } = options;
    this.crypto = crypto;
    this.network = network;
    this.#options = options;
    this.#records = new UnsignedRecords(crypto, network, startUnixMs);
    this.#sweepLinks();
  }

  get nowMs(): number {
    return this.#events.nowMs;
  }

  get unixMs(): number {
    return this.#options.startUnixMs + this.#events.nowMs;
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes;
  }

  get requests(): number {
    return this.#requests;
  }

  get dials(): number {
    return this.#dials;
  }

  get links(): number {
    let ends = 0;
    for (const { isUp, links } of this.#nodes) if (isUp) ends += links.size;
    return ends / 2;
  }

  schedule(delayMs: number, wake: () => void): void {
    this.#events.schedule(delayMs, wake);
  }

  advance(ms: number): Promise<void> {
    this.#events.advance(ms);
    return Promise.resolve();
  }

  add({ behaviour = "honest", via }: Arrival = {}): SimNode {
    const { crypto, network, random, conspiracy, storeLimits, maxRelays } =
      this.#options;
    const index = this.#nodes.length;
    const record = this.#records.make(
      index,
      this.#chooseId(behaviour),
      this.#options.bandwidthOf?.(behaviour),
    );
    const dht = new DhtNode({
      crypto,
      network,
      random: seededRandom(seedFrom(random)),
      selfId: record.nodeId,
      selfPlace: record.place,
      ...storeLimits !== undefined && { storeLimits },
      ...maxRelays !== undefined && { maxRelays },
    });
    const node = new MachineNode({
      index,
      behaviour,
      record,
      dht,
      place: randomPlace(random),
      via: via === undefined ? undefined : this.#nodes[via.index],
    }, this.#host);
    this.#nodes.push(node);
    if (behaviour !== "honest") conspiracy.enter(index, record);
    this.#obey(node, dht.start(record, [], this.nowMs, this.unixMs));
    return node;
  }

  /** Records of relays that are not there, each with an address at which none answers. */
  invent(count: number): NodeRecord[] {
    const { random, bandwidthOf } = this.#options;
    const records = Array.from({ length: count }, () => {
      const index = FIRST_INVENTED + this.#invented.length;
      const nodeId = random.bytes(POINT_BYTES);
      const record = this.#records.make(
        index,
        nodeId,
        bandwidthOf?.("inventor"),
      );
      this.#invented.push(record);
      return record;
    });
    return records;
  }

  /** The relay that this is a record of; `undefined` for one that is not there. */
  nodeOf(record: NodeRecord): SimNode | undefined {
    return this.#nodeOf(record);
  }

  /** Where a relay is. */
  placeOf({ index }: SimNode): Place {
    return this.#nodes[index]?.place ?? { x: 0, y: 0 };
  }

  /** The record that these bytes are; `undefined` for what the owner of its key did not sign. */
  verified(encoded: Bytes): NodeRecord | undefined {
    const index = this.#records.indexOf(encoded);
    const record = index < FIRST_INVENTED
      ? this.#nodes[index]?.record
      : this.#invented[index - FIRST_INVENTED];
    const isRight = record !== undefined &&
      equalBytes(record.encoded, encoded);
    return isRight ? record : undefined;
  }

  /**
   * A node that is no relay asks a relay, over a link of its own.
   *
   * @param done Hears the answer, or `undefined` when there is none.
   */
  askAsClient(
    place: Place,
    { index }: SimNode,
    request: Bytes,
    done: (response: Bytes | undefined) => void,
  ): void {
    const to = this.#nodes[index];
    if (to === undefined) return done(undefined);
    const tripMs = Math.round(latencyMs(place, to.place));
    this.#events.schedule(tripMs, () => {
      const response = to.isUp
        ? this.#answer(to, { nodeId: CLIENT_ID }, request)
        : undefined;
      this.#events.schedule(tripMs, () => done(response));
    });
  }

  remove({ index }: SimNode, departure: Departure): void {
    const node = this.#nodes[index];
    if (node === undefined || !node.isUp) return;
    node.isUp = false;
    this.#options.conspiracy.leave(index);
    for (const [peer, usedMs] of node.links) {
      const other = this.#nodes[peer];
      if (other === undefined) continue;
      other.links.delete(index);
      const isOpen = this.nowMs - usedMs <= LINK_IDLE_MS;
      if (departure === "crash" && isOpen) this.#loseLink(other, node);
    }
    node.links.clear();
    for (const end of node.tasks.values()) end(undefined);
    node.tasks.clear();
  }

  cut(nodes: readonly SimNode[]): Disposable {
    const side = ++this.#cuts;
    const members = nodes.map(({ index }) => this.#nodes[index])
      .filter((node) => node !== undefined);
    for (const node of members) node.side = side;
    return {
      [Symbol.dispose]() {
        for (const node of members) if (node.side === side) node.side = 0;
      },
    };
  }

  #nodeOf({ encoded }: NodeRecord): MachineNode | undefined {
    return this.#nodes[this.#records.indexOf(encoded)];
  }

  /** As who makes keys until one of them is where it wants to be. */
  #chooseId(behaviour: Behaviour): NodeId {
    const { random, isWanted } = this.#options;
    for (;;) {
      const nodeId = random.bytes(POINT_BYTES);
      if (isWanted?.(nodeId, behaviour) ?? true) return nodeId;
    }
  }

  #begin(
    node: MachineNode,
    work: (nowMs: number, unixMs: number) => DhtTask,
    end: TaskEnd,
  ): void {
    if (!node.isUp) return end(undefined);
    const { taskId, actions } = work(this.nowMs, this.unixMs);
    node.tasks.set(taskId, end);
    this.#obey(node, actions);
  }

  #obey(node: MachineNode, actions: readonly DhtAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(node, action);
          break;
        case "verify":
          this.#verify(node, action);
          break;
        case "bootstrap":
          this.#bootstrap(node, action.relays);
          break;
        case "joined":
          node.joinedMs = this.nowMs;
          break;
        case "nodes":
        case "values":
        case "stored":
        case "busy": {
          const end = node.tasks.get(action.taskId);
          node.tasks.delete(action.taskId);
          end?.(action);
        }
      }
    }
    this.#setTimer(node);
  }

  #bootstrap(node: MachineNode, relays: readonly NodeRecord[]): void {
    const others = relays.map((record) => this.#nodeOf(record));
    for (const other of [node.via, ...others]) {
      if (other === undefined || other === node) continue;
      this.#reach(node, other, () => {
        const { nowMs, unixMs } = this;
        this.#obey(node, node.dht.onLink(other.record, nowMs, unixMs));
      });
    }
  }

  /** Carry out `arrive` where a message gets to `to`, over a new link if need be. */
  #reach(from: MachineNode, to: MachineNode, arrive: () => void): void {
    const usedMs = from.links.get(to.index) ?? -Infinity;
    const isLinked = this.nowMs - usedMs <= LINK_IDLE_MS;
    const rounds = isLinked ? 0 : LINK_ROUND_TRIPS;
    const delayMs = this.#delayMs(from, to) +
      Math.round(2 * rounds * latencyMs(from.place, to.place));
    this.#events.schedule(delayMs, () => {
      if (!from.isUp || !to.isUp || from.side !== to.side) return;
      const { nowMs, unixMs } = this;
      const isNew = !from.links.has(to.index);
      from.links.set(to.index, nowMs);
      to.links.set(from.index, nowMs);
      if (isNew) {
        this.#dials++;
        this.#obey(to, to.dht.onLink(from.record, nowMs, unixMs));
      }
      arrive();
    });
  }

  /** Silence ends a link. A goodbye would say no more than that it was idle. */
  #loseLink(node: MachineNode, lost: MachineNode): void {
    this.#events.schedule(LINK_SILENCE_MS, () => {
      if (!node.isUp) return;
      this.#obey(node, node.dht.onLinkLost(lost.record.nodeId, this.nowMs));
    });
  }

  #send(from: MachineNode, { rpcId, to: record, request }: SendAction): void {
    this.#requests++;
    const to = this.#nodeOf(record);
    if (to === undefined || to === from) return;
    this.#reach(from, to, () => {
      const response = this.#answer(to, from.record, request);
      if (response === undefined) return;
      this.#events.schedule(this.#delayMs(to, from), () => {
        if (!from.isUp || from.side !== to.side) return;
        const [address] = to.record.addresses;
        if (address === undefined) return;
        const { nowMs, unixMs } = this;
        this.#obey(
          from,
          from.dht.onResponse(rpcId, response, address, nowMs, unixMs),
        );
      });
    });
  }

  #ask(from: MachineNode, { index }: SimNode, request: Bytes): void {
    const to = this.#nodes[index];
    if (to === undefined || to === from || !from.isUp) return;
    this.#requests++;
    this.#reach(from, to, () => void this.#answer(to, from.record, request));
  }

  #answer(
    node: MachineNode,
    from: NodeRecord | { readonly nodeId: NodeId },
    request: Bytes,
  ): Bytes | undefined {
    if (node.behaviour !== "honest") {
      const { conspiracy } = this.#options;
      const hostile = conspiracy.answer(node.behaviour, request);
      if (hostile.type === "silence") return undefined;
      if (hostile.type === "answer") return hostile.response;
    }
    const record = "encoded" in from ? from : undefined;
    const peer = { nodeId: from.nodeId, record };
    const { nowMs, unixMs } = this;
    const reply = node.dht.onRequest(peer, request, nowMs, unixMs);
    this.#obey(node, reply.actions);
    return reply.response;
  }

  #verify(node: MachineNode, { verifyId, encoded }: VerifyAction): void {
    const records: NodeRecord[] = [];
    let lie: string | undefined;
    for (const bytes of encoded) {
      const record = this.verified(bytes);
      if (record === undefined) {
        lie = "auth.record_signature";
        break;
      }
      records.push(record);
    }
    // Not at once: a machine is not called while it is being obeyed.
    this.#events.schedule(0, () => {
      if (!node.isUp) return;
      const { nowMs, unixMs } = this;
      const verified = { records, lie };
      this.#obey(
        node,
        node.dht.onVerified(verifyId, verified, nowMs, unixMs),
      );
    });
  }

  #setTimer(node: MachineNode): void {
    if (!node.isUp) return;
    const dueMs = node.dht.deadlineMs;
    if (dueMs >= node.timerMs) return;
    node.timerMs = dueMs;
    this.#events.schedule(dueMs - this.nowMs, () => {
      if (node.timerMs !== dueMs || !node.isUp) return;
      node.timerMs = Infinity;
      this.#obey(node, node.dht.onTime(this.nowMs, this.unixMs));
    });
  }

  #delayMs(from: MachineNode, to: MachineNode): number {
    const { random, loss = 0 } = this.#options;
    const leastMs = latencyMs(from.place, to.place);
    const lateMs = jitterMs(leastMs) * randomFloat(random);
    const isLost = loss > 0 && randomFloat(random) < loss;
    return Math.round(leastMs + lateMs + (isLost ? REPEAT_MS : 0));
  }

  #sweepLinks(): void {
    this.#events.schedule(SWEEP_LINKS_MS, () => {
      for (const { links } of this.#nodes) {
        for (const [other, usedMs] of links) {
          if (this.nowMs - usedMs > LINK_IDLE_MS) links.delete(other);
        }
      }
      this.#sweepLinks();
    });
  }
}
