/**
 * From the relay list to a path:
 *
 *     guard ──→ layer-2 guard ──→ by weight … by weight ──→ (last, if given)
 *     └───────────────── `hops` relays ────────────────┘
 *
 * No relay twice, no two of one subnet, no path through ourselves. Wishes give
 * way, one after the other, where the list is short: first to be disjoint from
 * another path, then to avoid relays that failed lately. Rules never do.
 *
 * Every circuit has a layer-2 guard, whatever it is for: who can make us rebuild it, be
 * it a service, a client or a node that stores descriptors, meets the same four.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import { type Random, shuffled } from "../base/random.ts";
import { BandwidthWeights } from "./bandwidth_weights.ts";
import { FailureMemory } from "./failure_memory.ts";
import type { GuardSet } from "./guard_set.ts";
import type { Layer2Set } from "./layer2.ts";
import type { NoPath } from "./no_path.ts";
import { PathSubnets, shareSubnet } from "./path_subnets.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";
import { type PathRelay, WeightedRelays } from "./weighted_relays.ts";

/** Tuning: a long list is weighed anew this often at most, ms: it takes milliseconds. */
const WEIGH_INTERVAL_MS = 10_000;
/** Tuning: a list is weighed anew after so long, though it says that it did not change. */
const WEIGH_AT_LEAST_MS = 600_000;
/** Tuning: lists up to this length are weighed whenever they change. */
const SHORT_LIST = 256;
/**
 * Relays with several addresses can lead a draw into a dead end; so often is it
 * begun anew. Bounds the work for a list made to be difficult.
 */
const MAX_ROUNDS = 4;

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
   * A relay to end at, after these: one hop more. At most 8 in all. Where the
   * other side chose it, `hops` is what it would be without.
   */
  readonly last?: NodeRecord | undefined;
  /** Relays not to use if possible: those of a path that this one shall back up. */
  readonly avoid?: readonly NodeId[] | undefined;
  /** Relays not to use. */
  readonly exclude?: readonly NodeId[] | undefined;
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
  /** Default: nothing measured yet. */
  readonly weights?: BandwidthWeights;
  /** Default: nothing failed yet. */
  readonly failures?: FailureMemory;
}

