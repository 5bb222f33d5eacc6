/**
 * `anonnet run`: any mixture of relay, proxies and services in one process.
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import { defineCommand } from "./flags/command.ts";
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
import { runNode, type RunOptions } from "./process/run_node.ts";
import {
  type ClientWord,
  type MaxStreamsWord,
  parseClientWord,
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
    servicesOf(values);
    const isNothing = !relay && socks === undefined && http === undefined &&
      service.length === 0 && values["tor-control"] === undefined;
    if (!isNothing) return;
    throw new ConfigError(
      "cli.no_role",
      "Cannot run: there is nothing to do; give --relay, --socks IP:PORT, " +
        "--http IP:PORT, --tor-control IP:PORT or --service NAME,PORT=TARGET, or " +
        "write them into " +
        "the file that --config names",
    );
  },
  run: (values, program, _operands, reread) =>
    runNode(program, {
      ...optionsOf(values),
      reread: reread && (async () => optionsOf(await reread())),
    }),
});

function optionsOf(values: FlagValues<typeof FLAGS>): RunOptions {
  const { socks, http, automap } = values;
  const services = servicesOf(values);
  const hasProxies = socks !== undefined || http !== undefined;
  const torControl = torControlOptions(values);
  const hasAlias = values["onion-alias"];
  const isClient = hasProxies || services.length > 0 ||
    torControl !== undefined;
  return {
    ...commonOptions(values),
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
