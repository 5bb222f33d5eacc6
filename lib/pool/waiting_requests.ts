/**
 * Requests for circuits that have none yet, first come first served, and which
 * build each of them waits for.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import type {
  CircuitId,
  CircuitWant,
  PoolRequest,
  RequestId,
} from "./pool_circuit.ts";

/** Tuning: requests that wait. Stops a local program from filling memory. */
export const MAX_WAITING = 1024;
/** Tuning: how long a request waits, ms, unless it says otherwise. */
const DEFAULT_WAIT_MS = 30_000;

/** A bounded queue, of which any may leave at any time. */
export class WaitingRequests implements Iterable<PoolRequest> {
  /** In the order in which they came. */
  readonly #requests = new Map<RequestId, PoolRequest>();
  readonly #capacity: number;

  /** @param capacity Most requests. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#requests.size;
  }

  /** When the first of them has waited long enough, ms; `Infinity` if none waits. */
  get deadlineMs(): number {
    let earliestMs = Infinity;
    for (const { deadlineMs } of this.#requests.values()) {
      earliestMs = Math.min(earliestMs, deadlineMs);
    }
    return earliestMs;
  }

  /** All of them, in the order in which they came. They may leave meanwhile. */
  [Symbol.iterator](): IterableIterator<PoolRequest> {
    return this.#requests.values();
  }

  /** One more; `false` when there is no room. */
  add(id: RequestId, want: CircuitWant, nowMs: number): boolean {
    if (this.#requests.size >= this.#capacity) return false;
    this.#requests.set(id, {
      id,
      want,
      deadlineMs: nowMs + (want.waitMs ?? DEFAULT_WAIT_MS),
      build: undefined,
      notBeforeMs: -Infinity,
      obstacle: undefined,
      failure: undefined,
    });
    return true;
  }

  /**
   * One leaves.
   *
   * @returns The build that it waited for: another request may have that now.
   */
  delete(id: RequestId): CircuitId | undefined {
    const build = this.#requests.get(id)?.build;
    this.#requests.delete(id);
    return build;
  }

  /** Those that a circuit may be given to: first the one that waited for this build. */
  inOrderFor(build: CircuitId): PoolRequest[] {
    const all = [...this.#requests.values()];
    return [
      ...all.filter((request) => request.build === build),
      ...all.filter((request) => request.build !== build),
    ];
  }

  /** The request that waited for this build needs another. @returns That one. */
  unclaim(build: CircuitId): PoolRequest | undefined {
    for (const request of this.#requests.values()) {
      if (request.build !== build) continue;
      request.build = undefined;
      return request;
    }
    return undefined;
  }

  /** All leave. */
  clear(): void {
    this.#requests.clear();
  }
}
