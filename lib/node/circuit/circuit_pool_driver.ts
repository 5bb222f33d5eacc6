/**
 * The driver of a {@linkcode CircuitPool}: it builds the circuits that the pool asks
 * for, and hands them out.
 *
 *     relay list ─▶ selector ─▶ pool ─▶ build ─▶ hop, hop, hop ─▶ pool ─▶ take
 *                      ▲                              │
 *                      └── guards, on the disk ───────┘  each hop reported
 *
 * Guards are on the disk before anybody meets them: a node that is killed again
 * and again must not draw others each time.
 *
 * @see protocol §5.8 "Paths", §5.9 "Pool"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { raceSignal, type Timer } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import { CircuitPool } from "../../pool/circuit_pool.ts";
import type { PoolAction } from "../../pool/pool_action.ts";
import type {
  CircuitId,
  CircuitWant,
  PoolObstacle,
  RequestId,
} from "../../pool/pool_circuit.ts";
import type { KeptContact } from "../../path/kept_relays.ts";
import type { PoolStatus } from "../../pool/pool_status.ts";
import { PathSelector } from "../../path/path_selection.ts";
import { type RelayKey, relayKey } from "../../path/relay_key.ts";
import { CellBuffers } from "./cell_buffers.ts";
import {
  blame,
  type BlamedHop,
  describeFailure,
  howEnded,
} from "./circuit_blame.ts";
import type { CircuitEnd, OwnCircuitHost } from "./circuit_build.ts";
import type { CircuitLinks } from "./circuit_links.ts";
import { CircuitMeter } from "./circuit_meter.ts";
import { obstacleLine, requestError } from "./circuit_obstacle.ts";
import type { Circuits, CircuitWish, ServiceCircuit } from "./circuits.ts";
import type { GuardMemory } from "./guard_memory.ts";
import { type Log, thrown } from "../../log/log.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { OwnCircuit } from "./own_circuit.ts";
import type { RelayDirectory } from "../directory/relay_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";

/** How often the dates of guards are looked at, ms. */
const LOOK_MS = 60_000;

/** Failed dials that say nothing of who was dialled: we did not even try. */
const NOT_DIALLED = new Set(["link.backoff", "link.full", "link.stopping"]);

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
  /** What runs on its own; awaited on dispose. */
  readonly #running = new Set<Promise<void>>();
  /** What stands in the way, as far as the log says. */
  readonly #obstacles = new Set<PoolObstacle["reason"]>();
  readonly #first = Promise.withResolvers<void>();
  /** Guards being dialled. */
  readonly #dialled = new Set<RelayKey>();
  readonly #stopping = new AbortController();
  #lookTimer: Timer | undefined;
  #keys = 0;
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
    this.#log = log.part("circuits");
    this.#memory = memory;
    this.#selector = new PathSelector({
      network,
      random,
      relays,
      guards: memory.guards,
      layer2: memory.layer2,
      ownNodeId,
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

  /** Where our guards can be dialled, also those that are off the list. */
  get guards(): readonly KeptContact[] {
    return this.#selector.guards.contacts();
  }

  relays(): readonly NodeRecord[] {
    return this.#options.relays.snapshot();
  }

  async take(wish: CircuitWish): Promise<ServiceCircuit> {
    const { purpose, endAt, avoid, signal } = wish;
    signal.throwIfAborted();
    const circuit = await this.#takeOpen({
      purpose,
      // A key of its own for each: nobody else gets what this caller has used.
      isolation: `${++this.#keys}`,
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
    this.#lookTimer?.cancel();
    this.#meter.stop();
    this.#timer.stop();
    await Promise.all(
      Array.from(this.#circuits.values(), (circuit) => circuit.closed),
    );
    while (this.#running.size > 0) await Promise.all(this.#running);
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
    const { clock } = this.#options.runtime;
    this.#lookTimer = clock.schedule(LOOK_MS, () => {
      this.#onRelays();
      this.#lookLater();
    }, { keepAlive: false });
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
      // It may have come in the same turn, with nobody left to use it.
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
    this.#run(this.#memory.save());
    this.#timer.set(this.#pool.deadlineMs ?? Infinity);
  }

  #carryOut(action: PoolAction): void {
    switch (action.type) {
      case "build":
        return this.#run(this.#build(action.id, action.path));
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
    }
  }

  /**
   * Say what is in the way, once: a build that begins is no sign yet that it is
   * gone, and all purposes stumble over the same.
   */
  #onObstacle(why: PoolObstacle | undefined): void {
    if (why === undefined || this.#obstacles.has(why.reason)) return;
    this.#obstacles.add(why.reason);
    const { message, fields } = obstacleLine(why, this.#nowMs);
    this.#log.warning(message, fields);
  }

  #onFirstAfterObstacle(): void {
    if (this.#obstacles.size === 0) return;
    this.#obstacles.clear();
    this.#log.info("Circuits can be built again");
  }

  async #build(id: CircuitId, path: readonly NodeRecord[]): Promise<void> {
    const stop = new AbortController();
    const { signal } = stop;
    this.#builds.set(id, stop);
    try {
      await this.#memory.save();
      const [guard] = path;
      if (guard !== undefined) this.#run(this.#judge(guard));
      const result = await this.#buildHops(id, path, signal);
      if (!(result instanceof OwnCircuit)) {
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

  /**
   * Guards are judged by their links alone: nobody who ends circuits, or floods us
   * so that they are slow, makes us leave a guard. The dial is that of the build,
   * and goes on when the build has been given up.
   */
  async #judge(guard: NodeRecord): Promise<void> {
    const { links } = this.#options;
    const { nodeId } = guard;
    const key = relayKey(nodeId);
    if (this.#dialled.has(key)) return;
    this.#dialled.add(key);
    try {
      await links.getOrDial(guard, { signal: this.#stopping.signal });
      this.#selector.guards.onLinked(nodeId);
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      if (this.#isOffline || NOT_DIALLED.has(error.code)) return;
      const { guards } = this.#selector;
      if (guards.onUnlinked(nodeId, this.#nowMs)) this.#onRelays();
    } finally {
      this.#dialled.delete(key);
    }
  }

  /** Whether the system says that no address of the machine leads anywhere. */
  get #isOffline(): boolean {
    const { localAddresses } = this.#options.runtime;
    return this.#isStopped || localAddresses?.()?.length === 0;
  }

  /** Hop by hop, each reported. @returns The circuit, or who failed and how. */
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
    this.#run(circuit.closed.then((end) => this.#onClosed(id, end)));
    // Measured only while nobody waits for it.
    const roundTripMs = this.#pool.waiting > 0
      ? undefined
      : await circuit.ping({ signal });
    if (!circuit.isOpen) return;
    this.#obey(this.#pool.onBuilt(id, this.#nowMs, roundTripMs));
    this.#onFirstAfterObstacle();
    this.#first.resolve();
  }

  #onClosed(id: CircuitId, end: CircuitEnd): void {
    this.#circuits.delete(id);
    this.#obey(this.#pool.onClosed(id, howEnded(end), this.#nowMs));
  }

  /** Own a promise. What the network does is no failure of ours. */
  #run(work: Promise<void>): void {
    const task = work.catch((error) => this.#onFault(error))
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  #onFault(error: unknown): void {
    this.#log.error("A bug: a circuit failed", {
      error: thrown(error),
    });
  }
}

/** Why a build was stopped: heard by nobody. */
function stopped(): UnreachableError {
  return new UnreachableError("circuit.stopped", "The pool closed the circuit");
}
