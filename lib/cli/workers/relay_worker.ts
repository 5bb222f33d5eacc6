/**
 * A worker: one relay in a thread of its own, with an event loop and a heap of its
 * own. It is what `anonnet relay` is in a process, and hears by messages what a process
 * hears by signals.
 *
 * The first message brings the port for all others.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { describeError, errorCode } from "../../base/errors.ts";
import { DenoFiles } from "../../storage/deno_files.ts";
import type { Terminal } from "../flags/terminal.ts";
import { runNode } from "../process/run_node.ts";
import type { WorkerEvent, WorkerOrder } from "./worker_messages.ts";
import type { WorkerOptions } from "./worker_plan.ts";

addEventListener("message", (event) => {
  if (!(event instanceof MessageEvent)) return;
  const [port] = event.ports;
  if (port !== undefined) serve(port);
}, { once: true });

function serve(port: MessagePort): void {
  const say = (event: WorkerEvent) => port.postMessage(event);
  let wanted: WorkerOptions | undefined;
  let isStopAsked = false;
  let onSignal = (): void => {
    isStopAsked = true;
  };
  let onReload = () => {};
  const terminal: Terminal = {
    print: (line) => say({ type: "ready", line }),
    tell: (line) => say({ type: "told", line }),
    // None watches a worker alone.
    show: () => {},
    read: () => Promise.resolve(""),
    async log(bytes) {
      for (let offset = 0; offset < bytes.length;) {
        offset += await Deno.stderr.write(bytes.subarray(offset));
      }
    },
    nowMs: () => performance.now(),
    quit: (code) => say({ type: "ended", message: `it quit with ${code}` }),
    onStop(stop, options) {
      onSignal = stop;
      onReload = options.onReload ?? onReload;
      if (isStopAsked) queueMicrotask(stop);
      return { [Symbol.dispose]: () => {} };
    },
  };
  port.onmessage = ({ data }: MessageEvent<WorkerOrder>) => {
    switch (data.type) {
      case "start":
        wanted = data.options;
        run(data.options, () => wanted ?? data.options, terminal).then(say);
        break;
      case "reload":
        // It has joined: by which relays it did is of no more interest.
        wanted = wanted && { ...data.options, bootstrap: wanted.bootstrap };
        onReload();
        break;
      case "stop":
        onSignal();
        break;
    }
  };
}

/** Run the relay to its end. Never rejects. */
async function run(
  options: WorkerOptions,
  wanted: () => WorkerOptions,
  terminal: Terminal,
): Promise<WorkerEvent> {
  try {
    await runNode({ terminal, files: new DenoFiles() }, {
      ...options,
      reread: () => Promise.resolve(wanted()),
    });
    return { type: "ended" };
  } catch (error) {
    return {
      type: "ended",
      code: errorCode(error, "cli.worker"),
      message: describeError(error),
    };
  }
}
