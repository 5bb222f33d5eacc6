/**
 * What the dashboard remembers: the traffic of the last hour, and of each service
 * whether it was reachable over the last day. Rings of fixed size: a node that runs
 * for years remembers no more.
 *
 * @module
 */
import type { JsonObject } from "../control/json.ts";

/** Length of a step of traffic, and of reachability, ms. */
export const TRAFFIC_STEP_MS = 10_000;
const REACH_STEP_MS = 15 * 60 * 1000;
const TRAFFIC_STEPS = 60 * 60 * 1000 / TRAFFIC_STEP_MS;
const REACH_STEPS = 24 * 60 * 60 * 1000 / REACH_STEP_MS;
/** Services that are remembered. A node hosts no more. */
const MAX_SERVICES = 64;

/** Bytes since the node began, as counters. */
export interface Traffic {
  /** Over all links. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of circuits of others, away from their clients and towards them. */
  readonly bytesForward: number;
  readonly bytesBackward: number;
}

/** What is known at one step. */
export interface Step extends Traffic {
  readonly services: readonly {
    readonly name: string;
    readonly reachable: boolean;
  }[];
}

/** Of one service: for each step how often it was looked at, and was reachable. */
interface Strip {
  readonly looked: Ring;
  readonly reached: Ring;
}

/** Numbers of the last steps. A step that was missed is 0. */
class Ring {
  readonly #values: Float64Array;
  #step = 0;

  constructor(steps: number) {
    this.#values = new Float64Array(steps);
  }

  /** Add to the number of a step, which is the last one or a later one. */
  add(step: number, value: number): void {
    const { length } = this.#values;
    for (let n = Math.max(this.#step + 1, step - length + 1); n <= step; n++) {
      this.#values[n % length] = 0;
    }
    this.#step = Math.max(this.#step, step);
    const at = this.#step % length;
    this.#values[at] = (this.#values[at] ?? 0) + value;
  }

  /** All of them up to `step`, the oldest first; `null` before the first step. */
  upTo(step: number): (number | null)[] {
    const { length } = this.#values;
    return Array.from({ length }, (_, index) => {
      const at = step - length + 1 + index;
      if (at < 0) return null;
      const isKept = at <= this.#step && at > this.#step - length;
      return isKept ? this.#values[at % length] ?? 0 : 0;
    });
  }
}

/** The rings of one node. */
export class History {
  readonly #startedMs: number;
  readonly #in = new Ring(TRAFFIC_STEPS);
  readonly #out = new Ring(TRAFFIC_STEPS);
  readonly #forward = new Ring(TRAFFIC_STEPS);
  readonly #backward = new Ring(TRAFFIC_STEPS);
  readonly #strips = new Map<string, Strip>();
  #last: Step | undefined;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
  }

  /** Take what is known now. */
  onStep(step: Step, nowMs: number): void {
    const traffic = this.#stepOf(nowMs, TRAFFIC_STEP_MS);
    const last = this.#last ?? step;
    const add = (ring: Ring, name: keyof Traffic) =>
      ring.add(traffic, Math.max(0, step[name] - last[name]));
    add(this.#in, "bytesIn");
    add(this.#out, "bytesOut");
    add(this.#forward, "bytesForward");
    add(this.#backward, "bytesBackward");
    this.#last = step;
    const names = new Set(step.services.map(({ name }) => name));
    for (const name of this.#strips.keys()) {
      if (!names.has(name)) this.#strips.delete(name);
    }
    for (const { name, reachable } of step.services.slice(0, MAX_SERVICES)) {
      const strip = this.#stripOf(name);
      const at = this.#stepOf(nowMs, REACH_STEP_MS);
      strip.looked.add(at, 1);
      strip.reached.add(at, reachable ? 1 : 0);
    }
  }

  /**
   * All of it as the pages take it: rates in bytes per second, shares from 0
   * to 1, `null` where nothing is known.
   */
  toJson(nowMs: number, unixMs: number): JsonObject {
    const at = this.#stepOf(nowMs, TRAFFIC_STEP_MS);
    const reachAt = this.#stepOf(nowMs, REACH_STEP_MS);
    const rates = (ring: Ring) =>
      ring.upTo(at).map((bytes) =>
        bytes === null ? null : Math.round(bytes * 1000 / TRAFFIC_STEP_MS)
      );
    return {
      unixMs,
      stepMs: TRAFFIC_STEP_MS,
      in: rates(this.#in),
      out: rates(this.#out),
      forward: rates(this.#forward),
      backward: rates(this.#backward),
      reachStepMs: REACH_STEP_MS,
      reach: Object.fromEntries(
        Array.from(this.#strips, ([name, { looked, reached }]) => {
          const yes = reached.upTo(reachAt);
          return [
            name,
            looked.upTo(reachAt).map((all, index) =>
              all === null || all === 0 ? null : (yes[index] ?? 0) / all
            ),
          ];
        }),
      ),
    };
  }

  #stepOf(nowMs: number, stepMs: number): number {
    return Math.floor((nowMs - this.#startedMs) / stepMs);
  }

  #stripOf(name: string): Strip {
    const known = this.#strips.get(name);
    if (known !== undefined) return known;
    const strip = {
      looked: new Ring(REACH_STEPS),
      reached: new Ring(REACH_STEPS),
    };
    this.#strips.set(name, strip);
    return strip;
  }
}
