/**
 * When to use another circuit beside one that may have died without a word.
 *
 *     try ─▶ no circuit in TAKE_MS, or taken and silent for besideMs ─▶ next try
 *         └▶ failed ─▶ next try at once; none left and none running ─▶ give up
 *
 * Under {@linkcode Pressure} no next try is begun for being slow.
 *
 * The driver carries a try out, and reports it by `onTaken` and `onFailed`. What
 * succeeds first ends all; that is the driver's to see.
 *
 * @module
 */

import type { Pressure } from "../base/pressure.ts";

/** How long one try to use a circuit may take, from when the circuit is there. */
export interface Patience {
  /** Another circuit is tried beside it when it is silent for so long, ms. */
  readonly besideMs: number;
  /** It is given up then, ms: the wait for a circuit must not use that up. */
  readonly endMs: number;
}

/**
 * Tuning. A circuit that must be built first takes some round trips, and few are
 * so slow that all tries are too short. What is slow is not given up when the
 * next one begins: most often it lives, and answers.
 */
export const TRIES: readonly Patience[] = [
  { besideMs: 1_000, endMs: 8_000 },
  { besideMs: 2_000, endMs: 12_000 },
  { besideMs: Infinity, endMs: 20_000 },
];
/**
 * Tuning: another circuit is asked for beside one that is not there after so long,
 * ms: where many wait for circuits, asking twice makes all wait longer.
 */
export const TAKE_MS = 4_000;

/** What the tries ask their driver to do. */
export type TryAction =
  /** Take a circuit and use it; give it up when it was used for `endMs` milliseconds. */
  | {
    readonly type: "try";
    readonly number: number;
    readonly endMs: number;
  }
  /** The circuit is slow: look whether the network has changed. */
  | { readonly type: "doubt" }
  /** No try is left: fail with what the last one failed with. */
  | { readonly type: "give_up" };

/** The tries of one use, which overlap. */
export class CircuitTries {
  /** Begun so far; the number of the latest. */
  #begun = 0;
  #running = 0;
  #deadlineMs = Infinity;
  /** From the last input to the deadline. */
  #waitMs = Infinity;

  /** When to call {@linkcode onTime} next, ms; `Infinity` with nothing to wait for. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** Begin. Call once. */
  start(nowMs: number): TryAction[] {
    return this.#next(nowMs);
  }

  /** A try has its circuit, and uses it from now on. */
  onTaken(number: number, nowMs: number): void {
    const besideMs = TRIES[number - 1]?.besideMs ?? Infinity;
    if (number === this.#begun) this.#wait(besideMs, nowMs);
  }

  /** A try has failed, as the network may let it fail. */
  onFailed(number: number, nowMs: number): TryAction[] {
    this.#running--;
    const isLatest = number === this.#begun;
    if (isLatest && number < TRIES.length) return this.#next(nowMs);
    const isOver = this.#running === 0 && this.#begun === TRIES.length;
    return isOver ? [{ type: "give_up" }] : [];
  }

  /** The deadline has come. */
  onTime(pressure: Pressure, nowMs: number): TryAction[] {
    if (nowMs < this.#deadlineMs) return [];
    if (pressure === "free") return [{ type: "doubt" }, ...this.#next(nowMs)];
    this.#wait(this.#waitMs, nowMs);
    return [{ type: "doubt" }];
  }

  #next(nowMs: number): TryAction[] {
    const patience = TRIES[this.#begun];
    this.#wait(Infinity, nowMs);
    if (patience === undefined) return [];
    const { besideMs, endMs } = patience;
    this.#begun++;
    this.#running++;
    if (besideMs < Infinity) this.#wait(TAKE_MS, nowMs);
    return [{ type: "try", number: this.#begun, endMs }];
  }

  #wait(ms: number, nowMs: number): void {
    this.#waitMs = ms;
    this.#deadlineMs = nowMs + ms;
  }
}
