/**
 * Events in order of time, for worlds in which nothing waits for a promise: an
 * event costs a tenth of what it does on a virtual clock.
 *
 * @module
 */

interface Event {
  readonly atMs: number;
  /** Breaks ties: the number of events scheduled before. */
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap of events, and the time that has come. */
export class EventQueue {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  /** Virtual time, ms. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Run something in a while; at one moment, in the order of these calls. */
  schedule(delayMs: number, run: () => void): void {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const event = { atMs, order: this.#order++, run };
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  /** Let time pass, with all that happens in it. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (
      let first = this.#heap[0];
      first !== undefined && first.atMs <= endMs;
      first = this.#heap[0]
    ) this.#run(first);
    this.#nowMs = endMs;
  }

  /** Let time pass until something happens. @returns Whether anything did. */
  runNext(): boolean {
    const first = this.#heap[0];
    if (first !== undefined) this.#run(first);
    return first !== undefined;
  }

  /** @param first Of the heap. */
  #run(first: Event): void {
    this.#removeFirst();
    this.#nowMs = first.atMs;
    first.run();
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
