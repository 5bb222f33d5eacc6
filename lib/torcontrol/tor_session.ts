/**
 * One program at the control port: its commands, one after the other, and the events
 * that it wants.
 *
 *     bytes ─▶ CommandReader ─▶ Authentication ─┬─▶ facts     TorNode ─▶ reply
 *                                               └─▶ wishes    TorProgram ─▶ reply
 *
 * What Tor has and there is nothing like here is answered as Tor answers what it does
 * not know: 510 for a command, 552 for a key, an option, an event or a signal.
 *
 * @see docs/decisions/0064-a-control-port-that-speaks-tors-language.md
 * @see {@link https://spec.torproject.org/control-spec/ | control-spec}
 * @module
 */
import { wipe } from "../base/bytes.ts";
import { AnonNetError, errorCode } from "../base/errors.ts";
import { Authentication, type AuthenticationTerms } from "./authentication.ts";
import type { TorCommand } from "./command_reader.ts";
import { parseBase64, parseOnionRequest } from "./onion_request.ts";
import { quote } from "./quoted_text.ts";
import { lastReply, okReply, type Reply, reply } from "./reply.ts";
import { EVENT_TYPES, type TorEvent } from "./tor_event.ts";
import { answerInfo } from "./tor_info.ts";
import type { AddedOnion, TorNode, TorProgram } from "./tor_node.ts";
import { answerGetConf, answerSetConf, type PortFacts } from "./tor_option.ts";
import { parseSignal } from "./tor_signal.ts";

/** What a session is made of. */
export interface TorSessionOptions {
  readonly terms: AuthenticationTerms;
  readonly node: TorNode;
  readonly port: PortFacts;
  /** The traffic of late. */
  readonly rates: () => readonly string[];
  /** Tells all programs of an event. */
  readonly onEvent: (event: TorEvent) => void;
}

/** Codes of errors of `ADD_ONION`, and Tor's numbers for them; others get 551. */
const ADD_CODES: ReadonlyMap<string, number> = new Map([
  ["service.key_in_use", 550],
  ["service.twice", 550],
  ["service.key", 512],
  ["service.foreign_key", 513],
  ["service.target", 512],
  ["service.max_streams", 512],
  ["service.audience", 512],
  ["service.client_key", 512],
]);

const FEATURES = ["EXTENDED_EVENTS", "VERBOSE_NAMES"];
const SECRET_BYTES = 32;

/** One program's session. */
export class TorSession implements AsyncDisposable {
  readonly #options: TorSessionOptions;
  readonly #authentication: Authentication;
  #program: TorProgram | undefined;
  #events: ReadonlySet<string> = new Set();
  #isOwner = false;

  constructor(options: TorSessionOptions) {
    this.#options = options;
    this.#authentication = new Authentication(options.terms);
  }

  /** Whether the program has shown who it is. */
  get isKnown(): boolean {
    return this.#authentication.isKnown;
  }

  /** Whether it has asked for such an event, and may be told of it. */
  wants({ type, only }: TorEvent): boolean {
    if (!this.#events.has(type)) return false;
    return only === undefined || only === this.#program;
  }

  /** Carry out a command. */
  async answer({ keyword, rest, hasBlock }: TorCommand): Promise<Reply> {
    const name = keyword.toUpperCase();
    const plain = hasBlock ? `+${name}` : name;
    const early = this.#authentication.take(plain, rest);
    if (early !== undefined) return early;
    if (plain === "QUIT") return lastReply(250, "closing connection");
    return await this.#answerKnown(plain, keyword, rest);
  }

  async #answerKnown(
    name: string,
    keyword: string,
    rest: string,
  ): Promise<Reply> {
    const { node, port } = this.#options;
    switch (name) {
      case "GETINFO":
        return answerInfo(rest, {
          node,
          port,
          version: this.#options.terms.version,
          onions: this.#known.onions,
          rates: this.#options.rates(),
        });
      case "GETCONF":
        return answerGetConf(rest, { node, port });
      case "SETCONF":
      case "RESETCONF":
        return answerSetConf(rest, { node, port }, name);
      case "SETEVENTS":
        return this.#setEvents(rest);
      case "SIGNAL":
        return this.#signal(rest);
      case "USEFEATURE":
        return useFeature(rest);
      case "TAKEOWNERSHIP":
        this.#isOwner = true;
        return okReply();
      case "DROPOWNERSHIP":
        this.#isOwner = false;
        return okReply();
      case "ADD_ONION":
        return await this.#addOnion(rest);
      case "DEL_ONION":
        return await this.#removeOnion(rest);
      case "ONION_CLIENT_AUTH_ADD":
        return this.#addCredential(rest);
      case "ONION_CLIENT_AUTH_REMOVE":
        return this.#removeCredential(rest);
      case "ONION_CLIENT_AUTH_VIEW":
        return this.#viewCredentials(rest);
      default:
        return REFUSALS.get(name) ??
          reply(510, `Unrecognized command ${quote(keyword)}`);
    }
  }

