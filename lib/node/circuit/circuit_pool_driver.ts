/**
 * The driver of a {@linkcode CircuitPool}: it builds the circuits that the pool asks
 * for, and hands them out.
 *
 *     relay list ─▶ selector ─▶ pool ─▶ build ─▶ hop, hop, hop ─▶ pool ─▶ take
 *                      ▲                              │
 *                      └── guards, on the disk ───────┘  each hop reported
 *
 * Guards are on the disk before a circuit uses them: a node that is killed again
 * and again must not draw others each time.
 *
 * @see protocol §5.8 "Paths", §5.9 "Pool"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { raceSignal, sleep } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import { CircuitPool } from "../../pool/circuit_pool.ts";
import type { Pressure } from "../../base/pressure.ts";
import type { PoolAction } from "../../pool/pool_action.ts";
import type {
  CircuitId,
  CircuitWant,
  PoolObstacle,
  RequestId,
} from "../../pool/pool_circuit.ts";
import type { KeptContact, NamedKept } from "../../path/kept_relay.ts";
import type { PoolStatus } from "../../pool/pool_status.ts";
import type { Shortage } from "../../path/shortage.ts";
import { PathSelector } from "../../path/path_selection.ts";
import { CellBuffers } from "./cell_buffers.ts";
import {
  blame,
  type BlamedHop,
  describeFailure,
  howEnded,
} from "./circuit_blame.ts";
import type { CircuitEnd, OwnCircuitHost } from "./circuit_build.ts";
import type { CircuitLinks } from "./circuit_links.ts";
import { type CircuitFacts, circuitFacts } from "./circuit_facts.ts";
import { CircuitMeter } from "./circuit_meter.ts";
import {
  obstacleLine,
  requestError,
  shortageError,
  unstoredError,
} from "./circuit_obstacle.ts";
import type { Circuits, CircuitWish, ServiceCircuit } from "./circuits.ts";
import { GuardJudge } from "./guard_judge.ts";
import type { GuardMemory } from "./guard_memory.ts";
import { type Log, thrown } from "../../log/log.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { TaskSet } from "../../base/task_set.ts";
import { OwnCircuit } from "./own_circuit.ts";
import type { RelayDirectory } from "../directory/relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";

/** How often the dates of guards are looked at, ms. */
const LOOK_MS = 60_000;

/** How soon guards that could not be stored are to be stored again, ms. */
const STORE_RETRY_MS = 2_000;

/** What a driver is made of. */
export interface CircuitPoolDriverOptions {
  readonly network: NetworkParameters;
  readonly runtime: Pick<
    Runtime,
    "clock" | "random" | "crypto" | "log" | "localAddresses"
  >;
  /** Our guards, kept. */
  readonly memory: GuardMemory;
  /** Where first hops are reached. */
  readonly links: CircuitLinks;
  readonly relays: RelayDirectory;
  /** Relays of a circuit, 1 to 7. Default 3. */
  readonly hops?: number | undefined;
  /** Our own id, where this node is a relay too: no path leads through it. */
  readonly ownNodeId?: NodeId | undefined;
  /** Hears which relays are kept, when it is others or the list has changed. */
  readonly onKept?: (ids: readonly NodeId[]) => void;
}

/** The circuits of one node. */
export class CircuitPoolDriver implements Circuits, AsyncDisposable {
  readonly #options: CircuitPoolDriverOptions;
  readonly #log: Log;
  readonly #memory: GuardMemory;
  readonly #selector: PathSelector;
  readonly #pool: CircuitPool;
  readonly #host: OwnCircuitHost;
  readonly #timer: MachineTimer;
  readonly #meter: CircuitMeter<CircuitId>;
  readonly #listener: Disposable;
  /** Those being built, and how to stop that. */
  readonly #builds = new Map<CircuitId, AbortController>();
  readonly #circuits = new Map<CircuitId, OwnCircuit>();
  readonly #requests = new Map<RequestId, PromiseWithResolvers<OwnCircuit>>();
  /** Awaited on dispose. */
  readonly #tasks: TaskSet;
  /** What stands in the way, as far as the log says. */
  readonly #obstacles = new Set<(PoolObstacle | Shortage)["reason"]>();
  readonly #first = Promise.withResolvers<void>();
  readonly #judge: GuardJudge;
  readonly #stopping = new AbortController();
  readonly #lookTimer: MachineTimer;
  /** The state of sets and list when `onKept` was last called. */
  #toldKept = "";
  #isStopped = false;

