/**
 * Housekeeping that waits its turn: a node that holds ten thousand keys must not
 * republish them all at once, nor a newcomer refresh all its buckets.
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { Place } from "../auth/proof_of_work.ts";
import { BoundedQueue } from "../base/bounded_queue.ts";
import type { Moment } from "../base/clock.ts";
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

/** How chores are done; `done` must be called once, in time. */
interface ChoreSteps {
  refresh(
    target: Place,
    at: Moment,
    done: (_: unknown, at: Moment) => void,
  ): void;
  republish(key: DhtKey, at: Moment, done: (at: Moment) => void): void;
}

/** Chores, a few at a time. */
export class Chores {
  readonly #steps: ChoreSteps;
  readonly #waiting = new BoundedQueue<Chore>(MAX_CHORES);
  #running = 0;

  constructor(steps: ChoreSteps) {
    this.#steps = steps;
  }

  /** Chores that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Queue one; {@linkcode run} begins it. */
  add(chore: Chore): void {
    this.#waiting.push(chore);
  }

  /** Begin what may begin. */
  run(at: Moment): void {
    while (this.#running < MAX_CHORES_AT_ONCE) {
      const chore = this.#waiting.shift();
      if (chore === undefined) return;
      this.#running++;
      const done = (at: Moment) => {
        this.#running--;
        this.run(at);
      };
      if (chore.type === "refresh") {
        this.#steps.refresh(chore.target, at, (_, at) => done(at));
      } else this.#steps.republish(chore.key, at, done);
    }
  }
}
