/**
 * How many introductions a service asks each of its points to pass on: as many as
 * it can answer. What it could not answer is then held up at the points, where
 * those who worked for their place come first, instead of being shed here.
 *
 *     introductions wait, or were shed ──▶ fewer, by a third
 *     none wait, though many come      ──▶ somewhat more
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { INTRODUCTION_POINTS } from "./descriptor.ts";
import { INTRODUCTIONS_PER_SECOND } from "./meeting/introduction_gate.ts";
import { ANSWERS_PER_SECOND } from "./introduction_queue.ts";

/** How long it looks on before it changes its mind, ms: points are not told all the time. */
export const PACE_MS = 4_000;
/** So many waiting at once are a burst, more are a crowd. */
const CROWD = 12;
const FEWER = 2 / 3;
const MORE = 2;

/** How a service keeps up. */
export interface PaceFacts {
  /** Introductions that wait to be answered. */
  readonly waiting: number;
  /** Introductions that were never answered, ever. */
  readonly shed: number;
}

/** What one service asks of each of its points. */
export class AnswerPace {
  #perPoint = Math.min(
    INTRODUCTIONS_PER_SECOND,
    Math.floor(ANSWERS_PER_SECOND / INTRODUCTION_POINTS),
  );
  #sinceMs: number;
  #came = 0;
  #mostWaiting = 0;
  #shed = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** Introductions per second for each point, whole, at least 1. */
  get perPoint(): number {
    return this.#perPoint;
  }

  /** An introduction came. @returns Whether the points must be told another pace. */
  onIntroduction({ waiting, shed }: PaceFacts, nowMs: number): boolean {
    this.#came++;
    this.#mostWaiting = Math.max(this.#mostWaiting, waiting);
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs < PACE_MS) return false;
    const isCrowd = shed > this.#shed || this.#mostWaiting > CROWD;
    const perPoint = this.#came / tookMs * 1000 / INTRODUCTION_POINTS;
    const isUsed = perPoint > this.#perPoint / 2;
    const before = this.#perPoint;
    if (isCrowd) this.#perPoint = Math.max(1, Math.floor(before * FEWER));
    else if (isUsed) {
      this.#perPoint = Math.min(INTRODUCTIONS_PER_SECOND, before + MORE);
    }
    this.#sinceMs = nowMs;
    this.#came = 0;
    this.#mostWaiting = 0;
    this.#shed = shed;
    return this.#perPoint !== before;
  }
}
