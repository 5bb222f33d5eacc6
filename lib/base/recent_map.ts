/**
 * A map with an end: when it is full, the entry used longest ago is forgotten.
 *
 * @module
 */

/** At most `capacity` entries; reading one makes it recent. */
export class RecentMap<K, V> {
  /** In order of last use, the oldest first: what `Map` keeps by itself. */
  readonly #entries = new Map<K, V>();
  /**
   * Where the oldest is. A walk from the front would pass all that has been taken out of
   * a full map since it was last packed, for each entry that comes.
   */
  #oldest: Iterator<K> | undefined;
  /** Entries that came or became recent since the walk began: it holds on to what they leave behind. */
  #moves = 0;
  /** Most entries. */
  readonly capacity: number;

  /**
   * An empty map.
   *
   * @param capacity Most entries, at least 1.
   */
  constructor(capacity: number) {
    if (!(capacity >= 1)) {
      throw new RangeError(`Cannot make a map of ${capacity} entries`);
    }
    this.capacity = capacity;
  }

  /** Entries held. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value of a key, which becomes the most recent. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#append(key, value);
    return value;
  }

  /** Add or replace; the key becomes the most recent, and the oldest may go. */
  set(key: K, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.capacity) this.#forgetOldest();
    this.#append(key, value);
  }

  /** Forget one entry; whether it was there. */
  delete(key: K): boolean {
    return this.#entries.delete(key);
  }

  /** Forget everything. */
  clear(): void {
    this.#entries.clear();
    this.#oldest = undefined;
  }

  #append(key: K, value: V): void {
    this.#entries.set(key, value);
    this.#moves++;
    if (this.#moves > this.capacity) this.#oldest = undefined;
  }

  /** What a walk has passed is gone, so that it finds the oldest next. */
  #forgetOldest(): void {
    let next = this.#oldest?.next();
    if (next === undefined || next.done === true) {
      this.#oldest = this.#entries.keys();
      this.#moves = 0;
      next = this.#oldest.next();
    }
    if (next.done !== true) this.#entries.delete(next.value);
  }
}
