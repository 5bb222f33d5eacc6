/**
 * `anonnet proxy`: visit services through local proxies.
 *
 * @module
 */
import { defineCommand } from "./flags/command.ts";
import { defaultFlag, type FlagValues } from "./flags/flag.ts";
import {
  checkProxyFlags,
  checkTorFlags,
  CLIENT_FLAGS,
  clientOptions,
  commonOptions,
  NODE_FLAGS,
  parseOwnAddress,
  PROXY_FLAGS,
  TOR_FLAGS,
  torControlOptions,
} from "./flags/node_flags.ts";
import { runNode, type RunOptions } from "./process/run_node.ts";

const FLAGS = {
  ...PROXY_FLAGS,
  socks: defaultFlag(
    "IP:PORT",
    "where the SOCKS5 proxy listens; port 0 for any free one",
    "127.0.0.1:9250",
    parseOwnAddress,
  ),
  http: defaultFlag(
    "IP:PORT",
    "where the HTTP proxy listens; port 0 for any free one",
    "127.0.0.1:9280",
    parseOwnAddress,
  ),
  ...TOR_FLAGS,
  ...CLIENT_FLAGS,
  ...NODE_FLAGS,
};

/** `anonnet proxy`. */
export const proxyCommand = defineCommand({
  name: "proxy",
  summary: "visit .anon services through a SOCKS5 and an HTTP proxy",
  details:
    "Opens both proxies on this machine and runs until Ctrl-C or SIGTERM. " +
    "Only .anon addresses are reachable. Programs that use different user names " +
    "or passwords with a proxy are kept apart: they never share a circuit. " +
    "The first start needs --bootstrap; later ones remember.",
  flags: FLAGS,
  check(values) {
    checkProxyFlags(values);
    checkTorFlags(values);
  },
  run: (values, program, _operands, reread) =>
    runNode(program, {
      ...optionsOf(values),
      reread: reread && (async () => optionsOf(await reread())),
    }),
});

function optionsOf(values: FlagValues<typeof FLAGS>): RunOptions {
  return {
    ...commonOptions(values),
    client: clientOptions(values),
    torControl: torControlOptions(values),
    proxies: {
      socks: values.socks,
      http: values.http,
      allowRemote: values["allow-remote"],
      automap: values.automap,
      onionAlias: values["onion-alias"],
    },
  };
}
