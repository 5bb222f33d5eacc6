/**
 * A node as a process: its log, its ready line, and its end.
 *
 *     start ── ready line ── … ── SIGINT or SIGTERM ── stop (at most 10 s) ── 0
 *                                    a second one ── 1 at once
 *
 * @see protocol §9.2
 * @module
 */
import { formatNodeAddress } from "../auth/node_address.ts";
import { formatSocketAddress } from "../auth/socket_address.ts";
import { AnonNetError, describeError } from "../base/errors.ts";
import type { ControlPlace } from "../control/control_note.ts";
import type { Log, LogLevel } from "../node/log.ts";
import { type LogFormat, openLog } from "../node/log_output.ts";
import { Node, type NodeOptions } from "../node/node.ts";
import { systemRuntime } from "../node/runtime.ts";
import type { ExitCode, Program } from "./command.ts";
import { PROGRAM_VERSION } from "./program_version.ts";
import type { Terminal } from "./terminal.ts";

/** What a process needs to know beside its node. */
export interface RunOptions extends Omit<NodeOptions, "signal" | "holder"> {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly readyAs: "text" | "json";
}

/** Longest time that stopping may take, ms: what supervisors wait before they kill. */
const MAX_STOP_MS = 10_000;

/** Longest wait for somebody to read the last lines of the log, ms. */
const MAX_LOG_MS = 1_000;

/** The operator has asked us to stop: not an error, but it ends waits like one. */
class StopRequest extends AnonNetError {
  constructor() {
    super("cli.stop", "Told to stop");
  }
}

/** Run a node until the operator asks it to stop. */
export async function runNode(
  program: Program,
  options: RunOptions,
): Promise<ExitCode> {
  const { terminal } = program;
  const output = await openLog({
    level: options.logLevel,
    format: options.logFormat,
    write: (line) => terminal.log(line),
  });
  try {
    await runLogged(options, output.log, terminal);
    return 0;
  } finally {
    await endWithin(MAX_LOG_MS, output[Symbol.asyncDispose](), () => {});
  }
}

async function runLogged(
  options: RunOptions,
  log: Log,
  terminal: Terminal,
): Promise<void> {
  using _guard = guardProcess(log, terminal);
  using stop = new StopSignal(terminal);
  if (options.logLevel === "debug") {
    log.warning("This log shows addresses of peers: do not pass it on");
  }
  log.info("Starting", {
    version: PROGRAM_VERSION,
    network: options.network.name,
  });
  const runtime = await systemRuntime(log);
  const starting = Node.start({
    ...options,
    holder: `pid ${Deno.pid}`,
    signal: stop.signal,
  }, runtime);
  const node = await Promise.race([starting, stop.requested]);
  if (node !== undefined) {
    announce(node, options, terminal);
    log.info("Ready");
    await stop.requested;
  }
  log.info("Stopping");
  await endWithin(
    MAX_STOP_MS,
    stopNode(starting),
    () => log.warning("Some part does not stop; ending without it"),
  );
  log.info("Stopped");
}

/** Stop a node that may still be starting. */
async function stopNode(starting: Promise<Node>): Promise<void> {
  try {
    const node = await starting;
    await node[Symbol.asyncDispose]();
  } catch (error) {
    if (!(error instanceof StopRequest)) throw error;
  }
}

/** Waits for the operator: the first signal asks, the second one forces. */
class StopSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #requested = Promise.withResolvers<void>();
  readonly #listener: Disposable;

  constructor(terminal: Terminal) {
    this.#listener = terminal.onStop(() => {
      if (this.#controller.signal.aborted) {
        terminal.tell("anonnet: stopped the hard way");
        terminal.quit(1);
        return;
      }
      this.#controller.abort(new StopRequest());
      this.#requested.resolve();
    });
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

/** Print that the node is ready, and what to pass on to others. */
function announce(
  node: Node,
  { readyAs }: RunOptions,
  terminal: Terminal,
): void {
  const address = node.address && formatNodeAddress(node.address);
  if (readyAs === "json") {
    terminal.print(JSON.stringify({
      event: "ready",
      address: address ?? null,
      socks: null,
      http: null,
      control: node.controlPlace ? textOf(node.controlPlace) : null,
      services: [],
    }));
  } else if (address === undefined) {
    terminal.print(
      "The relay is ready; where others can dial it will turn out when a few " +
        "have answered, or give --advertise",
    );
  } else {
    terminal.print(`The relay is ready. Others join the network by it with\n`);
    terminal.print(`    --bootstrap ${address}\n`);
  }
}

function textOf(place: ControlPlace): string {
  return place.type === "unix"
    ? `unix:${place.path}`
    : formatSocketAddress(place.address);
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

/** Errors that reached nobody. */
function guardProcess(log: Log, terminal: Terminal): Disposable {
  // A forgotten promise is our bug, but no reason to drop everybody's circuits.
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    log.error("A bug: a failure reached nobody", {
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
