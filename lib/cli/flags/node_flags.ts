/**
 * The flags of every command that runs a node.
 *
 * @module
 */
import {
  formatSocketAddress,
  isLoopback,
  parseSocketAddress,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import { ConfigError } from "../../base/errors.ts";
import { checkLoopback } from "../../control/control_server.ts";
import { checkMetricsAddress } from "../../control/metrics_server.ts";
import type { TorControlPlan } from "../../node/node_tor_control.ts";
import { PasswordHash } from "../../torcontrol/password_hash.ts";
import { checkTorControlAddress } from "../../torcontrol/tor_control_server.ts";
import type { ClientOptions } from "../../node/client_role.ts";
import type { RelayOptions } from "../../node/relay_role.ts";
import { LOG_LEVELS } from "../../log/log.ts";
import { LOG_FORMATS } from "../../log/log_output.ts";
import { LIMIT_FLAGS, relayLimits } from "./limit_flags.ts";
import { parseByteRate } from "./sizes.ts";
import {
  defaultFlag,
  type FlagValues,
  listFlag,
  oneOf,
  optionalFlag,
  parseText,
  switchFlag,
} from "./flag.ts";
import { joinSources, networkFlag, parseJoinSource } from "./network_flags.ts";

/** A day: longer than an operator waits for a stop, and short enough for a timer. */
const MAX_DRAIN_SECONDS = 86_400;

/** A circuit has at most 8 hops, one of which the far side may choose. */
const MAX_HOPS = 7;

/** Each takes some 100 MiB, and a machine of more cores runs several commands. */
const MAX_WORKERS = 64;

/** Where a node keeps what it must not lose. */
export const stateFlag = defaultFlag(
  "DIR",
  "the state directory: keys, and what the node remembers",
  "anonnet-state",
  parseText,
);

/** An address of this machine; `localhost` is `127.0.0.1`, and asks no resolver. */
export function parseOwnAddress(text: string): SocketAddress {
  return parseSocketAddress(text.replace(/^localhost:/i, "127.0.0.1:"));
}

/** @throws {ConfigError} also for an address that other machines reach. */
export function parseLoopbackAddress(text: string): SocketAddress {
  const address = parseOwnAddress(text);
  checkLoopback(address.host);
  return address;
}

/** @throws {ConfigError} also for an address that other machines reach. */
function parseMetricsAddress(text: string): SocketAddress {
  const address = parseOwnAddress(text);
  checkMetricsAddress(address);
  return address;
}

/** State, network, control and log: what all nodes have. */
export const NODE_FLAGS = {
  state: stateFlag,
  network: networkFlag,
  bootstrap: listFlag(
    "ADDRESS",
    "a node to join the network by, as anon://KEY@IP:PORT, or an invite",
    parseJoinSource,
  ),
  lan: switchFlag(
    "look for relays of a local network on this LAN by multicast; a relay tells who " +
      "listens there that it is one",
  ),
  control: optionalFlag(
    "IP:PORT",
    "where on this machine to answer anonnet status, instead of in the state directory",
    parseLoopbackAddress,
  ),
  dashboard: switchFlag(
    "show the node in a browser of this machine, at the address that is printed",
  ),
  "dashboard-at": defaultFlag(
    "IP:PORT",
    "where on this machine the dashboard is; port 0 for any free one",
    "127.0.0.1:9290",
    parseLoopbackAddress,
  ),
  metrics: optionalFlag(
    "IP:PORT",
    "where on this machine Prometheus may read metrics, with the token in the file " +
      "metrics-token of the state directory; port 0 for any free one",
    parseMetricsAddress,
  ),
  drain: defaultFlag(
    "SECONDS",
    "how long transfers under way may take to end when told to stop; a second " +
      "signal ends at once",
    "60",
    parseDrain,
  ),
  "log-level": defaultFlag(
    "LEVEL",
    `how much to log: ${LOG_LEVELS.join(", ")}; debug shows addresses`,
    "info",
    oneOf(LOG_LEVELS),
  ),
  "log-format": defaultFlag(
    "FORMAT",
    `how log lines look: ${LOG_FORMATS.join(" or ")}`,
    "text",
    oneOf(LOG_FORMATS),
  ),
  "ready-json": switchFlag(
    "print one line of JSON on standard output once all of it works",
  ),
  "stop-with-parent": switchFlag(
    "stop when the program that started this one ends, for starters such as npx " +
      "that do not pass SIGTERM on; not on Windows",
  ),
  notify: optionalFlag(
    "SOCKET",
    "tell a service manager there when the node is ready, reloads and stops, as " +
      "systemd's NOTIFY_SOCKET; where it is empty, none",
    (text) => text,
  ),
  config: optionalFlag(
    "FILE",
    "a TOML file with any of these flags, its path seen from the working " +
      "directory; the command line wins, and --no-NAME turns a switch of it off",
    parseText,
  ),
};

/** Where a relay is found: what relays have on top. */
export const RELAY_FLAGS = {
  listen: defaultFlag(
    "IP:PORT",
    "the UDP address to listen on; port 0 for any free one",
    "0.0.0.0:4001",
    parseOwnAddress,
  ),
  advertise: listFlag(
    "IP:PORT",
    "where others can dial it, if not where it listens: behind a port forwarding",
    parseSocketAddress,
  ),
  workers: defaultFlag(
    "N",
    `relays to be at once, 1 to ${MAX_WORKERS}, of one family, each with a thread, an ` +
      "identity and a port of its own, counted up from --listen; auto for one per " +
      "core. Limits are of all together",
    "1",
    parseWorkers,
  ),
  bandwidth: optionalFlag(
    "BYTES",
    "bytes per second that it will carry, such as 5MB; what it has carried, if not " +
      "given, and never more than --rate",
    parseByteRate,
  ),
  ...LIMIT_FLAGS,
};

/** How circuits are built: what all have that use the network themselves. */
export const CLIENT_FLAGS = {
  "dial-from": defaultFlag(
    "IP:PORT",
    "the UDP address that circuits start from; port 0 for any free one",
    "[::]:0",
    parseOwnAddress,
  ),
  hops: defaultFlag(
    "N",
    "relays between us and the far end of a circuit, 1 to 7; fewer than 3 hide " +
      "less",
    "3",
    parseHops,
  ),
};

/** Where proxies listen, for those who may do without. */
export const PROXY_FLAGS = {
  socks: optionalFlag(
    "IP:PORT",
    "open a SOCKS5 proxy there; port 0 for any free one",
    parseOwnAddress,
  ),
  http: optionalFlag(
    "IP:PORT",
    "open an HTTP proxy there; port 0 for any free one",
    parseOwnAddress,
  ),
  automap: switchFlag(
    "have the SOCKS5 proxy answer programs that resolve .anon names, such as " +
      "torsocks, with addresses of 198.18.0.0/15 that lead back to the names",
  ),
  "allow-remote": switchFlag(
    "let proxies listen where other machines reach them: their users can use " +
      "them, and networks on the way read along",
  ),
};

/** For programs made for Tor. */
export const TOR_FLAGS = {
  "tor-control": optionalFlag(
    "IP:PORT",
    "where on this machine programs made for Tor find its control port, to host " +
      "services by it; they read control-auth-cookie in the state directory; port 0 " +
      "for any free one",
    parseTorControlAddress,
  ),
  "tor-control-password-hash": listFlag(
    "HASH",
    "a password that lets programs in there too, as tor --hash-password prints it",
    (text) => PasswordHash.parse(text),
  ),
  "tor-control-imports": switchFlag(
    "take keys there that AnonNet did not make; a service with one key at two " +
      "networks is known to be the same at both",
  ),
  "onion-alias": switchFlag(
    "reach services by addresses of Tor's form too, .onion with the same key, and " +
      "call them so at Tor's control port; Tor is never asked",
  ),
};

/** @throws {ConfigError} also for an address that other machines reach. */
function parseTorControlAddress(text: string): SocketAddress {
  const address = parseOwnAddress(text);
  checkTorControlAddress(address);
  return address;
}

/** Tor's control port, if there is one. */
export function torControlOptions(
  values: FlagValues<typeof TOR_FLAGS>,
): Omit<TorControlPlan, "wishes" | "tail"> | undefined {
  const address = values["tor-control"];
  return address && {
    address,
    passwords: values["tor-control-password-hash"],
    takesForeignKeys: values["tor-control-imports"],
  };
}

/**
 * Refuse flags of a control port, or of proxies, that there are none of.
 *
 * @throws {ConfigError} `cli.tor_control`, `cli.onion_alias`.
 */
export function checkTorFlags(
  values: FlagValues<typeof TOR_FLAGS> & {
    readonly socks: SocketAddress | undefined;
    readonly http: SocketAddress | undefined;
  },
): void {
  const hasProxy = values.socks !== undefined || values.http !== undefined;
  const hasControl = values["tor-control"] !== undefined;
  const isOfNone = !hasControl &&
    (values["tor-control-imports"] ||
      values["tor-control-password-hash"].length > 0);
  if (isOfNone) {
    throw new ConfigError(
      "cli.tor_control",
      "Cannot use --tor-control-password-hash or --tor-control-imports without " +
        "--tor-control",
    );
  }
  if (!values["onion-alias"] || hasControl || hasProxy) return;
  throw new ConfigError(
    "cli.onion_alias",
    "Cannot use --onion-alias without --socks, --http or --tor-control: there " +
      "the addresses are used",
  );
}

/** @throws {ConfigError} `cli.drain`. */
function parseDrain(text: string): number {
  const seconds = Number(text);
  if (/^[0-9]+$/.test(text) && seconds <= MAX_DRAIN_SECONDS) return seconds;
  throw new ConfigError(
    "cli.drain",
    `it is "${text.slice(0, 40)}"; write a number of seconds from 0 to ` +
      `${MAX_DRAIN_SECONDS}`,
  );
}

/** @throws {ConfigError} `cli.workers`. */
function parseWorkers(text: string): number {
  if (text === "auto") {
    return Math.max(1, Math.min(navigator.hardwareConcurrency, MAX_WORKERS));
  }
  const workers = Number(text);
  if (/^[0-9]+$/.test(text) && workers >= 1 && workers <= MAX_WORKERS) {
    return workers;
  }
  throw new ConfigError(
    "cli.workers",
    `it is "${
      text.slice(0, 40)
    }"; write a number from 1 to ${MAX_WORKERS}, or auto`,
  );
}

/** @throws {ConfigError} `cli.hops`. */
function parseHops(text: string): number {
  const hops = Number(text);
  if (/^[0-9]+$/.test(text) && hops >= 1 && hops <= MAX_HOPS) return hops;
  throw new ConfigError(
    "cli.hops",
    `it is "${text.slice(0, 40)}"; write a number from 1 to ${MAX_HOPS}`,
  );
}

/** What of the flags a relay is told. */
export function relayOptions(
  values: FlagValues<typeof RELAY_FLAGS>,
): RelayOptions {
  const { listen, advertise, bandwidth, contact, family } = values;
  const limits = relayLimits(values);
  return { listen, advertise, bandwidth, contact, family, limits };
}

/** What every command that runs a node passes on. */
export function commonOptions(values: FlagValues<typeof NODE_FLAGS>) {
  return {
    state: values.state,
    network: values.network,
    ...joinSources(values.bootstrap),
    lan: values.lan,
    control: values.control ?? "state",
    dashboard: {
      address: values["dashboard-at"],
      opens: values.dashboard ? "at once" : "when asked",
    },
    metrics: values.metrics,
    drainMs: values.drain * 1000,
    logLevel: values["log-level"],
    logFormat: values["log-format"],
    stopWithParent: values["stop-with-parent"],
    notify: values.notify,
    readyAs: values["ready-json"] ? "json" : "text",
  } as const;
}

/**
 * Refuse proxies that other machines could use, unless that is asked for, and flags
 * of a proxy that there is none of.
 *
 * @throws {ConfigError} `cli.allow_remote`, `cli.automap`.
 */
export function checkProxyFlags(
  values: Partial<FlagValues<typeof PROXY_FLAGS>>,
): void {
  if (values.automap && values.socks === undefined) {
    throw new ConfigError(
      "cli.automap",
      "Cannot use --automap without --socks: the SOCKS5 proxy is what gives the " +
        "addresses",
    );
  }
  if (values["allow-remote"]) return;
  for (const name of ["socks", "http"] as const) {
    const address = values[name];
    if (address === undefined || isLoopback(address.host)) continue;
    throw new ConfigError(
      "cli.allow_remote",
      `Cannot use --${name} ${formatSocketAddress(address)}: other machines ` +
        `could use the proxy; write 127.0.0.1:${address.port}, or add ` +
        `--allow-remote`,
    );
  }
}

/** The client of a node. */
export function clientOptions(
  values: FlagValues<typeof CLIENT_FLAGS>,
): ClientOptions {
  return { dialFrom: values["dial-from"], hops: values.hops };
}
