/**
 * Circuits ready to be used: built before a caller asks, each given to one
 * request alone, and given up when they are old.
 *
 *     take ──→ an unused one of this purpose
 *         └──→ wait for a build, in a bounded queue, until a deadline
 *
 * The pool decides; a driver builds. It carries out the actions, and says what
 * became of them: `onHop`, `onBuilt`, `onFailed`, `onClosed`. A circuit that the
 * pool has closed may still be heard of: that is no error.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { type Random, randomBetween } from "../base/random.ts";
import type { CircuitSample } from "../path/bandwidth_weights.ts";
import { AVOID_NOTHING } from "../path/path_avoid.ts";
import { BuildPlaces } from "./build_places.ts";
import { BuildTime, SLOW_BUILD_MS } from "./build_time.ts";
import { type LastHopRule, suits } from "./circuit_choice.ts";
import type { Pressure } from "../base/pressure.ts";
import { CircuitStock } from "./circuit_stock.ts";
import { Lane } from "./_lane.ts";
import { Outage } from "./outage.ts";
import type { PathSelector } from "../path/path_selection.ts";
import type { RelayCount, Shortage } from "../path/shortage.ts";
import type {
  BuildFailure,
  CircuitId,
  CircuitWant,
  PoolCircuit,
  PoolObstacle,
  PoolRequest,
  RequestFailure,
  RequestId,
} from "./pool_circuit.ts";
import type { PoolAction } from "./pool_action.ts";
import { circuitStatus, type PoolStatus } from "./pool_status.ts";
import {
  chosenHops,
  type CircuitPurpose,
  PURPOSE_RULES,
  PURPOSES,
  type PurposeTable,
  SERVICES_OF_BUDGET,
} from "./purpose.ts";
import { MAX_WAITING, WaitingRequests } from "./waiting_requests.ts";

/** Builds at once for the reserve. More would only slow one another down. */
export const MAX_WARM_BUILDS = 3;
/**
 * Tuning: circuits of a node, built and being built. Two guards with 32 links each
 * carry 7,168.
 */
const MAX_CIRCUITS = 7_000;
/** Tuning: how long a circuit waits for its first request, ms: least and most, drawn for each. */
export const UNUSED_FOR_MS = { least: 1_200_000, most: 1_800_000 } as const;

/** Tuning: when to look for a path again where there was none, ms. */
const NO_PATH_RETRY_MS = 1000;
/**
 * Tuning: how long a caller waits in a shortage in which circuits are built now and
 * then, ms: with three relays some paths are there, and may do.
 */
const SHORTAGE_WAIT_MS = 30_000;
/** Tuning: share of the rebuild burst that only waiting requests may use. */
const WARM_RESERVE = 0.5;
/** Share of the newest round-trip time in a circuit's average. */
const ROUND_TRIP_SHARE = 0.3;

/** What a pool is made of. */
export interface CircuitPoolOptions {
  readonly selector: PathSelector;
  readonly random: Random;
  /** Relays of a circuit, before any that a request adds. Default 3. */
  readonly hops?: number;
  /** Default {@linkcode PURPOSE_RULES}. */
  readonly purposes?: PurposeTable;
  /** Default {@linkcode MAX_CIRCUITS}. */
  readonly maxCircuits?: number;
  /** Default {@linkcode MAX_WAITING}. */
  readonly maxWaiting?: number;
}

