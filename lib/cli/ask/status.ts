/**
 * `anonnet status`: how a running node is doing.
 *
 * @module
 */
import { isJsonObject, type JsonValue } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";

/** `anonnet status`. */
export const statusCommand = defineCommand({
  name: "status",
  summary: "show how a running node is doing",
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, { terminal, files }) {
    const status = await askNode(files, state, "status");
    if (json) terminal.print(JSON.stringify(status));
    else for (const line of formatFacts(status)) terminal.print(line);
    return 0;
  },
});

/**
 * One line for each fact; facts within facts are indented. Those that have `words`
 * for a person are told by them.
 */
export function formatFacts(facts: JsonValue, indent = ""): string[] {
  if (!isJsonObject(facts)) return [indent + String(facts)];
  // A relay has an address, also while it does not know it.
  const isRelay = typeof facts["publicKey"] === "string";
  const missing = (name: string) =>
    isRelay && name === "address" ? "unknown" : "none";
  return Object.entries(facts).flatMap(([name, value]) => {
    const label = wordsOf(name);
    if (isJsonObject(value) && typeof value["words"] === "string") {
      return formatFacts({ [name]: value["words"] }, indent);
    }
    return isJsonObject(value)
      ? [indent + label, ...formatFacts(value, `${indent}  `)]
      : [
        `${indent}${label.padEnd(20 - indent.length)} ${
          value === null ? missing(name) : textOf(name, value)
        }`,
      ];
  });
}

/** `failedHandshakes` as `failed handshakes`, `uptimeMs` as `uptime`. */
function wordsOf(name: string): string {
  return name.replace(/Ms$/, "").replaceAll(
    /[A-Z]/g,
    (letter) => ` ${letter.toLowerCase()}`,
  );
}

function textOf(name: string, value: JsonValue): string {
  return name.endsWith("Ms") && typeof value === "number"
    ? formatDuration(value)
    : String(value);
}

/** `1 d 2 h`, `3 min 4 s`: the two largest units. */
export function formatDuration(ms: number): string {
  const units = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]] as const;
  let seconds = Math.floor(ms / 1000);
  const parts: string[] = [];
  for (const [size, unit] of units) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.length === 0 ? "0 s" : parts.slice(0, 2).join(" ");
}
