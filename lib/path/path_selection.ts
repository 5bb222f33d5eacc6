/**
 * From the relay list to a path:
 *
 *     guard ──→ layer-2 guard ──→ by weight … by weight ──→ (last, if given)
 *     └───────────────── `hops` relays ────────────────┘
 *       └─ chosen second ─┘       └─ drawn first ─┘
 *
 * The relays behind the kept ones are seen by others: the last hop sees the one
 * before it, a visitor sees the rendezvous point, and descriptors name introduction
 * points. If they were drawn so that they fit our guards, an attacker who sees enough of them
 * would learn the guards from what is never drawn. So they are drawn first, by weight
 * alone, and guards are chosen to suit them. A last hop that the other side named
 * is compared with one relay only: the one before it, which was drawn for this path
 * and is drawn anew where the two are the same.
 *
 * Wishes give way, one after the other, where the list is short: first to be
 * disjoint from another path, then to hold no relay twice, then to avoid relays
 * that failed lately. That no two neighbours are one relay never gives way.
 *
 * Every circuit has a layer-2 guard, whatever it is for: who can make us rebuild it, be
 * it a service, a client or a node that stores descriptors, meets the same four.
 *
 * @see protocol §5.8 "Paths"
 * @see {@link https://spec.torproject.org/vanguards-spec/path-construction.html | Tor's vanguards: no restrictions by subnet}
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Random, shuffled } from "../base/random.ts";
import { BandwidthWeights } from "./bandwidth_weights.ts";
import { FailureMemory } from "./failure_memory.ts";
import type { GuardSet } from "./guard_set.ts";
import type { Layer2Set } from "./layer2.ts";
import type { NoPath } from "./no_path.ts";
import { AVOID_NOTHING, KEPT_HOPS, type PathAvoid } from "./path_avoid.ts";
import { familyOf, PathSubnets, shareSubnet } from "./path_subnets.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import type { RelayCount, Shortage } from "./shortage.ts";
import { SilentRelays } from "./silent_relays.ts";
import type { Tenure } from "./tenure.ts";
import { type PathRelay, WeightedRelays } from "./weighted_relays.ts";

/** Tuning: a long list is weighed anew this often at most, ms: it takes milliseconds. */
const WEIGH_INTERVAL_MS = 10_000;
/** Tuning: a list is weighed anew after so long, though it says that it did not change. */
const WEIGH_AT_LEAST_MS = 600_000;
/** Tuning: lists up to this length are weighed whenever they change. */
const SHORT_LIST = 256;
/**
 * Draws that do not suit the layer-2 guards that answer, or that end in relays of one
 * subnet, are begun anew so often. Bounds the work for a list made to be difficult.
 */
const MAX_ROUNDS = 8;

/** Where relays come from. */
export interface RelaySource {
  /** Another number whenever the list has changed. */
  readonly version: number;
  /** The relays whose records have not expired. */
  snapshot(unixMs: number): readonly NodeRecord[];
}

/** What a path must be like. */
export interface PathRequest {
  /** Relays to choose, 1 to 8. */
  readonly hops: number;
  /**
   * A relay that the other side named, to end at: it is added behind the others, of
   * which there are 3 at least then. At most 8 in all.
   */
  readonly last?: NodeRecord | undefined;
  /** Relays not to use if possible. */
  readonly avoid?: PathAvoid | undefined;
}

/** A path, or why there is none. */
export type PathResult =
  | { readonly type: "path"; readonly path: readonly NodeRecord[] }
  | { readonly type: "no_path"; readonly why: NoPath };

/** What a selector is made of. */
export interface PathSelectorOptions {
  readonly network: NetworkParameters;
  readonly random: Random;
  readonly relays: RelaySource;
  readonly guards: GuardSet;
  readonly layer2: Layer2Set;
  /** This node's id, if it is a relay. */
  readonly ownNodeId?: NodeId | undefined;
  /** Since when relays are known. Default: all have always been there. */
  readonly tenure?: Tenure;
  /** Default: nothing measured yet. */
  readonly weights?: BandwidthWeights;
  /** Default: nothing failed yet. */
  readonly failures?: FailureMemory;
}

/** A request with everything looked up. */
interface Search {
  /** Relays to draw by weight, behind the kept ones. */
  readonly draws: number;
  /** Whether there is a layer-2 guard. */
  readonly hasSecond: boolean;
  /** The key of the last hop that the other side named. */
  readonly last: RelayKey | undefined;
  readonly avoidKept: ReadonlySet<RelayKey>;
  readonly avoidDrawn: ReadonlySet<RelayKey>;
  readonly isFailing: (key: RelayKey) => boolean;
  readonly nowMs: number;
}

