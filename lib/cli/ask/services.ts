/**
 * `anonnet services`: the services that a running node hosts, and their sessions.
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import { isJsonObject, type JsonValue } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { optionalFlag, switchFlag } from "../flags/flag.ts";
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

const SESSION_COLUMNS: readonly Column[] = [
  ["id", "ID", String],
  ["service", "SERVICE", String],
  ["ageSeconds", "SECONDS", String],
  ["streams", "STREAMS", String],
  ["legs", "LEGS", String],
  ["cellsIn", "CELLS-IN", String],
];

/** A session's id, as the table has it. */
function parseId(text: string): string {
  if (/^[0-9a-f]{8}$/.test(text)) return text;
  throw new ConfigError(
    "cli.session_id",
    `it is "${text.slice(0, 40)}"; write the ID of anonnet services ` +
      `--sessions: 8 characters, each 0 to 9 or a to f`,
  );
}

/** `anonnet services`. */
export const servicesCommand = defineCommand({
  name: "services",
  summary: "list the services that a running node hosts, or their sessions",
  details:
    "A session is one visitor under one name, as long as it comes back within " +
    "minutes; its id is drawn at random and means nothing elsewhere. Closing one " +
    "ends its streams; the visitor may come again, under another id.",
  flags: {
    sessions: switchFlag("list the sessions of visitors instead"),
    close: optionalFlag("ID", "close the session of this id", parseId),
    state: stateFlag,
    json: switchFlag("print JSON"),
  },
  check({ sessions, close }) {
    if (!sessions || close === undefined) return;
    throw new ConfigError(
      "cli.services",
      "Cannot both list sessions and close one: give --sessions or --close",
    );
  },
  async run({ sessions, close, state, json }, { terminal, files }) {
    const answer = close !== undefined
      ? await askNode(files, state, "close-session", { id: close })
      : await askNode(files, state, sessions ? "sessions" : "services");
    if (json) terminal.print(JSON.stringify(answer));
    else if (close !== undefined) terminal.print(`Closed session ${close}.`);
    else {
      for (const line of tableOf(answer, sessions ? "sessions" : "services")) {
        terminal.print(line);
      }
      if (Array.isArray(answer) && answer.length === 0) {
        terminal.tell(
          sessions
            ? "No visitor has a session."
            : "This node hosts no service.",
        );
      }
    }
    return 0;
  },
});

function tableOf(answer: JsonValue, of: "sessions" | "services"): string[] {
  const facts = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
  if (facts.length === 0) return [];
  return formatTable(of === "sessions" ? SESSION_COLUMNS : COLUMNS, facts);
}
