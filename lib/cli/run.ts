/**
 * `anonnet run`: any mixture of relay, proxies and services in one process.
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import { SILENT_LOG } from "../log/log.ts";
import { systemRuntime } from "../machine/runtime.ts";
import { readHostFile } from "../node/host/roster/read_host_file.ts";
import { defineCommand, type Program } from "./flags/command.ts";
import {
  type FlagValues,
  listFlag,
  parseText,
  switchFlag,
} from "./flags/flag.ts";
import {
  checkProxyFlags,
  checkTorFlags,
  CLIENT_FLAGS,
  clientOptions,
  commonOptions,
  NODE_FLAGS,
  PROXY_FLAGS,
  RELAY_FLAGS,
  relayOptions,
  TOR_FLAGS,
  torControlOptions,
} from "./flags/node_flags.ts";
import {
  MAX_SERVICES,
  type ServiceDefinition,
} from "../node/host/node_services.ts";
import { DEFAULT_MAX_STREAMS } from "../node/host/stream_desk.ts";
import { checkRelayLimits } from "../node/relay/relay_limits.ts";
import type { RunOptions } from "./process/run_node.ts";
import { runWorkers } from "./workers/run_workers.ts";
import { planWorkers } from "./workers/worker_plan.ts";
import {
  type ClientWord,
  delegatedFiles,
  type MaxStreamsWord,
  parseClientWord,
  parseDelegatedWord,
  parseMaxStreamsWord,
  parseServiceWord,
  withClients,
  withMaxStreams,
  withProxyProtocol,
  withPublic,
} from "./flags/service_words.ts";

/** All that a node can be told. */
const FLAGS = {
  relay: switchFlag("relay for others"),
  ...RELAY_FLAGS,
  service: listFlag(
    "NAME,PORT=TARGET,...",
    `host a service, such as blog,80=127.0.0.1:8080; at most ${MAX_SERVICES}`,
    parseServiceWord,
  ),
  delegated: listFlag(
    "NAME=FILE",
    "be one of the hosts of this service, without its key; anonnet delegate makes the file",
    parseDelegatedWord,
  ),
  authorise: listFlag(
    "NAME=KEY",
    "let only this client find the service; anonnet client-key prints a client's",
    parseClientWord,
  ),
  public: listFlag(
    "NAME",
    "let every client find this service, also where only some could before",
    parseText,
  ),
  "proxy-protocol": listFlag(
    "NAME",
    "tell the targets of this service which streams belong to one visitor",
    parseText,
  ),
  "max-streams": listFlag(
    "NAME=N",
    `let a session of this service have so many streams at once, ` +
      `${DEFAULT_MAX_STREAMS} otherwise`,
    parseMaxStreamsWord,
  ),
  ...PROXY_FLAGS,
  ...TOR_FLAGS,
  ...CLIENT_FLAGS,
  ...NODE_FLAGS,
};

/** `anonnet run`. */
export const runCommand = defineCommand({
  name: "run",
  summary: "run any mixture of relay, proxies and services",
  details:
    "What it does is what the flags, or the file that --config names, ask for: " +
    "--relay, --socks, --http, --service. What a relay does for others and what " +
    "you do yourself go over different ports, and nothing on the wire ties one " +
    "to the other but the address of this machine.",
  flags: FLAGS,
  check(values) {
    const { relay, socks, http, service } = values;
    checkProxyFlags(values);
    checkTorFlags(values);
    checkRelayLimits(relayOptions(values).limits ?? {});
    delegatedFiles(servicesOf(values), values.delegated);
    const isNothing = !relay && socks === undefined && http === undefined &&
      service.length === 0 && values["tor-control"] === undefined;
    if (!isNothing) {
      planWorkers({
        ...commonOptions(values),
        workers: values.workers,
        ...values.relay && { relay: relayOptions(values) },
        ...isClientOf(values) && { client: clientOptions(values) },
      });
      return;
    }
    throw new ConfigError(
      "cli.no_role",
      "Cannot run: there is nothing to do; give --relay, --socks IP:PORT, " +
        "--http IP:PORT, --tor-control IP:PORT or --service NAME,PORT=TARGET, or " +
        "write them into " +
        "the file that --config names",
    );
  },
  run: async (values, program, _operands, reread) =>
    await runWorkers(program, {
      ...await optionsOf(values, program),
      reread: reread && (async () => await optionsOf(await reread(), program)),
    }),
});

/** Whether some flag asks for a role that builds circuits of its own. */
function isClientOf(values: FlagValues<typeof FLAGS>): boolean {
  const { socks, http, service } = values;
  return socks !== undefined || http !== undefined || service.length > 0 ||
    values["tor-control"] !== undefined;
}

async function optionsOf(
  values: FlagValues<typeof FLAGS>,
  program: Program,
): Promise<RunOptions> {
  const { socks, http, automap } = values;
  const services = await withDelegations(values, program);
  const hasProxies = socks !== undefined || http !== undefined;
  const torControl = torControlOptions(values);
  const hasAlias = values["onion-alias"];
  const isClient = hasProxies || services.length > 0 ||
    torControl !== undefined;
  return {
    ...commonOptions(values),
    workers: values.workers,
    ...values.relay && { relay: relayOptions(values) },
    ...isClient && { client: clientOptions(values), services },
    torControl,
    ...(hasProxies || hasAlias) &&
      {
        proxies: {
          socks,
          http,
          automap,
          onionAlias: hasAlias,
          allowRemote: values["allow-remote"],
        },
      },
  };
}

/** The services, with what those that are hosts of a name were given. */
async function withDelegations(
  values: FlagValues<typeof FLAGS>,
  { files }: Program,
): Promise<ServiceDefinition[]> {
  const services = servicesOf(values);
  const paths = delegatedFiles(services, values.delegated);
  const runtime = { ...await systemRuntime(SILENT_LOG), files };
  return await Promise.all(services.map(async (service) => {
    const path = paths.get(service.name);
    if (path === undefined) return service;
    return { ...service, delegation: await readHostFile(runtime, path) };
  }));
}

/** The services, with all that other flags say of them. */
function servicesOf(
  values: {
    readonly service: readonly ServiceDefinition[];
    readonly authorise: readonly ClientWord[];
    readonly public: readonly string[];
    readonly "proxy-protocol": readonly string[];
    readonly "max-streams": readonly MaxStreamsWord[];
  },
): ServiceDefinition[] {
  const services = withProxyProtocol(
    withPublic(
      withClients(values.service, values.authorise),
      values.public,
    ),
    values["proxy-protocol"],
  );
  return withMaxStreams(services, values["max-streams"]);
}
