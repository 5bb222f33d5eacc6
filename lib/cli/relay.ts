/**
 * `anonnet relay`: run a relay until told to stop.
 *
 * @module
 */
import { defineCommand } from "./flags/command.ts";
import {
  commonOptions,
  NODE_FLAGS,
  RELAY_FLAGS,
  relayOptions,
} from "./flags/node_flags.ts";
import { runNode } from "./process/run_node.ts";

/** `anonnet relay`. */
export const relayCommand = defineCommand({
  name: "relay",
  summary: "run a relay",
  details:
    "Runs until Ctrl-C or SIGTERM. Without --bootstrap it is the first " +
    "relay of its network; give the address that it prints to the others. " +
    "Logs go to standard error.",
  flags: { ...RELAY_FLAGS, ...NODE_FLAGS },
  run: (values, program) =>
    runNode(program, {
      ...commonOptions(values),
      relay: relayOptions(values),
    }),
});
