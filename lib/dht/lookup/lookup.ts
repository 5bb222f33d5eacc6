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
 * without progress and the time have limits. Who names nodes that do not answer
 * is believed no longer.
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
import { isRelay } from "../table/contact.ts";
import { compareDistance, type DhtKey, pointKey } from "../records/distance.ts";
import { nodeKey } from "../table/node_key.ts";
import type { StoredRecord } from "../records/stored_record.ts";

/** Protocol: rounds (of α answers) without a closer node, after which a path ends. */
const MAX_IDLE_ROUNDS = 3;
/**
 * Tuning: nodes asked on one path, and as many once the paths are merged. An honest
 * one needs 7 to 12; "endless closer nodes" end here.
 */
export const MAX_ASKED_PER_PATH = 24;
/**
 * Tuning: a node that has not answered by then is passed over: another is asked in
 * its place. Its answer still counts, should it come before the end. Sooner, where
 * others answer sooner: after so many times their median, within these bounds. A
 * link to be set up takes four round trips, and its node may be farther than most.
 */
export const STALL_MS = 800;
export const MIN_STALL_MS = 300;
const STALL_MEDIANS = 12;
/** Tuning: answers before their times say anything. */
const MIN_TIMES = 3;
/**
 * Tuning: after so many times the median, within these bounds, a node that was
 * passed over is waited for no longer, though there be no other node to ask: each of
 * five neighbours that died together would hold up the end by seconds. Time enough
 * for a link to be set up with a node twice as far away, and a packet to get lost.
 * And for so long other paths go on for a newer record, once one is found.
 */
const PATIENCE_MEDIANS = 20;
export const MIN_PATIENCE_MS = 750;
export const MAX_PATIENCE_MS = 2000;
/** Tuning: even the fastest may take long, on a slow line of our own. */
const PATIENCE_FASTEST = 2.5;
/** Tuning: the whole look-up. */
export const LOOKUP_MS = 30 * 1000;
/** Tuning: own contacts that a path asks before it ends, however close it believes to be. */
const MIN_SEEDS = 3;
/**
 * Tuning: silent nodes after which who named them is believed no longer, beside
 * those that it named and that answered. Where a third of a network has just died,
 * honest nodes name the dead as well.
 */
const MAX_SILENT_NAMED = 3;
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
}

interface Candidate {
  readonly key: string;
  readonly record: NodeRecord;
  /** Who named it before it was asked; none for a contact of our own. */
  readonly namedBy: Asked[];
  /** Who named it before it answered. */
  readonly vouchers: Asked[];
}

type AskedState =
  | "waiting"
  /** Others are asked in its place. */
  | "stalled"
  /** And nothing waits for it. */
  | "late"
  | "answered"
  | "failed";

/** A node that has been asked. */
interface Asked {
  readonly record: NodeRecord;
  readonly namedBy: readonly Asked[];
  readonly vouchers: Asked[];
  readonly path: Path;
  readonly sentMs: number;
  /** Steps from a contact of our own. */
  readonly hops: number;
  state: AskedState;
  /** Of the nodes it named: how many did not answer, and how many did. */
  silentNamed: number;
  liveNamed: number;
  /** It answered a request for a value, and had none. */
  lacksValue: boolean;
}

interface Path {
  readonly asked: Asked[];
  /** How many of the closest have to answer. */
  readonly width: number;
  /** Not asked yet, closest first, at most 2k. */
  readonly candidates: Candidate[];
  /** Contacts of our own that the path still has to ask. */
  seedsLeft: number;
  /** Nodes that it may still ask. */
  askedLeft: number;
  /** The closest node it has heard of. */
  best: Place | undefined;
  /** Answers in a row without a closer one. */
  idle: number;
  isOver: boolean;
}

/** A look-up, from the first question to the result. */
export class Lookup {
  readonly target: Place | DhtKey;
  readonly #network: NetworkParameters;
  readonly #selfKey: string;
  readonly #seeds: readonly NodeRecord[];
  readonly #paths: Path[] = [];
  readonly #asked = new Map<string, Asked>();
  /** Answers per subnet, where subnets count. */
  readonly #groups = new Map<string, number>();
  /** The newest record of each publisher, by its key. */
  readonly #values = new Map<string, StoredRecord>();
  /** How long those who answered took, ascending. */
  readonly #times: number[] = [];
  #merged: Path | undefined;
  /** Whether any node had a value. */
  #hasFound = false;
  #endMs = Infinity;
  #isDone = false;

