/**
 * Which code of `lib/` runs, by V8's own count of blocks.
 *
 * @see {@link https://v8.dev/blog/javascript-code-coverage}
 * @module
 */
import { Session } from "node:inspector";
import type { NewCode } from "./fuzzer.ts";

interface Script {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** Tuning: a look takes a millisecond or two, and most inputs far less: at most one in so long, ms. */
const LOOK_EVERY_MS = 10;

/** Blocks of `lib/` that have run since it began, as far as it looked. */
export class CodeCoverage implements NewCode, Disposable {
  readonly #session = new Session();
  readonly #seen = new Set<string>();
  #lookedMs = -Infinity;
  #isLooking = false;

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", {
      callCount: true,
      detailed: true,
    });
  }

  /** Blocks seen. */
  get size(): number {
    return this.#seen.size;
  }

  async before(): Promise<void> {
    const nowMs = performance.now();
    this.#isLooking = nowMs - this.#lookedMs >= LOOK_EVERY_MS;
    if (this.#isLooking) await this.#take();
  }

  async after(): Promise<boolean> {
    if (!this.#isLooking) return false;
    const before = this.#seen.size;
    for (const { url, functions } of await this.#take()) {
      if (!url.includes("/lib/") || url.includes("/node_modules/")) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) this.#seen.add(`${url} ${startOffset} ${endOffset}`);
        }
      }
    }
    this.#lookedMs = performance.now();
    return this.#seen.size > before;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  #take(): Promise<Script[]> {
    return new Promise((resolve) =>
      this.#session.post(
        "Profiler.takePreciseCoverage",
        (error: Error | null, taken: { result: Script[] }) =>
          resolve(error === null ? taken.result : []),
      )
    );
  }
}
