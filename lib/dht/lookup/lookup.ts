/**
 * One iterative look-up of the nodes closest to a target, or of the records
 * under it (Kademlia §2.3), over disjoint paths (S/Kademlia §4.4):
 *
 *     our closest contacts ─┬─ path 0 ─ ask ─ closer ─ ask ─ … ─ its closest have answered ─┐
 *                           ├─ path 1 ─ ask ─ closer ─ ask ─ …                              ├─ merge
 *                           └─ path 2 ─ …                                                   ┘
 *
 * A node is asked once and on one path alone, so a liar can lead one path astray,
 * not three. In the end the paths are laid together, and the k closest that any
 * of them named are asked too.
 *
 * Nothing that is answered can make it go on for ever: the nodes asked, the rounds
 * without progress and the time have limits.
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { Place } from "../../auth/proof_of_work.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { addressGroup, DHT_PREFIX } from "../../auth/subnet.ts";
import { AnswerTimes } from "./answer_times.ts";
import { type Asked, isSettled, LookupPath, vouch } from "./lookup_path.ts";
import { isRelay } from "../table/contact.ts";
import { compareDistance, type DhtKey, pointKey } from "../records/distance.ts";
import { nodeKey } from "../table/node_key.ts";
import type { StoredRecord } from "../records/stored_record.ts";

/** Tuning: the whole look-up. */
export const LOOKUP_MS = 30 * 1000;
/** Tuning: nodes of one subnet that are asked, where subnets count. */
export const MAX_ASKED_PER_GROUP = 3;

/** What a look-up asks its driver to do. */
export type LookupAction =
  /** Ask this node; call `onNodes`, `onValue` or `onFailure`. */
  | { readonly type: "ask"; readonly record: NodeRecord }
  /** The end; the results are in the fields. */
  | { readonly type: "done" };

/** What a look-up is made of. */
export interface LookupOptions {
  readonly network: NetworkParameters;
  /** Never asked, whatever others say. */
  readonly selfId: NodeId;
  readonly target: Place | DhtKey;
  /** Own contacts to begin with, closest first. */
  readonly seeds: readonly NodeRecord[];
  /** Records under the target that we hold ourselves, checked like any others. */
  readonly held?: readonly StoredRecord[];
  /** Nodes alone, or a record that the first who is asked may have. Default `"node"`. */
  readonly kind?: "node" | "value";
}

/** A look-up, from the first question to the result. */
export class Lookup {
  readonly target: Place | DhtKey;
  readonly #network: NetworkParameters;
  readonly #kind: "node" | "value";
  readonly #selfKey: string;
  readonly #seeds: readonly NodeRecord[];
  readonly #paths: LookupPath[] = [];
  readonly #asked = new Map<string, Asked>();
  /** Answers per subnet, where subnets count. */
  readonly #groups = new Map<string, number>();
  /** The newest record of each publisher, by its key. */
  readonly #values = new Map<string, StoredRecord>();
  readonly #times = new AnswerTimes();
  #merged: LookupPath | undefined;
  /** Whether any node had a value. */
  #hasFound = false;
  #endMs = Infinity;
  #isDone = false;

  constructor(options: LookupOptions) {
    this.target = options.target;
    this.#network = options.network;
    this.#kind = options.kind ?? "node";
    this.#selfKey = pointKey(options.selfId);
    this.#seeds = options.seeds;
    for (const record of options.held ?? []) this.#keepValue(record);
  }

