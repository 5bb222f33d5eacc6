/**
 * Programs of ours as processes that answer a line by a line of JSON.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** The niceness that leaves others the processor. */
const LEAST_PRIORITY = 19;

/** Time that a process has to end by itself, ms. */
const END_MS = 5000;

/** How a process runs. */
export interface LineProcessOptions {
  /**
   * More flags for Deno. V8's own make other processes compile anew what they share:
   * the cache of compiled code is that of one set of them.
   */
  readonly flags?: readonly string[];
  /**
   * `low`: of the processor it has what the others of this program and its children
   * leave. Not on Windows. Default: as they have.
   */
  readonly priority?: "low";
}

/** A process that answers a line by a line. Killed on dispose. */
export class LineProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(
    program: string,
    args: readonly string[],
    { flags = [], priority }: LineProcessOptions = {},
  ) {
    const deno = Deno.execPath();
    const isLow = priority === "low";
    const command = new Deno.Command(isLow ? "nice" : deno, {
      args: [
        ...isLow ? ["-n", `${LEAST_PRIORITY}`, deno] : [],
        "run",
        "--quiet",
        "--no-prompt",
        `--config=${CONFIG}`,
        "--allow-net",
        "--allow-read",
        ...flags,
        program,
        ...args,
      ],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    this.#child = command.spawn();
    this.#lines = linesOf(this.#child.stdout);
    this.#input = this.#child.stdin.getWriter();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The next line. */
  async line<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("The process has ended");
    return JSON.parse(value);
  }

  /** The answer to a line. */
  async ask<T>(line: string): Promise<T> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    return await this.line<T>();
  }

  /** End the process without a word. */
  kill(): void {
    this.signal("SIGKILL");
  }

  /** Send it a signal, such as `SIGSTOP`; nothing if it has ended. */
  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch {
      // It has ended already.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    const signal = AbortSignal.timeout(END_MS);
    signal.addEventListener("abort", () => this.kill());
    await this.#child.status;
    while (!(await this.#lines.next()).done);
  }
}

async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
