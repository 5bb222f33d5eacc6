/**
 * The circuits of a pool, built and being built.
 *
 *     begin ──→ building ── open ──→ built ──→ removed
 *                   └──────────────────────────┘
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { type ChoiceRules, rank, suits } from "./circuit_choice.ts";
import {
  type CircuitId,
  type CircuitWant,
  isUnused,
  type PoolCircuit,
} from "./pool_circuit.ts";
import type { Purpose } from "./purpose.ts";

/** A bounded number of circuits, in the order in which they were begun. */
export class CircuitStock implements Iterable<PoolCircuit> {
  readonly #capacity: number;
  readonly #circuits = new Map<CircuitId, PoolCircuit>();
  /** Those of them being built. */
  readonly #builds = new Set<PoolCircuit>();
  #nextId = 1;

  /** @param capacity Most circuits. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Circuits, built and being built. */
  get size(): number {
    return this.#circuits.size;
  }

  /** Whether there is no room for another one. */
  get isFull(): boolean {
    return this.size >= this.#capacity;
  }

  /** Those being built. They may leave meanwhile. */
  get builds(): ReadonlySet<PoolCircuit> {
    return this.#builds;
  }

  /** When the first of them is to be given up; `Infinity` with none. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const circuit of this) {
      // An old circuit that somebody has is closed when it is released.
      if (circuit.users > 0) continue;
      deadlineMs = Math.min(deadlineMs, circuit.deadlineMs);
    }
    return deadlineMs;
  }

  /** All of them, the oldest first. They may leave meanwhile. */
  [Symbol.iterator](): IterableIterator<PoolCircuit> {
    return this.#circuits.values();
  }

  /** The circuit of this id, if it has not left. */
  get(id: CircuitId): PoolCircuit | undefined {
    return this.#circuits.get(id);
  }

  /** A circuit whose build begins, and is given up at `deadlineMs`. */
  begin(
    purpose: Purpose,
    path: readonly NodeRecord[],
    nowMs: number,
    deadlineMs: number,
  ): PoolCircuit {
    const circuit: PoolCircuit = {
      id: this.#nextId++,
      purpose,
      path,
      startedMs: nowMs,
      deadlineMs,
      isOpen: false,
      hops: 0,
      isolation: undefined,
      isExclusive: false,
      users: 0,
      roundTripMs: undefined,
      claim: undefined,
    };
    this.#circuits.set(circuit.id, circuit);
    this.#builds.add(circuit);
    return circuit;
  }

  /** A circuit is built: it waits for its first request until `deadlineMs`. */
  open(circuit: PoolCircuit, deadlineMs: number): void {
    circuit.isOpen = true;
    circuit.deadlineMs = deadlineMs;
    this.#builds.delete(circuit);
  }

  /** A circuit leaves, whatever became of it. */
  remove(circuit: PoolCircuit): void {
    this.#circuits.delete(circuit.id);
    this.#builds.delete(circuit);
  }

  /** The best circuit for somebody, of those that are built. */
  best(
    want: CircuitWant,
    rules: ChoiceRules,
    nowMs: number,
  ): PoolCircuit | undefined {
    let best: PoolCircuit | undefined;
    let bestRank = Infinity;
    for (const circuit of this) {
      if (!circuit.isOpen || !suits(circuit, want, rules, nowMs)) continue;
      const circuitRank = rank(circuit, want);
      if (circuitRank >= bestRank) continue;
      best = circuit;
      bestRank = circuitRank;
    }
    return best;
  }

  /** The oldest that is built and that nobody has. */
  idle(): PoolCircuit | undefined {
    for (const circuit of this) {
      if (circuit.isOpen && circuit.users === 0) return circuit;
    }
    return undefined;
  }

  /** How many of a purpose nobody has or waits for. */
  countWarm(purpose: Purpose): number {
    let count = 0;
    for (const circuit of this) {
      if (circuit.purpose !== purpose || !isUnused(circuit)) continue;
      if (circuit.claim === undefined) count++;
    }
    return count;
  }
}
