/**
 * What runs in this process until it is done, or until the operator asks it to
 * stop: its log, its signals, its end.
 *
 *     start ── use ── done ───────── stop (at most its drain and 10 s) ── exit code
 *         ├──── SIGHUP, where there is a file to read again ── reload, and on
 *         └──── SIGINT, SIGTERM or SIGHUP ── the same
 *                  another one, 2 s or more later ── 1 at once
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { AnonNetError, describeError } from "../../base/errors.ts";
import type { TorControlPlan } from "../../node/node_tor_control.ts";
import type { Log, LogLevel } from "../../log/log.ts";
import {
  type LogFormat,
  type LogOutput,
  openLog,
} from "../../log/log_output.ts";
import type { LogTail } from "../../log/log_tail.ts";
import type { ExitCode, Program } from "../flags/command.ts";
import { PROGRAM_VERSION } from "./program_version.ts";
import { ServiceManager } from "./service_manager.ts";
import type { StopOptions, Terminal } from "../flags/terminal.ts";

/** How a process writes its log. */
export interface ProcessLog {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Whether the end of the process that started this one is a wish to stop. Default: no. */
  readonly stopWithParent?: boolean | undefined;
  /** The socket of a service manager to tell how the process is. Default: none. */
  readonly notify?: string | undefined;
  /** Which of several that write one log it is. Default: there is one. */
  readonly logName?: string | undefined;
}

/** What runs in a process. */
export interface ProcessWork<T extends AsyncDisposable> {
  /** How long stopping waits for what is under way, ms. Default: not at all. */
  readonly drainMs?: number;
  /**
   * Start it.
   *
   * @param signal Aborts when asked to stop; reject with its reason then.
   * @param tail The last lines of the log.
   * @param wishes What programs may have the process do.
   */
  start(
    log: Log,
    signal: AbortSignal,
    tail: LogTail,
    wishes: TorControlPlan["wishes"],
  ): Promise<T>;
  /**
   * Read the configuration again, and do what it says. Not called before it has
   * started, and once at a time. Default: there is none to read.
   *
   * @throws {ConfigError} when it makes no sense: nothing has changed then.
   */
  reload?(started: T, output: LogOutput): Promise<void>;
  /**
   * What to do with it once it has started; it is stopped afterwards.
   *
   * @param stopped Resolves when asked to stop.
   * @returns The exit code.
   */
  use(started: T, stopped: Promise<void>): Promise<ExitCode>;
}

/** Longest time that stopping may take beside draining, ms. */
const MAX_STOP_MS = 10_000;

/**
 * Signals this close together are one wish: a terminal sends Ctrl-C to all of its
 * programs, and starters such as npx and deno task pass it on besides.
 */
const ONE_WISH_MS = 2_000;

/** Longest wait for a reader of the last lines of the log, ms. */
const MAX_LOG_MS = 1_000;

/** The operator has asked us to stop: not an error, but it ends waits like one. */
class StopRequest extends AnonNetError {
  constructor() {
    super("cli.stop", "Told to stop");
  }
}

/** Run something to its end. Asked to stop while it starts, the exit code is 0. */
export async function runProcess<T extends AsyncDisposable>(
  { terminal }: Program,
  options: ProcessLog,
  work: ProcessWork<T>,
): Promise<ExitCode> {
  const opened = await openLog({
    level: options.logLevel,
    format: options.logFormat,
    write: (line) => terminal.log(line),
  });
  const { logName } = options;
  const output = logName === undefined
    ? opened
    : { ...opened, log: opened.log.part(logName) };
  const { log } = output;
  const manager = new ServiceManager(options.notify, log);
  try {
    using _guard = guardProcess(log, terminal);
    const reloads = new Reloads(work, output, manager);
    using stop = new StopSignal(terminal, {
      withParent: options.stopWithParent ?? false,
      onReload: work.reload && (() => reloads.ask()),
    });
    if (options.logLevel === "debug") {
      log.warning("This log shows addresses of peers: do not pass it on");
    }
    log.info("Starting", { version: PROGRAM_VERSION });
    return await runLogged(work, output, stop, reloads, manager);
  } finally {
    await endWithin(MAX_LOG_MS, manager[Symbol.asyncDispose](), () => {});
    await endWithin(MAX_LOG_MS, output[Symbol.asyncDispose](), () => {});
  }
}

