/**
 * Hundreds of DHT machines in one event loop with virtual time, and nothing
 * between them but a delay: no transport, no links, no promises. Seeded: the
 * same seed gives the same run.
 *
 * A node is honest, a dropper (takes requests and never answers), a liar (knows
 * all liars, names those closest to the target, denies having any record), or
 * dead.
 *
 * @module
 */
import type { NodeId } from "../../lib/auth/identity.ts";
import type { NetworkParameters } from "../../lib/auth/network.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  type Random,
  randomBetween,
  seededRandom,
} from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import type { DhtAction } from "../../lib/dht/dht_action.ts";
import { DhtNode } from "../../lib/dht/dht_node.ts";
import {
  closestTo,
  type DhtKey,
  pointKey,
} from "../../lib/dht/records/distance.ts";
import {
  decodeRequest,
  type DhtRequest,
  encodeRequest,
  encodeResponse,
} from "../../lib/dht/messages.ts";
import { MAX_RELAYS } from "../../lib/dht/relay_list.ts";
import { EventQueue } from "../../lib/sim/world/event_queue.ts";
import { TEST_UNIX_MS, testRecord } from "../support/nodes.ts";

export const crypto = nativeSuite();

/** How a node behaves. */
export type Behaviour = "honest" | "dropper" | "liar" | "dead";

/** One node of a world. */
export interface WorldNode {
  readonly index: number;
  readonly record: NodeRecord;
  readonly machine: DhtNode;
  behaviour: Behaviour;
  /** Nodes that it has a link with. */
  readonly links: Set<number>;
  timerMs: number;
  /** Codes for which others blamed it. */
  readonly blamed: string[];
}

/** What a world is made of. */
export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly network?: NetworkParameters;
  /** Most relays in each node's list. Default: a relay's limit. */
  readonly maxRelays?: number;
  /** Where each node is. Default: in one /8, in a /32 of its own. */
  readonly hostOf?: (index: number) => string;
}

/** Made once for all worlds: signing takes longer than a look-up. */
const RECORDS = new Map<string, NodeRecord>();

/** The record number `index`, of a relay whose address no other shares. */
export function worldRecord(
  index: number,
  host = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
): NodeRecord {
  const key = `${index} ${host}`;
  let record = RECORDS.get(key);
  if (record === undefined) {
    record = testRecord(crypto, 1_000_000 + index, {
      addresses: [{ host, port: 4001 }],
      expiry: TEST_UNIX_MS + 24 * 3_600_000,
    });
    RECORDS.set(key, record);
  }
  return record;
}

/** Machines, and the events between them. */
export class DhtWorld {
  readonly network: NetworkParameters;
  readonly nodes: WorldNode[] = [];
  readonly random: Random;
  /** RPCs sent so far. */
  sent = 0;
  /** Records that no node made: verifying them says "lie". */
  readonly #known = new Map<string, NodeRecord>();
  readonly #byId = new Map<string, WorldNode>();
  readonly #events = new EventQueue();
  readonly #results = new Map<string, DhtAction>();
  readonly #maxRelays: number;
  readonly #hostOf: ((index: number) => string) | undefined;

  constructor(options: WorldOptions) {
    this.network = options.network ?? networkParameters("local");
    this.random = seededRandom(options.seed);
    this.#maxRelays = options.maxRelays ?? MAX_RELAYS;
    this.#hostOf = options.hostOf;
    for (let index = 0; index < options.nodes; index++) this.add();
  }

  get nowMs(): number {
    return this.#events.nowMs;
  }

  get unixMs(): number {
    return TEST_UNIX_MS + this.nowMs;
  }