/** A request with everything looked up. */
interface Search {
  readonly hops: number;
  readonly last: PathRelay | undefined;
  readonly avoid: ReadonlySet<RelayKey>;
  readonly exclude: ReadonlySet<RelayKey>;
  /** Relays in use as guards: drawn for no other hop if possible. */
  readonly guards: ReadonlySet<RelayKey>;
  readonly isFailing: (key: RelayKey) => boolean;
  readonly nowMs: number;
}

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
    const relays = this.#isStale(nowMs)
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
    const { hops, last } = request;
    const needed = last === undefined ? hops : hops + 1;
    if (
      !Number.isInteger(hops) || hops < 1 || needed > this.#network.maxHops
    ) throw new RangeError(`Cannot choose a path of ${needed} hops`);
    const search = this.#prepare(request, nowMs);
    const rounds = this.#network.allowPrivateAddresses ? 1 : MAX_ROUNDS;
    for (let round = 0; round < rounds; round++) {
      const path = this.#search(search);
      if (path !== undefined) {
        if (search.last !== undefined) path.push(search.last);
        return { type: "path", path: path.map(({ record }) => record) };
      }
    }
    return { type: "no_path", why: this.#explain(search, needed) };
  }

  /** Whether a circuit over these relays may be extended to that one. */
  mayExtend(path: readonly NodeRecord[], last: NodeRecord): boolean {
    const added = this.#asRelay(last);
    return path.length < this.#network.maxHops &&
      path.every((record) => !isConflict(this.#asRelay(record), added));
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
        if (index > 0) this.failures.onFailure(nodeId, 1, nowMs);
        if (index === 0) this.guards.onFailed(nodeId, nowMs);
        if (index === 1) this.layer2.onFailed(nodeId, nowMs);
      }
    }
  }

  /** The machine is on another network, or awake again: what failed may work. */
  onNetworkChange(): void {
    this.guards.retryAll();
    this.layer2.retryAll();
    this.failures.clear();
  }

  #isStale(nowMs: number): boolean {
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
      ownNodeId: this.#ownNodeId,
      unixMs,
    });
  }

  #prepare(request: PathRequest, nowMs: number): Search {
    const { hops, last, avoid = [], exclude = [] } = request;
    // When half the network seems to fail, it is our own network, or somebody
    // who wants us to use the other half.
    const believeFailures = 2 * this.failures.size <= this.size ||
      2 * this.failures.countAvoided(nowMs) <= this.size;
    return {
      hops,
      last: last && this.#asRelay(last),
      avoid: new Set(avoid.map(relayKey)),
      exclude: new Set(exclude.map(relayKey)),
      guards: new Set(this.guards.inUse.map(({ key }) => key)),
      isFailing: (key) =>
        believeFailures && this.failures.isAvoided(key, nowMs),
      nowMs,
    };
  }

  #search(search: Search): PathRelay[] | undefined {
    for (const first of this.#firsts(search)) {
      if (search.hops === 1) return [first];
      for (const second of this.#seconds(search, first)) {
        const path = this.#draw(search, [first, second]);
        if (path !== undefined) return path;
      }
    }
    return undefined;
  }

  /** Guards that may be tried now, the best first. */
  #firsts(search: Search): PathRelay[] {
    const fitting = this.guards.candidates(search.nowMs)
      .filter((relay) => this.#fits(search, [], relay));
    return this.#inOrder(search, fitting, search.isFailing);
  }

  /** Layer-2 guards that fit behind `first`, those that answer first. */
  #seconds(search: Search, first: PathRelay): PathRelay[] {
    const answering = new Set(this.layer2.candidates(search.nowMs));
    const fitting = this.layer2.inUse
      .filter((relay) => this.#fits(search, [first], relay));
    return this.#inOrder(
      search,
      fitting,
      (key, relay) => !answering.has(relay) || search.isFailing(key),
    );
  }

  #inOrder(
    search: Search,
    relays: readonly PathRelay[],
    isFailing: (key: RelayKey, relay: PathRelay) => boolean,
  ): PathRelay[] {
    const rank = (relay: PathRelay) =>
      (isFailing(relay.key, relay) ? 2 : 0) +
      (search.avoid.has(relay.key) ? 1 : 0);
    return shuffled(this.#random, relays).sort((a, b) => rank(a) - rank(b));
  }

  /** Draw what is missing of a path; `undefined` at a dead end. */
  #draw(search: Search, begun: readonly PathRelay[]): PathRelay[] | undefined {
    const path = [...begun];
    while (path.length < search.hops) {
      const next = this.#drawOne(search, path);
      if (next === undefined) return undefined;
      path.push(next);
    }
    return path;
  }

  #drawOne(
    search: Search,
    path: readonly PathRelay[],
  ): PathRelay | undefined {
    const { avoid, guards, isFailing } = search;
    const draw = (wish: (key: RelayKey) => boolean) =>
      this.#relays?.draw(
        this.#random,
        (relay) => wish(relay.key) && this.#fits(search, path, relay),
      );
    return draw((key) =>
      !guards.has(key) && !avoid.has(key) && !isFailing(key)
    ) ??
      draw((key) => !avoid.has(key) && !isFailing(key)) ??
      draw((key) => !isFailing(key)) ??
      draw(() => true);
  }

  /** The rules. */
  #fits(
    { last, exclude }: Search,
    path: readonly PathRelay[],
    relay: PathRelay,
  ): boolean {
    if (exclude.has(relay.key)) return false;
    if (last !== undefined && isConflict(last, relay)) return false;
    return !path.some((other) => isConflict(other, relay));
  }

  #explain(search: Search, needed: number): NoPath {
    const { nowMs } = search;
    const known = this.#countFitting(search) + (search.last ? 1 : 0);
    if (this.size < search.hops) {
      return { reason: "too_few_relays", known: this.size, needed };
    }
    if (this.guards.inUse.length === 0) return { reason: "guards_missing" };
    if (this.#firsts(search).length === 0) {
      const retryMs = this.guards.retryMs(nowMs);
      if (retryMs !== undefined) return { reason: "guards_down", retryMs };
      return this.#blocked(search, this.guards.inUse);
    }
    if (known < needed) return { reason: "excluded" };
    if (search.hops > 1 && this.layer2.inUse.length === 0) {
      return { reason: "guards_missing" };
    }
    return this.#blocked(search, this.layer2.inUse);
  }

  #countFitting(search: Search): number {
    let count = 0;
    for (const { key } of this.#relays ?? []) {
      if (!search.exclude.has(key) && key !== search.last?.key) count++;
    }
    return count;
  }

  /** Subnets were in the way, unless these relays were left out by name. */
  #blocked(
    { exclude, last }: Search,
    relays: readonly PathRelay[],
  ): NoPath {
    const isNamed = relays.every(({ key }) =>
      exclude.has(key) || key === last?.key
    );
    return { reason: isNamed ? "excluded" : "subnets" };
  }

  #asRelay(record: NodeRecord): PathRelay {
    const key = relayKey(record.nodeId);
    return { key, record, subnets: this.#subnets.of(record) };
  }
}

function isConflict(a: PathRelay, b: PathRelay): boolean {
  return a.key === b.key || shareSubnet(a.subnets, b.subnets);
}
