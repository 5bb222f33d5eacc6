/** A process with an input that never ends. */
import { sleep } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { Watchdog } from "./watchdog.ts";

const watchdog = new Watchdog(0.2);
watchdog.begin("test/hanging");
// The name goes out once this thread has a moment.
await sleep(new SystemClock(), 300);
for (;;);
