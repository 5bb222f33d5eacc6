/**
 * `anonnet peers`: the neighbours that a running node has links to.
 *
 * @module
 */
import { isJsonObject } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { formatDuration } from "./status.ts";
import { type Column, formatTable, yesOrNo } from "./table.ts";

const COLUMNS: readonly Column[] = [
  ["publicKey", "PEER", (value) => String(value).slice(0, 12)],
  ["relay", "KIND", (value) => value === true ? "relay" : "client"],
  ["contact", "CONTACT", yesOrNo],
  ["direction", "DIRECTION", String],
  ["address", "ADDRESS", String],
  ["ageMs", "AGE", (value) => formatDuration(Number(value))],
  ["bytesIn", "BYTES IN", String],
  ["bytesOut", "BYTES OUT", String],
];

/** `anonnet peers`. */
export const peersCommand = defineCommand({
  name: "peers",
  summary: "list the neighbours of a running node",
  flags: { state: stateFlag, json: switchFlag("print one JSON array") },
  async run({ state, json }, { terminal, files }) {
    const answer = await askNode(files, state, "peers");
    if (json) {
      terminal.print(JSON.stringify(answer));
      return 0;
    }
    const peers = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
    if (peers.length === 0) terminal.tell("There are no links now.");
    else for (const line of formatTable(COLUMNS, peers)) terminal.print(line);
    return 0;
  },
});
