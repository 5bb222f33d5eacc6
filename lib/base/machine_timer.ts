/**
 * The one timer of a driver, set from its machine's deadline.
 *
 * Most inputs only put a deadline off. The wake-up that is set already then stays
 * and, when it comes too early, sets the next one: that costs less than a new
 * wake-up for each input.
 *
 * @module
 */
import type { Clock, ScheduleOptions, Timer } from "./clock.ts";

/** Calls back once, when a deadline has come. */
export class MachineTimer {
  readonly #clock: Clock;
  readonly #onTime: () => void;
  readonly #options: ScheduleOptions;
  #timer: Timer | undefined;
  /** When the wake-up comes. */
  #wakeMs = Infinity;
  /** When the owner wants to be called. */
  #dueMs = Infinity;

  /**
   * @param onTime Called once for each deadline that was set and has come.
   * @param options Whether a process waits for it; by default it does not.
   */
  constructor(
    clock: Clock,
    onTime: () => void,
    options: ScheduleOptions = { keepAlive: false },
  ) {
    this.#clock = clock;
    this.#onTime = onTime;
    this.#options = options;
  }

  /** Call back at `dueMs`, and at no other time that was set before. `Infinity`: never. */
  set(dueMs: number): void {
    this.#dueMs = dueMs;
    if (dueMs === Infinity) this.#cancel();
    else if (dueMs < this.#wakeMs) this.#schedule();
  }

  /** Do not call back. */
  stop(): void {
    this.set(Infinity);
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakeMs = Infinity;
  }

  #schedule(): void {
    this.#cancel();
    this.#wakeMs = this.#dueMs;
    const waitMs = Math.max(0, this.#dueMs - this.#clock.nowMs());
    this.#timer = this.#clock.schedule(
      waitMs,
      () => this.#onWake(),
      this.#options,
    );
  }

  #onWake(): void {
    this.#timer = undefined;
    this.#wakeMs = Infinity;
    if (this.#clock.nowMs() < this.#dueMs) return this.#schedule();
    this.#dueMs = Infinity;
    this.#onTime();
  }
}
