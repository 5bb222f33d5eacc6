/**
 * Time from outside. Machines take `nowMs` as an argument; drivers hold a
 * {@linkcode Clock}, so that a simulation can jump from event to event.
 *
 * @module
 */

/** A wake-up that has been asked for. */
export interface Timer {
  /** Forget it. Harmless after it has fired. */
  cancel(): void;
}

/** How a clock treats a wake-up. */
export interface ScheduleOptions {
  /**
   * Whether the wake-up keeps a process alive that has nothing else to do.
   * Housekeeping sets this to `false`. Default `true`.
   */
  readonly keepAlive?: boolean;
}

/** Where time comes from: the machine's clocks, or a simulation's. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** Wall-clock time, whole ms since 1970. May jump; only records carry it. */
  unixMs(): number;
  /** Call `wake` once, `delayMs` from now or as soon after as possible. */
  schedule(delayMs: number, wake: () => void, options?: ScheduleOptions): Timer;
}

/**
 * Both times of a moment: deadlines follow the one that never goes back, dates
 * in descriptors the calendar.
 */
export interface Moment {
  /** Monotonic, ms. */
  readonly nowMs: number;
  /** Wall-clock time, ms since 1970. */
  readonly unixMs: number;
}

/** What a wait takes. */
interface WaitOptions extends ScheduleOptions {
  /** Ends the wait; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Wait `delayMs` on `clock`. Rejects with the signal's reason when aborted. */
export function sleep(
  clock: Clock,
  delayMs: number,
  options: WaitOptions = {},
): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, options);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** A deadline made of a clock: its signal, and a way to drop it early. */
export interface Deadline extends Disposable {
  /** Aborts with `error` once the time is up, or with the parent's reason. */
  readonly signal: AbortSignal;
}

/**
 * A signal that aborts after `delayMs` on `clock`, or with `parent`. Dispose of
 * it when the work is done, or its timer lives on.
 */
export function deadline(
  clock: Clock,
  delayMs: number,
  error: () => Error,
  parent?: AbortSignal,
): Deadline {
  const controller = new AbortController();
  const onParent = () => controller.abort(parent?.reason);
  if (parent?.aborted) controller.abort(parent.reason);
  else parent?.addEventListener("abort", onParent, { once: true });
  const timer = clock.schedule(delayMs, () => controller.abort(error()));
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      timer.cancel();
      parent?.removeEventListener("abort", onParent);
    },
  };
}

/**
 * `work`, unless `signal` aborts first: then its reason. The work itself goes
 * on unheard; a late failure of it is swallowed.
 */
export function raceSignal<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) {
      work.catch(() => {});
      return onAbort();
    }
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", onAbort)
    );
  });
}
