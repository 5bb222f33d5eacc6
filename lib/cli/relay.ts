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
import { checkRelayLimits } from "../node/relay/relay_limits.ts";
import type { FlagValues } from "./flags/flag.ts";
import type { RunOptions } from "./process/run_node.ts";
import { runWorkers } from "./workers/run_workers.ts";
import { planWorkers } from "./workers/worker_plan.ts";

const FLAGS = { ...RELAY_FLAGS, ...NODE_FLAGS };

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
  flags: FLAGS,
  check(values) {
    checkRelayLimits(relayOptions(values).limits ?? {});
    planWorkers(optionsOf(values));
  },
  run: (values, program, _operands, reread) =>
    runWorkers(program, {
      ...optionsOf(values),
      reread: reread && (async () => optionsOf(await reread())),
    }),
});

function optionsOf(values: FlagValues<typeof FLAGS>): RunOptions {
  const { workers } = values;
  return { ...commonOptions(values), relay: relayOptions(values), workers };
}
