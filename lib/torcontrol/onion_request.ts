/**
 * `ADD_ONION`: what a program wants a service to be.
 *
 *     ADD_ONION NEW:BEST Flags=Detach,DiscardPK Port=80,127.0.0.1:8080
 *     ADD_ONION ED25519-V3:<64 bytes in base64> Port=22 MaxStreams=10
 *     ADD_ONION NEW:ED25519-V3 Flags=V3Auth ClientAuthV3=<base32> Port=80,unix:/run/s
 *
 * @see {@link https://spec.torproject.org/control-spec/commands.html#add_onion | control-spec, 3.27}
 * @module
 */
import {
  parseSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { type Bytes, parseBase32 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import { quote } from "./quoted_text.ts";
import { type Reply, reply } from "./reply.ts";

/** Where a port of a service leads. */
export type OnionTarget =
  | { readonly type: "tcp"; readonly address: SocketAddress }
  | { readonly type: "unix"; readonly path: string };

/** What was asked for. */
export interface OnionRequest {
  /** The expanded key, 64 bytes; none for a new one. */
  readonly secret: Bytes | undefined;
  readonly targets: ReadonlyMap<number, OnionTarget>;
  /** Whether it outlives the connection. */
  readonly isDetached: boolean;
  /** Whether the program does not want to be told a new key. */
  readonly isKeyDiscarded: boolean;
  /** X25519 public keys of those who may find it; none: every client. */
  readonly clients: readonly Bytes[];
  /** Streams of one session; 0: as many as there may be. */
  readonly maxStreams: number;
}

/** Ports of one service, against lines that make us keep much. */
const MAX_PORTS = 512;
/** Clients of one service: a descriptor has room for no more. */
const MAX_CLIENTS = 64;
const SECRET_BYTES = 64;
const CLIENT_BYTES = 32;
const MAX_STREAMS = 65_535;

/** Flags that change nothing here: what they ask for is so, or nearly so, at any rate. */
const KNOWN_FLAGS = [
  "DiscardPK",
  "Detach",
  "V3Auth",
  "MaxStreamsCloseCircuit",
  "NonAnonymous",
];

/** What is read by and by. */
interface Draft {
  readonly targets: Map<number, OnionTarget>;
  readonly clients: Bytes[];
  flags: readonly string[];
  maxStreams: number;
}

/** A request that cannot be fulfilled: what the program is told. */
class Refusal extends Error {
  readonly reply: Reply;

  constructor(code: number, text: string) {
    super(text);
    this.reply = reply(code, text);
  }
}

/** Read what follows `ADD_ONION`. @returns A reply where it is wrong. */
export function parseOnionRequest(
  rest: string,
): { readonly request: OnionRequest } | { readonly refusal: Reply } {
  try {
    return { request: readRequest(rest) };
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.reply };
    throw error;
  }
}

function readRequest(rest: string): OnionRequest {
  const [keyText, ...words] = rest.split(/\s+/);
  if (keyText === undefined || keyText === "") {
    throw new Refusal(
      512,
      "Bad arguments to ADD_ONION: Need at least 1 argument(s)",
    );
  }
  const secret = readKey(keyText);
  const draft: Draft = {
    targets: new Map(),
    clients: [],
    flags: [],
    maxStreams: 0,
  };
  for (const word of words) readWord(word, draft);
  const { targets, clients, flags, maxStreams } = draft;
  if (targets.size === 0) throw new Refusal(512, "Missing 'Port' argument");
  checkFlags(flags, clients);
  return {
    secret,
    targets,
    clients,
    maxStreams,
    isDetached: flags.includes("Detach"),
    isKeyDiscarded: flags.includes("DiscardPK"),
  };
}

function readWord(word: string, draft: Draft): void {
  const [, name = "", value = ""] = /^([^=]+)=(.*)$/.exec(word) ?? [];
  switch (name.toLowerCase()) {
    case "port":
      return readPort(value, draft.targets);
    case "flags":
      draft.flags = readFlags(value);
      return;
    case "maxstreams":
      draft.maxStreams = readNumber(value, MAX_STREAMS, "MaxStreams");
      return;
    case "clientauthv3":
      if (draft.clients.length >= MAX_CLIENTS) {
        throw new Refusal(512, `More than ${MAX_CLIENTS} v3 auth clients`);
      }
      draft.clients.push(readClient(value));
      return;
    case "powdefensesenabled":
      // A flood of introductions has to work for them, whatever a service says.
      readNumber(value, 1, "PoWDefensesEnabled");
      return;
    case "powqueuerate":
    case "powqueueburst":
      readNumber(value, 2 ** 31 - 1, name);
      return;
    case "":
      throw new Refusal(
        512,
        "Bad arguments to ADD_ONION: Cannot parse keyword argument(s)",
      );
    default:
      throw new Refusal(
        512,
        `Bad arguments to ADD_ONION: Unrecognized keyword argument ${
          quote(name)
        }`,
      );
  }
}

function readKey(text: string): Bytes | undefined {
  const colon = text.indexOf(":");
  if (colon < 0) throw new Refusal(512, "Invalid key type/blob");
  const [type, blob] = [text.slice(0, colon), text.slice(colon + 1)];
  if (type === "NEW") {
    if (blob === "BEST" || blob === "ED25519-V3") return undefined;
    throw new Refusal(513, "Invalid key type");
  }
  if (type !== "ED25519-V3") throw new Refusal(513, "Invalid key type");
  const secret = parseBase64(blob);
  if (secret?.length === SECRET_BYTES) return secret;
  throw new Refusal(512, "Failed to decode ED25519-V3 key");
}

function readFlags(value: string): readonly string[] {
  const flags = value.split(",");
  if (value === "") throw new Refusal(512, "Invalid 'Flags' argument");
  for (const flag of flags) {
    if (!KNOWN_FLAGS.includes(flag)) {
      throw new Refusal(512, `Invalid 'Flags' argument: ${quote(flag)}`);
    }
  }
  return flags;
}

function checkFlags(
  flags: readonly string[],
  clients: readonly Bytes[],
): void {
  if (flags.includes("NonAnonymous")) {
    throw new Refusal(512, "Tor is in anonymous hidden service mode");
  }
  if (flags.includes("V3Auth") && clients.length === 0) {
    throw new Refusal(512, "No auth clients specified");
  }
  if (!flags.includes("V3Auth") && clients.length > 0) {
    throw new Refusal(512, "No auth type specified");
  }
}

function readPort(
  value: string,
  targets: Map<number, OnionTarget>,
): void {
  const comma = value.indexOf(",");
  const portText = comma < 0 ? value : value.slice(0, comma);
  const port = parsePort(portText);
  if (port === undefined) throw badPort();
  if (targets.has(port)) {
    // Tor would send each visitor to one of the targets by chance.
    throw new Refusal(
      512,
      `Port ${port} is given twice: a port leads to one target here`,
    );
  }
  if (targets.size >= MAX_PORTS) {
    throw new Refusal(512, `More than ${MAX_PORTS} ports`);
  }
  targets.set(port, readTarget(comma < 0 ? portText : value.slice(comma + 1)));
}

function readTarget(text: string): OnionTarget {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "" || path.includes("\0")) throw badPort();
    return { type: "unix", path };
  }
  const port = parsePort(text);
  if (port !== undefined) {
    return { type: "tcp", address: { host: "127.0.0.1", port } };
  }
  try {
    const address = parseSocketAddress(
      text.replace(/^localhost:/i, "127.0.0.1:"),
    );
    if (address.port > 0) return { type: "tcp", address };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  // A name would have to be resolved.
  throw badPort();
}

function parsePort(text: string): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function badPort(): Refusal {
  return new Refusal(512, "Invalid VIRTPORT/TARGET");
}

function readClient(value: string): Bytes {
  const key = parseBase32(value);
  if (key?.length === CLIENT_BYTES && key.some((byte) => byte !== 0)) {
    return key;
  }
  throw new Refusal(512, "Cannot decode v3 client auth key");
}

function readNumber(value: string, most: number, name: string): number {
  const number = /^[0-9]{1,10}$/.test(value) ? Number(value) : NaN;
  if (number <= most) return number;
  throw new Refusal(512, `Invalid ${name}`);
}

/** Bytes of base64, with its padding or without. */
export function parseBase64(text: string): Bytes | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text.replace(/=+$/, ""));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
