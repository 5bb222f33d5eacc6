/**
 * How far apart relays are. Each has a place on a square whose edges meet, as if
 * the Earth were a torus; a message takes longer the farther it goes:
 *
 *     one way = 5 ms + 110 ms · distance + up to a tenth more       5 to 91 ms
 *
 * so two relays drawn at random are 48 ms apart on average. QUIC repeats what is
 * lost, so a lost message is a late one.
 *
 * @module
 */
import { type Random, randomFloat } from "../../base/random.ts";

const NEAREST_MS = 5;
const ACROSS_MS = 110;
/** Jitter, as a share of the latency. */
const JITTER = 0.1;
/** How much later a message comes whose first packet was lost, ms. */
export const REPEAT_MS = 250;

/** A place: both numbers from 0 to 1. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Somewhere. */
export function randomPlace(random: Random): Place {
  return { x: randomFloat(random), y: randomFloat(random) };
}

/** Least time from one place to another, ms. */
export function latencyMs(a: Place, b: Place): number {
  const x = along(a.x, b.x);
  const y = along(a.y, b.y);
  return NEAREST_MS + ACROSS_MS * Math.sqrt(x * x + y * y);
}

/** Most that it may take longer, ms. */
export function jitterMs(latencyMs: number): number {
  return JITTER * latencyMs;
}

/** Distance on a circle of length 1. */
function along(a: number, b: number): number {
  const straight = Math.abs(a - b);
  return Math.min(straight, 1 - straight);
}
