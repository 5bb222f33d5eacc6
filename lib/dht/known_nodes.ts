/**
 * Whom a node knows: contacts, listed relays and rumours, and those that it keeps
 * out; whom it tries to reach next, and when it asks to be introduced.
 *
 *     linked to us ─▶ considered ─▶ ping ─▶ alive ─▶ a contact, and listed
 *     named ────────▶ a rumour ───▶ ping ─▶ alive ─▶ listed ─▶ drawn for a bucket with room
 *     silent ───────▶ leaves the table, doubted in the list; the last contact: bootstrap
 *     broken ───────▶ kept out
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { equalBytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { type Random, sampled } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { BootstrapPace } from "./bootstrap_pace.ts";
import { CALL_MS } from "./calls.ts";
import { type CallAction, NO_PURPOSE, type PartAction } from "./part_action.ts";
import { pointKey } from "./records/distance.ts";
import { type MergeOutcome, RelayList } from "./relay_list.ts";
import { RelayReach } from "./relay_reach.ts";
import { Blamed } from "./table/blamed.ts";
import { isRelay, listedAddress } from "./table/contact.ts";
import { RoutingTable, type TableAction } from "./table/routing_table.ts";
import { TableFill } from "./table_fill.ts";

/** Tuning: relays of the list that are tried each time. */
const BOOTSTRAP_RELAYS = 8;

/** What it is made of. */
interface KnownNodesOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly random: Random;
  readonly selfId: NodeId;
  readonly selfPlace: Place;
  /** Most relays in the list. Default: that of a relay. */
  readonly maxRelays?: number;
}

/** What became of a record that was heard of. */
interface Learned {
  readonly outcome: MergeOutcome;
  readonly actions: PartAction[];
}

/** All nodes that a node knows. */
export class KnownNodes {
  readonly table: RoutingTable;
  /** All relays we have reached, and those we have heard of. */
  readonly relays: RelayList;
  /** Those that broke the protocol. */
  readonly #blamed = new Blamed();
  readonly #random: Random;
  readonly #selfId: NodeId;
  readonly #fill: TableFill;
  readonly #reach: RelayReach;
  readonly #pace = new BootstrapPace();

  constructor(options: KnownNodesOptions) {
    const { crypto, network, random, selfId, selfPlace, maxRelays } = options;
    this.#random = random;
    this.#selfId = selfId;
    this.table = new RoutingTable({ network, random, selfId, selfPlace });
    this.relays = new RelayList({
      crypto,
      random,
      ...maxRelays !== undefined && { maxRelays },
    });
    const { table, relays } = this;
    const blamed = this.#blamed;
    this.#fill = new TableFill({ random, table, relays, blamed });
    this.#reach = new RelayReach({ random, selfId, relays, blamed });
  }

  /** When to call {@linkcode onTime} next; `Infinity` before {@linkcode start}. */
  get deadlineMs(): number {
    return Math.min(
      this.#pace.deadlineMs,
      this.#fill.deadlineMs,
      this.#reach.deadlineMs,
      this.table.deadlineMs,
    );
  }

  /**
   * Begin.
   *
   * @param known Relays of an earlier run, verified anew.
   */
  start(known: Iterable<NodeRecord>, at: Moment): PartAction[] {
    for (const record of known) this.relays.merge(record, at.nowMs);
    this.#reach.start(at.nowMs);
    return this.#bootstrap(at);
  }

