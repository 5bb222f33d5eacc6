/**
 * Housekeeping that waits its turn: a node that holds ten thousand keys must not
 * republish them all at once, nor a newcomer refresh all its buckets.
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { Place } from "../auth/proof_of_work.ts";
import { BoundedQueue } from "../base/bounded_queue.ts";
import type { DhtKey } from "./records/distance.ts";

/** Tuning: chores under way at once. */
export const MAX_CHORES_AT_ONCE = 4;
/** Tuning: chores that wait; one that finds no place has its turn in an hour. */
export const MAX_CHORES = 12_000;

/** One piece of housekeeping. */
export type Chore =
  /** Look near this point, to fill and check a bucket. */
  | { readonly type: "refresh"; readonly target: Place }
  /** Hand the records of this key on to the closest nodes. */
  | { readonly type: "republish"; readonly key: DhtKey };

/** Chores, a few at a time. */
export class Chores {
  readonly #waiting = new BoundedQueue<Chore>(MAX_CHORES);
  #running = 0;

  /** Chores that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Queue one, for {@linkcode next} to give out. */
  add(chore: Chore): void {
    this.#waiting.push(chore);
  }

  /** The chore to begin now, if one may begin; {@linkcode onEnd} is to be called for it. */
  next(): Chore | undefined {
    if (this.#running >= MAX_CHORES_AT_ONCE) return undefined;
    const chore = this.#waiting.shift();
    if (chore !== undefined) this.#running++;
    return chore;
  }

  /** A chore of {@linkcode next} has ended: another may begin. */
  onEnd(): void {
    this.#running--;
  }
}
