/**
 * A number that tells nothing of single events: it is shown in multiples of a step,
 * and no observer can tell which event made it rise.
 *
 *     value   0 1 2 3 4 5 6 7 8 9 …
 *     shown   0 0 0 8 8 8 8 8 8 8 …      the threshold, 3, was drawn from 1 to 8
 *
 * With thresholds that are known, as where values are rounded up, an observer who
 * brings about seven events of its own sees the eighth. Here its own cross the
 * threshold seven times in eight, another is drawn then, and it has learned nothing.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { type Random, randomBelow } from "../base/random.ts";

/** One number, as it is shown. */
export class CoarseValue {
  readonly #step: number;
  readonly #random: Random;
  /** A multiple of the step. */
  #shown = 0;
  /** The value at which the next step is shown; above the value when it was drawn. */
  #threshold: number;

  /** @param step A whole number, 1 to 2³². */
  constructor(step: number, random: Random) {
    this.#step = step;
    this.#random = random;
    this.#threshold = this.#draw(0);
  }

  /** What is shown: less than a step away from the last value. */
  get shown(): number {
    return this.#shown;
  }

  /**
   * Take what the value is now. One that never falls is never shown falling.
   *
   * @throws {RangeError} unless it is finite and not below 0.
   */
  update(value: number): void {
    if (!Number.isFinite(value) || value < 0) {
      throw new RangeError(`Cannot show ${value} in steps`);
    }
    if (value >= this.#threshold) {
      const steps = Math.floor((value - this.#threshold) / this.#step) + 1;
      this.#shown += steps * this.#step;
    } else if (value <= this.#shown - this.#step) {
      this.#shown = Math.ceil(value / this.#step) * this.#step;
    } else return;
    this.#threshold = this.#draw(value);
  }

  /** Above the value, and at most a step above what is shown. */
  #draw(value: number): number {
    const low = Math.max(this.#shown, Math.floor(value)) + 1;
    const high = this.#shown + this.#step;
    return low + randomBelow(this.#random, high - low + 1);
  }
}
