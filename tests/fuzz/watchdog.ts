/**
 * Hears which target runs, and ends the process when one runs for too long: what
 * never ends can be told of by another thread alone.
 *
 * @module
 */

/** Processor time that one input may take, with its second looks, s. */
const LIMIT_SECONDS = 60;

/** Watches over the thread that made it. */
export class Watchdog implements Disposable {
  readonly #worker = new Worker(
    new URL("watchdog_worker.ts", import.meta.url),
    { type: "module" },
  );
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  #name = "";

  /** Needs the permission to end processes: a thread alone ends itself only. */
  constructor(limitSeconds = LIMIT_SECONDS) {
    this.#worker.postMessage({ beats: this.#beats, limitSeconds });
  }

  /** An input of this target is run next. */
  begin(name: string): void {
    Atomics.add(this.#beats, 0, 1);
    if (name === this.#name) return;
    this.#name = name;
    this.#worker.postMessage({ name });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
