/**
 * Relays to leave out for a while, because circuits through them were not built.
 *
 *     blame    1     2     3    …   8 and more
 *     avoided  10 s  20 s  40 s …   1280, then 1800 s      less a random part, up to half
 *
 * Blame halves every ten minutes. Who is to blame is seldom clear: when the relay
 * at hop 2 says that hop 3 does not answer, either may be lying. So hop 3 gets one
 * point and hop 2 half a point; a relay that fails others on purpose gathers
 * points with every circuit, and those it frames get one each.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import { type Random, randomBetween } from "../base/random.ts";
import { type RelayKey, relayKey } from "./relay_key.ts";

/** Tuning: how long a relay is avoided after one point, ms. */
export const FIRST_AVOIDED_MS = 10_000;
/** Tuning: the longest that it is avoided at once, ms. */
export const LONGEST_AVOIDED_MS = 1_800_000;
/** Tuning: blame halves in this time, ms. */
export const BLAME_HALVES_MS = 600_000;
/**
 * Tuning: relays remembered. Failures through a large network push each other
 * out; the worst that follows is a build too many.
 */
const MAX_FAILING = 1024;

interface Blame {
  readonly points: number;
  readonly atMs: number;
  /** Until when the relay is avoided; 0 for never. */
  readonly untilMs: number;
}

/** Memory of relays that failed. */
export class FailureMemory {
  readonly #random: Random;
  readonly #capacity: number;
  /** In order of the last failure, the oldest first. */
  readonly #blamed = new Map<RelayKey, Blame>();

  /** @param capacity Most relays remembered. Default {@linkcode MAX_FAILING}. */
  constructor(random: Random, capacity: number = MAX_FAILING) {
    this.#random = random;
    this.#capacity = capacity;
  }

  /** Relays remembered, avoided or not. */
  get size(): number {
    return this.#blamed.size;
  }

  /** Whether to draw another relay instead, if there is one. */
  isAvoided(key: RelayKey, nowMs: number): boolean {
    const blame = this.#blamed.get(key);
    return blame !== undefined && nowMs < blame.untilMs;
  }

  /** Relays avoided now. Takes time with {@linkcode size}. */
  countAvoided(nowMs: number): number {
    let count = 0;
    for (const { untilMs } of this.#blamed.values()) {
      if (nowMs < untilMs) count++;
    }
    return count;
  }

  /**
   * A circuit was not built, and this relay may be why.
   *
   * @param points 1 for the likely cause, less for a possible one.
   */
  onFailure(nodeId: NodeId, points: number, nowMs: number): void {
    const key = relayKey(nodeId);
    const total = points + this.#pointsOf(key, nowMs);
    let untilMs = this.#blamed.get(key)?.untilMs ?? 0;
    if (total >= 1) {
      const longest = Math.min(
        LONGEST_AVOIDED_MS,
        FIRST_AVOIDED_MS * 2 ** (Math.floor(total) - 1),
      );
      untilMs = nowMs + randomBetween(this.#random, longest / 2, longest);
    }
    this.#blamed.delete(key);
    if (this.#blamed.size >= this.#capacity) this.#forgetOldest();
    this.#blamed.set(key, { points: total, atMs: nowMs, untilMs });
  }

  /**
   * A circuit through this relay was built. Takes back half a point and no more:
   * a relay that fails all circuits but those of its friends must not clear its
   * name with each of these.
   */
  onSuccess(nodeId: NodeId, nowMs: number): void {
    const key = relayKey(nodeId);
    const points = this.#pointsOf(key, nowMs) - 0.5;
    if (points > 0) this.#blamed.set(key, { points, atMs: nowMs, untilMs: 0 });
    else this.#blamed.delete(key);
  }

  /** Forget everything: it was our own network that failed. */
  clear(): void {
    this.#blamed.clear();
  }

  #forgetOldest(): void {
    for (const oldest of this.#blamed.keys()) {
      this.#blamed.delete(oldest);
      break;
    }
  }

  #pointsOf(key: RelayKey, nowMs: number): number {
    const blame = this.#blamed.get(key);
    if (blame === undefined) return 0;
    return blame.points * 2 ** (-(nowMs - blame.atMs) / BLAME_HALVES_MS);
  }
}
