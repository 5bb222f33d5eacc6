/**
 * `anonnet services`: the services that a running node hosts.
 *
 * @module
 */
import { isJsonObject } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { type Column, formatTable, yesOrNo } from "./table.ts";

const COLUMNS: readonly Column[] = [
  ["name", "NAME", String],
  ["host", "ADDRESS", String],
  ["ports", "PORTS", String],
  ["reachable", "REACHABLE", yesOrNo],
  ["points", "POINTS", String],
  ["sessions", "SESSIONS", String],
  ["streams", "STREAMS", String],
];

/** `anonnet services`. */
export const servicesCommand = defineCommand({
  name: "services",
  summary: "list the services that a running node hosts",
  flags: { state: stateFlag, json: switchFlag("print one JSON array") },
  async run({ state, json }, { terminal, files }) {
    const answer = await askNode(files, state, "services");
    if (json) {
      terminal.print(JSON.stringify(answer));
      return 0;
    }
    const services = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
    if (services.length === 0) terminal.tell("This node hosts no service.");
    else {for (const line of formatTable(COLUMNS, services)) {
        terminal.print(line);
      }}
    return 0;
  },
});
