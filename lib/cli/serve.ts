/**
 * `anonnet serve`: put something on this machine under a `.anon` address.
 *
 * @module
 */
import { SILENT_LOG } from "../log/log.ts";
import { systemRuntime } from "../machine/runtime.ts";
import { readHostFile } from "../node/host/roster/read_host_file.ts";
import { parseClientKey, serviceFileName } from "../node/host/service_keys.ts";
import type { ServiceDefinition } from "../node/host/node_services.ts";
import { DEFAULT_MAX_STREAMS } from "../node/host/stream_desk.ts";
import { defineCommand, type Program } from "./flags/command.ts";
import {
  defaultFlag,
  type FlagValues,
  listFlag,
  optionalFlag,
  parseText,
  switchFlag,
} from "./flags/flag.ts";
import {
  CLIENT_FLAGS,
  clientOptions,
  commonOptions,
  NODE_FLAGS,
} from "./flags/node_flags.ts";
import { runNode, type RunOptions } from "./process/run_node.ts";
import { checkPublic, parseMaxStreams } from "./flags/service_words.ts";
import { parseStreamTargets } from "../node/host/stream_target.ts";

/** The clients that may find a service, where not every client may. */
const authoriseFlag = listFlag(
  "KEY",
  "let only this client find the service; anonnet client-key prints a client's",
  parseClientKey,
);

const FLAGS = {
  name: defaultFlag(
    "NAME",
    "what to call the service on this machine",
    "default",
    (text) => {
      serviceFileName(text);
      return text;
    },
  ),
  delegated: optionalFlag(
    "FILE",
    "be one of the hosts of a service, without its key; anonnet delegate makes the file",
    parseText,
  ),
  authorise: authoriseFlag,
  public: switchFlag(
    "let every client find the service, also where only some could before",
  ),
  "proxy-protocol": switchFlag(
    "tell the target which streams belong to one visitor (PROXY protocol, version 1)",
  ),
  "max-streams": optionalFlag(
    "N",
    `let a session have so many streams at once, ${DEFAULT_MAX_STREAMS} otherwise`,
    parseMaxStreams,
  ),
  ...CLIENT_FLAGS,
  ...NODE_FLAGS,
};

/** `anonnet serve`. */
export const serveCommand = defineCommand({
  name: "serve",
  summary: "host a .anon service, such as 80=127.0.0.1:8080",
  details:
    "Each PORT=TARGET leads a port of the service to an address on this " +
    "machine or beside it, or to a socket: 80=127.0.0.1:8080, " +
    "22=unix:/run/ssh.sock. The address is made at the first start and kept " +
    "in the state directory: keep a copy of service-NAME.key. Runs until Ctrl-C " +
    "or SIGTERM; works behind any NAT.",
  operands: { text: "PORT=TARGET ...", read: parseStreamTargets },
  flags: FLAGS,
  check({ name, authorise: clients, public: isPublic }) {
    checkPublic({ name, clients, isPublic });
  },
  run: async (values, program, targets, reread) =>
    await runNode(program, {
      ...await optionsOf(values, program, targets),
      reread: reread &&
        (async () => await optionsOf(await reread(), program, targets)),
    }),
});

async function optionsOf(
  values: FlagValues<typeof FLAGS>,
  { files }: Program,
  targets: ServiceDefinition["targets"],
): Promise<RunOptions> {
  const { delegated } = values;
  const runtime = await systemRuntime(SILENT_LOG);
  const delegation = delegated === undefined
    ? undefined
    : await readHostFile({ ...runtime, files }, delegated);
  return {
    ...commonOptions(values),
    client: clientOptions(values),
    services: [{
      name: values.name,
      targets,
      delegation,
      isPublic: values.public,
      proxyProtocol: values["proxy-protocol"],
      maxStreams: values["max-streams"],
      ...values.authorise.length === 0 ? {} : { clients: values.authorise },
    }],
  };
}
