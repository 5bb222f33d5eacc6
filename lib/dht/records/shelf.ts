/**
 * A part of a store, and who leaves it when it is full.
 *
 *     records ─┬─ proven: renewed after most of an hour    at most half is safe
 *              └─ newcomers
 *                    │
 *     full: of the source that brought most newcomers, one is drawn and leaves;
 *           the record that just came draws with the others of its source
 *
 * Nothing here depends on where a record's key is: places that are near a node can
 * be found by trying, so a rule that favours them lets a client choose whom it displaces.
 * Every choice takes logarithmic time, so that a full shelf costs a flooded node
 * no more than an empty one.
 *
 * @see protocol §4.5 "What a node stores"
 * @module
 */
import { IndexedHeap } from "../../base/indexed_heap.ts";
import { type Random, randomBelow } from "../../base/random.ts";

/** How much a shelf holds. */
export interface ShelfLimits {
  readonly maxRecords: number;
  /** Bytes of encoded records in sum. */
  readonly maxBytes: number;
  /** What came by one source. */
  readonly maxRecordsPerPeer: number;
  readonly maxBytesPerPeer: number;
}

/** What a shelf needs to know of a record. It must not change while it stands there. */
export interface Shelved {
  /** By whom it came; "" is the node itself, which has no part of its own. */
  readonly from: string;
  readonly bytes: number;
  /** Whether it was renewed after most of an hour. */
  readonly isProven: boolean;
}

/** Records of one source and one standing, to draw from. */
interface Pile<T> {
  readonly from: string;
  readonly items: T[];
  bytes: number;
}

/** All records of one standing, by source. */
class Piles<T extends Shelved> {
  readonly #bySource = new Map<string, Pile<T>>();
  /** The largest first. */
  readonly #order = new IndexedHeap<Pile<T>>();
  readonly #places = new Map<T, number>();
  bytes = 0;

  get records(): number {
    return this.#places.size;
  }

  of(from: string): Pile<T> | undefined {
    return this.#bySource.get(from);
  }

  get largest(): Pile<T> | undefined {
    return this.#order.first?.item;
  }

  add(item: T): void {
    let pile = this.#bySource.get(item.from);
    if (pile === undefined) {
      pile = { from: item.from, items: [], bytes: 0 };
      this.#bySource.set(item.from, pile);
    }
    this.#places.set(item, pile.items.length);
    pile.items.push(item);
    this.#weigh(pile, item.bytes);
  }

  remove(item: T): void {
    const pile = this.#bySource.get(item.from);
    const place = this.#places.get(item);
    if (pile === undefined || place === undefined) return;
    this.#places.delete(item);
    const last = pile.items.pop() as T;
    if (last !== item) {
      pile.items[place] = last;
      this.#places.set(last, place);
    }
    this.#weigh(pile, -item.bytes);
    if (pile.items.length > 0) return;
    this.#bySource.delete(pile.from);
    this.#order.delete(pile);
  }

  #weigh(pile: Pile<T>, bytes: number): void {
    pile.bytes += bytes;
    this.bytes += bytes;
    this.#order.set(pile, -pile.bytes);
  }
}

/** Who has to leave for a record: one of those there, or the record itself. */
export type Leaver<T> =
  | { readonly type: "none" }
  | { readonly type: "held"; readonly item: T }
  | { readonly type: "newcomer" };

const NONE = { type: "none" } as const;
const NEWCOMER = { type: "newcomer" } as const;

/** A part of a store. */
export class Shelf<T extends Shelved> {
  readonly #limits: ShelfLimits;
  readonly #random: Random;
  readonly #newcomers = new Piles<T>();
  readonly #proven = new Piles<T>();

  constructor(limits: ShelfLimits, random: Random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Records held. */
  get records(): number {
    return this.#newcomers.records + this.#proven.records;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#newcomers.bytes + this.#proven.bytes;
  }

  add(item: T): void {
    this.#pilesOf(item).add(item);
  }

  remove(item: T): void {
    this.#pilesOf(item).remove(item);
  }

  /**
   * Who has to leave so that `arrival` fits. Ask again when it has left: one may not
   * be enough.
   *
   * @param arrival Not on the shelf.
   * @param claim `renewal` where it replaces a record that had its place: then
   * it is never the one to leave.
   */
  leaver(arrival: Shelved, claim: "newcomer" | "renewal"): Leaver<T> {
    const { maxRecords, maxBytes } = this.#limits;
    if (!this.#hasPart(arrival)) {
      return this.#draw(this.#newcomers.of(arrival.from), claim);
    }
    if (
      this.records + 1 <= maxRecords && this.bytes + arrival.bytes <= maxBytes
    ) return NONE;
    const isMostlyProven = this.#proven.bytes > maxBytes / 2 ||
      this.#proven.records > maxRecords / 2;
    if (isMostlyProven) return this.#draw(this.#proven.largest, "renewal");
    const own = this.#newcomers.of(arrival.from);
    const { largest } = this.#newcomers;
    const isOwnLargest = (own?.bytes ?? 0) + arrival.bytes >=
      (largest?.bytes ?? 0);
    return isOwnLargest
      ? this.#draw(own ?? largest, claim)
      : this.#draw(largest, "renewal");
  }

  /** Whether its source has room for it among what it may bring. */
  #hasPart({ from, bytes }: Shelved): boolean {
    if (from === "") return true;
    const { maxRecordsPerPeer, maxBytesPerPeer } = this.#limits;
    const newcomers = this.#newcomers.of(from);
    const proven = this.#proven.of(from);
    const records = (newcomers?.items.length ?? 0) +
      (proven?.items.length ?? 0);
    return records + 1 <= maxRecordsPerPeer &&
      (newcomers?.bytes ?? 0) + (proven?.bytes ?? 0) + bytes <= maxBytesPerPeer;
  }

  /** One of a pile, or what just came. */
  #draw(pile: Pile<T> | undefined, claim: "newcomer" | "renewal"): Leaver<T> {
    const held = pile?.items.length ?? 0;
    const places = held + (claim === "newcomer" ? 1 : 0);
    if (places === 0) return NEWCOMER;
    const item = pile?.items[randomBelow(this.#random, places)];
    return item === undefined ? NEWCOMER : { type: "held", item };
  }

  #pilesOf({ isProven }: T): Piles<T> {
    return isProven ? this.#proven : this.#newcomers;
  }
}