/** Tuning: how long a guard that bears no more circuits is tried last, ms. */
const FULL_MS = 2_000;

/** Chooses the relays of circuits, and learns from what becomes of these. */
export class PathSelector {
  readonly guards: GuardSet;
  readonly layer2: Layer2Set;
  readonly weights: BandwidthWeights;
  readonly failures: FailureMemory;
  readonly #network: NetworkParameters;
  readonly #random: Random;
  readonly #source: RelaySource;
  readonly #ownNodeId: NodeId | undefined;
  readonly #subnets: PathSubnets;
  readonly #tenure: Tenure | undefined;
  readonly #silent = new SilentRelays();
  /** Guards that bear no more circuits, and until when they are tried last. */
  readonly #fullUntilMs = new Map<RelayKey, number>();
  #relays: WeightedRelays | undefined;
  #version = -1;
  #weighedMs = -Infinity;

  constructor(options: PathSelectorOptions) {
    this.#network = options.network;
    this.#random = options.random;
    this.#source = options.relays;
    this.#ownNodeId = options.ownNodeId;
    this.guards = options.guards;
    this.layer2 = options.layer2;
    this.weights = options.weights ?? new BandwidthWeights();
    this.failures = options.failures ?? new FailureMemory(options.random);
    this.#tenure = options.tenure;
    this.#subnets = new PathSubnets(options.network);
  }

  /** Relays to choose from, as of the last {@linkcode refresh}. */
  get size(): number {
    return this.#relays?.size ?? 0;
  }

  /**
   * Look at the relay list again, and at the dates of guards. Call it first when
   * the list is as complete as it will be, since guards are drawn from it, then
   * when it has changed, and every minute. Most calls cost next to nothing.
   */
  refresh(nowMs: number, unixMs: number): void {
    const relays = this.#isStale(nowMs, unixMs)
      ? this.#weigh(nowMs, unixMs)
      : this.#relays;
    if (relays === undefined) return;
    this.guards.update(relays, this.layer2.inUse, nowMs, unixMs);
    this.layer2.update(relays, this.guards.inUse, nowMs, unixMs);
  }

