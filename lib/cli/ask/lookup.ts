/**
 * `anonnet lookup`: whether a service is there, asked through a running node.
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import { isJsonObject } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { serviceHostIn } from "../flags/service_host.ts";

/** Longest wait, ms: two circuits, each asked for four copies. */
const LOOKUP_MS = 90_000;

/** `anonnet lookup`. */
export const lookupCommand = defineCommand({
  name: "lookup",
  summary: "see whether a .anon service has been announced",
  details:
    "Asks the node that owns the state directory, which must be one that builds " +
    "circuits: a proxy, or one that hosts services. The service itself does not " +
    "notice.",
  operands: { text: "ADDRESS", read: readAddress },
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, { terminal, files }, host) {
    const answer = await askNode(files, state, "lookup", { host }, LOOKUP_MS);
    if (json) terminal.print(JSON.stringify(answer));
    else if (isJsonObject(answer)) {
      const { host, introductionPoints } = answer;
      terminal.print(`address             ${host}`);
      terminal.print(`introduction points ${introductionPoints}`);
    }
    return 0;
  },
});

/** One word, judged by the node. */
function readAddress(words: readonly string[]): string {
  const [word, ...others] = words;
  if (word !== undefined && others.length === 0) {
    return serviceHostIn(word);
  }
  throw new ConfigError(
    "cli.lookup_address",
    "Cannot look up: give one address, such as anonnet lookup ….anon",
  );
}
