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
import { type LastHopRule, rank, suits } from "./circuit_choice.ts";
import type { CircuitId, CircuitWant, PoolCircuit } from "./pool_circuit.ts";
import type { CircuitPurpose } from "./purpose.ts";

/** A bounded number of circuits, in the order in which they were begun. */
export class CircuitStock implements Iterable<PoolCircuit> {
  readonly #capacity: number;
  readonly #circuits = new Map<CircuitId, PoolCircuit>();
  /** Those of them being built. */
  readonly #builds = new Set<PoolCircuit>();
  /**
   * Those that no request has, built or being built: few, where thousands are in
   * use, and all that a decision looks at.
   */
  readonly #untaken = new Set<PoolCircuit>();
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

  /** Those that no request has, the oldest first. They may leave meanwhile. */
  get untaken(): ReadonlySet<PoolCircuit> {
    return this.#untaken;
  }

  /** When the first of them is to be given up; `Infinity` with none. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const circuit of this.#untaken) {
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
    purpose: CircuitPurpose,
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
      isTaken: false,
      roundTripMs: undefined,
      isClaimed: false,
    };
    this.#circuits.set(circuit.id, circuit);
    this.#builds.add(circuit);
    this.#untaken.add(circuit);
    return circuit;
  }

  /** A circuit is built: it waits for its first request until `deadlineMs`. */
  open(circuit: PoolCircuit, deadlineMs: number): void {
    circuit.isOpen = true;
    circuit.deadlineMs = deadlineMs;
    this.#builds.delete(circuit);
  }

  /** A request has a circuit, for good. */
  give(circuit: PoolCircuit): void {
    circuit.isTaken = true;
    this.#untaken.delete(circuit);
    circuit.deadlineMs = Infinity;
  }

  /** A circuit leaves, whatever became of it. */
  remove(circuit: PoolCircuit): void {
    this.#circuits.delete(circuit.id);
    this.#builds.delete(circuit);
    this.#untaken.delete(circuit);
  }

  /** The best circuit for a request, of those that are built. */
  best(
    want: CircuitWant,
    rule: LastHopRule,
    nowMs: number,
  ): PoolCircuit | undefined {
    let best: PoolCircuit | undefined;
    let bestRank = Infinity;
    for (const circuit of this.#untaken) {
      if (!circuit.isOpen || !suits(circuit, want, rule, nowMs)) continue;
      const circuitRank = rank(circuit, want);
      if (circuitRank >= bestRank) continue;
      best = circuit;
      bestRank = circuitRank;
    }
    return best;
  }

  /** The oldest that is built and that no request has. */
  idle(): PoolCircuit | undefined {
    for (const circuit of this.#untaken) {
      if (circuit.isOpen) return circuit;
    }
    return undefined;
  }

  /** How many of a purpose no request has or waits for. */
  countWarm(purpose: CircuitPurpose): number {
    let count = 0;
    for (const circuit of this.#untaken) {
      if (circuit.purpose === purpose && !circuit.isClaimed) count++;
    }
    return count;
  }
}
