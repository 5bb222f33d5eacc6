/**
 * Layer-2 guards: the four relays that all our circuits have as their second hop.
 * The other side can make us build circuits, again and again, until it has a
 * relay of its own beside our guard, and so learns who the guard is. It would have to
 * wait for one of these four to change instead (vanguards-lite).
 *
 *     life = the greater of two draws from 1 to 12 days     mean 8.3 days
 *
 * The mean is long, so few relays are ever used; the spread is wide, so that
 * an adversary cannot count on a life.
 *
 * @see protocol §5.8 "Paths", and {@linkcode KeptRelays} for how they are kept
 * @see {@link https://spec.torproject.org/vanguards-spec/vanguards-lite.html | vanguards-lite}
 * @module
 */
import { type Random, randomBetween } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { decodeKept } from "./_kept_format.ts";
import { type KeepingRules, KeptRelays } from "./kept_relays.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Layer-2 guards in use at once. */
export const LAYER2_GUARDS = 4;
/** Shortest and longest life of a layer-2 guard, ms. */
export const LAYER2_LIFE_MS = { least: DAY_MS, most: 12 * DAY_MS } as const;

const LAYER2_RULES: KeepingRules = {
  kind: "layer2",
  size: LAYER2_GUARDS,
  line: LAYER2_GUARDS,
  // With one, it would be the same as the last hop now and then.
  leastListed: 2,
  missingMs: DAY_MS,
  yields: true,
  // Few: a guard can claim of any second hop that it does not answer.
  maxExtra: 4,
  longestLifeMs: LAYER2_LIFE_MS.most,
  drawLifeMs: (random) => Math.max(drawOnce(random), drawOnce(random)),
};

function drawOnce(random: Random): number {
  return randomBetween(random, LAYER2_LIFE_MS.least, LAYER2_LIFE_MS.most);
}

/** The second hops of this node. */
export class Layer2Set extends KeptRelays {
  /** A set that has drawn none yet. */
  static create(random: Random): Layer2Set {
    return new Layer2Set(LAYER2_RULES, random);
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
  ): Layer2Set {
    const { kind, longestLifeMs } = LAYER2_RULES;
    const state = decodeKept(crypto, kind, longestLifeMs, snapshot);
    return new Layer2Set(LAYER2_RULES, random, state);
  }
}
