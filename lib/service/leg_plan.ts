/**
 * How many legs the client of a session keeps, and when it builds another.
 *
 *     the session             wanted     built
 *     moves data, below 3 s   1          again and again, too
 *     moves data, 3 s and on  2          one that is gone or suspect: soon
 *     … and a leg was lost    3          for 30 s: what kills legs may go on
 *     moves none, streams     1          the others are let go after half a minute
 *     has no streams          0          as they are; parked after two minutes
 *     none left, streams open 1          at once
 *
 * A session that rests costs a circuit while it has streams, for the service may
 * speak first, and none when it has not: it is met again by ticket.
 *
 * Replacements are jittered and capped: an attacker that kills our circuits must not
 * make us build new ones as fast as it kills them.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import { type Random, randomBetween } from "../base/random.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { LegNumber } from "../session/frames.ts";

/** A session that moves data for so long gets a second leg, ms: most are over sooner. */
export const WARM_AFTER_MS = 3_000;
/** Legs kept by a session in use, and for a while after one was lost. */
const WARM_LEGS = { calm: 2, storm: 3 } as const;
/** How long that while is, ms. */
export const STORM_MS = 30_000;
/** A session without a stream for so long is not in use, ms. */
export const IN_USE_MS = 30_000;
/**
 * Tuning: a session that moved no data for so long rests, ms. Between two requests of
 * a user many seconds pass: that is no use of it that a second leg would serve.
 */
const REST_MS = 5_000;
/**
 * Tuning: the same before it has moved data for {@linkcode WARM_AFTER_MS}, ms. Requests
 * that come every few seconds are no transfer, one that goes on pauses for less; it
 * may then stand still for longer, as it does where a leg dies.
 */
const PAUSE_MS = 1_500;
/** Tuning: one that was not busy for so long lets go of all legs but one, ms. */
export const LET_GO_MS = 30_000;
/** Tuning: one without streams lets go of the last after this time without data, ms. */
export const PARK_MS = 120_000;
/** Legs built at once, and then one per two seconds. */
export const LEG_BURST = 8;
export const LEG_EVERY_MS = 2_000;
/** Longest delay of a build: with no leg left, and with one that carries, ms. */
const JITTER_MS = { urgent: 100, warm: 1_000 } as const;
/** First and longest wait after a leg could not be built, and with no leg left, ms. */
const WAIT_MS = { first: 500, longest: 8_000, urgent: 1_000 } as const;
/** A leg that was suspect for so long while others carry is given up, ms. */
export const GIVE_UP_MS = 10_000;

/** What the driver shall do. */
export type LegAction =
  /** Meet the service once more: `onAdded` or `onFailed`. */
  | { readonly type: "build" }
  /** Give up a leg. */
  | { readonly type: "drop"; readonly leg: LegNumber };

/** The legs of one session, at its client. */
export class LegPlan {
  readonly #random: Random;
  /** Since when each leg is suspect; `Infinity`: it is not. */
  readonly #legs = new Map<LegNumber, number>();
  #building = 0;
  #streams = 0;
  #usedMs: number;
  /** When data last moved, and since when it does without a rest. */
  #dataMs: number;
  #busySinceMs: number;
  /** When it was last busy, or a leg was added. */
  #spareUsedMs: number;
  #failures = 0;
  #buildMs = Infinity;
  #waitUntilMs = -Infinity;
  /** When a leg was lost last. */
  #lostMs = -Infinity;
  readonly #builds: TokenBucket;

  /** @param first The leg that the session began with. */
  constructor(random: Random, first: LegNumber, nowMs: number) {
    this.#random = random;
    this.#legs.set(first, Infinity);
    this.#usedMs = nowMs;
    this.#dataMs = nowMs;
    this.#busySinceMs = nowMs;
    this.#spareUsedMs = nowMs;
    this.#builds = new TokenBucket(
      { perSecond: 1000 / LEG_EVERY_MS, burst: LEG_BURST },
      nowMs,
    );
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    let due = Math.max(this.#buildMs, this.#builds.readyMs(1));
    due = Math.min(due, this.#letGoMs, this.#parkMs);
    if (this.#carrying > 0) {
      for (const sinceMs of this.#legs.values()) {
        due = Math.min(due, sinceMs + GIVE_UP_MS);
      }
    }
    return due;
  }

  /** When legs beyond the first are let go of. */
  get #letGoMs(): number {
    const isSpare = this.#carrying > 1 && this.#building === 0;
    return isSpare ? this.#spareUsedMs + LET_GO_MS : Infinity;
  }

