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
    "Runs until Ctrl-C or SIGTERM. Others join by the address that it prints. " +
    "Without --bootstrap it is the first relay of its network, which has no " +
    "peers to tell it where it is: give --advertise, or --listen with an IP " +
    "address that others reach. On main the first start works for about a " +
    "minute. Logs go to standard error.",
  flags: { ...RELAY_FLAGS, ...NODE_FLAGS },
  run: (values, program) =>
    runNode(program, {
      ...commonOptions(values),
      relay: relayOptions(values),
    }),
});
