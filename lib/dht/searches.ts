/**
 * Look-ups under way: each one's questions become calls, each answer is checked
 * and goes back into its look-up.
 *
 *     Nodes{records} ─▶ check ─▶ heard of, and the look-up
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
import type { CallAnswer } from "./calls.ts";
import type { VerifiedRecords } from "./dht_action.ts";
import type { DhtKey } from "./records/distance.ts";
import { Lookup, type LookupAction } from "./lookup/lookup.ts";
import type { DhtRequest } from "./messages.ts";
import type { PartAction } from "./part_action.ts";
import {
  checkStoredRecord,
  type StoredRecord,
} from "./records/stored_record.ts";

/** What searches are made of. */
interface SearchesOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly selfId: NodeId;
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

/** What searches ask for: calls and checks, and at its end what it was for goes on. */
export type SearchAction<Purpose> =
  | PartAction
  | {
    readonly type: "found";
    readonly lookup: Lookup;
    readonly purpose: Purpose;
  };

interface Search<Purpose> {
  readonly searchId: number;
  readonly goal: Goal;
  readonly lookup: Lookup;
  readonly purpose: Purpose;
  /** Records that were found right: most nodes answer with the same. */
  readonly checked: StoredRecord[];
}

/** Most records that a search remembers. */
const MAX_CHECKED = 8;

/** Tuning: a node that was asked has failed by then. */
const ANSWER_MS = 5 * 1000;

/** Codes of records that an honest node may hold on to a moment too long. */
const STALE_CODES = new Set(["dht.record_expired", "dht.record_future"]);

/** All look-ups of a node. */
export class Searches<Purpose> {
  readonly #options: SearchesOptions;
  readonly #searches = new Map<number, Search<Purpose>>();
  #nextId = 1;

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
    for (const { lookup } of this.#searches.values()) {
      due = Math.min(due, lookup.deadlineMs);
    }
    return due;
  }

  /** Begin a look-up. Ends with `found`, perhaps at once. */
  begin(goal: Goal, purpose: Purpose, at: Moment): SearchAction<Purpose>[] {
    const { network, selfId } = this.#options;
    const searchId = this.#nextId++;
    const lookup = new Lookup({ network, selfId, ...goal });
    const search = { searchId, goal, lookup, purpose, checked: [] };
    this.#searches.set(searchId, search);
    return this.#follow(search, lookup.start(at.nowMs), at);
  }

  /** Time has come for some of them. */
  onTime(at: Moment): SearchAction<Purpose>[] {
    const actions: SearchAction<Purpose>[] = [];
    for (const search of this.#searches.values()) {
      const { lookup } = search;
      if (lookup.deadlineMs > at.nowMs) continue;
      actions.push(...this.#follow(search, lookup.onTime(at.nowMs), at));
    }
    return actions;
  }

  /**
   * A call has ended. After its look-up's end it tells no more than whether its node
   * is alive.
   *
   * @param answer `undefined` when there was none, or none as the protocol has it.
   */
  onEnd(
    searchId: number,
    node: NodeRecord,
    answer: CallAnswer | undefined,
    at: Moment,
  ): SearchAction<Purpose>[] {
    const search = this.#searches.get(searchId);
    if (search === undefined) return [];
    if (answer === undefined) return this.#fail(search, node, at);
    const { response, address } = answer;
    if (response.type === "nodes") {
      const purpose = {
        part: "search",
        searchId,
        from: node,
        address,
      } as const;
      return [{ type: "check", encoded: response.records, purpose }];
    }
    if (response.type === "value") {
      return this.#onValue(search, node, response.records, address, at);
    }
    return this.#fail(search, node, at);
  }

  /** The records that a node answered with were verified. */
  onVerified(
    searchId: number,
    node: NodeRecord,
    address: SocketAddress,
    { records, lie }: VerifiedRecords,
    at: Moment,
  ): SearchAction<Purpose>[] {
    const { nodeId } = node;
    const actions: SearchAction<Purpose>[] = records.map((record) => ({
      type: "heard",
      record,
      from: nodeId,
    }));
    const search = this.#searches.get(searchId);
    if (lie !== undefined) {
      actions.push({ type: "broken", nodeId, code: lie });
      if (search !== undefined) actions.push(...this.#fail(search, node, at));
    } else if (search !== undefined) {
      const { nowMs } = at;
      const next = search.lookup.onNodes(node, records, address, nowMs);
      actions.push(...this.#follow(search, next, at));
    }
    return actions;
  }

  #follow(
    { searchId, goal, lookup, purpose }: Search<Purpose>,
    actions: readonly LookupAction[],
    { nowMs }: Moment,
  ): SearchAction<Purpose>[] {
    return actions.map((action) => {
      if (action.type === "done") {
        this.#searches.delete(searchId);
        return { type: "found", lookup, purpose };
      }
      return {
        type: "call",
        to: action.record,
        request: request(goal),
        dueMs: nowMs + ANSWER_MS,
        purpose: { part: "search", searchId },
      };
    });
  }

  #fail(
    search: Search<Purpose>,
    node: NodeRecord,
    at: Moment,
  ): SearchAction<Purpose>[] {
    return this.#follow(search, search.lookup.onFailure(node, at.nowMs), at);
  }

  #onValue(
    search: Search<Purpose>,
    node: NodeRecord,
    encoded: readonly Bytes[],
    address: SocketAddress,
    at: Moment,
  ): SearchAction<Purpose>[] {
    const { goal, lookup } = search;
    if (goal.kind !== "value") return this.#fail(search, node, at);
    let records: StoredRecord[];
    try {
      records = this.#check(search, goal, encoded, at.unixMs);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return [
        { type: "broken", nodeId: node.nodeId, code: error.code },
        ...this.#fail(search, node, at),
      ];
    }
    const actions = records.length > 0
      ? lookup.onValue(node, records, address, at.nowMs)
      : lookup.onNodes(node, [], address, at.nowMs);
    return this.#follow(search, actions, at);
  }

  #check(
    { checked }: Search<Purpose>,
    { target, publisher }: ValueGoal,
    encoded: readonly Bytes[],
    unixMs: number,
  ): StoredRecord[] {
    const { crypto, network } = this.#options;
    const records: StoredRecord[] = [];
    for (const bytes of encoded) {
      try {
        const known = checked.find((record) =>
          record.expiry > unixMs && equalBytes(record.encoded, bytes)
        );
        const record = known ??
          checkStoredRecord(crypto, network, bytes, target, unixMs);
        if (known === undefined && checked.length < MAX_CHECKED) {
          checked.push(record);
        }
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