  /** Whether it has ended. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** When to call {@linkcode onTime} next; `undefined` once done. */
  get deadlineMs(): number {
    if (this.#isDone) return Infinity;
    let due = this.#endMs;
    const { stallMs, patienceMs } = this.#times;
    for (const { state, sentMs } of this.#asked.values()) {
      if (state === "waiting") due = Math.min(due, sentMs + stallMs);
      else if (state === "stalled") due = Math.min(due, sentMs + patienceMs);
    }
    return due;
  }

  /** Nodes asked so far. */
  get askedCount(): number {
    return this.#asked.size;
  }

  /** Most steps from a contact of our own to a node among the closest; 0 without any. */
  get hops(): number {
    const answered = this.#answered().slice(0, this.#network.k);
    return answered.reduce((most, { hops }) => Math.max(most, hops), 0);
  }

  /** The closest nodes that answered, at most k, closest first. */
  get closest(): NodeRecord[] {
    return this.#answered().slice(0, this.#network.k)
      .map(({ record }) => record);
  }

  /** The newest record of each publisher that was found. */
  get values(): StoredRecord[] {
    return [...this.#values.values()];
  }

  /** The closest node that answered and had no value: where to put one. */
  get closestWithout(): NodeRecord | undefined {
    return this.#answered().find(({ lacksValue }) => lacksValue)?.record;
  }

  /** Begin. Without seeds it is done at once. */
  start(nowMs: number): LookupAction[] {
    this.#endMs = nowMs + LOOKUP_MS;
    const { k, disjointPaths } = this.#network;
    for (let index = 0; index < disjointPaths; index++) {
      this.#paths.push(this.#newPath(Math.ceil(k / disjointPaths)));
    }
    for (const [index, record] of this.#seeds.entries()) {
      const key = nodeKey(record);
      if (key === this.#selfKey) continue;
      const path = this.#paths[index % disjointPaths] as LookupPath;
      path.offer({ key, record, namedBy: [], vouchers: [] });
    }
    return this.#continue(nowMs);
  }

  /**
   * A node answered with the nodes closest to the target that it knows.
   *
   * @param closer Verified; no more than k are looked at.
   * @param address The other end of the link that the answer came over.
   */
  onNodes(
    from: NodeRecord,
    closer: readonly NodeRecord[],
    address: SocketAddress,
    nowMs: number,
  ): LookupAction[] {
    const asked = this.#take(from, address, nowMs);
    if (asked === undefined) return this.#continue(nowMs);
    asked.lacksValue = true;
    const { path } = asked;
    let isCloser = false;
    for (const record of closer.slice(0, this.#network.k)) {
      isCloser = this.#hear(path, record, asked) || isCloser;
    }
    path.onNamed({ isCloser });
    return this.#continue(nowMs);
  }

  /**
   * A node answered with records under the target.
   *
   * @param records Of this key, signed, not expired; at least one.
   */
  onValue(
    from: NodeRecord,
    records: readonly StoredRecord[],
    address: SocketAddress,
    nowMs: number,
  ): LookupAction[] {
    const asked = this.#take(from, address, nowMs);
    if (asked === undefined) return this.#continue(nowMs);
    for (const record of records.slice(0, this.#network.maxPublishers)) {
      this.#keepValue(record);
    }
    asked.path.end();
    this.#hasFound = true;
    this.#endMs = Math.min(this.#endMs, nowMs + this.#times.patienceMs);
    return this.#continue(nowMs);
  }

  /** A node did not answer, or not as the protocol has it. */
  onFailure(from: NodeRecord, nowMs: number): LookupAction[] {
    const asked = this.#asked.get(nodeKey(from));
    if (asked !== undefined) this.#fail(asked);
    return this.#continue(nowMs);
  }

  /** Time has come: for nodes that are slow, or for the end. */
  onTime(nowMs: number): LookupAction[] {
    if (this.#isDone) return [];
    if (nowMs >= this.#endMs) return this.#finish();
    const { stallMs, patienceMs } = this.#times;
    for (const asked of this.#asked.values()) {
      const { state, sentMs } = asked;
      if (state === "waiting" && sentMs + stallMs <= nowMs) {
        asked.state = "stalled";
        asked.path.doubt(asked);
      } else if (state === "stalled" && sentMs + patienceMs <= nowMs) {
        asked.state = "late";
      }
    }
    return this.#continue(nowMs);
  }

  /** Mark an answer; `undefined` when none was expected, or its subnet has had enough. */
  #take(
    from: NodeRecord,
    address: SocketAddress,
    nowMs: number,
  ): Asked | undefined {
    const asked = this.#asked.get(nodeKey(from));
    if (asked === undefined || isSettled(asked)) return undefined;
    if (!this.#network.allowPrivateAddresses) {
      const group = addressGroup(address, DHT_PREFIX);
      const answers = (this.#groups.get(group) ?? 0) + 1;
      if (answers > MAX_ASKED_PER_GROUP) {
        this.#fail(asked);
        return undefined;
      }
      this.#groups.set(group, answers);
    }
    for (const namer of asked.vouchers) namer.liveNamed++;
    if (asked.state !== "waiting") {
      for (const namer of asked.namedBy) namer.silentNamed--;
    }
    asked.state = "answered";
    this.#times.add(nowMs - asked.sentMs);
    return asked;
  }

  #fail(asked: Asked): void {
    if (isSettled(asked)) return;
    if (asked.state === "waiting") asked.path.doubt(asked);
    asked.state = "failed";
  }

  /** A path hears of a node; whether it is closer than any before. */
  #hear(path: LookupPath, record: NodeRecord, from: Asked): boolean {
    const key = nodeKey(record);
    if (key === this.#selfKey || !isRelay(record)) return false;
    const known = path.candidate(key);
    if (known !== undefined) {
      // A contact of our own needs no other node to vouch for it.
      const isOwn = known.namedBy.length === 0;
      if (!isOwn && !known.namedBy.includes(from)) known.namedBy.push(from);
      vouch(known, from);
      return false;
    }
    const asked = this.#asked.get(key);
    if (asked === undefined) {
      const named = { key, record, namedBy: [from], vouchers: [from] };
      return path.offer(named);
    }
    const isNew = asked !== from && vouch(asked, from);
    if (isNew && asked.state === "answered") from.liveNamed++;
    return false;
  }

  #keepValue(record: StoredRecord): void {
    const key = pointKey(record.publisher);
    const known = this.#values.get(key);
    if (known === undefined) {
      if (this.#values.size >= this.#network.maxPublishers * 3) return;
    } else if (known.sequence >= record.sequence) return;
    this.#values.set(key, record);
  }

  #continue(nowMs: number): LookupAction[] {
    if (this.#isDone) return [];
    const actions: LookupAction[] = [];
    const advance = (path: LookupPath) => {
      for (const record of path.advance(nowMs)) {
        actions.push({ type: "ask", record });
      }
    };
    this.#paths.forEach(advance);
    const isWaited = (path: LookupPath) =>
      this.#hasFound ? path.count("waiting") > 0 : !path.isOver;
    if (this.#paths.some(isWaited)) return actions;
    if (this.#values.size > 0) return [...actions, ...this.#finish()];
    this.#merged ??= this.#newPath(this.#network.k, this.#paths);
    advance(this.#merged);
    if (this.#merged.isOver) actions.push(...this.#finish());
    return actions;
  }

  /** @param merged Paths that it goes on from: all that they have heard of, as one. */
  #newPath(width: number, merged?: readonly LookupPath[]): LookupPath {
    const { target } = this;
    const options = {
      network: this.#network,
      target,
      all: this.#asked,
      width,
      asksOneFirst: this.#kind === "value" && merged === undefined,
    };
    return new LookupPath(options, merged);
  }

  #finish(): LookupAction[] {
    this.#isDone = true;
    return [{ type: "done" }];
  }

  #answered(): Asked[] {
    return [...this.#asked.values()]
      .filter(({ state }) => state === "answered")
      .sort((a, b) =>
        compareDistance(this.target, a.record.place, b.record.place)
      );
  }
}