  /** A new node; `join` makes it take part. */
  add(behaviour: Behaviour = "honest"): WorldNode {
    const index = this.nodes.length;
    const record = worldRecord(index, this.#hostOf?.(index));
    const machine = new DhtNode({
      crypto,
      network: this.network,
      random: seededRandom(this.random.bytes(4).reduce((a, b) => a * 256 + b)),
      selfId: record.nodeId,
      selfPlace: record.place,
      maxRelays: this.#maxRelays,
    });
    const node: WorldNode = {
      index,
      record,
      machine,
      behaviour,
      links: new Set(),
      timerMs: Infinity,
      blamed: [],
    };
    this.nodes.push(node);
    this.#known.set(encodedKey(record.encoded), record);
    this.#byId.set(pointKey(record.nodeId), node);
    return node;
  }

  /** Start a node; it bootstraps over `via`. */
  join(node: WorldNode, via: WorldNode | undefined): void {
    const { machine, record } = node;
    const actions = machine.start(record, [], this.nowMs, this.unixMs);
    this.#obey(node, actions.filter(({ type }) => type !== "bootstrap"));
    if (via !== undefined) this.#introduce(node, via);
  }

  /** Start all nodes, one every `gapMs`, each over an earlier one, and let them settle. */
  settle(gapMs: number, restMs: number): void {
    for (const node of this.nodes) {
      const earlier = Math.floor(
        randomBetween(this.random, 0, Math.min(node.index, 8)),
      );
      this.join(node, node.index === 0 ? undefined : this.nodes[earlier]);
      this.advance(gapMs);
    }
    this.advance(restMs);
  }

  /** Let time pass. */
  advance(ms: number): void {
    this.#events.advance(ms);
  }

  /** Let time pass until a task has ended; its result. */
  await(node: WorldNode, taskId: number): DhtAction {
    const key = `${node.index} ${taskId}`;
    for (let events = 0; events < 1_000_000; events++) {
      const result = this.#results.get(key);
      if (result !== undefined) {
        this.#results.delete(key);
        return result;
      }
      if (!this.#events.runNext()) break;
    }
    throw new Error("A task never ended");
  }

  /** Begin something at a node, and carry out what it asks for. */
  begin(
    node: WorldNode,
    work: (machine: DhtNode, nowMs: number, unixMs: number) => {
      taskId: number;
      actions: DhtAction[];
    },
  ): number {
    const { taskId, actions } = work(node.machine, this.nowMs, this.unixMs);
    this.#obey(node, actions);
    return taskId;
  }

  /** A request from one node to another, whatever the first one's machine would do. */
  request(to: WorldNode, from: WorldNode, request: DhtRequest): void {
    const bytes = encodeRequest(request);
    const { nodeId } = from.record;
    const peer = { nodeId, record: from.record };
    const { nowMs, unixMs } = this;
    this.#obey(
      to,
      to.machine.onRequest(peer, bytes, nowMs, unixMs).actions,
    );
  }

  /** The nodes that are closest to a target, as only the world knows. */
  trueClosest(
    target: NodeId | DhtKey,
    count: number,
    filter: (node: WorldNode) => boolean = ({ behaviour }) =>
      behaviour !== "dead",
  ): WorldNode[] {
    const nodes = this.nodes.filter(filter);
    return closestTo(target, nodes, count, ({ record }) => record.nodeId);
  }

  /** A link to an address that a node was configured with. */
  #introduce(from: WorldNode, to: WorldNode): void {
    this.#link(from, to);
    const { nowMs, unixMs } = this;
    this.#obey(from, from.machine.onLink(to.record, nowMs, unixMs));
  }

