/**
 * What circuits are for, and how many of each kind a pool keeps ready.
 *
 * @see protocol §5.9 "Pool"
 * @module
 */

import { KEPT_HOPS } from "../path/path_avoid.ts";
import type { RebuildLimit } from "./rebuild_budget.ts";

/** All purposes, the most urgent first. */
export const PURPOSES = ["rendezvous", "directory", "introduction"] as const;

/**
 * - `introduction`: to an introduction point, at either side;
 * - `rendezvous`: to a rendezvous point, at either side; carries a session;
 * - `directory`: to store and find descriptors.
 */
export type CircuitPurpose = typeof PURPOSES[number];

/** Who chose where a circuit ends: this node, or the other side, behind what we choose. */
export type CircuitEndChoice = "own" | "named";

/**
 * Relays to choose for a circuit, before a last one that the other side named.
 *
 * A relay that looks descriptors up, or that a service listens on, can tell which
 * service it is that comes. It must not stand beside a layer-2 guard: publishing
 * every hour would show all four. So these circuits have one hop more.
 */
export function chosenHops(
  hops: number,
  purpose: CircuitPurpose,
  end: CircuitEndChoice,
): number {
  if (end === "named") return Math.max(hops, KEPT_HOPS + 1);
  return purpose === "rendezvous" ? hops : hops + 1;
}

/** How circuits of one purpose are treated. */
export interface PurposeRules {
  /** For which ends those that are kept ready are. */
  readonly warmEnd: CircuitEndChoice;
  /** Unused circuits kept ready, whatever the demand. */
  readonly warmLeast: number;
  /** The most that are kept ready for an expected demand. */
  readonly warmMost: number;
  /** Builds that follow a failure or a loss. */
  readonly rebuilds: RebuildLimit;
  /** Whether each service of the node keeps some, or builds some again and again. */
  readonly isOfServices: boolean;
}

/**
 * Tuning: services that the rebuilds of the table are for: the death of both guards takes
 * three circuits of each.
 */
export const SERVICES_OF_BUDGET = 8;

/** Rules of all purposes. */
export type PurposeTable = Readonly<Record<CircuitPurpose, PurposeRules>>;

/**
 * Tuning. A visit takes one circuit of each purpose, and a second for rendezvous
 * as its other leg. The burst is what the death of one guard takes with it on a
 * busy node; the rate is what an attacker who kills circuits makes us build.
 */
export const PURPOSE_RULES: PurposeTable = Object.freeze({
  introduction: {
    warmEnd: "named", // a client's; a service has few, and no hurry
    warmLeast: 1,
    warmMost: 4,
    rebuilds: { perMinute: 20, burst: 24 },
    isOfServices: true,
  },
  rendezvous: {
    warmEnd: "own",
    warmLeast: 2,
    warmMost: 8,
    rebuilds: { perMinute: 60, burst: 64 },
    isOfServices: false,
  },
  directory: {
    warmEnd: "own",
    warmLeast: 1,
    warmMost: 4,
    rebuilds: { perMinute: 30, burst: 32 },
    isOfServices: true,
  },
});
