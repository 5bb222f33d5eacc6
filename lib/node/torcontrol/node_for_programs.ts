/**
 * A node as programs at Tor's control port see it: its circuits, streams and services in
 * Tor's words, and what they may have it do.
 *
 * @see protocol §9.9 "Control port of Tor's form"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import type { Clock } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { Log } from "../../log/log.ts";
import type { LogTail } from "../../log/log_tail.ts";
import type { CircuitStatus, PoolStatus } from "../../pool/pool_status.ts";
import { descriptorEvent, type TorEvent } from "../../torcontrol/tor_event.ts";
import type {
  OnionCredential,
  TorCircuit,
  TorLogLine,
  TorNode,
  TorProgram,
  TorStream,
} from "../../torcontrol/tor_node.ts";
import type { TorSignal } from "../../torcontrol/tor_signal.ts";
import type { CircuitFacts } from "../circuit/circuit_facts.ts";
import type { NodeServiceNews } from "../host/node_services.ts";
import type { ClientKeys } from "../host/service_keys.ts";
import type { HostedServices } from "../services/hosted_services.ts";
import { NodeProgram } from "./node_program.ts";
import type { OnionNames } from "./onion_names.ts";

/** What of a node is told; it comes by and by. */
export interface ToldParts {
  /** While there are too few relays: how many there are. */
  readonly awaited?: (() => CircuitFacts) | undefined;
  readonly client?: {
    readonly circuits: {
      readonly facts: CircuitFacts;
      readonly status: Pick<PoolStatus, "circuits" | "counts">;
    };
    readonly visits: { newIdentity(): void };
  } | undefined;
  readonly proxies?: {
    readonly socks: SocketAddress | undefined;
    readonly http: SocketAddress | undefined;
    newIdentity(): void;
  } | undefined;
}

/** What programs may wish of the process. */
export interface ProcessWishes {
  /** Stop, as if told by a signal. */
  stop(): void;
  /** Read the configuration again. @returns Whether there is one to read. */
  reload(): boolean;
}

/** What it is made of. */
export interface NodeForProgramsOptions {
  readonly parts: ToldParts;
  readonly names: OnionNames;
  readonly clientKeys: Pick<ClientKeys, "given" | "give" | "takeBack">;
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
  readonly tail: LogTail | undefined;
  readonly wishes: ProcessWishes;
  readonly takesForeignKeys: boolean;
  readonly isAutomapping: boolean;
  /** An absolute path. */
  readonly stateDirectory: string;
  /** Bytes since the start. */
  readonly traffic: () => {
    readonly bytesIn: number;
    readonly bytesOut: number;
  };
  readonly streams: () => readonly TorStream[];
  /** Tells all programs of an event. */
  readonly onEvent: (event: TorEvent) => void;
}

/** Tor's words for what circuits are for. */
const PURPOSES: Readonly<Record<CircuitStatus["purpose"], string>> = {
  rendezvous: "HS_CLIENT_REND",
  directory: "HS_CLIENT_HSDIR",
  introduction: "HS_CLIENT_INTRO",
};
/** That of a circuit that waits to be of use. */
const UNUSED = "HS_VANGUARDS";

const LEVELS: ReadonlyMap<string, TorLogLine["type"]> = new Map([
  ["info", "NOTICE"],
  ["warning", "WARN"],
  ["error", "ERR"],
]);

const EVENTS: ReadonlyMap<NodeServiceNews["news"], "UPLOADED" | "FAILED"> =
  new Map([["uploaded", "UPLOADED"], ["upload_failed", "FAILED"]]);

/** The node of the control port. */
export class NodeForPrograms implements TorNode, Disposable {
  readonly #options: NodeForProgramsOptions;
  readonly #startedMs: number;
  readonly #hosted = Promise.withResolvers<HostedServices>();
  #services: HostedServices | undefined;
  #listener: Disposable | undefined;
  readonly #detached = new Set<string>();
  /**
   * Hosts that a program was told of, as only then it knows whose events come, and the
   * program; none for those that are detached: every program hears of them.
   */
  readonly #told = new Map<string, TorProgram | undefined>();
  #lastLine = 0;

  constructor(options: NodeForProgramsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
    this.#hosted.promise.catch(() => {});
  }

  /** Services can be added from now on. */
  onHosted(services: HostedServices): void {
    this.#services = services;
    this.#listener = services.listen((news) => this.#onNews(news));
    this.#hosted.resolve(services);
  }

  get progress(): TorNode["progress"] {
    const { client, awaited } = this.#options.parts;
    if (client === undefined) {
      return awaited === undefined
        ? { percent: 0, tag: "starting", summary: "Starting" }
        : {
          percent: 45,
          tag: "requesting_descriptors",
          summary: awaited().words,
        };
    }
    const { facts, status } = client.circuits;
    if (facts.state === "fine" && status.counts.built > 0) {
      return { percent: 100, tag: "done", summary: "Done" };
    }
    return { percent: 90, tag: "circuit_create", summary: facts.words };
  }