  /** `from` dials `to`, unless they have a link. */
  #link(from: WorldNode, to: WorldNode): void {
    if (from.links.has(to.index)) return;
    from.links.add(to.index);
    to.links.add(from.index);
    const { nowMs, unixMs } = this;
    this.#obey(to, to.machine.onLink(from.record, nowMs, unixMs));
  }

  #obey(node: WorldNode, actions: readonly DhtAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(node, action.rpcId, action.to, action.request);
          break;
        case "verify":
          this.#verify(node, action.verifyId, action.encoded);
          break;
        case "blame":
          this.#byId.get(pointKey(action.nodeId))?.blamed.push(action.code);
          break;
        case "bootstrap":
          for (const relay of action.relays) {
            const other = this.#byId.get(pointKey(relay.nodeId));
            if (other !== undefined && other.behaviour !== "dead") {
              this.#at(1, () => this.#introduce(node, other));
            }
          }
          break;
        case "nodes":
        case "values":
        case "stored":
        case "busy":
          this.#results.set(`${node.index} ${action.taskId}`, action);
      }
    }
    this.#setTimer(node);
  }

  #send(from: WorldNode, rpcId: number, to: NodeRecord, bytes: Bytes): void {
    this.sent++;
    const other = this.#byId.get(pointKey(to.nodeId));
    if (other === undefined || other === from) return;
    this.#at(this.#delayMs(), () => {
      if (other.behaviour === "dead" || from.behaviour === "dead") return;
      this.#link(from, other);
      const response = this.#answer(other, from, bytes);
      if (response === undefined) return;
      this.#at(this.#delayMs(), () => {
        if (from.behaviour === "dead") return;
        const address = to.addresses[0];
        if (address === undefined) return;
        const { nowMs, unixMs } = this;
        this.#obey(
          from,
          from.machine.onResponse(rpcId, response, address, nowMs, unixMs),
        );
      });
    });
  }

  #answer(
    node: WorldNode,
    from: WorldNode,
    bytes: Bytes,
  ): Bytes | undefined {
    if (node.behaviour === "dropper") return undefined;
    if (node.behaviour === "liar") return this.#lie(node, bytes);
    const peer = { nodeId: from.record.nodeId, record: from.record };
    const { machine } = node;
    const reply = machine.onRequest(peer, bytes, this.nowMs, this.unixMs);
    this.#obey(node, reply.actions);
    return reply.response;
  }

  #lie(liar: WorldNode, bytes: Bytes): Bytes {
    const request = decodeRequest(this.network, bytes);
    const liars = this.nodes.filter(({ behaviour }) => behaviour === "liar");
    switch (request.type) {
      case "find_node":
      case "find_value": {
        const target = request.type === "find_node"
          ? request.target
          : request.key;
        const named = closestTo(
          target,
          liars,
          this.network.k,
          ({ record }) => record.nodeId,
        );
        return encodeResponse({
          type: "nodes",
          records: named.map(({ record }) => record.encoded),
        });
      }
      case "list_relays":
        return encodeResponse({
          type: "relays",
          records: liars.slice(0, 40).map(({ record }) => record.encoded),
          cursor: liar.record.nodeId.slice(0, 8),
          more: false,
        });
      default:
        return encodeResponse({ type: "done" });
    }
  }

  #verify(node: WorldNode, verifyId: number, encoded: readonly Bytes[]): void {
    const records: NodeRecord[] = [];
    let lie: string | undefined;
    for (const bytes of encoded) {
      const record = this.#known.get(encodedKey(bytes));
      if (record === undefined) {
        lie = "auth.record_signature";
        break;
      }
      records.push(record);
    }
    this.#at(0, () => {
      const { nowMs, unixMs } = this;
      const verified = { records, lie };
      this.#obey(
        node,
        node.machine.onVerified(verifyId, verified, nowMs, unixMs),
      );
    });
  }

  #setTimer(node: WorldNode): void {
    const due = node.machine.deadlineMs;
    if (due >= node.timerMs || node.behaviour === "dead") return;
    node.timerMs = due;
    this.#at(Math.max(0, due - this.nowMs), () => {
      if (node.timerMs !== due || node.behaviour === "dead") return;
      node.timerMs = Infinity;
      this.#obey(node, node.machine.onTime(this.nowMs, this.unixMs));
    });
  }

  #delayMs(): number {
    return Math.round(randomBetween(this.random, 10, 100));
  }

  #at(delayMs: number, run: () => void): void {
    this.#events.schedule(delayMs, run);
  }
}

/** Half of a signature: no two records share it. */
function encodedKey(encoded: Uint8Array): string {
  return pointKey(encoded.subarray(-120));
}
