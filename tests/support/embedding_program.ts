/**
 * A program that embeds a node, as a reader of `examples/` runs it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lines } from "./process.ts";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** What running a program takes. */
export interface EmbeddingOptions {
  readonly words?: readonly string[];
  /** What it reads from its standard input. */
  readonly input?: string;
  readonly cwd?: string;
  /** Path of the settings that name the packages; those of the project if not given, none if empty. */
  readonly config?: string;
}

/** A program that runs; killed on dispose. */
export class EmbeddingProgram implements AsyncDisposable {
  readonly stdout: Lines;
  readonly #child: Deno.ChildProcess;
  readonly #errors: Lines;

  constructor(path: string, options: EmbeddingOptions = {}) {
    const { words = [], input = "", cwd, config = CONFIG } = options;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        ...config === "" ? [] : [`--config=${config}`],
        "-P",
        path,
        ...words,
      ],
      ...cwd === undefined ? {} : { cwd },
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.stdout = new Lines(this.#child.stdout);
    this.#errors = new Lines(this.#child.stderr);
    new Blob([input]).stream().pipeTo(this.#child.stdin).catch(() => {});
  }

  stop(signal: "SIGINT" | "SIGTERM"): void {
    this.#child.kill(signal);
  }

  /** Wait for its end. @returns All it printed. */
  async end(): Promise<string> {
    const { code } = await this.#child.status;
    assert.equal(code, 0, await this.#errors.all);
    return await this.stdout.all;
  }

  /** Wait until it has failed. @returns What it said of that. */
  async failure(): Promise<string> {
    const { code } = await this.#child.status;
    assert.notEqual(code, 0, await this.stdout.all);
    return await this.#errors.all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await Promise.all([this.stdout.all, this.#errors.all]);
  }
}