  /**
   * Choose a path.
   *
   * @throws {RangeError} for less than 1 hop, or more than 8 in all.
   */
  select(request: PathRequest, nowMs: number): PathResult {
    const { last } = request;
    // Without a relay of this path alone before it, the last hop would stand beside a kept one.
    const hops = last === undefined
      ? request.hops
      : Math.max(request.hops, KEPT_HOPS + 1);
    const needed = last === undefined ? hops : hops + 1;
    if (
      !Number.isInteger(hops) || hops < 1 || needed > this.#network.maxHops
    ) throw new RangeError(`Cannot choose a path of ${needed} hops`);
    const search = this.#prepare(request, hops, nowMs);
    for (let round = 0; round < MAX_ROUNDS && this.size >= hops; round++) {
      const path = this.#search(search)?.map(({ record }) => record);
      if (path === undefined) continue;
      if (last !== undefined) path.push(last);
      return { type: "path", path };
    }
    return { type: "no_path", why: this.#explain(search, hops) };
  }

  /**
   * Whether a circuit over these relays may be extended to a last hop that the other
   * side named. Of the relays it looks at the end alone, which is none that we keep.
   */
  mayExtend(path: readonly NodeRecord[], last: NodeRecord): boolean {
    const end = path.at(-1);
    return path.length > KEPT_HOPS && path.length < this.#network.maxHops &&
      end !== undefined && !equalBytes(end.nodeId, last.nodeId);
  }

  /**
   * A circuit was built as far as the first `hops` of its path.
   *
   * @param path Relays that were chosen here, without a last one that was given.
   * @returns `false` when it must be closed: one of these relays has lost its
   * place as a guard to another one meanwhile.
   */
  onReached(path: readonly NodeRecord[], hops: number): boolean {
    const [first, second] = path;
    const answered = path[hops - 1];
    if (answered !== undefined) {
      this.#silent.onAnswer(relayKey(answered.nodeId));
    }
    if (first !== undefined && hops === 1) {
      return this.guards.onReached(first.nodeId);
    }
    if (second !== undefined && hops === 2) {
      return this.layer2.onReached(second.nodeId);
    }
    return true;
  }

  /** A circuit was built. */
  onBuilt(path: readonly NodeRecord[], nowMs: number): void {
    for (const { nodeId } of path) this.failures.onSuccess(nodeId, nowMs);
  }

  /**
   * A circuit could not be built. Not to be called for circuits that end later:
   * the other side ends them when it likes, and would choose our relays that way.
   *
   * @param path As for {@linkcode onReached}.
   * @param hop The relay that was to be added, from 0; `undefined` when unknown.
   */
  onFailed(
    path: readonly NodeRecord[],
    hop: number | undefined,
    nowMs: number,
  ): void {
    for (const [index, { nodeId }] of path.entries()) {
      if (hop === undefined) {
        if (index > 0) this.failures.onFailure(nodeId, 0.5, nowMs);
      } else if (index === hop - 1) {
        this.failures.onFailure(nodeId, 0.5, nowMs);
      } else if (index === hop) {
        this.#silent.onSilent(relayKey(nodeId), nowMs);
        if (index > 0) this.failures.onFailure(nodeId, 1, nowMs);
        if (index === 0) this.guards.onFailed(nodeId, nowMs);
        if (index === 1) this.layer2.onFailed(nodeId, nowMs);
      }
    }
  }

  /** A guard is there, and bears no more circuits of ours: others are tried first. */
  onFull(guard: NodeId, nowMs: number): void {
    for (const [key, untilMs] of this.#fullUntilMs) {
      if (untilMs <= nowMs) this.#fullUntilMs.delete(key);
    }
    this.#fullUntilMs.set(relayKey(guard), nowMs + FULL_MS);
  }

  /** Whether all guards that may be tried bear no more circuits. */
  areGuardsFull(nowMs: number): boolean {
    return this.guards.candidates(nowMs)
      .every(({ key }) => this.#isFull(key, nowMs));
  }

  #isFull(key: RelayKey, nowMs: number): boolean {
    return (this.#fullUntilMs.get(key) ?? -Infinity) > nowMs;
  }

  /** The machine is on another network, or awake again: what failed may work. */
  onNetworkChange(): void {
    this.#fullUntilMs.clear();
    this.guards.retryAll();
    this.layer2.retryAll();
    this.failures.clear();
    this.#silent.clear();
  }

  /**
   * Relays known, and silent ones among them.
   *
   * @param needed How many there must be, for the figures.
   */
  count(needed: number, nowMs: number): RelayCount {
    const isListed = (key: RelayKey) => this.#relays?.get(key) !== undefined;
    const silent = this.#silent.count(isListed, nowMs);
    return { known: this.size, silent, needed };
  }

  /** Why no path can lead anywhere; `undefined` where one may. */
  shortage(needed: number, nowMs: number): Shortage | undefined {
    const count = this.count(needed, nowMs);
    if (count.known >= needed) {
      if (this.guards.inUse.length === 0) {
        return { reason: "guards_missing", ...count };
      }
      if (this.guards.areSilent) return { reason: "guards_down", ...count };
    }
    return count.known - count.silent < needed
      ? { reason: "too_few_relays", ...count }
      : undefined;
  }

  #isStale(nowMs: number, unixMs: number): boolean {
    // A machine that slept finds its list old: no relay extends by an expired record.
    if (unixMs >= (this.#relays?.expiryUnixMs ?? Infinity)) return true;
    const ageMs = nowMs - this.#weighedMs;
    if (ageMs >= WEIGH_AT_LEAST_MS) return true;
    if (this.#source.version === this.#version) return false;
    return this.size <= SHORT_LIST || ageMs >= WEIGH_INTERVAL_MS;
  }

  #weigh(nowMs: number, unixMs: number): WeightedRelays {
    this.#version = this.#source.version;
    this.#weighedMs = nowMs;
    return this.#relays = new WeightedRelays(this.#source.snapshot(unixMs), {
      subnets: this.#subnets,
      weights: this.weights,
      tenure: this.#tenure,
      ownNodeId: this.#ownNodeId,
      unixMs,
    });
  }

  #prepare(request: PathRequest, hops: number, nowMs: number): Search {
    const { last, avoid = AVOID_NOTHING } = request;
    // When half the network seems to fail, it is our own network, or an attacker
    // who wants us to use the other half.
    const believeFailures = 2 * this.failures.size <= this.size ||
      2 * this.failures.countAvoided(nowMs) <= this.size;
    return {
      draws: Math.max(0, hops - KEPT_HOPS),
      hasSecond: hops >= KEPT_HOPS,
      last: last && relayKey(last.nodeId),
      avoidKept: new Set(avoid.kept.map(relayKey)),
      avoidDrawn: new Set(avoid.drawn.map(relayKey)),
      isFailing: (key) =>
        believeFailures && this.failures.isAvoided(key, nowMs),
      nowMs,
    };
  }

