/**
 * A world of {@linkcode DhtNode} machines and nothing between them but a delay:
 * no transport, no promises, and records without signatures.
 *
 *     send ─▶ MachineWires ─▶ request ─▶ machine ─▶ response ─▶ MachineWires ─▶ machine
 *     verify ─▶ MachineRecords
 *
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import { seededRandom } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type {
  DhtAction,
  SendAction,
  VerifyAction,
} from "../../dht/dht_action.ts";
import { DhtNode, type DhtTask } from "../../dht/dht_node.ts";
import { POINT_BYTES } from "../../dht/records/distance.ts";
import type { RecordStoreLimits } from "../../dht/records/record_store.ts";
import type { Conspiracy } from "./behaviour.ts";
import { EventQueue } from "./event_queue.ts";
import { latencyMs, type Place, randomPlace } from "./geography.ts";
import { MachineNode, type NodeHost, type TaskEnd } from "./machine_node.ts";
import {
  MachineRecords,
  type MachineRecordsOptions,
} from "./machine_records.ts";
import { MachineWires } from "./machine_wires.ts";
import {
  type Arrival,
  type Departure,
  seedFrom,
  type SimNode,
  type SimWorld,
} from "./sim_world.ts";

/** What a world is made of. */
export interface MachineWorldOptions extends MachineRecordsOptions {
  /** Whom hostile relays are with. */
  readonly conspiracy: Conspiracy;
  /** Share of messages that are lost, and repeated. Default 0. */
  readonly loss?: number;
  /** How much a relay stores. Default: as real ones. */
  readonly storeLimits?: RecordStoreLimits;
  /** Relays in each one's list, at most. Default: as real ones. */
  readonly maxRelays?: number | undefined;
}

/** Whom relays take a client for: it makes up an identity for each link. */
const CLIENT_ID: NodeId = new Uint8Array(POINT_BYTES);

/** Machines in one event loop. */
export class MachineWorld implements SimWorld {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly #options: MachineWorldOptions;
  readonly #events = new EventQueue();
  readonly #nodes: MachineNode[] = [];
  readonly #records: MachineRecords;
  readonly #wires: MachineWires;
  readonly #host: NodeHost = {
    begin: (node, work, end) => this.#begin(node, work, end),
    ask: (node, to, request) => this.#ask(node, to, request),
  };
  #requests = 0;

  constructor(options: MachineWorldOptions) {
    const { crypto, network, random, loss = 0 } = options;
    this.crypto = crypto;
    this.network = network;
    this.#options = options;
    this.#records = new MachineRecords(options);
    this.#wires = new MachineWires({
      events: this.#events,
      random,
      loss,
      nodes: this.#nodes,
      onLink: (to, { record }) => {
        const { nowMs, unixMs } = this;
        this.#obey(to, to.dht.onLink(record, nowMs, unixMs));
      },
      onLinkLost: (node, { record: { nodeId } }) =>
        this.#obey(node, node.dht.onLinkLost(nodeId, this.nowMs)),
    });
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
    return this.#wires.dials;
  }

  get links(): number {
    return this.#wires.links;
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
    const record = this.#records.make(behaviour);
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
    return this.#records.invent(count);
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
    return this.#records.verified(encoded);
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
    this.#wires.leave(node, departure);
    for (const end of node.tasks.values()) end(undefined);
    node.tasks.clear();
  }

  cut(nodes: readonly SimNode[]): Disposable {
    return this.#wires.cut(
      nodes.map(({ index }) => this.#nodes[index])
        .filter((node) => node !== undefined),
    );
  }

  #nodeOf(record: NodeRecord): MachineNode | undefined {
    return this.#nodes[this.#records.indexOf(record)];
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
      this.#wires.reach(node, other, () => {
        const { nowMs, unixMs } = this;
        this.#obey(node, node.dht.onLink(other.record, nowMs, unixMs));
      });
    }
  }

  #send(from: MachineNode, { rpcId, to: record, request }: SendAction): void {
    this.#requests++;
    const to = this.#nodeOf(record);
    if (to === undefined || to === from) return;
    this.#wires.reach(from, to, () => {
      const response = this.#answer(to, from.record, request);
      if (response === undefined) return;
      this.#wires.answer(to, from, () => {
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
    this.#wires.reach(
      from,
      to,
      () => void this.#answer(to, from.record, request),
    );
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
    const verified = this.#records.verifyAll(encoded);
    // Not at once: a machine is not called while it is being obeyed.
    this.#events.schedule(0, () => {
      if (!node.isUp) return;
      const { nowMs, unixMs } = this;
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
}
