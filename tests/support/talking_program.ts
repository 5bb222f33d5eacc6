/**
 * A program of another language that a test talks with: what it prints, line by line,
 * and lines that it reads.
 *
 * @module
 */
import assert from "node:assert/strict";
import { command } from "./client_programs.ts";

/** One running program; killed on dispose. */
export class TalkingProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<unknown>;
  #text = "";
  #isOver = false;
  #more = Promise.withResolvers<void>();

  constructor(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#child = command(program, args, {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { PYTHONUNBUFFERED: "1", ...env },
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    const { stdout, stderr } = this.#child;
    this.#reading = Promise.all([this.#read(stdout), this.#read(stderr)])
      .finally(() => {
        this.#isOver = true;
        this.#wake();
      });
  }

  /** All that it has printed so far. */
  get text(): string {
    return this.#text;
  }

  /** Wait until it has printed this. @returns What the first group matched, if there is one. */
  async until(words: RegExp): Promise<string> {
    for (;;) {
      const more = this.#more.promise;
      const match = this.#text.match(words);
      if (match !== null) return match[1] ?? match[0];
      assert.ok(!this.#isOver, `No ${words} in: ${this.#text}`);
      await more;
    }
  }

  /** Give it a line. */
  async say(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Wait until it ends. @returns Its exit code. */
  async ended(): Promise<number> {
    await this.#input.close().catch(() => {}); // it may have ended already
    return (await this.#child.status).code;
  }

  /** Ask it to end, as Ctrl-C does. */
  interrupt(): void {
    this.#child.kill("SIGINT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await this.#input.close().catch(() => {});
    await this.#reading;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      this.#text += chunk;
      this.#wake();
    }
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}
