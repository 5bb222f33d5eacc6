/**
 * A pool, and a driver whose circuits exist on paper: hops take time, relays are
 * dead or hostile, and every promise that can be checked at each step is.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import {
  CircuitPool,
  type CircuitPoolOptions,
} from "../../lib/pool/circuit_pool.ts";
import { BUILDS } from "../../lib/pool/build_places.ts";
import type { PoolAction } from "../../lib/pool/pool_action.ts";
import type { GuardSet } from "../../lib/path/guard_set.ts";
import type { Layer2Set } from "../../lib/path/layer2.ts";
import { PathSelector } from "../../lib/path/path_selection.ts";
import type {
  CircuitId,
  CircuitWant,
  RequestFailure,
  RequestId,
} from "../../lib/pool/pool_circuit.ts";
import type { Shortage } from "../../lib/path/shortage.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { PUBLIC, type TestSelector, testSelector } from "../path/_relays.ts";

/** A circuit on paper. */
export interface PaperCircuit {
  readonly id: CircuitId;
  readonly path: readonly NodeRecord[];
  readonly startedMs: number;
  hops: number;
  nextMs: number;
  isOpen: boolean;
  /** Given to a request. */
  isTaken: boolean;
}

/** What a world is made of. */
export interface PoolWorldOptions extends Partial<CircuitPoolOptions> {
  readonly relays: readonly NodeRecord[];
  readonly seed?: number;
  /** How long a hop takes. Default 50 ms. */
  readonly hopMs?: number;
}

/** How a world looks from outside. */
export class PoolWorld {
  pool: CircuitPool;
  selector: PathSelector;
  readonly test: TestSelector;
  readonly options: PoolWorldOptions;
  readonly circuits = new Map<CircuitId, PaperCircuit>();
  readonly wants = new Map<RequestId, CircuitWant>();
  readonly given = new Map<RequestId, PaperCircuit>();
  readonly failed = new Map<RequestId, RequestFailure>();
  readonly obstacles: (string | undefined)[] = [];
  /** What was to be told of missing relays. */
  readonly shortages: Shortage[] = [];
  /** Every path that was ever asked for. */
  readonly paths: (readonly NodeRecord[])[] = [];
  /** Relays that do not answer, and when they do again. */
  readonly dead = new Set<RelayKey>();
  /** How many circuits a guard bears at once, where that is not without end. */
  readonly bears = new Map<RelayKey, number>();
  nowMs = 0;

  constructor(options: PoolWorldOptions) {
    this.options = options;
    this.test = testSelector(options.relays, { seed: options.seed ?? 1 });
    this.selector = this.test.selector;
    this.pool = this.#makePool();
    this.do(this.pool.start(0));
  }

