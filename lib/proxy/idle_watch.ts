/**
 * Notices when nothing happens for long. One timer, moved only when it fires: a
 * busy connection pays a comparison per piece and not a timer.
 *
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";

/** Calls `onIdle` once, when `touch` was not called for `idleMs`. */
export class IdleWatch implements Disposable {
  readonly #clock: Clock;
  #idleMs: number;
  readonly #onIdle: () => void;
  #lastMs: number;
  #timer: Timer;

  constructor(clock: Clock, idleMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#lastMs = clock.nowMs();
    this.#timer = this.#schedule(idleMs);
  }

  /** Something happened. */
  touch(): void {
    this.#lastMs = this.#clock.nowMs();
  }

  /** Something happened, and from now on it may take `idleMs`. */
  set(idleMs: number): void {
    this.#idleMs = idleMs;
    this.touch();
    this.#timer.cancel();
    this.#timer = this.#schedule(idleMs);
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  #schedule(delayMs: number): Timer {
    const wake = () => {
      const leftMs = this.#lastMs + this.#idleMs - this.#clock.nowMs();
      if (leftMs > 0) this.#timer = this.#schedule(leftMs);
      else this.#onIdle();
    };
    return this.#clock.schedule(delayMs, wake, { keepAlive: false });
  }
}
