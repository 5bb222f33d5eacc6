/**
 * Seeds for the parts of a world.
 *
 * @module
 */
import { type Random, randomFloat } from "../base/random.ts";

/** The seed of a part: parts that draw more or less do not disturb each other. */
export function seedFrom(random: Random): number {
  return randomFloat(random) * 2 ** 48;
}
