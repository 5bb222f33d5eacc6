/**
 * The program as a process of its own, with nothing but the permissions that a
 * user gives it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/** Longest wait for a process to do what is expected of it. */
const PATIENCE_MS = 30_000;

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

const CAN_ASK = Deno.build.os !== "windows";

/** How a process ended, and all that it said. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What starting a process takes. */
export interface ProcessOptions {
  /** Working directory. */
  readonly cwd?: string;
  /** Instead of `-P`, the permissions of `deno.json`, and the heap of `deno task start`. */
  readonly permissions?: readonly string[];
  /** Words before those that start it, such as `ip netns exec NAME`. */
  readonly before?: readonly string[];
  /** Instead of `main.ts`, a program that takes the same words. */
  readonly program?: string;
}

/** A running `anonnet`; killed on dispose if it still runs. */
export class ProgramProcess implements AsyncDisposable {
  readonly stdout: Lines;
  readonly stderr: Lines;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.stdout = new Lines(child.stdout);
    this.stderr = new Lines(child.stderr);
  }

  /** Start `anonnet` with these words. */
  static start(
    args: readonly string[],
    options: ProcessOptions = {},
  ): ProgramProcess {
    const [program = "", ...words] = [
      ...options.before ?? [],
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      `--config=${CONFIG}`,
      ...options.permissions ?? ["--v8-flags=--max-semi-space-size=4", "-P"],
      options.program ?? MAIN,
      ...args,
    ];
    const command = new Deno.Command(program, {
      args: words,
      ...options.cwd === undefined ? {} : { cwd: options.cwd },
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return new ProgramProcess(command.spawn());
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /**
   * Ask the process to stop, and see that it does so cleanly. Windows has no way
   * to ask another process: there it is killed.
   */
  async stop(
    signal: "SIGINT" | "SIGTERM" | "SIGHUP" = "SIGINT",
  ): Promise<Outcome> {
    this.signal(CAN_ASK ? signal : "SIGKILL");
    const outcome = await this.outcome();
    if (CAN_ASK) assert.equal(outcome.code, 0, outcome.stderr);
    return outcome;
  }

  /** Wait for the process to end by itself. @param patienceMs Longest wait, ms. */
  async outcome(patienceMs?: number): Promise<Outcome> {
    const { code } = await within(
      this.#child.status,
      "the end of the process",
      patienceMs,
    );
    return {
      code,
      stdout: await this.stdout.all,
      stderr: await this.stderr.all,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await Promise.all([this.stdout.all, this.stderr.all]);
  }
}

/** Run a command to its end. */
export async function runProgram(
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<Outcome> {
  await using process = ProgramProcess.start(args, options);
  return await process.outcome();
}

/** The line that `--ready-json` prints. */
export interface ReadyLine {
  readonly event: "ready";
  readonly address: string | null;
  readonly socks: string | null;
  readonly http: string | null;
  readonly control: string | null;
  readonly metrics: string | null;
  readonly torControl: string | null;
  readonly services: readonly unknown[];
  /** Of `share` and `receive`. */
  readonly link?: string;
}

/** A process that has printed its ready line. */
export interface ReadyProcess extends AsyncDisposable {
  readonly process: ProgramProcess;
  readonly ready: ReadyLine;
  /** Its `anon://` address; fails where it has none. */
  readonly address: string;
}

/** Start a relay of the local network and wait until it is ready. */
export async function startRelay(
  state: string,
  args: readonly string[] = [],
  options: ProcessOptions = {},
): Promise<ReadyProcess> {
  const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const process = ProgramProcess.start([
    "relay",
    "--network=local",
    `--state=${state}`,
    "--ready-json",
    "--log-format=json",
    ...listen,
    ...args,
  ], options);
  try {
    const ready: ReadyLine = JSON.parse(
      await process.stdout.until((line) => line.startsWith("{")),
    );
    return {
      process,
      ready,
      get address() {
        assert.ok(ready.address !== null, "the relay knows no address");
        return ready.address;
      },
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw new Error(
      `No ready line; the log says:\n${await process.stderr.all}`,
      {
        cause: error,
      },
    );
  }
}

/** One line of a log in JSON. */
export interface LogLine {
  readonly level: string;
  readonly part: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Wait for a line of a `--log-format=json` log with this message. */
export async function logLine(
  process: ProgramProcess,
  message: string,
  matches: (line: LogLine) => boolean = () => true,
): Promise<LogLine> {
  const text = await process.stderr.until((text) => {
    if (!text.startsWith("{")) return false;
    const line: LogLine = JSON.parse(text);
    return line.message === message && matches(line);
  });
  return JSON.parse(text);
}

/** What a process says, line by line. */
export class Lines {
  /** All of it, once the process has closed its end. */
  readonly all: Promise<string>;
  readonly #lines: string[] = [];
  #changed = Promise.withResolvers<void>();
  #isOver = false;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.all = this.#read(stream);
  }

  /**
   * The first line, from the beginning on, that fits.
   *
   * @param patienceMs Longest wait for the next line, ms.
   */
  async until(
    fits: (line: string) => boolean,
    patienceMs = PATIENCE_MS,
  ): Promise<string> {
    for (let index = 0;;) {
      for (; index < this.#lines.length; index++) {
        const line = this.#lines[index] ?? "";
        if (fits(line)) return line;
      }
      if (this.#isOver) {
        throw new Error(`No such line in:\n${this.#lines.join("\n")}`);
      }
      await within(this.#changed.promise, "a line", patienceMs);
    }
  }

  async #read(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ): Promise<string> {
    let text = "";
    let rest = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#wake();
    }
    if (rest !== "") this.#lines.push(rest);
    this.#isOver = true;
    this.#wake();
    return text;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** `work`, unless it takes too long. */
async function within<T>(
  work: Promise<T>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const signal = AbortSignal.timeout(patienceMs);
  const late = Promise.withResolvers<never>();
  const onAbort = () => late.reject(new Error(`Waited too long for ${what}`));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