  /** When the last leg is. */
  get #parkMs(): number {
    const isNeeded = this.#streams > 0 || this.#building > 0;
    if (isNeeded || this.#legs.size === 0) return Infinity;
    return Math.max(this.#usedMs, this.#dataMs) + PARK_MS;
  }

  /** Bytes of streams came or went. Need not be told more than twice a second. */
  onData(nowMs: number): LegAction[] {
    const mostMs = this.#isTransfer ? REST_MS : PAUSE_MS;
    if (nowMs - this.#dataMs >= mostMs) this.#busySinceMs = nowMs;
    this.#dataMs = nowMs;
    if (this.#isBusy(nowMs)) this.#spareUsedMs = nowMs;
    return this.onTime(nowMs);
  }

  /**
   * A build that was to be done has its turn, which may have taken a while.
   *
   * @returns Whether it is still wanted; if not, it was none.
   */
  mayBegin(nowMs: number): boolean {
    const others = this.#carrying + this.#building - 1;
    if (this.#wanted(nowMs) > others) return true;
    this.#building--;
    return false;
  }

  /** The service was met again, after all legs had been let go of. */
  onWoken(leg: LegNumber, nowMs: number): LegAction[] {
    this.#legs.set(leg, Infinity);
    this.#failures = 0;
    this.#usedMs = nowMs;
    return this.onTime(nowMs);
  }

  /** A leg that was to be built carries cells. */
  onAdded(leg: LegNumber, nowMs: number): LegAction[] {
    this.#building--;
    this.#failures = 0;
    this.#legs.set(leg, Infinity);
    this.#spareUsedMs = nowMs;
    return this.onTime(nowMs);
  }

  /** A leg could not be built. */
  onFailed(nowMs: number): LegAction[] {
    this.#building--;
    this.#failures++;
    const wait = Math.min(
      this.#carrying === 0 ? WAIT_MS.urgent : WAIT_MS.longest,
      WAIT_MS.first * 2 ** (this.#failures - 1),
    );
    this.#waitUntilMs = nowMs + randomBetween(this.#random, wait / 2, wait);
    return this.onTime(nowMs);
  }

  /** A leg owes an answer for too long. */
  onSuspect(leg: LegNumber, nowMs: number): LegAction[] {
    if (this.#legs.has(leg)) this.#legs.set(leg, nowMs);
    return this.onTime(nowMs);
  }

  /** A suspect leg was heard of again. */
  onHealed(leg: LegNumber): void {
    if (this.#legs.has(leg)) this.#legs.set(leg, Infinity);
  }

  /** A leg is gone. */
  onGone(leg: LegNumber, nowMs: number): LegAction[] {
    if (this.#legs.delete(leg)) this.#lostMs = nowMs;
    return this.onTime(nowMs);
  }

  /** How many streams are open now. */
  onStreams(count: number, nowMs: number): LegAction[] {
    if (count > 0 || this.#streams > 0) this.#usedMs = nowMs;
    this.#streams = count;
    return this.onTime(nowMs);
  }

  /** Build what is wanted, give up what is dead. */
  onTime(nowMs: number): LegAction[] {
    const actions = [...this.#dropDead(nowMs), ...this.#letGo(nowMs)];
    for (;;) {
      const missing = this.#wanted(nowMs) - this.#carrying - this.#building;
      if (missing <= 0) {
        this.#buildMs = Infinity;
        return actions;
      }
      if (this.#buildMs === Infinity) this.#buildMs = this.#soon(nowMs);
      if (this.#buildMs > nowMs || !this.#builds.take(1, nowMs)) return actions;
      this.#building++;
      this.#buildMs = Infinity;
      actions.push({ type: "build" });
    }
  }

  /** Legs that are there and not suspect. */
  get #carrying(): number {
    let count = 0;
    for (const sinceMs of this.#legs.values()) {
      if (sinceMs === Infinity) count++;
    }
    return count;
  }

  #wanted(nowMs: number): number {
    const isInUse = this.#streams > 0 || nowMs - this.#usedMs < IN_USE_MS;
    if (!isInUse) return 0;
    if (this.#legs.size === 0) return this.#streams > 0 ? 1 : 0;
    if (!this.#isBusy(nowMs)) return 1;
    const isStorm = this.#carrying < this.#legs.size ||
      nowMs - this.#lostMs < STORM_MS;
    return isStorm ? WARM_LEGS.storm : WARM_LEGS.calm;
  }

  /** Whether data moves, and not for a moment only. */
  #isBusy(nowMs: number): boolean {
    return nowMs - this.#dataMs < REST_MS && this.#isTransfer;
  }

  /** Whether data moved for so long, without a pause, when it last did. */
  get #isTransfer(): boolean {
    return this.#dataMs - this.#busySinceMs >= WARM_AFTER_MS;
  }

  /** What a session that rests does not need, the newest legs first. */
  #letGo(nowMs: number): LegAction[] {
    const keep = nowMs >= this.#parkMs
      ? 0
      : nowMs >= this.#letGoMs
      ? 1
      : Infinity;
    const actions: LegAction[] = [];
    for (const leg of [...this.#legs.keys()].reverse()) {
      if (this.#legs.size <= keep) break;
      this.#legs.delete(leg);
      actions.push({ type: "drop", leg });
    }
    return actions;
  }

  #dropDead(nowMs: number): LegAction[] {
    if (this.#carrying === 0) return [];
    const dead: LegAction[] = [];
    for (const [leg, sinceMs] of this.#legs) {
      if (nowMs - sinceMs < GIVE_UP_MS) continue;
      this.#legs.delete(leg);
      this.#lostMs = nowMs;
      dead.push({ type: "drop", leg });
    }
    return dead;
  }

  #soon(nowMs: number): number {
    const jitter = this.#carrying === 0 ? JITTER_MS.urgent : JITTER_MS.warm;
    const soon = nowMs + randomBetween(this.#random, 0, jitter);
    return Math.max(soon, this.#waitUntilMs);
  }
}