/** The circuits of one node. */
export class CircuitPool {
  readonly #selector: PathSelector;
  readonly #random: Random;
  readonly #hops: number;
  readonly #rule: LastHopRule;
  readonly #lanes: Readonly<Record<CircuitPurpose, Lane>>;
  readonly #buildTime = new BuildTime();
  readonly #buildPlaces = new BuildPlaces();
  readonly #circuits: CircuitStock;
  readonly #waiting: WaitingRequests;
  readonly #outage = new Outage();
  #nextRequest = 1;
  /** When something can be built that cannot be now. */
  #wakeMs = Infinity;
  #isClosed = false;
  readonly #counts = {
    built: 0,
    failed: 0,
    timedOut: 0,
    lost: 0,
    servedAtOnce: 0,
    servedLater: 0,
    unserved: 0,
  };

  constructor(options: CircuitPoolOptions) {
    const { selector } = options;
    const rules = options.purposes ?? PURPOSE_RULES;
    this.#selector = selector;
    this.#random = options.random;
    const hops = this.#hops = options.hops ?? 3;
    this.#rule = {
      chosenHops: ({ purpose, last }) =>
        chosenHops(hops, purpose, last === undefined ? "own" : "named"),
      mayExtend: (path, last) => selector.mayExtend(path, last),
    };
    this.#circuits = new CircuitStock(options.maxCircuits ?? MAX_CIRCUITS);
    this.#waiting = new WaitingRequests(options.maxWaiting ?? MAX_WAITING);
    this.#lanes = {
      introduction: new Lane("introduction", rules.introduction),
      rendezvous: new Lane("rendezvous", rules.rendezvous),
      directory: new Lane("directory", rules.directory),
    };
  }

  /** Circuits, built and being built. */
  get size(): number {
    return this.#circuits.size;
  }

  /** Builds under way. */
  get building(): number {
    return this.#circuits.builds.size;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether there is more to do than is done. */
  get pressure(): Pressure {
    if (this.buildMs >= SLOW_BUILD_MS) return "slow";
    return this.waiting >= this.mostBuilds ? "crowded" : "free";
  }

  /** Builds at once: with as many requests that wait there is a crowd. */
  get mostBuilds(): number {
    return this.#buildPlaces.most;
  }

  /** What builds took of late, ms; 0 before the first. */
  get buildMs(): number {
    return this.#buildTime.meanMs;
  }

  /** When to call {@linkcode onTime} next, ms; `Infinity` with nothing to wait for. */
  get deadlineMs(): number {
    if (this.#isClosed) return Infinity;
    return Math.min(
      this.#wakeMs,
      this.#waiting.deadlineMs,
      this.#circuits.deadlineMs,
      this.#outage.deadlineMs,
    );
  }

  /** Relays known, silent and needed. */
  count(nowMs: number): RelayCount {
    return this.#selector.count(this.#needed, nowMs);
  }

  /** Why no circuit can be built at all; `undefined` where one may. */
  shortage(nowMs: number): Shortage | undefined {
    return this.#selector.shortage(this.#needed, nowMs);
  }

  /** The shortage that a caller who has waited since then waits for in vain. */
  outageSince(sinceMs: number, nowMs: number): Shortage | undefined {
    const isHopeless = this.#outage.lastsSince(sinceMs) ||
      nowMs - sinceMs >= SHORTAGE_WAIT_MS;
    return isHopeless ? this.shortage(nowMs) : undefined;
  }

  /** Begin: keep circuits ready from now on. */
  start(nowMs: number): PoolAction[] {
    return this.#plan([], nowMs);
  }

  /**
   * Ask for a circuit. The answer is among the actions at once if there is one,
   * and comes with later ones if not.
   */
  take(
    want: CircuitWant,
    nowMs: number,
  ): { readonly request: RequestId; readonly actions: PoolAction[] } {
    const id = this.#nextRequest++;
    const actions: PoolAction[] = [];
    if (this.#isClosed) {
      this.#fail(id, { reason: "closed" }, actions);
      return { request: id, actions };
    }
    this.#lanes[want.purpose].demand.onRequest(nowMs);
    const circuit = this.#circuits.best(want, this.#rule, nowMs);
    if (circuit !== undefined) {
      this.#counts.servedAtOnce++;
      this.#give(circuit, id, actions);
    } else if (!this.#waiting.add(id, want, nowMs)) {
      this.#fail(id, { reason: "busy" }, actions);
    }
    return { request: id, actions: this.#plan(actions, nowMs) };
  }

  /** A request is no longer wanted. Nothing, if it has its circuit: close that. */
  cancel(request: RequestId, nowMs: number): PoolAction[] {
    this.#forget(request);
    return this.#plan([], nowMs);
  }

  /**
   * The first `hops` relays of a circuit have answered. To be called for every
   * hop: a build that is never heard of again is blamed on the next one.
   */
  onHop(id: CircuitId, hops: number, nowMs: number): PoolAction[] {
    const circuit = this.#circuits.get(id);
    if (circuit === undefined || circuit.isOpen) return [];
    const actions: PoolAction[] = [];
    if (this.#reach(circuit, hops)) return actions;
    this.#close(circuit, actions);
    return this.#plan(actions, nowMs);
  }

  /**
   * A circuit is built.
   *
   * @param roundTripMs To its last hop and back, where known.
   */
  onBuilt(id: CircuitId, nowMs: number, roundTripMs?: number): PoolAction[] {
    const circuit = this.#circuits.get(id);
    // Closed by us while its last hop answered.
    if (circuit === undefined) return [{ type: "close", id }];
    if (circuit.isOpen) return [];
    const actions: PoolAction[] = [];
    if (!this.#reach(circuit, circuit.path.length)) {
      this.#close(circuit, actions);
      return this.#plan(actions, nowMs);
    }
    const { least, most } = UNUSED_FOR_MS;
    const unusedMs = randomBetween(this.#random, least, most);
    // With the one that has just been built.
    const building = this.building;
    this.#circuits.open(circuit, nowMs + unusedMs);
    this.#counts.built++;
    this.#buildTime.onBuilt(circuit.startedMs, nowMs);
    this.#buildPlaces.onBuilt(this.buildMs, building);
    this.#selector.onBuilt(circuit.path, nowMs);
    this.#outage.onBuilt(nowMs);
    if (roundTripMs !== undefined) this.onMeasured(id, { roundTripMs });
    this.#serve(circuit, actions, nowMs);
    return this.#plan(actions, nowMs);
  }

  /**
   * A circuit could not be built.
   *
   * @param hop Place in its path of the relay that was to be added, from 0;
   * `undefined` when it is not known.
   */
  onFailed(
    id: CircuitId,
    hop: number | undefined,
    failure: BuildFailure,
    nowMs: number,
  ): PoolAction[] {
    const circuit = this.#circuits.get(id);
    if (circuit === undefined) return [];
    if (circuit.isOpen) return this.onClosed(id, "lost", nowMs);
    const actions: PoolAction[] = [];
    this.#lose(circuit, hop, failure, nowMs);
    if (failure === "full") this.#onFull(circuit, actions, nowMs);
    return this.#plan(actions, nowMs);
  }

  /**
   * A circuit has ended, and the pool did not end it.
   *
   * @param how `"done"` when its caller ended it; `"lost"` for everything else,
   * whatever the far end said: replacing it is counted.
   */
  onClosed(id: CircuitId, how: "lost" | "done", nowMs: number): PoolAction[] {
    const circuit = this.#circuits.get(id);
    if (circuit === undefined) return [];
    if (!circuit.isOpen) {
      return this.onFailed(id, undefined, "destroyed", nowMs);
    }
    this.#remove(circuit);
    // No caller was done with a circuit that none had.
    if (how === "lost" || !circuit.isTaken) {
      this.#counts.lost++;
      this.#lanes[circuit.purpose].budget.onLost(nowMs);
    }
    return this.#plan([], nowMs);
  }

  /** A circuit was measured: it and its relays are preferred, or not. */
  onMeasured(id: CircuitId, sample: CircuitSample): void {
    const circuit = this.#circuits.get(id);
    if (circuit === undefined) return;
    const { roundTripMs = 0 } = sample;
    if (roundTripMs > 0 && roundTripMs < Infinity) {
      const before = circuit.roundTripMs ?? roundTripMs;
      circuit.roundTripMs = before + (roundTripMs - before) * ROUND_TRIP_SHARE;
    }
    this.#selector.weights.observe(circuit.path, sample);
  }

  /** Time has passed. */
  onTime(nowMs: number): PoolAction[] {
    const actions: PoolAction[] = [];
    for (const circuit of [...this.#circuits.untaken]) {
      if (nowMs < circuit.deadlineMs) continue;
      if (!circuit.isOpen) {
        actions.push({ type: "close", id: circuit.id });
        this.#buildTime.onTimeout(circuit.startedMs, nowMs);
        this.#buildPlaces.onTimeout();
        this.#counts.timedOut++;
        this.#lose(circuit, circuit.hops, "timeout", nowMs);
      } else this.#close(circuit, actions);
    }
    for (const request of this.#waiting) {
      if (nowMs < request.deadlineMs) continue;
      this.#forget(request.id);
      this.#fail(request.id, this.#whyNot(request), actions);
    }
    return this.#plan(actions, nowMs);
  }

  /** The relay list has changed, and the selector has been refreshed. */
  onRelays(nowMs: number): PoolAction[] {
    for (const lane of Object.values(this.#lanes)) {
      lane.blockedUntilMs = -Infinity;
    }
    return this.#plan([], nowMs);
  }

  /** So many services of this node keep circuits: one loss may take some of each. */
  onServices(count: number, nowMs: number): PoolAction[] {
    const factor = Math.max(1, count / SERVICES_OF_BUDGET);
    for (const { rules, budget } of Object.values(this.#lanes)) {
      if (rules.isOfServices) budget.scale(factor, nowMs);
    }
    return this.#plan([], nowMs);
  }

  /** The machine is on another network, or awake again. */
  onNetworkChange(nowMs: number): PoolAction[] {
    this.#selector.onNetworkChange();
    return this.onRelays(nowMs);
  }

  /** End: close all circuits and turn away all requests. */
  close(): PoolAction[] {
    const actions: PoolAction[] = [];
    this.#isClosed = true;
    for (const circuit of [...this.#circuits]) {
      this.#close(circuit, actions);
    }
    for (const { id } of this.#waiting) {
      this.#fail(id, { reason: "closed" }, actions);
    }
    this.#waiting.clear();
    return actions;
  }

  /** What `anonnet circuits` shows. */
  status(nowMs: number): PoolStatus {
    return {
      circuits: Array.from(
        this.#circuits,
        (circuit) => circuitStatus(circuit, nowMs),
      ),
      waiting: this.#waiting.size,
      counts: { ...this.#counts },
      buildTimeoutMs: Math.round(this.#buildTime.timeoutMs),
      obstacles: Object.values(this.#lanes).flatMap(({ purpose, obstacle }) =>
        obstacle === undefined ? [] : [{ purpose, why: obstacle }]
      ),
      guards: this.#selector.guards.status(nowMs),
      layer2: this.#selector.layer2.status(nowMs),
    };
  }

  /** One relay more than a circuit has: else the far side could not choose any. */
  get #needed(): number {
    return this.#hops + 1;
  }

  #give(
    circuit: PoolCircuit,
    request: RequestId,
    actions: PoolAction[],
  ): void {
    this.#circuits.give(circuit);
    const { id, path } = circuit;
    actions.push({ type: "ready", request, id, path });
  }

  /** A circuit has just been built: one of the requests that it suits gets it. */
  #serve(circuit: PoolCircuit, actions: PoolAction[], nowMs: number): void {
    for (const request of this.#waiting.inOrderFor(circuit.id)) {
      // Built for this request, it is as disjoint as could be had.
      const want = request.build === circuit.id
        ? { ...request.want, avoid: AVOID_NOTHING }
        : request.want;
      if (!suits(circuit, want, this.#rule, nowMs)) continue;
      this.#forget(request.id);
      this.#counts.servedLater++;
      this.#give(circuit, request.id, actions);
      break;
    }
    this.#unclaim(circuit);
  }

  /** Start what should be built, as far as it may be now. Appends to `actions`. */
  #plan(actions: PoolAction[], nowMs: number): PoolAction[] {
    if (this.#isClosed) return actions;
    this.#wakeMs = Infinity;
    for (const request of this.#waiting) {
      if (request.build === undefined) this.#help(request, actions, nowMs);
    }
    for (const purpose of PURPOSES) {
      this.#warm(this.#lanes[purpose], actions, nowMs);
    }
    const why = this.#outage.look(this.shortage(nowMs), nowMs);
    if (why !== undefined) actions.push({ type: "shortage", why });
    return actions;
  }

  /** See to it that something is being built for a request. */
  #help(request: PoolRequest, actions: PoolAction[], nowMs: number): void {
    const { want } = request;
    for (const circuit of this.#circuits.builds) {
      if (circuit.isClaimed) continue;
      if (!suits(circuit, want, this.#rule, nowMs)) continue;
      circuit.isClaimed = true;
      request.build = circuit.id;
      return;
    }
    if (this.building >= this.mostBuilds) return;
    const lane = this.#lanes[want.purpose];
    const notBeforeMs = Math.max(request.notBeforeMs, lane.blockedUntilMs);
    if (nowMs < notBeforeMs) return this.#wakeAt(notBeforeMs);
    if (!this.#mayRebuild(lane, 0, actions, nowMs)) return;
    const { last, avoid } = want;
    const hops = this.#rule.chosenHops(want);
    const result = this.#selector.select({ hops, last, avoid }, nowMs);
    if (result.type === "path") {
      if (!this.#makeRoom(lane, actions, nowMs)) return;
      const path = result.path.slice(0, hops);
      const circuit = this.#begin(lane, path, actions, nowMs);
      circuit.isClaimed = true;
      request.build = circuit.id;
      return;
    }
    request.obstacle = result.why;
    request.notBeforeMs = retryMs(result.why, nowMs);
    // A last hop that does not fit is the trouble of this request alone.
    if (last === undefined) this.#block(lane, result.why, actions, nowMs);
    else this.#wakeAt(request.notBeforeMs);
  }

  /** Keep some circuits ready: what requests leave of the builds. */
  #warm(lane: Lane, actions: PoolAction[], nowMs: number): void {
    let missing = lane.warmTarget(nowMs) -
      this.#circuits.countWarm(lane.purpose);
    while (missing-- > 0 && this.building < MAX_WARM_BUILDS) {
      if (nowMs < lane.blockedUntilMs) return this.#wakeAt(lane.blockedUntilMs);
      if (this.#circuits.isFull) return;
      if (!this.#mayRebuild(lane, WARM_RESERVE, actions, nowMs)) return;
      const hops = chosenHops(this.#hops, lane.purpose, lane.rules.warmEnd);
      const result = this.#selector.select({ hops }, nowMs);
      if (result.type === "no_path") {
        return this.#block(lane, result.why, actions, nowMs);
      }
      this.#begin(lane, result.path, actions, nowMs);
    }
  }

  #begin(
    lane: Lane,
    path: readonly NodeRecord[],
    actions: PoolAction[],
    nowMs: number,
  ): PoolCircuit {
    const { purpose } = lane;
    if (lane.obstacle !== undefined) {
      lane.obstacle = undefined;
      actions.push({ type: "obstacle", purpose, why: undefined });
    }
    lane.budget.onBuild(nowMs);
    const deadlineMs = nowMs + this.#buildTime.timeoutMs;
    const circuit = this.#circuits.begin(purpose, path, nowMs, deadlineMs);
    actions.push({ type: "build", id: circuit.id, purpose, path });
    return circuit;
  }

  /** A guard bears no more: the other one is tried, or we wait. */
  #onFull(
    { path, purpose }: PoolCircuit,
    actions: PoolAction[],
    nowMs: number,
  ): void {
    const [guard] = path;
    if (guard !== undefined) this.#selector.onFull(guard.nodeId, nowMs);
    if (!this.#selector.areGuardsFull(nowMs)) return;
    // An unused circuit has a place there that a request needs more.
    if (this.#waiting.size > 0) this.#closeIdle(actions);
    this.#block(this.#lanes[purpose], { reason: "full" }, actions, nowMs);
  }

  /** Room for one circuit more: an unused one makes way. */
  #makeRoom(lane: Lane, actions: PoolAction[], nowMs: number): boolean {
    if (!this.#circuits.isFull || this.#closeIdle(actions)) return true;
    this.#block(lane, { reason: "full" }, actions, nowMs);
    return false;
  }

  /** The oldest unused circuit makes way. @returns Whether there was one. */
  #closeIdle(actions: PoolAction[]): boolean {
    const idle = this.#circuits.idle();
    if (idle === undefined) return false;
    this.#close(idle, actions);
    return true;
  }

  #mayRebuild(
    lane: Lane,
    reserve: number,
    actions: PoolAction[],
    nowMs: number,
  ): boolean {
    const readyMs = lane.budget.readyMs(reserve, nowMs);
    if (readyMs <= nowMs) return true;
    // The reserve waits in silence; only requests are refused.
    if (reserve > 0) this.#wakeAt(readyMs);
    else {
      const why = { reason: "rebuild_budget", retryMs: readyMs } as const;
      this.#block(lane, why, actions, nowMs);
    }
    return false;
  }

  #block(
    lane: Lane,
    why: PoolObstacle,
    actions: PoolAction[],
    nowMs: number,
  ): void {
    lane.blockedUntilMs = retryMs(why, nowMs);
    this.#wakeAt(lane.blockedUntilMs);
    const isNews = lane.obstacle?.reason !== why.reason;
    lane.obstacle = why;
    if (isNews) actions.push({ type: "obstacle", purpose: lane.purpose, why });
  }

  #wakeAt(atMs: number): void {
    this.#wakeMs = Math.min(this.#wakeMs, atMs);
  }

  /** Hops have answered; `false` when the circuit must not be. */
  #reach(circuit: PoolCircuit, hops: number): boolean {
    const upTo = Math.min(hops, circuit.path.length);
    while (circuit.hops < upTo) {
      circuit.hops++;
      if (!this.#selector.onReached(circuit.path, circuit.hops)) return false;
    }
    return true;
  }

  /** A build came to nothing. */
  #lose(
    circuit: PoolCircuit,
    hop: number | undefined,
    failure: BuildFailure,
    nowMs: number,
  ): void {
    const request = this.#waiting.unclaim(circuit.id);
    if (request !== undefined) request.failure = failure;
    this.#remove(circuit);
    this.#counts.failed++;
    // No relay is to blame: what we have used up ourselves is no loss.
    if (failure === "cancelled" || failure === "full") return;
    this.#selector.onFailed(circuit.path, hop, nowMs);
    this.#lanes[circuit.purpose].budget.onLost(nowMs);
  }

  #close(circuit: PoolCircuit, actions: PoolAction[]): void {
    this.#remove(circuit);
    actions.push({ type: "close", id: circuit.id });
  }

  #remove(circuit: PoolCircuit): void {
    this.#circuits.remove(circuit);
    this.#unclaim(circuit);
  }

  /** What was built for one request may serve another. */
  #unclaim(circuit: PoolCircuit): void {
    circuit.isClaimed = false;
    this.#waiting.unclaim(circuit.id);
  }

  /** A request waits no longer. */
  #forget(id: RequestId): void {
    const build = this.#waiting.delete(id);
    const circuit = build && this.#circuits.get(build);
    if (circuit) circuit.isClaimed = false;
  }

  #fail(
    request: RequestId,
    why: RequestFailure,
    actions: PoolAction[],
  ): void {
    this.#counts.unserved++;
    actions.push({ type: "failed", request, why });
  }

  #whyNot({ want, obstacle, failure }: PoolRequest): RequestFailure {
    return this.#lanes[want.purpose].obstacle ?? obstacle ??
      { reason: "timeout", failure };
  }
}

/** When to try again in spite of an obstacle. */
function retryMs(why: PoolObstacle, nowMs: number): number {
  return "retryMs" in why ? why.retryMs : nowMs + NO_PATH_RETRY_MS;
}
