/**
 * A heap that finds its items again: the one of least rank is at hand, and any
 * other can be ranked anew or taken out, each in logarithmic time.
 *
 * @module
 */

interface Ranked<T> {
  readonly item: T;
  rank: number;
}

/** Items by rank; of equal ranks any may be first. */
export class IndexedHeap<T> {
  readonly #heap: Ranked<T>[] = [];
  readonly #places = new Map<T, number>();

  /** Items held. */
  get size(): number {
    return this.#heap.length;
  }

  /** The item of least rank, and its rank. */
  get first(): { readonly item: T; readonly rank: number } | undefined {
    return this.#heap[0];
  }

  /** Take an item in, or rank one that is there anew. */
  set(item: T, rank: number): void {
    const place = this.#places.get(item);
    if (place === undefined) {
      this.#heap.push({ item, rank });
      this.#rise(this.#heap.length - 1);
      return;
    }
    this.#at(place).rank = rank;
    this.#sink(this.#rise(place));
  }

  /** Take an item out. @returns Whether it was there. */
  delete(item: T): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#heap.pop() as Ranked<T>;
    if (last.item !== item) {
      this.#put(place, last);
      this.#sink(this.#rise(place));
    }
    return true;
  }

  /** Move up what is less than what it hangs from. @returns Where it is now. */
  #rise(from: number): number {
    const moved = this.#at(from);
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#at(above);
      if (parent.rank <= moved.rank) break;
      this.#put(place, parent);
      place = above;
    }
    this.#put(place, moved);
    return place;
  }

  /** Move down what is more than what hangs from it. */
  #sink(from: number): void {
    const moved = this.#at(from);
    let place = from;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= this.#heap.length) break;
      const right = below + 1;
      const isRightLess = right < this.#heap.length &&
        this.#at(right).rank < this.#at(below).rank;
      if (isRightLess) below = right;
      const child = this.#at(below);
      if (child.rank >= moved.rank) break;
      this.#put(place, child);
      place = below;
    }
    this.#put(place, moved);
  }

  #at(place: number): Ranked<T> {
    return this.#heap[place] as Ranked<T>;
  }

  #put(place: number, ranked: Ranked<T>): void {
    this.#heap[place] = ranked;
    this.#places.set(ranked.item, place);
  }
}
