/**
 * Introductions that wait at a service, when more come than it can answer.
 *
 *     point 1   ▪▪▪▪▪▪▪▪ ─┐
 *     point 2   ▪         ├─▶ in turn, newest first, so many per second
 *     point 3   ▪▪        ─┘
 *
 * Each point has a queue of its own, and they take turns: a flood through one
 * point delays no client that comes by the others. Within a queue the newest goes
 * first and the oldest is shed, since the client that has waited longest has
 * most likely given up.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { TokenBucket } from "../base/token_bucket.ts";
import type { PointId } from "./introduction_points.ts";

/** Introductions that wait at one point, 5 KiB each. */
export const MAX_WAITING_PER_POINT = 64;
/** After this long no client waits for the answer any more, ms. */
export const MAX_WAIT_MS = 10_000;
/**
 * Introductions answered per second, and at once: each costs about 3 ms and a
 * circuit of four hops.
 */
export const ANSWERS_PER_SECOND = 50;
/** Answers that may be saved up. */
export const ANSWERS_BURST = 100;

interface Waiting<T> {
  readonly item: T;
  readonly sinceMs: number;
}

/** What waits to be answered. */
export class IntroductionQueue<T> {
  /** Points with something waiting, the next one in turn first. */
  readonly #queues = new Map<PointId, Waiting<T>[]>();
  readonly #answers: TokenBucket;
  #shed = 0;

  constructor(nowMs: number) {
    this.#answers = new TokenBucket(
      { perSecond: ANSWERS_PER_SECOND, burst: ANSWERS_BURST },
      nowMs,
    );
  }

  /** Introductions that were never answered, ever: for a status page. */
  get shed(): number {
    return this.#shed;
  }

  /** Introductions waiting. */
  get length(): number {
    let length = 0;
    for (const queue of this.#queues.values()) length += queue.length;
    return length;
  }

  /** When {@linkcode take} gives something; `Infinity` while nothing waits. */
  get readyMs(): number {
    if (this.#queues.size === 0) return Infinity;
    return this.#answers.readyMs(1);
  }

  /** An introduction came by a point. */
  push(point: PointId, item: T, nowMs: number): void {
    const queue = this.#queues.get(point) ?? [];
    this.#queues.set(point, queue);
    queue.push({ item, sinceMs: nowMs });
    if (queue.length <= MAX_WAITING_PER_POINT) return;
    queue.shift();
    this.#shed++;
  }

  /** The next one to answer; `undefined` when there is none, or not yet. */
  take(nowMs: number): T | undefined {
    if (!this.#answers.has(1, nowMs)) return undefined;
    for (const [point, queue] of this.#queues) {
      // To the end of the turn, or out of it.
      this.#queues.delete(point);
      const next = queue.pop();
      if (next === undefined) continue;
      if (nowMs - next.sinceMs > MAX_WAIT_MS) {
        this.#shed += queue.length + 1; // all others are older still
        continue;
      }
      if (queue.length > 0) this.#queues.set(point, queue);
      this.#answers.take(1, nowMs);
      return next.item;
    }
    return undefined;
  }

  /** A point is gone: what came by it cannot be answered any more. */
  remove(point: PointId): void {
    this.#shed += this.#queues.get(point)?.length ?? 0;
    this.#queues.delete(point);
  }
}
