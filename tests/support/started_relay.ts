/**
 * Relays that other programs start, as npx or a task of Deno.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { raceSignal } from "../../lib/base/clock.ts";
import { Lines } from "./process.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** Longest time until a node has ended that need not drain, and some more, ms. */
const END_MS = 30_000;

/** How a starter is started. */
export interface StarterOptions {
  /** Makes the command line of another one, such as {@linkcode inTerminal}. */
  readonly wrap?: (words: readonly string[]) => readonly string[];
  /** Working directory. Default: the project. */
  readonly cwd?: string;
  /** Beside what the tests' own environment has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether `env` is all that it gets. */
  readonly clearEnv?: boolean;
}

/** A relay that a starter started, ready. */
export class StartedRelay implements AsyncDisposable {
  readonly starter: Deno.ChildProcess;
  readonly #home: TemporaryDirectory;
  readonly #output: Lines;
  readonly #log: Lines;

  private constructor(starter: Deno.ChildProcess, home: TemporaryDirectory) {
    this.starter = starter;
    this.#home = home;
    this.#output = new Lines(starter.stdout);
    this.#log = new Lines(starter.stderr);
  }

  /** @param starter The words before those of `anonnet`. */
  static async start(
    starter: readonly string[],
    options: StarterOptions = {},
  ): Promise<StartedRelay> {
    const { wrap = (words: readonly string[]) => words, ...where } = options;
    await using stack = new AsyncDisposableStack();
    const home = stack.use(await TemporaryDirectory.create());
    const [program = "", ...args] = wrap([
      ...starter,
      "relay",
      "--network=local",
      "--listen=127.0.0.1:0",
      `--state=${home.pathOf("state")}`,
      "--ready-json",
    ]);
    const child = new Deno.Command(program, {
      args,
      cwd: PROJECT,
      ...where,
      env: { NO_COLOR: "1", ...where.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const relay = stack.use(new StartedRelay(child, home));
    await relay.#output.until((line) => line.includes('"event":"ready"'));
    stack.move();
    return relay;
  }

  /** All that it says, once no process of it is left: they hold the other end. */
  async ended(): Promise<string> {
    const limit = AbortSignal.timeout(END_MS);
    const all = Promise.all([this.#log.all, this.#output.all]);
    const log = (await raceSignal(all, limit)).join("");
    await this.starter.status;
    const left = await Array.fromAsync(
      Deno.readDir(this.#home.pathOf("state")),
    );
    const names = left.map(({ name }) => name);
    assert.ok(!names.some((name) => name.startsWith("control")), `${names}`);
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.starter.stdin.close().catch(() => {});
    await this.#home[Symbol.asyncDispose]();
  }
}

/** The same in a terminal of its own. */
export function inTerminal(words: readonly string[]): readonly string[] {
  return ["script", "-qefc", words.join(" "), "/dev/null"];
}