  #makePool(): CircuitPool {
    const { random } = this.test;
    return new CircuitPool({
      ...this.options,
      selector: this.selector,
      random,
    });
  }

  /** Carry out what the pool asks for. */
  do(actions: readonly PoolAction[]): void {
    for (const action of actions) this.#obey(action);
    assert.ok(this.pool.building <= BUILDS.most);
  }

  #obey(action: PoolAction): void {
    switch (action.type) {
      case "build":
        assert.ok(!this.circuits.has(action.id));
        this.paths.push(action.path);
        this.circuits.set(action.id, {
          id: action.id,
          path: action.path,
          startedMs: this.nowMs,
          hops: 0,
          nextMs: this.nowMs + (this.options.hopMs ?? 50),
          isOpen: false,
          isTaken: false,
        });
        break;
      case "close":
        assert.ok(this.circuits.delete(action.id), "closed twice");
        break;
      case "ready": {
        const circuit = this.circuits.get(action.id);
        const want = this.wants.get(action.request);
        assert.ok(circuit?.isOpen && want, "a circuit that is not there");
        assert.equal(circuit.path, action.path);
        assert.ok(!circuit.isTaken, "two requests have one circuit");
        circuit.isTaken = true;
        this.given.set(action.request, circuit);
        break;
      }
      case "failed":
        this.failed.set(action.request, action.why);
        break;
      case "obstacle":
        this.obstacles.push(action.why?.reason);
        break;
      case "shortage":
        this.shortages.push(action.why);
        break;
    }
  }

  /** Ask for a circuit; for `rendezvous` unless told otherwise. */
  take(want: Partial<CircuitWant> = {}): RequestId {
    const whole = { purpose: "rendezvous", ...want } as const;
    const { request, actions } = this.pool.take(whole, this.nowMs);
    this.wants.set(request, whole);
    this.do(actions);
    return request;
  }

  /** A circuit ends: its caller closes it, or a relay destroys it. */
  kill(circuit: PaperCircuit, how: "lost" | "done" = "lost"): void {
    if (!this.circuits.delete(circuit.id)) return;
    this.do(
      circuit.isOpen
        ? this.pool.onClosed(circuit.id, how, this.nowMs)
        : this.pool.onFailed(circuit.id, undefined, "destroyed", this.nowMs),
    );
  }

  /** Run until `untilMs`, or until nothing happens any more. */
  run(untilMs: number): void {
    for (;;) {
      const dueMs = this.#dueMs();
      if (dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.#step();
    }
    this.nowMs = untilMs;
  }

  #dueMs(): number {
    let dueMs = this.pool.deadlineMs;
    for (const { isOpen, nextMs } of this.circuits.values()) {
      if (!isOpen) dueMs = Math.min(dueMs, nextMs);
    }
    return dueMs;
  }

  #step(): void {
    for (const circuit of [...this.circuits.values()]) {
      if (!circuit.isOpen && circuit.nextMs <= this.nowMs) this.#hop(circuit);
    }
    if (this.pool.deadlineMs > this.nowMs) return;
    this.do(this.pool.onTime(this.nowMs));
    assert.ok(this.pool.deadlineMs > this.nowMs, "a busy loop");
  }

  #hop(circuit: PaperCircuit): void {
    const relay = circuit.path[circuit.hops];
    assert.ok(relay);
    if (this.dead.has(relayKey(relay.nodeId))) {
      circuit.nextMs = Infinity; // until the pool gives it up
      return;
    }
    if (circuit.hops === 0 && this.#isFull(relay)) {
      this.circuits.delete(circuit.id);
      const { id } = circuit;
      this.do(this.pool.onFailed(id, undefined, "full", this.nowMs));
      return;
    }
    circuit.hops++;
    circuit.nextMs = this.nowMs + (this.options.hopMs ?? 50);
    if (circuit.hops < circuit.path.length) {
      this.do(this.pool.onHop(circuit.id, circuit.hops, this.nowMs));
      return;
    }
    circuit.isOpen = true;
    this.do(this.pool.onBuilt(circuit.id, this.nowMs));
  }

  #isFull(guard: NodeRecord): boolean {
    let has = 0;
    for (const { path, hops } of this.circuits.values()) {
      if (hops > 0 && path[0]?.nodeId === guard.nodeId) has++;
    }
    return has >= (this.bears.get(relayKey(guard.nodeId)) ?? Infinity);
  }

  /** Close everything and begin again, with guards as they were. */
  restart(guards: GuardSet, layer2: Layer2Set): void {
    this.do(this.pool.close());
    const { random, source } = this.test;
    const network = PUBLIC;
    this.selector = new PathSelector({
      network,
      random,
      relays: source,
      guards,
      layer2,
    });
    this.pool = this.#makePool();
    this.refresh();
  }

  /** The relay list is as it is, at this time. */
  refresh(): void {
    this.selector.refresh(this.nowMs, TEST_UNIX_MS + this.nowMs);
    this.do(this.pool.onRelays(this.nowMs));
  }

  /** Open circuits that requests have. */
  get taken(): PaperCircuit[] {
    return [...this.circuits.values()].filter(({ isTaken }) => isTaken);
  }

  statesOf(state: "building" | "unused" | "used"): number {
    return this.pool.status(this.nowMs).circuits
      .filter((circuit) => circuit.state === state).length;
  }
}
