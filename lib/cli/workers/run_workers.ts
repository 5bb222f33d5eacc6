/**
 * A relay as a process of one worker or of many: one ready line, one log, and signals
 * that reach all of them.
 *
 * Workers are threads (Web Workers) and no processes: the program may start none.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { systemRuntime } from "../../machine/runtime.ts";
import type { ExitCode, Program } from "../flags/command.ts";
import { runProcess } from "../process/process.ts";
import { formatWorkersText } from "../process/ready.ts";
import { runNode, type RunOptions } from "../process/run_node.ts";
import { prepareWorkers } from "./prepare_workers.ts";
import { RelayWorkers, type WorkerThread } from "./relay_workers.ts";
import type { WorkerEvent } from "./worker_messages.ts";
import { planWorkers } from "./worker_plan.ts";

const WORKER = new URL("./relay_worker.ts", import.meta.url);

/**
 * Run a node, or so many relays of one family, until the operator asks to stop.
 */
export async function runWorkers(
  program: Program,
  options: RunOptions,
): Promise<ExitCode> {
  const { workers: count = 1, reread } = options;
  if (count === 1) return await runNode(program, options);
  const { terminal } = program;
  const plans = planWorkers(options);
  return await runProcess<RelayWorkers>(program, options, {
    ...options.drainMs === undefined ? {} : { drainMs: options.drainMs },
    async start(log, signal) {
      const runtime = await systemRuntime(log);
      return await RelayWorkers.start({
        plans: await prepareWorkers(plans, runtime),
        clock: runtime.clock,
        log,
        open: (onEvent) => openThread(onEvent),
        tell: (line) => terminal.tell(line),
      }, signal);
    },
    ...reread && {
      async reload(workers, output) {
        const wanted = await reread();
        output.setLevel(wanted.logLevel);
        const fixed = ["workers", "network", "bootstrap", "invites"] as const;
        const later = fixed.filter((name) =>
          JSON.stringify(wanted[name]) !== JSON.stringify(options[name])
        );
        if (later.length > 0) {
          output.log.warning(
            "Some of the configuration takes a restart, and is as it was",
            { what: later.join(", ") },
          );
        }
        // Each logs what changed.
        workers.reload(planWorkers({ ...wanted, workers: count }));
      },
    },
    async use({ ready }, stopped) {
      const addresses = ready.map(({ address }) => address);
      if (options.readyAs === "json") {
        const workers = ready.map(({ address, control, metrics }) => ({
          address,
          control,
          metrics,
        }));
        terminal.print(JSON.stringify({ ...ready[0], workers }));
      } else {
        for (const line of formatWorkersText(addresses)) terminal.print(line);
      }
      await stopped;
      return 0;
    },
  });
}

/** Begin a thread that inherits the permissions of this one. */
function openThread(
  onEvent: (event: WorkerEvent) => void,
): WorkerThread {
  const worker = new Worker(WORKER, { type: "module" });
  const { port1: port, port2: far } = new MessageChannel();
  worker.onerror = (event) => {
    event.preventDefault();
    onEvent({ type: "ended", message: event.message });
  };
  port.onmessage = ({ data }: MessageEvent<WorkerEvent>) => onEvent(data);
  worker.postMessage("port", [far]);
  return {
    send: (order) => port.postMessage(order),
    end() {
      port.close();
      worker.terminate();
    },
  };
}