  /**
   * Begin to keep circuits ready. Make it when the relay list is as complete as it
   * will be: guards are drawn from it.
   */
  constructor(options: CircuitPoolDriverOptions) {
    const { network, runtime, relays, links, ownNodeId, hops, memory } =
      options;
    const { clock, random, crypto, log } = runtime;
    this.#options = options;
    this.#tasks = new TaskSet((error) => this.#onFault(error));
    this.#log = log.part("circuits");
    this.#memory = memory;
    this.#selector = new PathSelector({
      network,
      random,
      relays,
      guards: memory.guards,
      layer2: memory.layer2,
      tenure: memory.tenure,
      ownNodeId,
    });
    this.#judge = new GuardJudge({
      runtime,
      links,
      guards: this.#selector.guards,
      signal: this.#stopping.signal,
      onChange: () => this.#onRelays(),
    });
    this.#pool = new CircuitPool({
      selector: this.#selector,
      random,
      ...hops === undefined ? {} : { hops },
    });
    this.#host = {
      crypto,
      clock,
      random,
      links,
      buffers: new CellBuffers(),
      onError: (error) => this.#onFault(error),
    };
    this.#timer = new MachineTimer(clock, () => {
      this.#obey(this.#pool.onTime(clock.nowMs()));
    });
    this.#lookTimer = new MachineTimer(clock, () => {
      this.#onRelays();
      this.#lookLater();
    });
    this.#meter = new CircuitMeter(
      clock,
      this.#circuits,
      (id, bytesPerSecond) => this.#pool.onMeasured(id, { bytesPerSecond }),
    );
    this.#listener = relays.onChange(() => this.#onRelays());
    this.#begin();
  }

  /** Resolves once a circuit has been built; never rejects. */
  get ready(): Promise<void> {
    return this.#first.promise;
  }

  /** What `anonnet circuits` shows. */
  get status(): PoolStatus {
    return this.#pool.status(this.#nowMs);
  }

  /** Where our guards can be dialled, also those that are off the list: of those that are stored. */
  get guards(): readonly KeptContact[] {
    return this.#selector.guards.contacts()
      .filter(({ nodeId }) => this.#memory.holds([nodeId]));
  }

  /** Our guards by name: for the operator, who has asked for that. */
  get namedGuards(): readonly NamedKept[] {
    return this.#selector.guards.named(this.#nowMs);
  }

  async take(wish: CircuitWish): Promise<ServiceCircuit> {
    const { purpose, endAt, avoid, signal } = wish;
    signal.throwIfAborted();
    const circuit = await this.#takeOpen({
      purpose,
      last: endAt,
      avoid,
    }, signal);
    if (endAt === undefined) return circuit;
    const result = await circuit.extend(endAt, { signal });
    if (result.ok) return circuit;
    circuit.close();
    throw new UnreachableError(
      "circuit.not_extended",
      `Cannot reach the last relay of a circuit: ${
        describeFailure(result.failure)
      }`,
    );
  }

  get waiting(): number {
    return this.#pool.waiting;
  }

  get pressure(): Pressure {
    return this.#pool.pressure;
  }

  get buildMs(): number {
    return this.#pool.buildMs;
  }

  get mostBuilds(): number {
    return this.#pool.mostBuilds;
  }

  get outageNow(): UnreachableError | undefined {
    const why = this.#pool.shortage(this.#nowMs);
    return why === undefined ? undefined : shortageError(why);
  }

  outageSince(sinceMs: number): UnreachableError | undefined {
    const why = this.#pool.outageSince(sinceMs, this.#nowMs);
    return why === undefined ? undefined : shortageError(why);
  }

  /** Whether circuits can be built, for `anonnet status`. */
  get facts(): CircuitFacts {
    const nowMs = this.#nowMs;
    return circuitFacts(this.#pool.count(nowMs), this.#pool.shortage(nowMs));
  }

  /** A link has come up, for whatever purpose: a guard is back in its place by it. */
  onLink(nodeId: NodeId): void {
    if (!this.#isStopped) this.#judge.onLink(nodeId);
  }

  onServices(count: number): void {
    this.#obey(this.#pool.onServices(count, this.#nowMs));
  }

  /** The machine is on another network, or awake again: what failed may work. */
  onNetworkChange(): void {
    this.#onRelays();
    this.#obey(this.#pool.onNetworkChange(this.#nowMs));
  }

  /** Close all circuits, and store what guards have become. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopped) return;
    this.#obey(this.#pool.close());
    this.#isStopped = true;
    this.#stopping.abort(stopped());
    this.#listener[Symbol.dispose]();
    this.#lookTimer.stop();
    this.#meter.stop();
    this.#timer.stop();
    await Promise.all(
      Array.from(this.#circuits.values(), (circuit) => circuit.closed),
    );
    await this.#tasks.ended();
    this.#memory.tenure.flush();
    await this.#memory.save();
  }

  get #nowMs(): number {
    return this.#options.runtime.clock.nowMs();
  }

  #begin(): void {
    const { clock } = this.#options.runtime;
    const nowMs = clock.nowMs();
    this.#selector.refresh(nowMs, clock.unixMs());
    this.#obey(this.#pool.start(nowMs));
    this.#lookLater();
    this.#meter.start();
  }

  #lookLater(): void {
    this.#lookTimer.set(this.#nowMs + LOOK_MS);
  }

  #onRelays(): void {
    const { clock } = this.#options.runtime;
    const nowMs = clock.nowMs();
    this.#selector.refresh(nowMs, clock.unixMs());
    this.#obey(this.#pool.onRelays(nowMs));
  }

  /** When a link breaks, the pool hears of the end of each circuit one after the other. */
  async #takeOpen(want: CircuitWant, signal: AbortSignal): Promise<OwnCircuit> {
    for (;;) {
      const circuit = await this.#request(want, signal);
      if (circuit.isOpen) return circuit;
    }
  }

  async #request(
    want: CircuitWant,
    signal: AbortSignal,
  ): Promise<OwnCircuit> {
    const { request, actions } = this.#pool.take(want, this.#nowMs);
    const waiting = Promise.withResolvers<OwnCircuit>();
    this.#requests.set(request, waiting);
    this.#obey(actions);
    try {
      return await raceSignal(waiting.promise, signal);
    } catch (error) {
      // It may have come in the same turn, when its caller has given up.
      waiting.promise.then((circuit) => circuit.close(), () => {});
      if (this.#requests.delete(request)) {
        this.#obey(this.#pool.cancel(request, this.#nowMs));
      }
      throw error;
    }
  }

  #obey(actions: readonly PoolAction[]): void {
    if (this.#isStopped) return;
    for (const action of actions) this.#carryOut(action);
    this.#tasks.run(this.#memory.save());
    this.#tellKept();
    this.#timer.set(this.#pool.deadlineMs);
  }

  /** Again after each change of either set, and of the list, where a kept one may be new. */
  #tellKept(): void {
    const { guards, layer2 } = this.#selector;
    const { version } = this.#options.relays;
    const told = `${guards.revision} ${layer2.revision} ${version}`;
    if (told === this.#toldKept) return;
    this.#toldKept = told;
    this.#options.onKept?.([...guards.nodeIds, ...layer2.nodeIds]);
  }

  #carryOut(action: PoolAction): void {
    switch (action.type) {
      case "build":
        return this.#tasks.run(this.#build(action.id, action.path));
      case "close":
        this.#builds.get(action.id)?.abort(stopped());
        this.#circuits.get(action.id)?.close();
        return;
      case "ready": {
        const open = this.#circuits.get(action.id);
        const waiting = this.#requests.get(action.request);
        this.#requests.delete(action.request);
        if (open !== undefined) waiting?.resolve(open);
        else waiting?.reject(requestError({ reason: "closed" }));
        return;
      }
      case "failed":
        this.#requests.get(action.request)?.reject(requestError(action.why));
        this.#requests.delete(action.request);
        return;
      case "obstacle":
        return this.#onObstacle(action.why);
      case "shortage":
        return this.#onObstacle(action.why);
    }
  }

  /**
   * Say what is in the way, once: a build that begins is no sign yet that it is
   * gone, and all purposes stumble over the same.
   */
  #onObstacle(obstacle: PoolObstacle | Shortage | undefined): void {
    if (obstacle === undefined) return;
    const nowMs = this.#nowMs;
    // Where relays are missing, that circuits fail is what comes of it.
    const why = obstacle.reason === "rebuild_budget"
      ? this.#pool.shortage(nowMs) ?? obstacle
      : obstacle;
    if (this.#obstacles.has(why.reason)) return;
    this.#obstacles.add(why.reason);
    const count = this.#pool.count(nowMs);
    const { message, fields } = obstacleLine(why, count, nowMs);
    this.#log.warning(message, fields);
  }

  /** Not while relays are missing: what is built now and then is no sign of more. */
  #onFirstAfterObstacle(): void {
    if (this.#obstacles.size === 0) return;
    if (this.#pool.shortage(this.#nowMs) !== undefined) return;
    this.#obstacles.clear();
    this.#log.info("Circuits can be built again");
  }

  async #build(id: CircuitId, path: readonly NodeRecord[]): Promise<void> {
    const stop = new AbortController();
    const { signal } = stop;
    this.#builds.set(id, stop);
    try {
      await this.#untilHeld(path, signal);
      if (this.#isExpired(path)) return this.#choosePathAnew(id);
      const [guard] = path;
      if (guard !== undefined) this.#tasks.run(this.#judge.judge(guard));
      const result = await this.#buildHops(id, path, signal);
      if (!(result instanceof OwnCircuit)) {
        if (this.#isExpired(path)) return this.#choosePathAnew(id);
        const { hop, failure } = result;
        this.#obey(this.#pool.onFailed(id, hop, failure, this.#nowMs));
      } else if (signal.aborted) result.close();
      else await this.#onBuilt(id, result, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#obey(this.#pool.onFailed(id, undefined, "destroyed", this.#nowMs));
      if (!(error instanceof AnonNetError)) throw error;
    } finally {
      this.#builds.delete(id);
    }
  }

  /** The calendar has gone on, while the machine slept perhaps: no relay is to blame. */
  #choosePathAnew(id: CircuitId): void {
    this.#onRelays();
    this.#obey(this.#pool.onFailed(id, undefined, "cancelled", this.#nowMs));
  }

  /** Whether the record of a relay of a path is old: others need not take it. */
  #isExpired(path: readonly NodeRecord[]): boolean {
    const unixMs = this.#options.runtime.clock.unixMs();
    return path.some(({ expiry }) => expiry <= unixMs);
  }

  /** Wait until a restart would find the relays that we keep, and tell who waits. */
  async #untilHeld(
    path: readonly NodeRecord[],
    signal: AbortSignal,
  ): Promise<void> {
    const nodeIds = path.map(({ nodeId }) => nodeId);
    for (;;) {
      await this.#memory.save();
      if (this.#memory.holds(nodeIds)) return;
      for (const [request, waiting] of this.#requests) {
        this.#requests.delete(request);
        waiting.reject(unstoredError(this.#memory.trouble));
        this.#obey(this.#pool.cancel(request, this.#nowMs));
      }
      const { clock } = this.#options.runtime;
      await sleep(clock, STORE_RETRY_MS, { signal });
    }
  }

  /** Hop by hop, each reported. @returns The circuit, or which hop failed and how. */
  async #buildHops(
    id: CircuitId,
    path: readonly NodeRecord[],
    signal: AbortSignal,
  ): Promise<OwnCircuit | BlamedHop> {
    const begun = await OwnCircuit.build(this.#host, path.slice(0, 1), {
      signal,
    });
    if (!begun.ok) return blame(begun.failure);
    const { circuit } = begun;
    this.#obey(this.#pool.onHop(id, 1, this.#nowMs));
    for (const [index, relay] of path.slice(1).entries()) {
      const result = await circuit.extend(relay, { signal });
      if (!result.ok) {
        circuit.close();
        return blame(result.failure);
      }
      this.#obey(this.#pool.onHop(id, index + 2, this.#nowMs));
    }
    return circuit;
  }

  async #onBuilt(
    id: CircuitId,
    circuit: OwnCircuit,
    signal: AbortSignal,
  ): Promise<void> {
    this.#circuits.set(id, circuit);
    this.#tasks.run(
      circuit.closed.then((end) => this.#onClosed(id, circuit, end)),
    );
    // Measured only while no request waits.
    const roundTripMs = this.#pool.waiting > 0
      ? undefined
      : await circuit.ping({ signal });
    if (!circuit.isOpen) return;
    this.#obey(this.#pool.onBuilt(id, this.#nowMs, roundTripMs));
    this.#onFirstAfterObstacle();
    this.#first.resolve();
  }

  #onClosed(id: CircuitId, circuit: OwnCircuit, end: CircuitEnd): void {
    this.#circuits.delete(id);
    const how = howEnded(end, circuit.isJoined ? "joined" : "alone");
    this.#obey(this.#pool.onClosed(id, how, this.#nowMs));
  }

  #onFault(error: unknown): void {
    this.#log.error("A bug: a circuit failed", {
      error: thrown(error),
    });
  }
}

/** Why a build was stopped; no caller hears it. */
function stopped(): UnreachableError {
  return new UnreachableError("circuit.stopped", "The pool closed the circuit");
}
