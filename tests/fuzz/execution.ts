/**
 * One input of one target: what came of it, and whether it is a finding.
 *
 *     an error that input may not cause, also one that a promise was rejected with
 *     more processor time than the target allows     the least of four runs counts
 *     more memory than the input is worth            the least of four runs counts
 *     a broken promise of the target itself
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import process from "node:process";
import { AnonNetError, BugError } from "../../lib/base/errors.ts";
import { type FuzzInput, type FuzzTarget, inputBytes } from "./fuzz_target.ts";

/** What came of an input. */
export interface Execution {
  /** The target's word for it, or the code of an error that is allowed. */
  readonly word: string;
  /** Why it is a finding. */
  readonly finding?: string;
}

/** Memory that any input may have taken for it, bytes; garbage counts until it is collected. */
const BASE_ALLOCATION = 64 * 1024 * 1024;
/** And for each byte of it. */
const ALLOCATION_PER_BYTE = 2000;
/** Each message may take so much of what a whole input may: hours pass between two. */
const MESSAGE_SHARE = 1 / 15;
/** Times that a costly input is run again: neighbours and the collector cost as well. */
const SECOND_LOOKS = 3;
/** Memory is looked at once in so many runs: looking takes longer than most runs do. */
const MEMORY_LOOKS = 16;

/** What an executor looks at. */
export interface ExecutorOptions {
  /**
   * Whether processor time and memory count. The runtime counts them for the whole
   * process: not where other threads of it have work of their own.
   */
  readonly costs: "counted" | "ignored";
  /** Memory that any input may take. Default {@linkcode BASE_ALLOCATION}. */
  readonly baseAllocation?: number;
  /** Hears that an input of this target is run next. */
  readonly onRun?: (name: string) => void;
}

/** Runs inputs, and catches what they break. */
export class Executor implements Disposable {
  readonly #unheeded: unknown[] = [];
  readonly #countsCosts: boolean;
  readonly #onRun: (name: string) => void;
  readonly #baseAllocation: number;
  #runs = 0;

  constructor(
    { costs, onRun = () => {}, baseAllocation = BASE_ALLOCATION }:
      ExecutorOptions,
  ) {
    this.#onRun = onRun;
    this.#baseAllocation = baseAllocation;
    this.#countsCosts = costs === "counted";
    globalThis.addEventListener("unhandledrejection", this.#onRejection);
  }

  /** Run one input. */
  async run(target: FuzzTarget, input: FuzzInput): Promise<Execution> {
    this.#onRun(target.name);
    if (!this.#countsCosts) return await this.#runOnce(target, input);
    const looksAtMemory = this.#runs++ % MEMORY_LOOKS === 0;
    const heldBytes = looksAtMemory ? memoryBytes() : 0;
    const startMs = performance.now();
    const execution = await this.#runOnce(target, input);
    if (execution.finding !== undefined) return execution;
    const tookMs = performance.now() - startMs;
    if (tookMs > mostMs(target, input)) {
      const finding = await this.#costOf(target, input);
      if (finding !== undefined) return { ...execution, finding };
    }
    if (looksAtMemory && memoryBytes() - heldBytes > this.#mostBytes(input)) {
      const finding = await this.#memoryOf(target, input);
      if (finding !== undefined) return { ...execution, finding };
    }
    return execution;
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unhandledrejection", this.#onRejection);
  }

  #mostBytes(input: FuzzInput): number {
    return this.#baseAllocation + ALLOCATION_PER_BYTE * inputBytes(input);
  }

  readonly #onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    this.#unheeded.push(event.reason);
  };

  async #runOnce(target: FuzzTarget, input: FuzzInput): Promise<Execution> {
    let execution: Execution;
    try {
      const result = target.run(input);
      const isSlow = result instanceof Promise;
      execution = { word: isSlow ? await result : result };
      // Rejections that no code heeds are told of once the loop has turned.
      if (isSlow) await setImmediate();
    } catch (error) {
      execution = ofError(target, error);
    }
    const [rejection] = this.#unheeded.splice(0);
    return rejection === undefined ? execution : {
      word: "unheeded",
      finding: `a rejection was not handled: ${textOf(rejection)}`,
    };
  }

  async #costOf(
    target: FuzzTarget,
    input: FuzzInput,
  ): Promise<string | undefined> {
    let leastMs = Infinity;
    for (let look = 0; look < SECOND_LOOKS; look++) {
      const before = process.cpuUsage();
      await this.#runOnce(target, input);
      const { user, system } = process.cpuUsage(before);
      leastMs = Math.min(leastMs, (user + system) / 1000);
    }
    const limitMs = mostMs(target, input);
    if (leastMs <= limitMs) return undefined;
    return `${inputBytes(input)} bytes took ${
      leastMs.toFixed(1)
    } ms of processor ` +
      `time, and may take ${limitMs.toFixed(1)} ms`;
  }

  async #memoryOf(
    target: FuzzTarget,
    input: FuzzInput,
  ): Promise<string | undefined> {
    let least = Infinity;
    for (let look = 0; look < SECOND_LOOKS; look++) {
      await collectGarbage();
      const before = memoryBytes();
      await this.#runOnce(target, input);
      least = Math.min(least, memoryBytes() - before);
    }
    if (least <= this.#mostBytes(input)) return undefined;
    return `${inputBytes(input)} bytes took ${least} bytes of memory`;
  }
}

/** Bytes on the heap, and of buffers beside it. */
export function memoryBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Where the runtime lets us (`--v8-flags=--expose-gc`), leave on the heap what is alive. */
export async function collectGarbage(): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  // Buffers are freed by another thread, what finalizers let go of by the next round.
  for (let round = 0; round < 2; round++) {
    gc?.();
    await setImmediate();
  }
}

function mostMs({ cpu }: FuzzTarget, input: FuzzInput): number {
  const { baseMs, perKibMs } = cpu;
  return baseMs + perKibMs * inputBytes(input) / 1024 +
    baseMs * MESSAGE_SHARE * input.length;
}

function ofError({ allowed }: FuzzTarget, error: unknown): Execution {
  if (error instanceof AnonNetError && !(error instanceof BugError)) {
    const { code } = error;
    const isAllowed = allowed.some((name) =>
      code === name || code.startsWith(`${name}.`)
    );
    if (isAllowed) return { word: code };
  }
  return { word: "error", finding: textOf(error) };
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const code = error instanceof AnonNetError ? ` ${error.code}` : "";
  const where = error.stack?.split("\n").slice(1, 5)
    .map((line) => line.trim().replace(/file:.*?\/(lib|tests)\//, "$1/"));
  return [`${error.name}${code}: ${error.message}`, ...where ?? []].join(
    "\n    ",
  );
}
