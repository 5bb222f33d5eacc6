/**
 * Where a command reads and prints. Results go to standard output and nothing
 * else does; messages and the log go to standard error.
 *
 * @module
 */
import { concat } from "../../base/bytes.ts";
import { storageError } from "../../storage/storage_error.ts";

/** What counts as being asked to stop, beside signals. */
export interface StopOptions {
  /** Whether the end of the process that started this one does. */
  readonly withParent: boolean;
  /**
   * Called for SIGHUP in place of a stop, but where the terminal was closed that the
   * process began in. Default: SIGHUP asks to stop.
   */
  readonly onReload?: (() => void) | undefined;
}

/** The operator's side of a command. */
export interface Terminal {
  /** Print a line of the result. @throws {ConfigError} `storage.*` where it cannot be written. */
  print(line: string): void;
  /** Tell the operator something. */
  tell(line: string): void;
  /**
   * Show a line in place of the last one of these, for a person who watches; the empty
   * one takes it away. Does nothing where standard error is no terminal.
   */
  show(line: string): void;
  /** What comes on standard input, to its end, or until it is longer than `mostBytes`. */
  read(mostBytes: number): Promise<string>;
  /** Write to standard error without holding the program up. */
  log(bytes: Uint8Array): Promise<void>;
  /** Call `onSignal` whenever the operator asks us to stop. */
  onStop(onSignal: () => void, options: StopOptions): Disposable;
  /** Monotonic time, ms: signals that come together are told from those that do not. */
  nowMs(): number;
  /** End the process now, whatever is under way. */
  quit(code: number): void;
}

/** Signals that ask a process to stop. Windows has others. */
const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** How often to look whether the process that started this one is still there, ms. */
const PARENT_LOOK_MS = 500;

/** The process's own terminal. @param always What counts as well, whatever a command says. */
export function processTerminal(always: StopOptions): Terminal {
  const encoder = new TextEncoder();
  const shown = new ShownLine();
  return {
    print(line) {
      shown.clear();
      try {
        writeAll(Deno.stdout, encoder.encode(`${line}\n`));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw error;
        throw storageError("Cannot write to standard output", error);
      }
    },
    show: (line) => shown.show(line),
    tell(line) {
      shown.clear();
      try {
        writeAll(Deno.stderr, encoder.encode(`${line}\n`));
      } catch {
        // There is no other place to say it.
      }
    },
    async read(mostBytes) {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const part of Deno.stdin.readable) {
        parts.push(part);
        bytes += part.length;
        if (bytes > mostBytes) break;
      }
      return new TextDecoder().decode(concat(...parts));
    },
    async log(bytes) {
      shown.clear();
      for (let offset = 0; offset < bytes.length;) {
        offset += await Deno.stderr.write(bytes.subarray(offset));
      }
    },
    quit: (code) => Deno.exit(code),
    nowMs: () => performance.now(),
    onStop(onSignal, { withParent, onReload }) {
      const hadTerminal = hasTerminal();
      const onHangUp = () => {
        const isClosed = hadTerminal && !hasTerminal();
        if (onReload === undefined || isClosed) onSignal();
        else onReload();
      };
      const listenerOf = (signal: Deno.Signal) =>
        signal === "SIGHUP" ? onHangUp : onSignal;
      const parent = withParent || always.withParent
        ? watchParent(onSignal)
        : undefined;
      for (const signal of STOP_SIGNALS) {
        Deno.addSignalListener(signal, listenerOf(signal));
      }
      return {
        [Symbol.dispose]() {
          parent?.[Symbol.dispose]();
          for (const signal of STOP_SIGNALS) {
            Deno.removeSignalListener(signal, listenerOf(signal));
          }
        },
      };
    },
  };
}

/** The line at the bottom of a terminal that is written again and again. */
class ShownLine {
  readonly #encoder = new TextEncoder();
  #isThere = false;

  show(line: string): void {
    if (line === "") return this.clear();
    if (!isTerminal(Deno.stderr)) return;
    const { columns } = consoleSize();
    const fitting = [...line].slice(0, Math.max(1, columns - 1)).join("");
    this.#isThere = true;
    this.#write(`\r${fitting}\x1b[K`);
  }

  clear(): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    try {
      writeAll(Deno.stderr, this.#encoder.encode(text));
    } catch {
      // There is no other place to show it.
    }
  }
}

function consoleSize(): { readonly columns: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80 };
  }
}

/** Whether a person can see or say something here; not once the terminal was closed. */
function hasTerminal(): boolean {
  return [Deno.stdin, Deno.stdout, Deno.stderr].some(isTerminal);
}

function isTerminal(stream: { isTerminal(): boolean }): boolean {
  try {
    return stream.isTerminal();
  } catch {
    return false;
  }
}

/** The system gives a process whose parent has ended to another one. */
function watchParent(onGone: () => void): Disposable {
  const parent = Deno.ppid;
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, PARENT_LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  bytes: Uint8Array,
): void {
  for (let offset = 0; offset < bytes.length;) {
    offset += stream.writeSync(bytes.subarray(offset));
  }
}
