/**
 * `anonnet peers`: the neighbours that a running node has links to.
 *
 * @module
 */
import { isJsonObject, type JsonObject } from "../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "./command.ts";
import { switchFlag } from "./flag.ts";
import { stateFlag } from "./node_flags.ts";
import { formatDuration } from "./status.ts";

/** Columns: the fact, its title, and how it is written. */
const COLUMNS:
  readonly (readonly [string, string, (value: unknown) => string])[] = [
    ["publicKey", "PEER", (value) => String(value).slice(0, 12)],
    ["relay", "KIND", (value) => value === true ? "relay" : "client"],
    ["contact", "CONTACT", (value) => value === true ? "yes" : "no"],
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
    else for (const line of formatTable(peers)) terminal.print(line);
    return 0;
  },
});

function formatTable(peers: readonly JsonObject[]): string[] {
  const rows = [
    COLUMNS.map(([, title]) => title),
    ...peers.map((peer) => COLUMNS.map(([name, , write]) => write(peer[name]))),
  ];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")
      .trimEnd()
  );
}