  /** One try; `undefined` at a dead end. */
  #search(search: Search): PathRelay[] | undefined {
    const drawn = this.#draw(search);
    if (drawn === undefined) return undefined;
    if (!search.hasSecond) return this.#firsts(search, drawn).slice(0, 1);
    let related: PathRelay[] | undefined;
    for (const second of this.#seconds(search, drawn)) {
      const [first] = this.#firsts(search, [second, ...drawn]);
      if (first === undefined) continue;
      const path = [first, second, ...drawn];
      if (!holdsFamily(path)) return path;
      // Only where no guards are of other families: what is drawn shall not depend on them.
      related ??= path;
    }
    return related;
  }

  /** The relays behind the kept ones, from the end: without a look at those. */
  #draw(search: Search): PathRelay[] | undefined {
    const drawn: PathRelay[] = [];
    while (drawn.length < search.draws) {
      const next = this.#drawOne(search, drawn);
      if (next === undefined) return undefined;
      drawn.unshift(next);
    }
    return drawn;
  }

  #drawOne(
    { draws, last, avoidDrawn, isFailing }: Search,
    drawn: readonly PathRelay[],
  ): PathRelay | undefined {
    const [only, ...others] = this.layer2.inUse;
    const isBehindKept = drawn.length === draws - 1 && others.length === 0;
    const fits = (relay: PathRelay) =>
      (drawn.length > 0 || relay.key !== last) &&
      !(isBehindKept && relay.key === only?.key) &&
      !drawn.some((other) => isConflict(other, relay));
    const draw = (wish: (key: RelayKey) => boolean) =>
      this.#relays?.draw(
        this.#random,
        (relay) => wish(relay.key) && fits(relay),
      );
    return draw((key) => !avoidDrawn.has(key) && !isFailing(key)) ??
      draw((key) => !isFailing(key)) ??
      draw(() => true);
  }

  /** Layer-2 guards that fit before `drawn`, those that answer first. */
  #seconds(search: Search, drawn: readonly PathRelay[]): PathRelay[] {
    const answering = new Set(this.layer2.candidates(search.nowMs));
    return this.#inOrder(
      search,
      this.layer2.inUse,
      drawn,
      (key, relay) => !answering.has(relay) || search.isFailing(key),
    );
  }

  /** Guards that fit before `behind` and may be tried now, the best first. */
  #firsts(search: Search, behind: readonly PathRelay[]): PathRelay[] {
    return this.#inOrder(
      search,
      this.guards.candidates(search.nowMs),
      behind,
      (key) => search.isFailing(key) || this.#isFull(key, search.nowMs),
    );
  }

  #inOrder(
    search: Search,
    relays: readonly PathRelay[],
    behind: readonly PathRelay[],
    isFailing: (key: RelayKey, relay: PathRelay) => boolean,
  ): PathRelay[] {
    const [neighbour] = behind;
    const rank = (relay: PathRelay) =>
      (isFailing(relay.key, relay) ? 4 : 0) +
      (behind.some((other) => isOneParty(other, relay)) ? 2 : 0) +
      (search.avoidKept.has(relay.key) ? 1 : 0);
    const fitting = relays.filter(({ key }) => key !== neighbour?.key);
    return shuffled(this.#random, fitting).sort((a, b) => rank(a) - rank(b));
  }

  #explain({ nowMs, hasSecond }: Search, needed: number): NoPath {
    if (this.size < needed) {
      return { reason: "too_few_relays", known: this.size, needed };
    }
    if (this.guards.inUse.length === 0) return { reason: "guards_missing" };
    if (this.guards.candidates(nowMs).length === 0) {
      const retryMs = this.guards.retryMs(nowMs);
      if (retryMs !== undefined) return { reason: "guards_down", retryMs };
    }
    if (hasSecond && this.layer2.inUse.length === 0) {
      return { reason: "guards_missing" };
    }
    return { reason: "subnets" };
  }
}

/** Whether two relays are one, or are of one family by their own word. */
function isOneParty(a: PathRelay, b: PathRelay): boolean {
  if (a.key === b.key) return true;
  const family = familyOf(a.record);
  return family !== undefined && family === familyOf(b.record);
}

/** Whether two of these relays are of one family. */
function holdsFamily(path: readonly PathRelay[]): boolean {
  const families = path.map(({ record }) => familyOf(record))
    .filter((family) => family !== undefined);
  return new Set(families).size < families.length;
}

/** Whether two relays are one, or may be one party's. */
function isConflict(a: PathRelay, b: PathRelay): boolean {
  return a.key === b.key || shareSubnet(a.subnets, b.subnets);
}
