/**
 * Where what a peer opened waits for our `accept`: bounded, and with an end.
 *
 * @module
 */
import { BoundedQueue } from "../base/bounded_queue.ts";

/** First come, first served, on both sides. */
export class AcceptQueue<T> {
  readonly #items: BoundedQueue<T>;
  #takers: ((item: T | undefined) => void)[] = [];
  #ended = false;

  /** @param capacity Most items that wait. */
  constructor(capacity: number) {
    this.#items = new BoundedQueue(capacity);
  }

  /** Whether {@linkcode push} would take another item. */
  get hasRoom(): boolean {
    return !this.#ended && this.#items.length < this.#items.capacity;
  }

  /** Hand in an item; `false` when it was not taken, and is still the caller's. */
  push(item: T): boolean {
    if (this.#ended) return false;
    const take = this.#takers.shift();
    if (take === undefined) return this.#items.push(item);
    take(item);
    return true;
  }

  /** The next item, waiting for it; `undefined` after the end. */
  take(): Promise<T | undefined> {
    const item = this.#items.shift();
    if (item !== undefined || this.#ended) return Promise.resolve(item);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** No more. Those who wait get `undefined`; what waits is dropped. */
  end(): void {
    this.#ended = true;
    this.#items.clear();
    for (const take of this.#takers.splice(0)) take(undefined);
  }
}