  constructor(options: LookupOptions) {
    this.target = options.target;
    this.#network = options.network;
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
    const stallMs = this.#stallMs;
    const patienceMs = this.#patienceMs;
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
      this.#paths.push(newPath(Math.ceil(k / disjointPaths), MIN_SEEDS));
    }
    for (const [index, record] of this.#seeds.entries()) {
      const key = nodeKey(record);
      if (key === this.#selfKey) continue;
      const path = this.#paths[index % disjointPaths] as Path;
      this.#offer(path, { key, record, namedBy: [], vouchers: [] });
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
    path.idle = isCloser ? 0 : path.idle + 1;
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
    asked.path.isOver = true;
    this.#hasFound = true;
    this.#endMs = Math.min(this.#endMs, nowMs + this.#patienceMs);
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
    const stallMs = this.#stallMs;
    const patienceMs = this.#patienceMs;
    for (const asked of this.#asked.values()) {
      const { state, sentMs } = asked;
      if (state === "waiting" && sentMs + stallMs <= nowMs) {
        asked.state = "stalled";
        doubt(asked);
      } else if (state === "stalled" && sentMs + patienceMs <= nowMs) {
        asked.state = "late";
      }
    }
    return this.#continue(nowMs);
  }

  /** After how long a node is passed over. */
  get #stallMs(): number {
    const wishedMs = STALL_MEDIANS * this.#medianMs;
    return Math.min(Math.max(wishedMs, MIN_STALL_MS), STALL_MS);
  }

  /** After how long it holds up nothing; never, as long as no node has answered. */
  get #patienceMs(): number {
    const wishedMs = PATIENCE_MEDIANS * this.#medianMs;
    const usualMs = Math.min(
      Math.max(wishedMs, MIN_PATIENCE_MS),
      MAX_PATIENCE_MS,
    );
    return Math.max(usualMs, PATIENCE_FASTEST * (this.#times[0] ?? Infinity));
  }

  /** How long an answer takes; Infinity before that can be said. */
  get #medianMs(): number {
    if (this.#times.length < MIN_TIMES) return Infinity;
    return this.#times[this.#times.length >> 1] ?? Infinity;
  }

  /** Mark an answer; `undefined` when none was expected, or its subnet has had enough. */
  #take(
    from: NodeRecord,
    address: SocketAddress,
    nowMs: number,
  ): Asked | undefined {
    const asked = this.#asked.get(nodeKey(from));
    if (asked === undefined || isOver(asked)) return undefined;
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
    this.#keepTime(nowMs - asked.sentMs);
    return asked;
  }

