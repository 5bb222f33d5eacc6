/**
 * Tor's configuration, as far as something here means the same: programs read it, and
 * may write what is so already.
 *
 * @see {@link https://spec.torproject.org/control-spec/commands.html#setconf | control-spec, 3.1 to 3.3}
 * @module
 */
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { quote, readQuoted } from "./quoted_text.ts";
import { okReply, type Reply, reply } from "./reply.ts";
import type { TorNode } from "./tor_node.ts";

/** What of the port itself options tell. */
export interface PortFacts {
  readonly address: SocketAddress;
  readonly cookiePath: string;
  readonly hasPassword: boolean;
}

/** What options are read of. */
export interface OptionSource {
  readonly node: TorNode;
  readonly port: PortFacts;
}

/** An option: Tor's name and type, and its value; none where it is Tor's default. */
interface TorOption {
  readonly type: string;
  readonly read: (source: OptionSource) => string | undefined;
}

const unset = () => undefined;
const flag = (value: "0" | "1") => () => value;

function place(address: SocketAddress | undefined): string {
  return address === undefined ? "0" : formatSocketAddress(address);
}

const OPTIONS: Readonly<Record<string, TorOption>> = {
  AccountingMax: { type: "DataSize", read: flag("0") },
  AutomapHostsOnResolve: {
    type: "Boolean",
    read: ({ node }) => node.isAutomapping ? "1" : "0",
  },
  AvoidDiskWrites: { type: "Boolean", read: flag("0") },
  BandwidthBurst: { type: "DataSize", read: () => "1073741824" },
  BandwidthRate: { type: "DataSize", read: () => "1073741824" },
  Bridge: { type: "LineList", read: unset },
  ClientOnly: { type: "Boolean", read: flag("1") },
  ControlPort: {
    type: "LineList",
    read: ({ port }) => formatSocketAddress(port.address),
  },
  ControlSocket: { type: "LineList", read: unset },
  CookieAuthFile: { type: "Filename", read: ({ port }) => port.cookiePath },
  CookieAuthentication: { type: "Boolean", read: flag("1") },
  DataDirectory: { type: "Filename", read: ({ node }) => node.stateDirectory },
  DirPort: { type: "LineList", read: flag("0") },
  DisableDebuggerAttachment: { type: "Boolean", read: flag("0") },
  DisableNetwork: { type: "Boolean", read: flag("0") },
  ExitPolicy: { type: "LineList", read: unset },
  ExitRelay: { type: "Boolean", read: flag("0") },
  HTTPTunnelPort: {
    type: "LineList",
    read: ({ node }) => place(node.listeners.http),
  },
  HashedControlPassword: {
    type: "LineList",
    read: ({ port }) => port.hasPassword ? "<hidden>" : undefined,
  },
  HiddenServiceDir: { type: "Dependent", read: unset },
  HiddenServiceNonAnonymousMode: { type: "Boolean", read: flag("0") },
  HiddenServiceOptions: { type: "Virtual", read: unset },
  HiddenServicePort: { type: "Dependent", read: unset },
  HiddenServiceSingleHopMode: { type: "Boolean", read: flag("0") },
  HiddenServiceVersion: { type: "Dependent", read: unset },
  Log: { type: "LineList", read: unset },
  Nickname: { type: "String", read: unset },
  ORPort: { type: "LineList", read: unset },
  RelayBandwidthBurst: { type: "DataSize", read: flag("0") },
  RelayBandwidthRate: { type: "DataSize", read: flag("0") },
  SafeLogging: { type: "String", read: flag("1") },
  SocksPort: {
    type: "LineList",
    read: ({ node }) => place(node.listeners.socks),
  },
  UseBridges: { type: "Boolean", read: flag("0") },
  __OwningControllerProcess: { type: "String", read: unset },
  __ReloadTorrcOnSIGHUP: { type: "Boolean", read: flag("1") },
};

const NAMES: ReadonlyMap<string, string> = new Map(
  Object.keys(OPTIONS).map((name) => [name.toLowerCase(), name]),
);

/** Names with their types, for `GETINFO config/names`. */
export const OPTION_LINES: readonly string[] = Object.entries(OPTIONS)
  .map(([name, { type }]) => `${name} ${type}`);

/** The option of a name, in any case; `undefined` where Tor's has no like here. */
function findOption(name: string): readonly [string, TorOption] | undefined {
  const known = NAMES.get(name.toLowerCase());
  const option = known === undefined ? undefined : OPTIONS[known];
  return known === undefined || option === undefined
    ? undefined
    : [known, option];
}

/** What is not Tor's default, as a configuration file has it. */
export function configText(source: OptionSource): string[] {
  return Object.entries(OPTIONS).flatMap(([name, { type, read }]) => {
    const value = type === "Dependent" ? undefined : read(source);
    return value === undefined ? [] : [`${name} ${value}`];
  });
}

/** Answer `GETCONF`. */
export function answerGetConf(rest: string, source: OptionSource): Reply {
  const lines: string[] = [];
  for (const word of rest.split(/\s+/).filter((word) => word !== "")) {
    const found = findOption(word);
    if (found === undefined) {
      return reply(552, `Unrecognized configuration key ${quote(word)}`);
    }
    const [name, { read }] = found;
    const value = read(source);
    lines.push(value === undefined ? name : `${name}=${value}`);
  }
  const last = lines.pop();
  if (last === undefined) return okReply();
  return { code: 250, parts: lines.map((text) => ({ text })), last };
}

/** Answer `SETCONF`, or `RESETCONF`, which takes an option without a value as its default. */
export function answerSetConf(
  rest: string,
  source: OptionSource,
  command: "SETCONF" | "RESETCONF",
): Reply {
  const wishes = readWishes(rest);
  if (wishes === undefined) {
    return reply(513, `Cannot read the arguments of ${command}`);
  }
  for (const [word, value] of wishes) {
    const found = findOption(word);
    if (found === undefined) {
      return reply(
        552,
        `Unrecognized option: Unknown option '${printable(word)}'.  Failing.`,
      );
    }
    const [name, { read }] = found;
    const isDefault = value === undefined && command === "RESETCONF";
    if (isDefault || (value ?? "") === (read(source) ?? "")) continue;
    return reply(
      553,
      `Cannot set ${name}: it stays as it is while the node runs; give the node ` +
        `other flags, or add services with ADD_ONION`,
    );
  }
  return okReply();
}

/** `NAME`, `NAME=VALUE` and `NAME="VALUE"`, one after the other. */
function readWishes(
  rest: string,
): [name: string, value: string | undefined][] | undefined {
  const wishes: [string, string | undefined][] = [];
  for (let left = rest.trimStart(); left !== ""; left = left.trimStart()) {
    const [whole, name = "", equals] = /^([^\s="]+)(=?)/.exec(left) ?? [];
    if (whole === undefined) return undefined;
    left = left.slice(whole.length);
    if (equals === "") {
      wishes.push([name, undefined]);
      continue;
    }
    const quoted = readQuoted(left);
    const [plain = ""] = /^[^\s"]*/.exec(left) ?? [];
    wishes.push([name, quoted?.text ?? plain]);
    left = left.slice(quoted?.length ?? plain.length);
    if (left !== "" && !/^\s/.test(left)) return undefined;
  }
  return wishes;
}

function printable(text: string): string {
  return quote(text).slice(1, -1);
}
