/**
 * When a node that is no relay asks for the relay list.
 *
 *     with a list of the last run   after 10 s; without, at once
 *     a list was brought            when the round says so; after 5 s while it is wanted eagerly
 *     nothing was                   after 2 s, 4 s … 5 min; 10 s at most while our clock seems wrong
 *     all of the list has expired   at once
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import { type Random, randomBetween } from "../../base/random.ts";

/** Tuning: wait before the first round where there is a list already: guards are chosen meanwhile. */
const FIRST_ROUND_MS = 10_000;
/** Tuning: wait after a round that brought nothing, doubled each time, ms. */
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 5 * 60_000;
/** Tuning: longest wait while the clock of this machine seems to be wrong, ms. */
const CLOCK_RETRY_MS = 10_000;
/** Tuning: how often it is asked while too few relays are known, ms. */
const EAGER_MS = 5_000;
/** Tuning: waits are longer or shorter by up to this share. */
const JITTER = 0.25;
/**
 * Tuning: longest time between two looks at what has expired, and at the calendar.
 * Timers do not see that a machine slept.
 */
const MAX_LOOK_MS = 60_000;

/** The pace of rounds. */
export class ListPace {
  readonly #random: Random;
  /** When the next round is due; `Infinity` while one is under way. */
  #roundMs = Infinity;
  #lookMs = Infinity;
  #retryMs = FIRST_RETRY_MS;
  /** Whether a reason to ask early is heeded. */
  #canHurry = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** When to look next, or to begin a round; `Infinity` while one is under way. */
  get deadlineMs(): number {
    return Math.min(this.#roundMs, this.#lookMs);
  }

  /** Whether a wait may be cut short: not the first one, nor a round. */
  get canHurry(): boolean {
    return this.#canHurry;
  }

  /** Whether a round is due. */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#roundMs;
  }

  /** There is a list of the last run. */
  onRecalled(nowMs: number): void {
    this.#roundMs = nowMs + FIRST_ROUND_MS;
  }

  /** A round begins. */
  onRound(): void {
    this.#roundMs = Infinity;
    this.#lookMs = Infinity;
    this.#canHurry = false;
  }

  /**
   * A round has brought a list.
   *
   * @param dueMs When the next one is due where there is no hurry.
   */
  onList(
    { dueMs, isEager }: { readonly dueMs: number; readonly isEager: boolean },
    nowMs: number,
  ): void {
    this.#retryMs = FIRST_RETRY_MS;
    const eagerMs = nowMs + this.#spread(EAGER_MS);
    this.#wait(isEager ? Math.min(eagerMs, dueMs) : dueMs, nowMs);
  }

  /** A round has brought nothing. */
  onFailure(
    { isClockWrong }: { readonly isClockWrong: boolean },
    nowMs: number,
  ): void {
    this.#wait(nowMs + this.#spread(this.#retryMs), nowMs);
    // The peers are there: all is well as soon as the clock is put right.
    const longestMs = isClockWrong ? CLOCK_RETRY_MS : MAX_RETRY_MS;
    this.#retryMs = Math.min(2 * this.#retryMs, longestMs);
  }

  /** What has expired was looked at, and a round is not due. */
  onLook(nowMs: number): void {
    this.#lookMs = nowMs + MAX_LOOK_MS;
  }

  #wait(untilMs: number, nowMs: number): void {
    this.#roundMs = untilMs;
    this.#canHurry = true;
    this.onLook(nowMs);
  }

  #spread(ms: number): number {
    return ms * randomBetween(this.#random, 1 - JITTER, 1 + JITTER);
  }
}