  get traffic(): TorNode["traffic"] {
    const { bytesIn: read, bytesOut: written } = this.#options.traffic();
    return { read, written };
  }

  get circuits(): readonly TorCircuit[] {
    const { parts, clock } = this.#options;
    const circuits = parts.client?.circuits.status.circuits ?? [];
    return circuits.map(({ id, purpose, state, hops, ageSeconds }) => ({
      id,
      hops: hops.map(({ role }) => role),
      isBuilt: state !== "building",
      purpose: state === "unused" ? UNUSED : PURPOSES[purpose],
      createdUnixMs: clock.unixMs() - ageSeconds * 1000,
    }));
  }

  get streams(): readonly TorStream[] {
    return this.#options.streams();
  }

  get listeners(): TorNode["listeners"] {
    const { socks, http } = this.#options.parts.proxies ?? {};
    return { socks, http };
  }

  get uptimeSeconds(): number {
    const ms = this.#options.clock.nowMs() - this.#startedMs;
    return Math.floor(ms / 1000);
  }

  get processId(): number {
    return Deno.pid;
  }

  get stateDirectory(): string {
    return this.#options.stateDirectory;
  }

  get isAutomapping(): boolean {
    return this.#options.isAutomapping;
  }

  keyOf(id: string): PublicKey | undefined {
    return this.#options.names.keyOf(id);
  }

  idOf(service: PublicKey): string {
    return this.#options.names.nameOf(service);
  }

  admit(): TorProgram {
    const { crypto, random, names, takesForeignKeys } = this.#options;
    return new NodeProgram({
      hosted: this.#hosted.promise,
      services: () => this.#services,
      crypto,
      random,
      names,
      takesForeignKeys,
      detached: this.#detached,
      onAnswered: (host, only) => this.#onAnswered(host, only),
    });
  }

  newLogLines(): readonly TorLogLine[] {
    const lines = this.#options.tail?.after(this.#lastLine) ?? [];
    this.#lastLine = lines.at(-1)?.number ?? this.#lastLine;
    return lines.flatMap(({ json }) => logLine(json) ?? []);
  }

  signal(signal: TorSignal): string | undefined {
    const { parts, wishes, log } = this.#options;
    const { client, proxies } = parts;
    switch (signal) {
      case "reload":
        return wishes.reload() ? undefined : "There is no file to read again";
      case "shutdown":
        log.info("A program at Tor's control port stops the node");
        wishes.stop();
        return undefined;
      case "new_identity":
        if (client === undefined) return "The node builds no circuits yet";
        proxies?.newIdentity();
        client.visits.newIdentity();
        log.info(
          "New identity: new streams begin new sessions; those that run go on",
        );
        return undefined;
      case "dump":
      case "heartbeat":
        log.info("Heartbeat", {
          uptimeSeconds: this.uptimeSeconds,
          circuits: this.circuits.length,
          streams: this.streams.length,
          services: this.#services?.list().length ?? 0,
        });
        return undefined;
      case "none":
        return undefined;
    }
  }

  onOwnerGone(): void {
    const { log, wishes } = this.#options;
    log.info("The program that owns the node has gone; stopping with it");
    wishes.stop();
  }

  get credentials(): readonly OnionCredential[] {
    return this.#options.clientKeys.given;
  }

  addCredential(credential: OnionCredential): boolean {
    return this.#options.clientKeys.give(credential);
  }

  removeCredential(service: PublicKey): boolean {
    return this.#options.clientKeys.takeBack(service);
  }

  /** No service is added any more. */
  [Symbol.dispose](): void {
    this.#listener?.[Symbol.dispose]();
    this.#hosted.reject(
      new ConfigError("torcontrol.stopping", "The node is stopping"),
    );
  }

  #onAnswered(host: string, only: TorProgram | undefined): void {
    const { names, onEvent } = this.#options;
    this.#told.set(host, only);
    const id = names.nameOfHost(host);
    onEvent(descriptorEvent("UPLOAD", id, only));
    const service = this.#services?.list().find((one) => one.host === host);
    if (service?.reachable) onEvent(descriptorEvent("UPLOADED", id, only));
  }

  #onNews({ host, news }: NodeServiceNews): void {
    if (news === "stopped") {
      this.#told.delete(host);
      this.#detached.delete(host);
    }
    const action = EVENTS.get(news);
    if (action === undefined || !this.#told.has(host)) return;
    const { names, onEvent } = this.#options;
    const only = this.#told.get(host);
    onEvent(descriptorEvent(action, names.nameOfHost(host), only));
  }
}

/** A line of the log as programs are told it; none for those that name addresses. */
function logLine(json: string): TorLogLine | undefined {
  const { time: _time, level, part, message, ...fields } = JSON.parse(json);
  const type = LEVELS.get(level);
  if (type === undefined) return undefined;
  const more = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${String(value)}`);
  const where = part === "" ? "" : `${part}: `;
  return { type, text: `${where}${message}${more.join("")}` };
}