  get #known(): TorProgram {
    return this.#program ??= this.#options.node.admit();
  }

  #setEvents(rest: string): Reply {
    const events = new Set<string>();
    for (const word of rest.toUpperCase().split(/\s+/)) {
      if (word === "" || word === "EXTENDED") continue;
      if (!EVENT_TYPES.includes(word)) {
        return reply(552, `Unrecognized event ${quote(word)}`);
      }
      events.add(word);
    }
    this.#events = events;
    return okReply();
  }

  #signal(rest: string): Reply {
    const [name = ""] = rest.split(/\s+/);
    if (name === "") {
      return reply(512, "Bad arguments to SIGNAL: Need at least 1 argument(s)");
    }
    const signal = parseSignal(name);
    if (signal === undefined) {
      return reply(552, `Unrecognized signal code ${quote(name)}`);
    }
    const { node, onEvent } = this.#options;
    const why = node.signal(signal);
    if (why !== undefined) return reply(551, why);
    onEvent({ type: "SIGNAL", text: `SIGNAL ${name.toUpperCase()}` });
    return okReply();
  }

  async #addOnion(rest: string): Promise<Reply> {
    const read = parseOnionRequest(rest);
    if ("refusal" in read) return read.refusal;
    const { request } = read;
    let added: AddedOnion;
    try {
      added = await this.#known.addOnion(request);
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      return reply(ADD_CODES.get(errorCode(error)) ?? 551, error.message);
    } finally {
      if (request.secret !== undefined) wipe(request.secret);
    }
    const { id, secret, onAnswered } = added;
    const lines = [`ServiceID=${id}`];
    if (secret !== undefined && !request.isKeyDiscarded) {
      lines.push(`PrivateKey=ED25519-V3:${secret.toBase64()}`);
    }
    for (const word of rest.split(/\s+/)) {
      if (/^ClientAuthV3=/i.test(word)) lines.push(word);
    }
    if (secret !== undefined) wipe(secret);
    return {
      ...okReply(...lines.map((text) => ({ text }))),
      onSent: onAnswered,
    };
  }

  async #removeOnion(rest: string): Promise<Reply> {
    const [id = ""] = rest.split(/\s+/);
    if (id === "") {
      return reply(
        512,
        "Bad arguments to DEL_ONION: Need at least 1 argument(s)",
      );
    }
    if (this.#options.node.keyOf(id) === undefined) {
      return reply(512, "Malformed Onion Service id");
    }
    // Of another program's services it is not told that there are any.
    return await this.#known.removeOnion(id)
      ? okReply()
      : reply(552, "Unknown Onion Service id");
  }

  #addCredential(rest: string): Reply {
    const [id = "", keyText, ...words] = rest.split(/\s+/);
    if (keyText === undefined) {
      return reply(512, "Incomplete ONION_CLIENT_AUTH_ADD command");
    }
    const { node } = this.#options;
    const service = node.keyOf(id);
    if (service === undefined) return badAddress(id);
    const [type, blob = ""] = keyText.split(":");
    if (type?.toLowerCase() !== "x25519") {
      return reply(552, `Unrecognized key type ${quote(type ?? "")}`);
    }
    const secret = parseBase64(blob);
    if (secret?.length !== SECRET_BYTES) {
      return reply(512, "Failed to decode x25519 private key");
    }
    for (const word of words) {
      const [, name = "", value = ""] = /^([^=]+)=(.*)$/.exec(word) ?? [];
      switch (name.toLowerCase()) {
        case "clientname":
          break;
        case "flags":
          // It is for the operator to say what is kept on disk.
          if (!value.split(",").includes("Permanent")) break;
          return reply(553, `Unable to store creds for ${quote(id)}`);
        default:
          return reply(512, `Unrecognized argument ${quote(word)}`);
      }
    }
    try {
      return node.addCredential({ service, secret })
        ? okReply()
        : reply(251, "Client for onion existed and replaced");
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      return reply(551, error.message);
    }
  }

  #removeCredential(rest: string): Reply {
    const [id = ""] = rest.split(/\s+/);
    if (id === "") {
      return reply(512, "Incomplete ONION_CLIENT_AUTH_REMOVE command");
    }
    const { node } = this.#options;
    const service = node.keyOf(id);
    if (service === undefined) return badAddress(id);
    return node.removeCredential(service)
      ? okReply()
      : reply(251, `No credentials for ${quote(id)}`);
  }

  #viewCredentials(rest: string): Reply {
    const [id = ""] = rest.split(/\s+/);
    const { node } = this.#options;
    const service = id === "" ? undefined : node.keyOf(id);
    if (id !== "" && service === undefined) return badAddress(id);
    const wanted = service === undefined ? undefined : node.idOf(service);
    const lines = node.credentials.flatMap(({ service, secret }) => {
      const of = node.idOf(service);
      return wanted === undefined || wanted === of
        ? [`CLIENT ${of} x25519:${secret.toBase64()}`]
        : [];
    });
    const title = ["ONION_CLIENT_AUTH_VIEW", ...id === "" ? [] : [id]];
    return okReply(
      { text: title.join(" ") },
      ...lines.map((text) => ({ text })),
    );
  }

  /** The connection has ended: what lives as long as it ends too. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#events = new Set();
    await this.#program?.[Symbol.asyncDispose]();
    if (this.#isOwner) this.#options.node.onOwnerGone();
  }
}

/** Commands that Tor has, and that there is nothing for here. */
const REFUSALS: ReadonlyMap<string, Reply> = new Map([
  ["MAPADDRESS", reply(551, "Addresses are not mapped here")],
  ["RESOLVE", reply(551, "Names are resolved by no relay here")],
  ["EXTENDCIRCUIT", reply(551, "Couldn't start circuit")],
  ["SETCIRCUITPURPOSE", reply(552, "Unknown circuit")],
  ["ATTACHSTREAM", reply(552, "Unknown stream")],
  ["REDIRECTSTREAM", reply(552, "Unknown stream")],
  ["CLOSECIRCUIT", reply(552, "Unknown circuit")],
  ["CLOSESTREAM", reply(552, "Unknown stream")],
  ["HSFETCH", reply(551, "Descriptors are not told to programs")],
  ["SAVECONF", reply(551, "Unable to write configuration to disk.")],
  ["+LOADCONF", reply(553, "Cannot load a configuration of Tor's")],
  ["+POSTDESCRIPTOR", reply(554, "Descriptors are not taken from programs")],
  ["+HSPOST", reply(554, "Descriptors are not taken from programs")],
]);

function useFeature(rest: string): Reply {
  for (const word of rest.toUpperCase().split(/\s+/)) {
    if (word !== "" && !FEATURES.includes(word)) {
      return reply(552, `Unrecognized feature ${quote(word)}`);
    }
  }
  return okReply();
}

function badAddress(id: string): Reply {
  return reply(512, `Invalid v3 address ${quote(id)}`);
}