  #keepTime(ms: number): void {
    const at = this.#times.findIndex((other) => other > ms);
    this.#times.splice(at < 0 ? this.#times.length : at, 0, ms);
  }

  #fail(asked: Asked): void {
    if (isOver(asked)) return;
    if (asked.state === "waiting") doubt(asked);
    asked.state = "failed";
  }

  /** A path hears of a node; whether it is closer than any before. */
  #hear(path: Path, record: NodeRecord, from: Asked): boolean {
    const key = nodeKey(record);
    if (key === this.#selfKey || !isRelay(record)) return false;
    const known = path.candidates.find((candidate) => candidate.key === key);
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
      return this.#offer(path, named);
    }
    const isNew = asked !== from && vouch(asked, from);
    if (isNew && asked.state === "answered") from.liveNamed++;
    return false;
  }

  #offer(path: Path, candidate: Candidate): boolean {
    const { place } = candidate.record;
    const { candidates } = path;
    const at = candidates.findIndex((other) =>
      compareDistance(this.target, place, other.record.place) < 0
    );
    candidates.splice(at < 0 ? candidates.length : at, 0, candidate);
    const limit = 2 * this.#network.k;
    if (candidates.length > limit) candidates.length = limit;
    const isCloser = path.best === undefined ||
      compareDistance(this.target, place, path.best) < 0;
    if (isCloser) path.best = place;
    return isCloser;
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
    for (const path of this.#paths) this.#advance(path, nowMs, actions);
    const isWaited = (path: Path) =>
      this.#hasFound ? count(path, "waiting") > 0 : !path.isOver;
    if (this.#paths.some(isWaited)) return actions;
    if (this.#values.size > 0) return [...actions, ...this.#finish()];
    this.#merged ??= this.#merge();
    this.#advance(this.#merged, nowMs, actions);
    if (this.#merged.isOver) actions.push(...this.#finish());
    return actions;
  }

  /** Ask what a path wants to ask now, or end it. */
  #advance(path: Path, nowMs: number, actions: LookupAction[]): void {
    while (!path.isOver) {
      if (count(path, "waiting") >= this.#network.alpha) return;
      const next = this.#next(path);
      if (next === undefined) {
        // A slow node is waited for only where there is no other.
        path.isOver = count(path, "waiting") === 0 &&
          (count(path, "stalled") === 0 ||
            count(path, "answered") >= path.width);
        return;
      }
      this.#ask(path, next, nowMs);
      actions.push({ type: "ask", record: next.record });
    }
  }

  /** The next node to ask, or `undefined` when the path has come as close as it can. */
  #next(path: Path): Candidate | undefined {
    const { candidates, asked } = path;
    if (path.askedLeft <= 0) return undefined;
    for (let at = candidates.length - 1; at >= 0; at--) {
      const { key } = candidates[at] as Candidate;
      if (this.#asked.has(key)) candidates.splice(at, 1);
    }
    const closest = candidates.find((candidate) => this.#isBelieved(candidate));
    const isIdle = path !== this.#merged &&
      path.idle >= MAX_IDLE_ROUNDS * this.#network.alpha;
    if (closest !== undefined && !isIdle) {
      const { place } = closest.record;
      const closer = asked.filter(({ state, record }) =>
        (state === "answered" || state === "waiting") &&
        compareDistance(this.target, record.place, place) < 0
      );
      if (closer.length < path.width) return closest;
    }
    // A captured path is content with its captors: our own contacts have a say too.
    return path.seedsLeft > 0
      ? candidates.find(({ namedBy }) => namedBy.length === 0)
      : undefined;
  }

  #isBelieved({ namedBy }: Candidate): boolean {
    return namedBy.length === 0 ||
      namedBy.some(({ silentNamed, liveNamed }) =>
        silentNamed < MAX_SILENT_NAMED + liveNamed
      );
  }

  #ask(path: Path, candidate: Candidate, nowMs: number): void {
    const { key, record, namedBy, vouchers } = candidate;
    if (namedBy.length === 0) path.seedsLeft--;
    path.askedLeft--;
    const asked: Asked = {
      record,
      namedBy,
      vouchers,
      path,
      sentMs: nowMs,
      hops: namedBy.length === 0
        ? 0
        : 1 + Math.min(...namedBy.map(({ hops }) => hops)),
      state: "waiting",
      silentNamed: 0,
      liveNamed: 0,
      lacksValue: false,
    };
    path.asked.push(asked);
    this.#asked.set(key, asked);
  }

  /** All paths as one, which has asked what they have asked. */
  #merge(): Path {
    const merged = newPath(this.#network.k, 0);
    merged.asked.push(...this.#asked.values());
    const seen = new Set<string>();
    for (const candidate of this.#paths.flatMap((path) => path.candidates)) {
      if (seen.has(candidate.key)) continue;
      seen.add(candidate.key);
      this.#offer(merged, candidate);
    }
    return merged;
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

function isOver({ state }: Asked): boolean {
  return state === "answered" || state === "failed";
}

function newPath(width: number, seedsLeft: number): Path {
  return {
    asked: [],
    width,
    candidates: [],
    seedsLeft,
    askedLeft: MAX_ASKED_PER_PATH,
    best: undefined,
    idle: 0,
    isOver: false,
  };
}

/** Whether this one had not named it before. */
function vouch({ vouchers }: Candidate | Asked, namer: Asked): boolean {
  if (vouchers.includes(namer)) return false;
  vouchers.push(namer);
  return true;
}

/** A node is silent: who named it is believed less, and a contact of ours is replaced. */
function doubt({ namedBy, path }: Asked): void {
  for (const namer of namedBy) namer.silentNamed++;
  if (namedBy.length === 0) path.seedsLeft++;
}

function count(path: Path, wanted: AskedState): number {
  let found = 0;
  for (const { state } of path.asked) if (state === wanted) found++;
  return found;
}
