/**
 * `anonnet services`: the services that a running node hosts, and their sessions;
 * adding and removing some while it runs.
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import { isJsonObject, type JsonValue } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import {
  type FlagValues,
  listFlag,
  optionalFlag,
  switchFlag,
} from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";
import { serviceHostIn } from "../flags/service_host.ts";
import { parseMaxStreams } from "../flags/service_words.ts";
import {
  parseClientKey,
  serviceFileName,
} from "../../node/host/service_keys.ts";
import { parseStreamTargets } from "../../node/host/stream_target.ts";
import { type Column, formatTable, yesOrNo } from "./table.ts";

const COLUMNS: readonly Column[] = [
  ["name", "NAME", String],
  ["host", "ADDRESS", String],
  ["ports", "PORTS", String],
  ["reachable", "REACHABLE", yesOrNo],
  ["points", "POINTS", String],
  ["sessions", "SESSIONS", String],
  ["streams", "STREAMS", String],
  ["owner", "OF", String],
  ["kept", "KEPT", yesOrNo],
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

/** What is to be done with services. */
type Wish =
  | { readonly verb: "list" }
  | {
    readonly verb: "add";
    readonly name: string;
    /** `PORT=TARGET` each. */
    readonly ports: readonly string[];
  }
  | { readonly verb: "remove"; readonly service: string };

const FLAGS = {
  sessions: switchFlag("list the sessions of visitors instead"),
  close: optionalFlag("ID", "close the session of this id", parseId),
  authorise: listFlag(
    "KEY",
    "add: let only this client find the service; anonnet client-key prints a client's",
    checkClientKey,
  ),
  public: switchFlag(
    "add: let every client find it, also where only some could before",
  ),
  "proxy-protocol": switchFlag(
    "add: tell the target which streams belong to one visitor",
  ),
  "max-streams": optionalFlag(
    "N",
    "add: let a session have so many streams at once",
    parseMaxStreams,
  ),
  ephemeral: switchFlag(
    "add: under a new address, which is gone when the service or the node stops",
  ),
  state: stateFlag,
  json: switchFlag("print JSON"),
};

/** `anonnet services`. */
export const servicesCommand = defineCommand({
  name: "services",
  summary: "list, add or remove services of a running node, or list sessions",
  details:
    "services add NAME PORT=TARGET ... has the node host a further service at once, and " +
    "again whenever it is started on this state directory, without a word in any " +
    "configuration. services remove NAME, or its address, ends one that was added; " +
    "service-NAME.key stays, and with it the address, for the next add of that name. " +
    "A session is one visitor under one name, as long as it comes back within " +
    "minutes; its id is drawn at random and means nothing elsewhere. Closing one " +
    "ends its streams; the visitor may come again, under another id.",
  operands: {
    text: "[add NAME PORT=TARGET ... | remove NAME]",
    read: readWish,
  },
  flags: FLAGS,
  check: checkFlags,
  async run(values, { terminal, files }, wish) {
    const { sessions, close, state, json } = values;
    const say = (answer: JsonValue, lines: readonly string[]) => {
      if (json) terminal.print(JSON.stringify(answer));
      else for (const line of lines) terminal.print(line);
    };
    if (wish.verb === "add") {
      const answer = await askNode(files, state, "add-service", {
        name: wish.name,
        ports: [...wish.ports],
        ephemeral: values.ephemeral,
        public: values.public,
        proxyProtocol: values["proxy-protocol"],
        ...values.authorise.length > 0 && { clients: [...values.authorise] },
        ...values["max-streams"] !== undefined &&
          { maxStreams: values["max-streams"] },
      });
      const host = isJsonObject(answer) ? String(answer["host"]) : "";
      say(answer, [host]);
      return 0;
    }
    if (wish.verb === "remove") {
      const answer = await askNode(files, state, "remove-service", {
        service: wish.service,
      });
      const name = isJsonObject(answer) ? String(answer["name"]) : "";
      say(answer, [`Removed service ${name}.`]);
      return 0;
    }
    if (close !== undefined) {
      const answer = await askNode(files, state, "close-session", {
        id: close,
      });
      say(answer, [`Closed session ${close}.`]);
      return 0;
    }
    const of = sessions ? "sessions" : "services";
    const answer = await askNode(files, state, of);
    say(answer, tableOf(answer, of));
    if (!json && Array.isArray(answer) && answer.length === 0) {
      terminal.tell(
        sessions ? "No visitor has a session." : "This node hosts no service.",
      );
    }
    return 0;
  },
});

/** @throws {ConfigError} `cli.services`, `service.*`. */
function readWish(words: readonly string[]): Wish {
  const [verb, name, ...ports] = words;
  if (verb === undefined) return { verb: "list" };
  if (verb === "add" && name !== undefined) {
    serviceFileName(name);
    parseStreamTargets(ports);
    return { verb, name, ports };
  }
  if (verb === "remove" && name !== undefined && ports.length === 0) {
    return { verb, service: serviceHostIn(name) };
  }
  throw new ConfigError(
    "cli.services",
    "Cannot understand: write anonnet services, anonnet services add NAME " +
      "PORT=TARGET, or anonnet services remove NAME",
  );
}

function checkFlags(values: FlagValues<typeof FLAGS>, { verb }: Wish): void {
  const { sessions, close, authorise, public: isPublic } = values;
  const ofList = sessions || close !== undefined;
  const ofAdd = authorise.length > 0 || isPublic || values.ephemeral ||
    values["proxy-protocol"] || values["max-streams"] !== undefined;
  if (sessions && close !== undefined) {
    throw new ConfigError(
      "cli.services",
      "Cannot both list sessions and close one: give --sessions or --close",
    );
  }
  if (ofList && verb !== "list") {
    throw new ConfigError(
      "cli.services",
      `Cannot ${verb} a service and look at sessions at once: leave --sessions and ` +
        `--close out`,
    );
  }
  if (ofAdd && verb !== "add") {
    throw new ConfigError(
      "cli.services",
      "Cannot use --authorise, --public, --proxy-protocol, --max-streams or " +
        "--ephemeral without services add NAME PORT=TARGET",
    );
  }
}

/** A client's key, which the node reads. @throws {ConfigError} `service.client_key`. */
function checkClientKey(text: string): string {
  parseClientKey(text);
  return text;
}

function tableOf(answer: JsonValue, of: "sessions" | "services"): string[] {
  const facts = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
  if (facts.length === 0) return [];
  return formatTable(of === "sessions" ? SESSION_COLUMNS : COLUMNS, facts);
}
