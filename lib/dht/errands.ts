/**
 * What a node looks up, for callers and for itself. An errand is a look-up and what
 * follows from it:
 *
 *     join ──────────────────▶ look-up of our place ─▶ joined_place
 *     find_node, find_value ─▶ look-up ─▶ nodes, values
 *     put ───────────────────▶ look-up ─▶ copies ─▶ stored
 *     refresh, republish ────▶ wait for their turn ─▶ look-up (─▶ copies)
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { NodeId, PublicKey } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { CallAnswer } from "./calls.ts";
import { type Chore, Chores } from "./chores.ts";
import { Copies, type CopiesMade, type CopyAction } from "./copies.ts";
import type { VerifiedRecords } from "./dht_action.ts";
import type { Lookup } from "./lookup/lookup.ts";
import type { PartAction } from "./part_action.ts";
import type { DhtKey } from "./records/distance.ts";
import { FROM_CIRCUITS, type RecordStore } from "./records/record_store.ts";
import {
  decodeStoredRecord,
  type StoredRecord,
} from "./records/stored_record.ts";
import { type SearchAction, Searches } from "./searches.ts";
import type { RoutingTable } from "./table/routing_table.ts";

/** Tuning: tasks of others under way at once: circuits can ask for any number. */
export const MAX_TASKS = 128;

/** What errands are made of. */
interface ErrandsOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly selfId: NodeId;
  readonly selfPlace: Place;
  /** Look-ups begin at its contacts; its buckets are refreshed. */
  readonly table: RoutingTable;
  /** What it holds is handed on, and is a result of look-ups. */
  readonly store: RecordStore;
}

/** What a look-up is for. */
type Errand =
  | { readonly type: "join" }
  | { readonly type: "refresh" }
  | { readonly type: "republish"; readonly records: readonly Bytes[] }
  | { readonly type: "find_node"; readonly taskId: number }
  | { readonly type: "find_value"; readonly taskId: number }
  | {
    readonly type: "put";
    readonly taskId: number;
    readonly record: StoredRecord;
  };

/** A task begun for a caller: its result comes as an action with this number. */
interface Task {
  readonly taskId: number;
  readonly actions: PartAction[];
}

/** Look-ups, and what follows from each. */
export class Errands {
  readonly #options: ErrandsOptions;
  readonly #searches: Searches<Errand>;
  readonly #copies: Copies<Errand>;
  readonly #chores = new Chores();
  #tasks = 0;
  #nextTaskId = 1;

  constructor(options: ErrandsOptions) {
    this.#options = options;
    this.#searches = new Searches(options);
    this.#copies = new Copies(options);
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    const { table, store } = this.#options;
    return Math.min(
      table.refreshMs,
      store.deadlineMs,
      this.#searches.deadlineMs,
      this.#copies.deadlineMs,
    );
  }

  /** Look-ups under way. */
  get lookups(): number {
    return this.#searches.size;
  }

  /** Look for our own neighbourhood. */
  join(at: Moment): PartAction[] {
    return this.#lookNear(this.#options.selfPlace, { type: "join" }, at);
  }

  /** Look near a point in its turn, to fill the bucket that it is in. */
  refresh(target: Place, at: Moment): PartAction[] {
    this.#chores.add({ type: "refresh", target });
    return this.#runChores(at);
  }

