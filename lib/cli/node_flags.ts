/**
 * The flags of every command that runs a node.
 *
 * @module
 */
import { networkParameters } from "../auth/network.ts";
import { parseNodeAddress } from "../auth/node_address.ts";
import {
  parseSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { checkLoopback } from "../control/control_server.ts";
import { LOG_LEVELS } from "../node/log.ts";
import { LOG_FORMATS } from "../node/log_output.ts";
import {
  defaultFlag,
  listFlag,
  oneOf,
  optionalFlag,
  parseText,
  switchFlag,
} from "./flag.ts";

/** Where a node keeps what it must not lose. */
export const stateFlag = defaultFlag(
  "DIR",
  "the state directory: keys, and what the node remembers",
  "anonnet-state",
  parseText,
);

/** @throws {ConfigError} also for an address that other machines reach. */
function parseLoopbackAddress(text: string): SocketAddress {
  const address = parseSocketAddress(text);
  checkLoopback(address.host);
  return address;
}

/** State, network, control and log: what all nodes have. */
export const NODE_FLAGS = {
  state: stateFlag,
  network: defaultFlag(
    "NAME",
    "the network to take part in: main, or local for one machine",
    "main",
    networkParameters,
  ),
  bootstrap: listFlag(
    "ADDRESS",
    "a node to join the network by, as anon://KEY@HOST:PORT",
    parseNodeAddress,
  ),
  control: optionalFlag(
    "HOST:PORT",
    "where on this machine to answer anonnet status, instead of in the state directory",
    parseLoopbackAddress,
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
  config: optionalFlag(
    "FILE",
    "a TOML file with any of these flags; the command line wins",
    parseText,
  ),
};

/** Where a relay is found: what relays have on top. */
export const RELAY_FLAGS = {
  listen: defaultFlag(
    "HOST:PORT",
    "the UDP address to listen on; port 0 for any free one",
    "0.0.0.0:4001",
    parseSocketAddress,
  ),
  advertise: listFlag(
    "HOST:PORT",
    "where others can dial it, if not where it listens: behind a port forwarding",
    parseSocketAddress,
  ),
};
