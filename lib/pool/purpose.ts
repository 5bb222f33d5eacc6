/**
 * What circuits are for, and how many of each kind a pool keeps ready.
 *
 * @see protocol §5.9
 * @module
 */

import type { RebuildLimit } from "./rebuild_budget.ts";

/** All purposes, the most urgent first. */
export const PURPOSES = ["rendezvous", "directory", "introduction"] as const;

/**
 * - `introduction`: to an introduction point, at either side;
 * - `rendezvous`: to a rendezvous point, at either side; carries a session;
 * - `directory`: to store and find descriptors.
 */
export type CircuitPurpose = typeof PURPOSES[number];

/** How circuits of one purpose are treated. */
export interface PurposeRules {
  /** Unused circuits kept ready, whatever the demand. */
  readonly warmLeast: number;
  /** The most that are kept ready for an expected demand. */
  readonly warmMost: number;
  /** Builds that follow a failure or a loss. */
  readonly rebuilds: RebuildLimit;
}

/** Rules of all purposes. */
export type PurposeTable = Readonly<Record<CircuitPurpose, PurposeRules>>;

/**
 * Tuning. A visit takes one circuit of each purpose, and a second for rendezvous
 * as its other leg. The burst is what the death of one guard takes with it on a
 * busy node; the rate is what an attacker who kills circuits makes us build.
 */
export const PURPOSE_RULES: PurposeTable = Object.freeze({
  introduction: {
    warmLeast: 1,
    warmMost: 4,
    rebuilds: { perMinute: 20, burst: 24 },
  },
  rendezvous: {
    warmLeast: 2,
    warmMost: 8,
    rebuilds: { perMinute: 60, burst: 64 },
  },
  directory: {
    warmLeast: 1,
    warmMost: 4,
    rebuilds: { perMinute: 30, burst: 32 },
  },
});
