/**
 * `anonnet` whose second worker dies of an error of its own on SIGUSR1: no signal ends
 * a single thread.
 *
 * @module
 */
import { main } from "../../lib/cli/main.ts";

const MORTAL = new URL("./mortal_worker.ts", import.meta.url);

const workers: Worker[] = [];

globalThis.Worker = class extends Worker {
  constructor(_module: string | URL, options?: WorkerOptions) {
    super(MORTAL, options);
    workers.push(this);
  }
};

Deno.addSignalListener("SIGUSR1", () => workers[1]?.postMessage("die"));

await main(Deno.args);
