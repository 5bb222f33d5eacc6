/**
 * The gate before one service, at its introduction point: so many pass per second,
 * and when more want to, those first who have done most work for it.
 *
 *     calm      every client passes
 *     crowded   without work ──▶ turned away, told the price
 *               with work ─────▶ queue, highest effort first ──▶ pass, one by one
 *                                  └─ pushed out, or waited too long ─▶ told the price
 *
 * The price is what would have been enough a moment ago and half as much again; it
 * falls while no client is pushed out. Clients that flood bid against each other, and
 * an honest client outbids them for some seconds of computing.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { TokenBucket } from "../../base/token_bucket.ts";
import { LEAST_EFFORT, MAX_EFFORT } from "./introduction_work.ts";

/** Protocol: introductions per second that a service gets at most, on average. */
export const INTRODUCTIONS_PER_SECOND = 25;
/** Tuning: introductions that a service gets at once. */
export const INTRODUCTIONS_BURST = 64;
/**
 * Tuning: share of the burst that is only for those who have worked. A flood of
 * those who have not never uses it up.
 */
const PAID_SHARE = 0.5;
/** Tuning: introductions that wait at one gate, 4 KiB each. */
export const MAX_QUEUED = 32;
/** Tuning: longest wait, ms: clients give up after twice as long. */
export const QUEUE_WAIT_MS = 3_000;
/** Tuning: what would have been enough, times this, is the price. */
const RAISE = 1.5;
/** Tuning: what is left of the price after each second in which it was too high. */
const DECAY = 0.9;
const DECAY_EVERY_MS = 1_000;
/** Tuning: work is wanted until so long after a client was turned away without, ms. */
const CALM_AFTER_MS = 5_000;

interface Waiting<T> {
  readonly item: T;
  readonly effort: number;
  readonly sinceMs: number;
}

/** What waits before one service. */
export class IntroductionGate<T> {
  /** Highest effort first, and the newest of equals. */
  #queue: Waiting<T>[] = [];
  readonly #passes: TokenBucket;
  #effort = 0;
  #decayedMs: number;
  /** When a client that had done nothing was turned away. */
  #refusedMs = -Infinity;

  constructor(nowMs: number) {
    this.#passes = new TokenBucket({
      perSecond: INTRODUCTIONS_PER_SECOND,
      burst: INTRODUCTIONS_BURST,
    }, nowMs);
    this.#decayedMs = nowMs;
  }

  /** Introductions that wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** Effort of the client that would be pushed out next; `Infinity` when none waits. */
  get lowest(): number {
    return this.#queue.at(-1)?.effort ?? Infinity;
  }

  /** When {@linkcode take} or {@linkcode expire} gives something; `Infinity` while nothing waits. */
  get deadlineMs(): number {
    if (this.#queue.length === 0) return Infinity;
    let due = this.#passes.readyMs(1);
    for (const { sinceMs } of this.#queue) {
      due = Math.min(due, sinceMs + QUEUE_WAIT_MS);
    }
    return due;
  }

  /** How many the service wants per second, above 0 and at most {@linkcode INTRODUCTIONS_PER_SECOND}. */
  setRate(perSecond: number, nowMs: number): void {
    const rate = Math.min(INTRODUCTIONS_PER_SECOND, perSecond);
    this.#passes.setRate(rate, nowMs);
  }

  /** What a client must do now to be passed on soon; 0: nothing. */
  price(nowMs: number): number {
    this.#decay(nowMs);
    const isCalm = this.#effort === 0 && this.#queue.length === 0 &&
      nowMs - this.#refusedMs >= CALM_AFTER_MS &&
      this.#passes.has(INTRODUCTIONS_BURST * PAID_SHARE, nowMs);
    return isCalm ? 0 : Math.max(LEAST_EFFORT, this.#effort);
  }

  /**
   * A client wants to pass.
   *
   * @param effort What was done for it, checked; 0: nothing.
   * @returns Those who get no place: they may come again, for the price.
   */
  add(item: T, effort: number, nowMs: number): T[] {
    const price = this.price(nowMs);
    if (effort < LEAST_EFFORT && price > 0) {
      this.#refusedMs = nowMs;
      return [item];
    }
    const index = this.#queue.findIndex((other) => other.effort <= effort);
    const at = index < 0 ? this.#queue.length : index;
    this.#queue.splice(at, 0, { item, effort, sinceMs: nowMs });
    return this.#queue.length > MAX_QUEUED ? this.dropLowest(nowMs) : [];
  }

  /** Make room: the client that did least goes, the oldest of equals. */
  dropLowest(nowMs: number): T[] {
    this.#decay(nowMs);
    const lowest = this.#queue.pop();
    if (lowest === undefined) return [];
    this.#raise(lowest.effort, nowMs);
    return [lowest.item];
  }

  /** The client that passes now, if one does. */
  take(nowMs: number): T | undefined {
    this.#decay(nowMs);
    if (this.#queue.length === 0 || !this.#passes.take(1, nowMs)) {
      return undefined;
    }
    return this.#queue.shift()?.item;
  }

  /** Those who have waited for too long; they wait no more. */
  expire(nowMs: number): T[] {
    const isLate = ({ sinceMs }: Waiting<T>) =>
      sinceMs + QUEUE_WAIT_MS <= nowMs;
    const late = this.#queue.filter(isLate);
    if (late.length === 0) return [];
    this.#decay(nowMs);
    this.#queue = this.#queue.filter((waiting) => !isLate(waiting));
    for (const { effort } of late) this.#raise(effort, nowMs);
    return late.map(({ item }) => item);
  }

  /** A client has gone, or all have. */
  remove(isGone: (item: T) => boolean): T[] {
    const gone = this.#queue.filter(({ item }) => isGone(item));
    this.#queue = this.#queue.filter(({ item }) => !isGone(item));
    return gone.map(({ item }) => item);
  }

  #raise(effort: number, nowMs: number): void {
    const price = Math.ceil(Math.max(effort, LEAST_EFFORT) * RAISE);
    this.#effort = Math.min(MAX_EFFORT, Math.max(this.#effort, price));
    this.#decayedMs = nowMs;
  }

  #decay(nowMs: number): void {
    const periods = Math.floor((nowMs - this.#decayedMs) / DECAY_EVERY_MS);
    if (periods < 1) return;
    this.#decayedMs += periods * DECAY_EVERY_MS;
    const effort = Math.floor(this.#effort * DECAY ** periods);
    this.#effort = effort < LEAST_EFFORT ? 0 : effort;
  }
}
