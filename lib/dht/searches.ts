/**
 * Look-ups under way: each one's questions become calls, each answer is checked
 * and goes back into its look-up.
 *
 *     Nodes{records} ─▶ verify ─▶ the look-up, and the watcher
 *     Value{records} ─▶ key, dates, signature ─▶ the look-up
 *     a lie ─▶ the answer counts as none, and the node is blamed
 *
 * @see protocol §4.3 "Requests and responses", §4.6 "Look-ups"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { Calls } from "./calls.ts";
import type { DhtKey } from "./records/distance.ts";
import { Lookup, type LookupAction } from "./lookup/lookup.ts";
import type { DhtRequest } from "./messages.ts";
import {
  checkStoredRecord,
  type StoredRecord,
} from "./records/stored_record.ts";

/** Whom searches tell what they find out of nodes. */
interface SearchWatcher {
  /** A node gave a false answer. */
  onBroken(id: NodeId, code: string, at: Moment): void;
  /** A verified record that a node named. */
  onHeard(record: NodeRecord, from: NodeId, at: Moment): void;
}

/** What searches need from the node. */
interface SearchesOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly selfId: NodeId;
  readonly calls: Calls;
  readonly watcher: SearchWatcher;
}

/** What is looked for. */
type Goal = NodeGoal | ValueGoal;

/** Nodes near a target. */
interface NodeGoal {
  readonly kind: "node";
  readonly target: Place | DhtKey;
  /** Own contacts to begin with, closest first. */
  readonly seeds: readonly NodeRecord[];
}

/** Records under a key. */
interface ValueGoal {
  readonly kind: "value";
  readonly target: DhtKey;
  readonly seeds: readonly NodeRecord[];
  /** Only this publisher's records. */
  readonly publisher: PublicKey | undefined;
  /** Records that we hold ourselves. */
  readonly held: readonly StoredRecord[];
}

interface Search {
  readonly goal: Goal;
  readonly lookup: Lookup;
  readonly done: (lookup: Lookup, at: Moment) => void;
}

/** Tuning: a node that was asked has failed by then. */
const ANSWER_MS = 5 * 1000;

/** Codes of records that an honest node may hold on to a moment too long. */
const STALE_CODES = new Set(["dht.record_expired", "dht.record_future"]);

/** All look-ups of a node. */
export class Searches {
  readonly #options: SearchesOptions;
  readonly #searches = new Set<Search>();

  constructor(options: SearchesOptions) {
    this.#options = options;
  }

  /** Look-ups under way. */
  get size(): number {
    return this.#searches.size;
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { lookup } of this.#searches) {
      due = Math.min(due, lookup.deadlineMs);
    }
    return due;
  }

  /** Begin a look-up; `done` is called once, perhaps at once. */
  begin(
    goal: Goal,
    at: Moment,
    done: (lookup: Lookup, at: Moment) => void,
  ): void {
    const { network, selfId } = this.#options;
    const lookup = new Lookup({ network, selfId, ...goal });
    const search: Search = { goal, lookup, done };
    this.#searches.add(search);
    this.#follow(search, lookup.start(at.nowMs), at);
  }

  /** Time has come for some of them. */
  onTime(at: Moment): void {
    for (const search of this.#searches) {
      const { lookup } = search;
      if (lookup.deadlineMs > at.nowMs) continue;
      this.#follow(search, lookup.onTime(at.nowMs), at);
    }
  }

  #follow(search: Search, actions: readonly LookupAction[], at: Moment): void {
    for (const action of actions) {
      switch (action.type) {
        case "ask":
          this.#ask(search, action.record, at);
          break;
        case "done":
          this.#searches.delete(search);
          search.done(search.lookup, at);
      }
    }
  }

  /** An answer after the look-up's end still tells that its node is alive. */
  #ask(search: Search, node: NodeRecord, { nowMs }: Moment): void {
    const { goal, lookup } = search;
    const { calls } = this.#options;
    calls.call(node, request(goal), nowMs + ANSWER_MS, {
      onAnswer: (response, address, at) => {
        if (lookup.isDone) return;
        if (response.type === "nodes") {
          this.#onNodes(search, node, response.records, address, at);
        } else if (response.type === "value") {
          this.#onValue(search, node, response.records, address, at);
        } else this.#fail(search, node, at);
      },
      onFailure: (at) => this.#fail(search, node, at),
    });
  }

  #fail(search: Search, node: NodeRecord, at: Moment): void {
    this.#follow(search, search.lookup.onFailure(node, at.nowMs), at);
  }

  #onNodes(
    search: Search,
    node: NodeRecord,
    encoded: readonly Bytes[],
    address: SocketAddress,
    at: Moment,
  ): void {
    const isWaiting = this.#options.calls.verify(
      encoded,
      ({ records, lie }, at) => {
        const { watcher } = this.#options;
        for (const record of records) watcher.onHeard(record, node.nodeId, at);
        if (lie !== undefined) {
          watcher.onBroken(node.nodeId, lie, at);
          return this.#fail(search, node, at);
        }
        const { nowMs } = at;
        const actions = search.lookup.onNodes(node, records, address, nowMs);
        this.#follow(search, actions, at);
      },
    );
    if (!isWaiting) this.#fail(search, node, at);
  }

  #onValue(
    search: Search,
    node: NodeRecord,
    encoded: readonly Bytes[],
    address: SocketAddress,
    at: Moment,
  ): void {
    const { goal } = search;
    if (goal.kind !== "value") return this.#fail(search, node, at);
    let records: StoredRecord[];
    try {
      records = this.#check(goal, encoded, at.unixMs);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#options.watcher.onBroken(node.nodeId, error.code, at);
      return this.#fail(search, node, at);
    }
    const { lookup } = search;
    const actions = records.length > 0
      ? lookup.onValue(node, records, address, at.nowMs)
      : lookup.onNodes(node, [], address, at.nowMs);
    this.#follow(search, actions, at);
  }

  #check(
    { target, publisher }: ValueGoal,
    encoded: readonly Bytes[],
    unixMs: number,
  ): StoredRecord[] {
    const { crypto, network } = this.#options;
    const records: StoredRecord[] = [];
    for (const bytes of encoded) {
      try {
        const record = checkStoredRecord(
          crypto,
          network,
          bytes,
          target,
          unixMs,
        );
        const isWanted = publisher === undefined ||
          equalBytes(publisher, record.publisher);
        if (isWanted) records.push(record);
      } catch (error) {
        const isStale = error instanceof ProtocolError &&
          STALE_CODES.has(error.code);
        if (!isStale) throw error;
      }
    }
    return records;
  }
}

function request(goal: Goal): DhtRequest {
  const { kind, target } = goal;
  if (kind === "node") return { type: "find_node", target };
  const { publisher } = goal;
  return {
    type: "find_value",
    key: target,
    ...publisher !== undefined && { publisher },
  };
}
