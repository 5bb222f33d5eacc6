/**
 * The worker of a relay, which dies when it is told to; see `mortal_workers.ts`.
 *
 * @module
 */
import "../../lib/cli/workers/relay_worker.ts";

addEventListener("message", (event) => {
  if (!(event instanceof MessageEvent) || event.data !== "die") return;
  throw new Error("this worker dies");
});
