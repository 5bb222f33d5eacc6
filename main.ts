/**
 * The `anonnet` program. All of it is in `lib/cli/`; this file only makes sure
 * that the Deno below is one that it can run on.
 *
 * @module
 */
import {
  isNewEnough,
  MIN_DENO_VERSION,
} from "./lib/cli/process/deno_version.ts";

if (!isNewEnough(Deno.version.deno)) {
  const message =
    `anonnet: needs Deno ${MIN_DENO_VERSION} or later, and this ` +
    `is ${Deno.version.deno}; see https://docs.deno.com/runtime/\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(message));
  Deno.exit(1);
}
// Not before: an older Deno cannot even load the rest.
const { main } = await import("./lib/cli/main.ts");
await main(Deno.args);
