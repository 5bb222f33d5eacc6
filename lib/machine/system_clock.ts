/**
 * The machine's clocks, for real nodes.
 *
 * @module
 */
import type { Clock, ScheduleOptions, Timer } from "../base/clock.ts";

/** Longest delay that `setTimeout` takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Time as it passes. */
export class SystemClock implements Clock {
  nowMs(): number {
    return performance.now();
  }

  unixMs(): number {
    return Date.now();
  }

  /**
   * Call `wake` once, `delayMs` from now or as soon after as possible.
   *
   * @throws {RangeError} when the delay is not a number. `Infinity` never fires.
   */
  schedule(
    delayMs: number,
    wake: () => void,
    options: ScheduleOptions = {},
  ): Timer {
    if (Number.isNaN(delayMs)) {
      throw new RangeError("Cannot schedule after NaN ms");
    }
    if (delayMs === Infinity) return { cancel() {} };
    const atMs = performance.now() + delayMs;
    let timer: ReturnType<typeof setTimeout>;
    const wait = () => {
      // Rounded up: fired early, a deadline would not have come yet.
      const leftMs = Math.max(0, Math.ceil(atMs - performance.now()));
      timer = leftMs > MAX_DELAY_MS
        ? setTimeout(wait, MAX_DELAY_MS)
        : setTimeout(wake, leftMs);
      if (options.keepAlive === false) Deno.unrefTimer(timer);
    };
    wait();
    return { cancel: () => clearTimeout(timer) };
  }
}