  /** A node may enter the table: it linked to us, or was drawn from the list. */
  consider(record: NodeRecord, nowMs: number): PartAction[] {
    if (this.#blamed.has(record.nodeId, nowMs)) return [];
    return pings(this.table.consider(record, nowMs), nowMs);
  }

  /** A link was lost: see whether its node still answers. */
  onLinkLost(id: NodeId, nowMs: number): CallAction[] {
    const contact = this.table.get(id);
    return contact === undefined ? [] : [ping(contact.record, nowMs)];
  }

  /**
   * A verified record from any node: for the list, once we have reached its relay,
   * and perhaps for the table.
   *
   * @param isComplete Whether the list has been asked for, so that a newcomer is drawn fairly.
   */
  learn(
    record: NodeRecord,
    from: NodeId,
    isComplete: boolean,
    at: Moment,
  ): Learned {
    const { nodeId } = record;
    const { nowMs } = at;
    if (equalBytes(nodeId, this.#selfId) || this.#blamed.has(nodeId, nowMs)) {
      return { outcome: "known", actions: [] };
    }
    const outcome = this.relays.merge(record, nowMs);
    // What is known to the list came to the table the same way.
    if (outcome !== "known") this.table.renew(record);
    const isWanted = isRelay(record) && outcome !== "known" &&
      outcome !== "too_soon" && !this.relays.isListed(nodeId);
    if (isWanted) this.#reach.want(record, pointKey(from));
    const actions = isWanted ? this.#reachRelays(at) : [];
    const isFill = outcome === "added" && isComplete &&
      this.table.vacancyFor(record) !== undefined;
    if (isFill) this.#fill.hurry(nowMs);
    return { outcome, actions };
  }

  /**
   * A node answered a request of ours.
   *
   * @param address The other end of the link.
   */
  onAlive(
    node: NodeRecord,
    address: SocketAddress,
    { nowMs }: Moment,
  ): PartAction[] {
    if (this.#blamed.has(node.nodeId, nowMs)) return [];
    const wasAlone = this.table.size === 0;
    this.table.onAlive(node, address, nowMs);
    const actions: PartAction[] = [];
    if (isRelay(node) && listedAddress(node, address) !== undefined) {
      const before = this.relays.listed;
      this.relays.prove(node, nowMs);
      actions.push({ type: "reached", record: node });
      const isBack = this.relays.listed > before &&
        this.table.vacancyFor(node) !== undefined;
      if (isBack) this.#fill.hurry(nowMs);
    }
    if (wasAlone && this.table.size > 0) {
      this.#pace.stop();
      actions.push({ type: "first_contact" });
    }
    return actions;
  }

  /** A node did not answer. */
  onSilent(node: NodeRecord, { nowMs }: Moment): PartAction[] {
    const { nodeId } = node;
    const before = this.table.size;
    const actions = pings(this.table.onFailure(nodeId, nowMs), nowMs);
    if (this.table.get(nodeId) === undefined) {
      this.relays.doubt(nodeId, nowMs, node);
    }
    if (this.table.size < before) this.#onContactLost(nowMs);
    return actions;
  }

  /** A node broke the protocol. */
  onBroken(nodeId: NodeId, { nowMs }: Moment): void {
    this.relays.doubt(nodeId, nowMs);
    this.relays.unlist(nodeId);
    this.#blamed.add(nodeId, nowMs);
    const before = this.table.size;
    this.table.remove(nodeId);
    if (this.table.size < before) this.#onContactLost(nowMs);
  }

  /** A relay that was to be reached has answered, or has not. */
  onReachEnd(
    record: NodeRecord,
    hasAnswered: boolean,
    at: Moment,
  ): PartAction[] {
    const isReached = hasAnswered && this.relays.isListed(record.nodeId);
    // It answers, but not where it says that it is.
    if (hasAnswered && !isReached) {
      this.relays.doubt(record.nodeId, at.nowMs, record);
    }
    this.#reach.onEnd(record, isReached);
    return this.#reachRelays(at);
  }

  /** Draw from the list for buckets that have room. @param rounds Of asking for lists, so far. */
  fillTable(rounds: number, at: Moment): PartAction[] {
    const { nowMs } = at;
    return this.#fill.draw(rounds, at)
      .flatMap((record) => pings(this.table.consider(record, nowMs), nowMs));
  }

  /** Time has come. @param rounds Of asking for lists, so far. */
  onTime(rounds: number, at: Moment): PartAction[] {
    const { nowMs } = at;
    return [
      ...pings(this.table.onTime(nowMs), nowMs),
      ...nowMs >= this.#pace.deadlineMs ? this.#bootstrap(at) : [],
      ...nowMs >= this.#fill.deadlineMs ? this.fillTable(rounds, at) : [],
      ...nowMs >= this.#reach.deadlineMs ? this.#reachRelays(at) : [],
    ];
  }

  #onContactLost(nowMs: number): void {
    this.#fill.hurry(nowMs);
    if (this.table.size === 0) this.#pace.onAlone(nowMs);
  }

  /** No contact is known: try relays of the list, and have the driver try what it has. */
  #bootstrap({ nowMs, unixMs }: Moment): PartAction[] {
    if (this.table.size > 0) {
      this.#pace.stop();
      return [];
    }
    // Also those that were silent: perhaps it was our own line that was dead.
    const known = Array.from(this.relays.records(unixMs))
      .filter(({ nodeId }) => !equalBytes(nodeId, this.#selfId));
    this.#pace.onTry(nowMs);
    const relays = sampled(this.#random, known, BOOTSTRAP_RELAYS);
    return [{ type: "bootstrap", relays }];
  }

  #reachRelays(at: Moment): PartAction[] {
    return this.#reach.next(at).map((to) => ({
      ...ping(to, at.nowMs),
      purpose: { part: "reach" },
      isAtAddress: true,
    }));
  }
}

function ping(to: NodeRecord, nowMs: number): CallAction {
  return {
    type: "call",
    to,
    request: { type: "ping" },
    dueMs: nowMs + CALL_MS,
    purpose: NO_PURPOSE,
  };
}

function pings(actions: readonly TableAction[], nowMs: number): PartAction[] {
  return actions.map(({ record }) => ping(record, nowMs));
}
