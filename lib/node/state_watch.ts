/**
 * Looks whether the state directory is still there: a node that runs on without
 * one forgets its guards, and cannot be asked.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { StateDirectory } from "../storage/state_directory.ts";

/** How often to look, ms. */
const LOOK_MS = 5_000;

/** The watch, until disposed of. */
export class StateWatch implements AsyncDisposable {
  readonly #state: StateDirectory;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  /** The last look; never rejects. */
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(state: StateDirectory, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.#lookLater();
  }

  /** Stop, once the last look is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = this.#clock.schedule(LOOK_MS, () => {
      this.#looking = this.#state.look().then(() => this.#lookLater());
    }, { keepAlive: false });
  }
}
