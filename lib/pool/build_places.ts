/**
 * How many circuits are built at once for requests that wait: more while that makes none
 * of them slower.
 *
 *     all places taken, builds as quick as ever ─▶ more, up to the most
 *     builds take twice as long, or time out ────▶ fewer, down to the least
 *     builds take seconds ───────────────────────▶ half of the least
 *
 * A node that stands far from others builds slowly however few builds there are: what
 * counts is what they take against what they took at their quickest.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */
import { SLOW_BUILD_MS } from "./build_time.ts";

/** Tuning: builds at once where they are slow, where there is no crowd, and at most. */
export const BUILDS = { slow: 4, least: 8, most: 48 } as const;

/** Tuning: against the quickest, builds that let more begin, and that let fewer. */
const FACTOR = { quick: 1.5, late: 2 } as const;
/** Tuning: what a build changes. */
const STEP = { up: 0.25, down: 0.5 } as const;
/** Tuning: how fast the quickest is forgotten: a share of the difference, each build. */
const FORGET = 1 / 512;

/** Places of one pool's builds. */
export class BuildPlaces {
  #places: number = BUILDS.least;
  #quickestMs: number | undefined;
  #meanMs = 0;

  /** Builds at once. */
  get most(): number {
    return this.#meanMs >= SLOW_BUILD_MS
      ? BUILDS.slow
      : Math.floor(this.#places);
  }

  /**
   * A circuit is built.
   *
   * @param meanMs What builds took of late.
   * @param building Builds under way, this one included.
   */
  onBuilt(meanMs: number, building: number): void {
    this.#meanMs = meanMs;
    const before = this.#quickestMs ?? meanMs;
    const quickest = Math.min(meanMs, before + (meanMs - before) * FORGET);
    this.#quickestMs = quickest;
    if (meanMs > FACTOR.late * quickest) this.#move(-STEP.down);
    else if (meanMs <= FACTOR.quick * quickest && building >= this.most) {
      this.#move(STEP.up);
    }
  }

  /** A build took too long. */
  onTimeout(): void {
    this.#move(-this.#places / 2);
  }

  #move(by: number): void {
    const { least, most } = BUILDS;
    this.#places = Math.min(most, Math.max(least, this.#places + by));
  }
}