  /** Find the k nodes closest to a target. Ends with `nodes`. */
  findNode(target: Place | DhtKey, at: Moment): Task {
    return this.#task((taskId) =>
      this.#lookNear(target, { type: "find_node", taskId }, at)
    );
  }

  /**
   * Find the records under a key. Ends with `values`.
   *
   * @param publisher Only this one's.
   */
  findValue(
    target: DhtKey,
    publisher: PublicKey | undefined,
    at: Moment,
  ): Task {
    return this.#task((taskId) => {
      const held = this.#options.store.get(target, at.unixMs, publisher)
        .map(decodeStoredRecord);
      const seeds = this.#seeds(target);
      const goal = { kind: "value", target, publisher, seeds, held } as const;
      const errand = { type: "find_value", taskId } as const;
      return this.#follow(this.#searches.begin(goal, errand, at), at);
    });
  }

  /** Store a record on the k nodes closest to its key. Ends with `stored`. */
  put(record: StoredRecord, at: Moment): Task {
    return this.#task((taskId) =>
      this.#lookNear(record.key, { type: "put", taskId, record }, at)
    );
  }

  /** A question of a look-up has its answer, or has none. */
  onSearchEnd(
    searchId: number,
    node: NodeRecord,
    answer: CallAnswer | undefined,
    at: Moment,
  ): PartAction[] {
    const actions = this.#searches.onEnd(searchId, node, answer, at);
    return this.#goOn(actions, at);
  }

  /** Records that a node answered a look-up with were verified. */
  onVerified(
    searchId: number,
    node: NodeRecord,
    address: SocketAddress,
    verified: VerifiedRecords,
    at: Moment,
  ): PartAction[] {
    const searches = this.#searches;
    const actions = searches.onVerified(searchId, node, address, verified, at);
    return this.#goOn(actions, at);
  }

  /** A node was asked to hold a copy. */
  onCopyEnd(
    placementId: number,
    answer: CallAnswer | undefined,
    at: Moment,
  ): PartAction[] {
    const actions = this.#copies.onEnd(placementId, answer?.response);
    return this.#goOn(actions, at);
  }

  /** Time has come, for look-ups, or for housekeeping. */
  onTime(at: Moment): PartAction[] {
    const { nowMs, unixMs } = at;
    const { table, store } = this.#options;
    const actions = [
      ...this.#follow(this.#searches.onTime(at), at),
      ...this.#follow(this.#copies.onTime(at), at),
    ];
    for (const key of store.onTime(nowMs, unixMs)) {
      this.#chores.add({ type: "republish", key });
    }
    const target = table.refreshTarget(nowMs);
    if (target !== undefined) {
      table.onLookup(target, nowMs);
      this.#chores.add({ type: "refresh", target });
    }
    return [...actions, ...this.#runChores(at)];
  }

  /** Number a task of a caller, and count it until its end. */
  #task(begin: (taskId: number) => PartAction[]): Task {
    const taskId = this.#nextTaskId++;
    if (this.#tasks >= MAX_TASKS) {
      return { taskId, actions: [{ type: "busy", taskId }] };
    }
    this.#tasks++;
    return { taskId, actions: begin(taskId) };
  }

  #lookNear(target: Place | DhtKey, errand: Errand, at: Moment): PartAction[] {
    this.#options.table.onLookup(target, at.nowMs);
    const goal = { kind: "node", target, seeds: this.#seeds(target) } as const;
    return this.#follow(this.#searches.begin(goal, errand, at), at);
  }

  #seeds(target: Place | DhtKey): NodeRecord[] {
    const { table, network } = this.#options;
    return table.closest(target, network.k).map(({ record }) => record);
  }

  /** Follow what came in; where a chore has ended by it, others begin. */
  #goOn(
    actions: readonly (SearchAction<Errand> | CopyAction<Errand>)[],
    at: Moment,
  ): PartAction[] {
    return [...this.#follow(actions, at), ...this.#runChores(at)];
  }

  #follow(
    actions: readonly (SearchAction<Errand> | CopyAction<Errand>)[],
    at: Moment,
  ): PartAction[] {
    return actions.flatMap((action) => {
      switch (action.type) {
        case "found":
          return this.#onFound(action.lookup, action.purpose, at);
        case "placed":
          return this.#onPlaced(action.made, action.purpose);
        default:
          return [action];
      }
    });
  }

  #onFound(lookup: Lookup, errand: Errand, at: Moment): PartAction[] {
    const { hops, askedCount: asked } = lookup;
    switch (errand.type) {
      case "join":
        return lookup.closest.length > 0 ? [{ type: "joined_place" }] : [];
      case "refresh":
        this.#chores.onEnd();
        return [];
      case "republish":
        return this.#place(errand.records, "", lookup, errand, at);
      case "find_node": {
        const { taskId } = errand;
        const { closest } = lookup;
        this.#tasks--;
        return [{ type: "nodes", taskId, closest, hops, asked }];
      }
      case "find_value": {
        const { taskId } = errand;
        const { values: records } = lookup;
        this.#tasks--;
        return [
          ...this.#copies.restore(lookup, at),
          { type: "values", taskId, records, hops, asked },
        ];
      }
      case "put": {
        const records = [errand.record.encoded];
        return this.#place(records, FROM_CIRCUITS, lookup, errand, at);
      }
    }
  }

  #place(
    records: readonly Bytes[],
    from: string,
    lookup: Lookup,
    errand: Errand,
    at: Moment,
  ): PartAction[] {
    const actions = this.#copies.place(records, from, lookup, errand, at);
    return this.#follow(actions, at);
  }

  #onPlaced(made: CopiesMade, errand: Errand): PartAction[] {
    if (errand.type === "put") {
      this.#tasks--;
      return [{ type: "stored", taskId: errand.taskId, ...made }];
    }
    this.#chores.onEnd();
    return [];
  }

  /**
   * Begin the chores whose turn it is. One that ends at once makes room for the next
   * in this loop: a node that is alone ends ten thousand of them so.
   */
  #runChores(at: Moment): PartAction[] {
    const actions: PartAction[] = [];
    for (
      let chore = this.#chores.next();
      chore !== undefined;
      chore = this.#chores.next()
    ) actions.push(...this.#beginChore(chore, at));
    return actions;
  }

  #beginChore(chore: Chore, at: Moment): PartAction[] {
    if (chore.type === "refresh") {
      return this.#lookNear(chore.target, { type: "refresh" }, at);
    }
    const { key } = chore;
    const records = this.#options.store.get(key, at.unixMs);
    if (records.length > 0) {
      return this.#lookNear(key, { type: "republish", records }, at);
    }
    this.#chores.onEnd();
    return [];
  }
}
