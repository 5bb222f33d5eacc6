/**
 * A number of places, and keys that share them out: no key takes more than its
 * part, all together not more than there are.
 *
 * @module
 */

/** Places taken and given back. */
export class Places {
  readonly #total: number;
  readonly #perKey: number;
  readonly #taken = new Map<string, number>();
  #used = 0;

  /**
   * @param total Most places in all.
   * @param perKey Most places of one key. Default: all.
   */
  constructor(total: number, perKey: number = total) {
    this.#total = total;
    this.#perKey = perKey;
  }

  /** Places taken now. */
  get used(): number {
    return this.#used;
  }

  /** Take a place. @returns Whether there was one. */
  take(key = ""): boolean {
    const taken = this.#taken.get(key) ?? 0;
    if (this.#used >= this.#total || taken >= this.#perKey) return false;
    this.#taken.set(key, taken + 1);
    this.#used++;
    return true;
  }

  /** Give back a place that was taken. */
  give(key = ""): void {
    const taken = this.#taken.get(key) ?? 0;
    if (taken === 0) return;
    this.#used--;
    if (taken === 1) this.#taken.delete(key);
    else this.#taken.set(key, taken - 1);
  }
}
