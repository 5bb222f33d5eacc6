/**
 * `GETINFO`: what programs ask of the node, key by key.
 *
 * @see {@link https://spec.torproject.org/control-spec/commands.html#getinfo | control-spec, 3.9}
 * @module
 */
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { quote } from "./quoted_text.ts";
import { okReply, type Reply, reply, type ReplyPart } from "./reply.ts";
import {
  circuitText,
  EVENT_TYPES,
  progressText,
  streamText,
} from "./tor_event.ts";
import type { OnionStatus } from "./tor_node.ts";
import { configText, OPTION_LINES, type OptionSource } from "./tor_option.ts";
import { SIGNAL_NAMES } from "./tor_signal.ts";

/** What is told of. */
export interface InfoSource extends OptionSource {
  /** Tor's version that is spoken for. */
  readonly version: string;
  readonly onions: readonly OnionStatus[];
  /** Traffic of late, a second each. */
  readonly rates: readonly string[];
}

/** A value of one line, one of several, or why there is none. */
type InfoValue = string | readonly string[] | { readonly missing: string };

type InfoReader = (source: InfoSource) => InfoValue;

const NO_RELAY = { missing: "Not running in server mode" };
const NO_DIRECTORY: InfoReader = () => [];

const READERS: Readonly<Record<string, InfoReader>> = {
  "accounting/enabled": () => "0",
  address: () => ({ missing: "Address unknown" }),
  "address-mappings/all": NO_DIRECTORY,
  "address-mappings/cache": NO_DIRECTORY,
  "address-mappings/config": NO_DIRECTORY,
  "address-mappings/control": NO_DIRECTORY,
  "bw-event-cache": ({ rates }) => rates.join(" "),
  "circuit-status": ({ node }) =>
    node.circuits.map((circuit) => circuitText(circuit)),
  "config-can-saveconf": () => "0",
  "config-defaults-file": () => "",
  "config-file": () => ({ missing: "There is no torrc: see anonnet --help" }),
  "config-text": (source) => configText(source),
  "config/defaults": () => [],
  "config/names": () => OPTION_LINES,
  dormant: () => "0",
  "entry-guards": NO_DIRECTORY,
  "events/names": () => EVENT_TYPES.join(" "),
  "features/names": () => "VERBOSE_NAMES EXTENDED_EVENTS",
  fingerprint: () => NO_RELAY,
  "info/names": () => infoLines(),
  "net/listeners/control": ({ port }) => placesOf(port.address),
  "net/listeners/dir": () => "",
  "net/listeners/dns": () => "",
  "net/listeners/httptunnel": ({ node }) => placesOf(node.listeners.http),
  "net/listeners/natd": () => "",
  "net/listeners/or": () => "",
  "net/listeners/socks": ({ node }) => placesOf(node.listeners.socks),
  "net/listeners/trans": () => "",
  "network-liveness": ({ node }) =>
    node.progress.percent === 100 ? "up" : "down",
  "ns/all": NO_DIRECTORY,
  "onions/current": ({ onions }) => idsOf(onions, "mine"),
  "onions/detached": ({ onions }) => idsOf(onions, "detached"),
  "orconn-status": NO_DIRECTORY,
  "process/pid": ({ node }) => `${node.processId}`,
  "signal/names": () => SIGNAL_NAMES.join(" "),
  "status/bootstrap-phase": ({ node }) => progressText(node.progress),
  "status/circuit-established": ({ node }) => canBuild(node.progress),
  "status/clients-seen": () => NO_RELAY,
  "status/enough-dir-info": ({ node }) => canBuild(node.progress),
  "status/version/current": () => "recommended",
  "status/version/recommended": ({ version }) => version,
  "stream-status": ({ node }) => node.streams.map(streamText),
  "traffic/read": ({ node }) => `${node.traffic.read}`,
  "traffic/written": ({ node }) => `${node.traffic.written}`,
  uptime: ({ node }) => `${node.uptimeSeconds}`,
  version: ({ version }) => version,
};

/** Questions with an argument, whose answer is not known here, or empty. */
const FAMILIES: readonly (readonly [prefix: string, value: InfoValue])[] = [
  ["ns/", []],
  ["desc/", { missing: "Relays are not told to programs" }],
  ["md/", { missing: "Relays are not told to programs" }],
  ["dir/", { missing: "There is no directory of that kind" }],
  ["extra-info/", { missing: "There is no directory of that kind" }],
  ["hs/", { missing: "Descriptors are not told to programs" }],
  ["ip-to-country/", "??"],
  ["exit-policy/", "reject *:*"],
  ["process/", { missing: "It is not known here" }],
  ["limits/", { missing: "It is not known here" }],
];

/** Answer `GETINFO`. */
export function answerInfo(rest: string, source: InfoSource): Reply {
  const parts: ReplyPart[] = [];
  for (const key of rest.split(/\s+/).filter((word) => word !== "")) {
    const value = Object.hasOwn(READERS, key)
      ? READERS[key]?.(source)
      : FAMILIES.find(([prefix]) => key.startsWith(prefix))?.[1];
    if (value === undefined) {
      return reply(552, `Unrecognized key ${quote(key)}`);
    }
    if (typeof value === "object" && "missing" in value) {
      return reply(551, value.missing);
    }
    parts.push(partOf(key, value));
  }
  return okReply(...parts);
}

function partOf(key: string, value: string | readonly string[]): ReplyPart {
  if (typeof value === "string") return { text: `${key}=${value}` };
  const [first = "", ...more] = value;
  return more.length === 0
    ? { text: `${key}=${first}` }
    : { text: `${key}=`, block: value };
}

function idsOf(
  onions: readonly OnionStatus[],
  wanted: OnionStatus["owner"],
): readonly string[] {
  return onions.filter(({ owner }) => owner === wanted).map(({ id }) => id);
}

function placesOf(address: SocketAddress | undefined): string {
  return address === undefined ? "" : quote(formatSocketAddress(address));
}

function canBuild({ percent }: { readonly percent: number }): string {
  return percent === 100 ? "1" : "0";
}

function infoLines(): string[] {
  return [
    ...Object.keys(READERS).map((key) => `${key} -- of this node`),
    ...FAMILIES.map(([prefix]) => `${prefix}* -- known to Tor alone`),
  ];
}
