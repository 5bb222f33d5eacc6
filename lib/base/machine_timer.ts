/**
 * The one timer of a driver, set from its machine's deadline.
 *
 * @module
 */
import type { Clock, Timer } from "./clock.ts";

/** Calls back once, when a deadline has come. */
export class MachineTimer {
  readonly #clock: Clock;
  readonly #onTime: () => void;
  #timer: Timer | undefined;
  #dueMs = Infinity;

  constructor(clock: Clock, onTime: () => void) {
    this.#clock = clock;
    this.#onTime = onTime;
  }

  /** Call back at `dueMs`, and at no other time that was set before. `Infinity`: never. */
  set(dueMs: number): void {
    if (this.#timer !== undefined && this.#dueMs === dueMs) return;
    this.stop();
    if (dueMs === Infinity) return;
    this.#dueMs = dueMs;
    const waitMs = Math.max(0, dueMs - this.#clock.nowMs());
    this.#timer = this.#clock.schedule(waitMs, () => {
      this.#timer = undefined;
      this.#onTime();
    }, { keepAlive: false });
  }

  /** Do not call back. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
