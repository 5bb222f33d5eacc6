/**
 * `anonnet dashboard`: see a running node in a browser.
 *
 * @module
 */
import { isJsonObject } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";

/** `anonnet dashboard`. */
export const dashboardCommand = defineCommand({
  name: "dashboard",
  summary: "print an address at which a browser shows a running node",
  details:
    "The address works once, within ten minutes, in a browser of this machine, " +
    "which may look for twelve hours then. What is behind the # is a secret: it " +
    "lets in who has it. Where the node was not started with --dashboard, this opens it.",
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, { terminal, files }) {
    const answer = await askNode(files, state, "dashboard");
    if (json) terminal.print(JSON.stringify(answer));
    else if (isJsonObject(answer)) terminal.print(String(answer["url"]));
    return 0;
  },
});