async function runLogged<T extends AsyncDisposable>(
  work: ProcessWork<T>,
  { log, tail }: LogOutput,
  stop: StopSignal,
  reloads: Reloads<T>,
  manager: ServiceManager,
): Promise<ExitCode> {
  const starting = work.start(log, stop.signal, tail, {
    stop: () => stop.ask(),
    reload() {
      if (work.reload !== undefined) reloads.ask();
      return work.reload !== undefined;
    },
  });
  try {
    const started = await Promise.race([starting, stop.requested]);
    if (started === undefined) return 0;
    log.info("Ready");
    manager.tell("ready");
    reloads.begin(started);
    return await work.use(started, stop.requested);
  } finally {
    log.info("Stopping");
    reloads.end();
    manager.tell("stopping");
    await endWithin(
      (work.drainMs ?? 0) + MAX_STOP_MS,
      stopStarted(starting),
      () => log.warning("Some part does not stop; ending without it"),
    );
    log.info("Stopped");
  }
}

/** Stop what may still be starting, or has failed to. */
async function stopStarted(starting: Promise<AsyncDisposable>): Promise<void> {
  let started: AsyncDisposable;
  try {
    started = await starting;
  } catch {
    return; // told already, or ended by the very request to stop
  }
  await started[Symbol.asyncDispose]();
}

/** Reads the configuration again, one time after the other. */
class Reloads<T extends AsyncDisposable> {
  readonly #work: ProcessWork<T>;
  readonly #output: LogOutput;
  readonly #manager: ServiceManager;
  #started: T | undefined;
  #isAsked = false;
  #isBusy = false;
  #isOver = false;

  constructor(
    work: ProcessWork<T>,
    output: LogOutput,
    manager: ServiceManager,
  ) {
    this.#work = work;
    this.#output = output;
    this.#manager = manager;
  }

  /** What is to be changed is there. */
  begin(started: T): void {
    this.#started = started;
    this.#next();
  }

  /** The process stops: a reload under way says no more that it is ready. */
  end(): void {
    this.#isOver = true;
  }

  /** The operator asks for it; asked again meanwhile, it is done once more. */
  ask(): void {
    this.#isAsked = true;
    this.#next();
  }

  #next(): void {
    const started = this.#started;
    if (!this.#isAsked || this.#isBusy || started === undefined) return;
    this.#isAsked = false;
    this.#isBusy = true;
    this.#reload(started).finally(() => {
      this.#isBusy = false;
      this.#next();
    });
  }

  async #reload(started: T): Promise<void> {
    this.#manager.tell("reloading");
    try {
      await this.#work.reload?.(started, this.#output);
    } catch (error) {
      this.#output.log.error(
        "Cannot reload the configuration: all stays as it was",
        { error: error instanceof Error ? error : String(error) },
      );
    } finally {
      // Told to stop meanwhile, it has said so, and that is the last word.
      if (!this.#isOver) this.#manager.tell("ready");
    }
  }
}

/** Waits for the operator: the first signal asks, the second one forces. */
class StopSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #requested = Promise.withResolvers<void>();
  readonly #listener: Disposable;

  constructor(terminal: Terminal, options: StopOptions) {
    let askedMs = Infinity;
    this.#listener = terminal.onStop(() => {
      if (this.#controller.signal.aborted) {
        if (terminal.nowMs() - askedMs < ONE_WISH_MS) return;
        terminal.tell("anonnet: stopped the hard way");
        terminal.quit(1);
        return;
      }
      askedMs = terminal.nowMs();
      this.ask();
    }, options);
  }

  /** The first wish to stop; further ones from within change nothing. */
  ask(): void {
    this.#controller.abort(new StopRequest());
    this.#requested.resolve();
  }

  /** Aborts when asked to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves when asked to stop. */
  get requested(): Promise<void> {
    return this.#requested.promise;
  }

  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]();
  }
}

/**
 * Wait for `work`, but not for ever: what hangs must not keep the process alive.
 */
async function endWithin(
  limitMs: number,
  work: PromiseLike<void>,
  onLate: () => void,
): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    onLate();
    late.resolve();
  }, limitMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Errors that reached no handler. */
function guardProcess(log: Log, terminal: Terminal): Disposable {
  // A forgotten promise is our bug, but no reason to drop the circuits of all users.
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    log.error("A bug: a failure reached no handler", {
      error: event.reason instanceof Error
        ? event.reason
        : String(event.reason),
    });
  };
  // An exception outside of any promise leaves unknown state behind: end.
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    terminal.tell(`anonnet: a bug: ${describeError(event.error)}`);
    terminal.quit(1);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return {
    [Symbol.dispose]() {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    },
  };
}
