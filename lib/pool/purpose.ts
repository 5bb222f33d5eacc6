/**
 * What circuits are for, and how many of each kind a pool keeps ready.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */

import type { RebuildLimit } from "./rebuild_budget.ts";

/**
 * - `general`: anything short, and the reserve that the others draw on;
 * - `introduction`: to an introduction point, at either side;
 * - `rendezvous`: to a rendezvous point, at either side; carries a session;
 * - `directory`: to store and find descriptors.
 */
export type Purpose = "general" | "introduction" | "rendezvous" | "directory";

/** All purposes, those that somebody waits for most first. */
export const PURPOSES: readonly Purpose[] = [
  "rendezvous",
  "general",
  "directory",
  "introduction",
];

/** How circuits of one purpose are treated. */
export interface PurposeRules {
  /**
   * `shared`: by all requests with the same isolation key, for a while;
   * `exclusive`: by one request, until it is released.
   */
  readonly use: "shared" | "exclusive";
  /** Unused circuits kept ready, whatever the demand. */
  readonly warmLeast: number;
  /** The most that are kept ready for an expected demand. */
  readonly warmMost: number;
  /** Builds that follow a failure or a loss. */
  readonly rebuilds: RebuildLimit;
}

/** Rules of all purposes. */
export type PurposeTable = Readonly<Record<Purpose, PurposeRules>>;

/**
 * Tuning. The burst is what the death of one guard takes with it on a busy node;
 * the rate is what an attacker who kills circuits makes us build.
 */
export const PURPOSE_RULES: PurposeTable = Object.freeze({
  general: {
    use: "shared",
    warmLeast: 2,
    warmMost: 8,
    rebuilds: { perMinute: 30, burst: 32 },
  },
  introduction: {
    use: "exclusive",
    warmLeast: 0,
    warmMost: 4,
    rebuilds: { perMinute: 20, burst: 24 },
  },
  rendezvous: {
    use: "exclusive",
    warmLeast: 1,
    warmMost: 8,
    rebuilds: { perMinute: 60, burst: 64 },
  },
  directory: {
    use: "shared",
    warmLeast: 1,
    warmMost: 4,
    rebuilds: { perMinute: 30, burst: 32 },
  },
});
