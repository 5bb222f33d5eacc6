/**
 * `anonnet circuits`: what a running node has built for itself, and carries for
 * others. It says nothing of which relays they are.
 *
 * @module
 */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { formatDuration, formatFacts } from "./status.ts";
import { type Column, formatTable } from "./table.ts";

const COLUMNS: readonly Column[] = [
  ["id", "ID", String],
  ["purpose", "PURPOSE", String],
  ["state", "STATE", String],
  ["hops", "HOPS", writeHops],
  ["ageSeconds", "AGE", (value) => formatDuration(Number(value) * 1000)],
];

/** `anonnet circuits`. */
export const circuitsCommand = defineCommand({
  name: "circuits",
  summary: "list the circuits of a running node",
  details:
    "Hops by what they are to the circuit, those that have answered without " +
    "brackets; ages in steps of ten seconds, so that the list is of little use to " +
    "who gets hold of it. Circuits of others are counted and not listed.",
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, { terminal, files }) {
    const answer = await askNode(files, state, "circuits");
    if (json) {
      terminal.print(JSON.stringify(answer));
      return 0;
    }
    const { own = null, relayed = null } = isJsonObject(answer) ? answer : {};
    const lines = [
      ...isJsonObject(own) ? ownLines(own) : [],
      ...isJsonObject(relayed)
        ? ["Carried for others:", ...formatFacts(relayed, "  ")]
        : [],
    ];
    for (const line of lines) terminal.print(line);
    return 0;
  },
});

function ownLines(own: JsonObject): string[] {
  const circuits = listOf(own["circuits"]);
  const obstacles = listOf(own["obstacles"]).map(({ purpose, why = null }) => {
    const reason = isJsonObject(why) ? why["reason"] : "unknown";
    return `Circuits for purpose ${purpose} cannot be built now: ${reason}`;
  });
  return [
    ...obstacles,
    ...circuits.length === 0
      ? ["No circuits of our own."]
      : formatTable(COLUMNS, circuits),
    "",
  ];
}

function listOf(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** `guard layer2 (last)`: what is in brackets has not answered yet. */
function writeHops(value: JsonValue | undefined): string {
  return listOf(value).map(({ role, isBuilt }) =>
    isBuilt === true ? String(role) : `(${String(role)})`
  ).join(" ");
}
