/**
 * Feeds one target with mutations of its seeds and of what it has met before. An
 * input that leads to a new outcome, or to code that none led to before, is one to
 * mutate from then on; of each outcome the shortest input is kept for good.
 *
 * @module
 */
import { hash } from "node:crypto";
import { type Corpus, readCorpus } from "./corpus.ts";
import { Dice } from "./dice.ts";
import type { Executor } from "./execution.ts";
import { type FuzzInput, type FuzzTarget, inputBytes } from "./fuzz_target.ts";
import { mutateInput } from "./mutation.ts";

/** Says whether code ran between two moments that had not run before. */
export interface NewCode {
  before(): Promise<void>;
  after(): Promise<boolean>;
}

/** An input that broke a promise. */
export interface Found {
  readonly target: string;
  readonly what: string;
  readonly input: FuzzInput;
}

/** Inputs to mutate: more than that, and a random one goes for each that comes. */
const MAX_POOL = 400;
/** Bytes of a pool. */
const MAX_POOL_INPUT_BYTES = 64 * 1024;
/** Findings of one target that are told: the next thousand would be the same. */
const MAX_FOUND = 5;
/** Bytes that the kept inputs of a target may take in its file. */
const MAX_CORPUS_BYTES = 12 * 1024;

/** One target, and what it has met. */
export class Fuzzer {
  readonly target: FuzzTarget;
  executions = 0;
  readonly found: Found[] = [];
  readonly #executor: Executor;
  readonly #newCode: NewCode;
  readonly #dice: Dice;
  readonly #pool: FuzzInput[] = [];
  readonly #shortest = new Map<string, FuzzInput>();
  readonly #foundKinds = new Set<string>();

  private constructor(
    target: FuzzTarget,
    executor: Executor,
    newCode: NewCode,
    seed: number,
  ) {
    this.target = target;
    this.#executor = executor;
    this.#newCode = newCode;
    this.#dice = new Dice(seedOf(target, seed));
  }

  /** A fuzzer that has run its seeds, and what was kept of former runs. */
  static async start(
    target: FuzzTarget,
    executor: Executor,
    newCode: NewCode,
    seed: number,
  ): Promise<Fuzzer> {
    const fuzzer = new Fuzzer(target, executor, newCode, seed);
    const inputs = [
      ...await target.seeds(),
      ...readCorpus(target.name).values(),
    ];
    for (const input of inputs) {
      fuzzer.#pool.push(input);
      await fuzzer.#execute(input);
    }
    return fuzzer;
  }

  /** Outcomes that have been seen. */
  get outcomes(): number {
    return this.#shortest.size;
  }

  /** Inputs that are mutated. */
  get poolSize(): number {
    return this.#pool.length;
  }

  /** What is worth a place in a file: the shortest inputs first. */
  get corpus(): Corpus {
    const all = [...this.#shortest].sort(([, a], [, b]) =>
      inputBytes(a) - inputBytes(b)
    );
    let bytes = 0;
    return new Map(all.filter(([, input]) => {
      bytes += inputBytes(input);
      return bytes <= MAX_CORPUS_BYTES;
    }));
  }

  /** Whether it has found enough, and runs no more. */
  get isSilent(): boolean {
    return this.found.length >= MAX_FOUND;
  }

  /** Mutate and feed, once. */
  async step(): Promise<void> {
    if (this.isSilent) return;
    const { hasSteps } = this.target;
    await this.#execute(mutateInput(this.#pool, hasSteps, this.#dice));
  }

  /** Run all that is in the pool once more, and learn nothing from it. */
  async replay(): Promise<void> {
    for (const input of this.#pool) {
      await this.#executor.run(this.target, input);
    }
  }

  async #execute(input: FuzzInput): Promise<void> {
    this.executions++;
    await this.#newCode.before();
    const { word, finding } = await this.#executor.run(this.target, input);
    const isNews = await this.#newCode.after();
    if (finding !== undefined) return this.#onFinding(finding, input);
    const shortest = this.#shortest.get(word);
    if (shortest === undefined || isNews) this.#keep(input);
    if (shortest === undefined || inputBytes(input) < inputBytes(shortest)) {
      this.#shortest.set(word, input);
    }
  }

  #keep(input: FuzzInput): void {
    if (inputBytes(input) > MAX_POOL_INPUT_BYTES) return;
    if (this.#pool.length < MAX_POOL) this.#pool.push(input);
    else this.#pool[this.#dice.below(MAX_POOL)] = input;
  }

  #onFinding(what: string, input: FuzzInput): void {
    const kind = what.replaceAll(/[0-9.]+/g, "#");
    if (this.#foundKinds.has(kind)) return;
    this.#foundKinds.add(kind);
    this.found.push({ target: this.target.name, what, input });
  }
}

/** Each target has choices of its own, whatever others run beside it. */
function seedOf({ name }: FuzzTarget, seed: number): number {
  return parseInt(hash("sha256", `${seed} ${name}`).slice(0, 12), 16);
}
