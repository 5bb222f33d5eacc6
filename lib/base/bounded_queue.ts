/**
 * A queue with an end. Everything that waits for a slow reader waits in one of
 * these: the sender learns that it is full, and the policy is the sender's.
 *
 * @module
 */

/** First in, first out, at most `capacity` items and `maxWeight` in sum. */
export class BoundedQueue<T> {
  readonly #items: (T | undefined)[] = [];
  readonly #weights: number[] = [];
  #head = 0;
  #weight = 0;
  /** Most items. */
  readonly capacity: number;
  /** Most weight in sum. */
  readonly maxWeight: number;

  /**
   * An empty queue.
   *
   * @param capacity Most items, at least 1.
   * @param maxWeight Most weight in sum, such as bytes. Default: no such limit.
   */
  constructor(capacity: number, maxWeight: number = Infinity) {
    if (!(capacity >= 1)) {
      throw new RangeError(`Cannot make a queue of ${capacity} items`);
    }
    this.capacity = capacity;
    this.maxWeight = maxWeight;
  }

  /** Items waiting. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Add an item at the end; `false`, and nothing added, when there is no room. */
  push(item: T, weight = 1): boolean {
    if (
      this.length >= this.capacity || this.#weight + weight > this.maxWeight
    ) return false;
    this.#items.push(item);
    this.#weights.push(weight);
    this.#weight += weight;
    return true;
  }

  /** Take the next item. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#weight -= this.#weights[this.#head] as number;
    this.#items[this.#head] = undefined;
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#weights.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Drop everything. */
  clear(): void {
    this.#items.length = 0;
    this.#weights.length = 0;
    this.#head = 0;
    this.#weight = 0;
  }
}
