/**
 * Guards: the two relays that all our circuits begin with. They alone see our
 * address, so the fewer relays they ever are, the better: a new pair for each
 * circuit would meet a hostile one within days.
 *
 *     we ──→ guard ──→ second hop ──→ … ──→ last hop
 *
 * Eight more are drawn with them, in an order. They are met only where no link can be
 * made to either guard: not by who ends circuits, but by who takes guards off the
 * network. One guard of two is enough to wait with for the other.
 *
 * @see protocol §5.8 "Paths", and {@linkcode KeptRelays} for how they are kept
 * @module
 */
import { type Random, randomBetween } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { decodeKept } from "./_kept_format.ts";
import { type KeepingRules, KeptRelays } from "./kept_relays.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Guards in use at once. */
export const GUARDS = 2;
/** They, and those who stand in for them where no link can be made to either. */
export const GUARD_LINE = 10;
/** Shortest and longest life of a guard, ms. */
export const GUARD_LIFE_MS = {
  least: 60 * DAY_MS,
  most: 120 * DAY_MS,
} as const;

const GUARD_RULES: KeepingRules = {
  kind: "guards",
  size: GUARDS,
  line: GUARD_LINE,
  leastListed: 1,
  missingMs: 3 * DAY_MS,
  yields: false,
  // None: who stands in was drawn when they were.
  maxExtra: 0,
  longestLifeMs: GUARD_LIFE_MS.most,
  drawLifeMs: (random) =>
    randomBetween(random, GUARD_LIFE_MS.least, GUARD_LIFE_MS.most),
};

/** The first hops of this node. */
export class GuardSet extends KeptRelays {
  /** A set that has drawn none yet. */
  static create(random: Random): GuardSet {
    return new GuardSet(GUARD_RULES, random);
  }

  /**
   * What {@linkcode KeptRelays.snapshot} wrote.
   *
   * @throws {ProtocolError} `path.kept`, `wire.*` when it was damaged.
   */
  static restore(
    crypto: CryptoSuite,
    random: Random,
    snapshot: Uint8Array,
  ): GuardSet {
    const { kind, longestLifeMs } = GUARD_RULES;
    const state = decodeKept(crypto, kind, longestLifeMs, snapshot);
    return new GuardSet(GUARD_RULES, random, state);
  }
}
