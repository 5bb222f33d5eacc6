import { randomBelow, seededRandom } from "../../lib/base/random.ts";

/** Small choices, the same ones for the same seed. */
export class Dice {
  readonly #random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** An integer, 0 ≤ n < `bound`; 0 for a bound of 0. */
  below(bound: number): number {
    return bound <= 1 ? 0 : randomBelow(this.#random, bound);
  }

  /** True once in `times`. */
  onceIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of these. @throws {RangeError} of an empty list. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("Cannot pick one of nothing");
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#random.bytes(length);
  }
}
