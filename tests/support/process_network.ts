/**
 * A network of processes on this machine: relays, services and proxies, each
 * `anonnet` with nothing but the flags that a user gives it.
 *
 *     ProcessNetwork ─┬─ relay, relay, …   the others join by the first
 *                     ├─ serve             80=127.0.0.1:…
 *                     └─ proxy             SOCKS and HTTP, on free ports
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type ProcessOptions,
  ProgramProcess,
  type ReadyLine,
} from "./process.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** A service, as a ready line tells it. */
export interface ReadyService {
  readonly name: string;
  readonly host: string;
  readonly ports: readonly number[];
}

/** How a process is told to end. */
export type EndManner = "stop" | "kill";

/** One node, over as many processes as it is restarted. */
export class NodeProcess implements AsyncDisposable {
  readonly name: string;
  readonly state: string;
  readonly #words: readonly string[];
  readonly #options: ProcessOptions;
  #process: ProgramProcess;
  #ready: ReadyLine | undefined;
  /** What former processes wrote to their logs. */
  #formerLog = "";

  /** Start it; {@linkcode becomeReady} waits for it. */
  constructor(
    name: string,
    state: string,
    words: readonly string[],
    options: ProcessOptions = {},
  ) {
    this.name = name;
    this.state = state;
    this.#words = [
      ...words,
      "--network=local",
      `--state=${state}`,
      "--ready-json",
      "--log-format=json",
    ];
    this.#options = options;
    this.#process = ProgramProcess.start(this.#words, options);
  }

  get process(): ProgramProcess {
    return this.#process;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The `anon://` address of a relay. */
  get address(): string {
    return text(this.#readyLine.address, "address");
  }

  /** `HOST:PORT` of the SOCKS proxy. */
  get socks(): string {
    return text(this.#readyLine.socks, "SOCKS proxy");
  }

  /** `HOST:PORT` of the HTTP proxy. */
  get http(): string {
    return text(this.#readyLine.http, "HTTP proxy");
  }

  /** `HOST:PORT` of its metrics. */
  get metrics(): string {
    return text(this.#readyLine.metrics, "place of metrics");
  }

  /** Port of Tor's control port. */
  get torControl(): string {
    return text(this.#readyLine.torControl, "control port of Tor's form");
  }

  /** All services that it hosts. */
  get services(): readonly ReadyService[] {
    return this.#readyLine.services as readonly ReadyService[];
  }

  /** The `.anon` address of the first service. */
  get host(): string {
    const [service] = this.services;
    return text(service?.host ?? null, "service");
  }

  /** The link that `share` or `receive` prints. */
  get link(): string {
    return text(this.#readyLine.link ?? null, "link");
  }

  get #readyLine(): ReadyLine {
    assert.ok(this.#ready !== undefined, `${this.name} is not ready`);
    return this.#ready;
  }

  /** Wait for the ready line, which a test may grant more time than others, ms. */
  async becomeReady(patienceMs?: number): Promise<this> {
    const { stdout, stderr } = this.#process;
    try {
      this.#ready = JSON.parse(
        await stdout.until((line) => line.startsWith("{"), patienceMs),
      );
      return this;
    } catch (cause) {
      await this.#process[Symbol.asyncDispose]();
      const log = await stderr.all;
      throw new Error(`${this.name} does not get ready:\n${log}`, { cause });
    }
  }

  /** End the process. `stop` asks it to, and sees that it does so well. */
  async end(manner: EndManner = "stop"): Promise<void> {
    this.#ready = undefined;
    if (manner === "stop") await this.#process.stop("SIGTERM");
    await this.#process[Symbol.asyncDispose]();
    this.#formerLog += await this.#process.stderr.all;
  }

  /** Start another process on the same state, without waiting until it is ready. */
  begin(): void {
    this.#process = ProgramProcess.start(this.#words, this.#options);
  }

  /** End the process, and start another on the same state. */
  async restart(manner: EndManner = "stop"): Promise<this> {
    await this.end(manner);
    this.begin();
    return await this.becomeReady();
  }

  /** All that was ever logged; ends the process. */
  async endAndGetLog(): Promise<string> {
    await this.end();
    return this.#formerLog;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** What a network is made of. */
export interface NetworkOptions {
  readonly relays: number;
  /** More flags for the relay of this index. Default: any free port. */
  readonly relayFlags?: (index: number) => readonly string[];
  /** More flags for all. */
  readonly flags?: readonly string[];
  /** How the processes of a command are started. */
  readonly program?: (command: string) => ProcessOptions;
}

/** A running network; all its processes end on dispose. */
export class ProcessNetwork implements AsyncDisposable {
  /** Relays, the one to join by first. */
  readonly relays: NodeProcess[] = [];
  readonly home: TemporaryDirectory;
  readonly #options: NetworkOptions;
  readonly #stack = new AsyncDisposableStack();
  #bootstrap: readonly string[] = [];

  private constructor(options: NetworkOptions, home: TemporaryDirectory) {
    this.#options = options;
    this.home = this.#stack.use(home);
  }

  /** Start the relays; resolves when all of them are ready. */
  static async start(options: NetworkOptions): Promise<ProcessNetwork> {
    const home = await TemporaryDirectory.create();
    const network = new ProcessNetwork(options, home);
    try {
      await network.#startRelays();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Host a service: `80=127.0.0.1:8080`, …. Resolves when it can be reached. */
  async serve(
    targets: readonly string[],
    flags: readonly string[] = [],
  ): Promise<NodeProcess> {
    return await this.start("serve", "service", [...flags, ...targets]);
  }

  /** Words that a program takes which joins this network by itself. */
  wordsOf(name: string): string[] {
    return [
      ...this.#bootstrap,
      "--network=local",
      `--state=${this.home.pathOf(name)}`,
    ];
  }

  /** Open a SOCKS and an HTTP proxy. Resolves when they can be used. */
  async proxy(
    name: string,
    flags: readonly string[] = [],
  ): Promise<NodeProcess> {
    const places = ["--socks=127.0.0.1:0", "--http=127.0.0.1:0"];
    return await this.start("proxy", name, [...places, ...flags]);
  }

  /** Start any node that joins by the first relay, and wait until it is ready. */
  async start(
    command: string,
    name: string,
    words: readonly string[],
  ): Promise<NodeProcess> {
    const node = this.#start(command, name, words);
    return await node.becomeReady();
  }

  /** Start any node that joins by the first relay, without waiting until it is ready. */
  begin(command: string, name: string, words: readonly string[]): NodeProcess {
    return this.#start(command, name, words);
  }

  async #startRelays(): Promise<void> {
    const { relays, relayFlags = () => ["--listen=127.0.0.1:0"] } =
      this.#options;
    const start = (index: number) => {
      const relay = this.#start("relay", `relay-${index}`, relayFlags(index));
      this.relays.push(relay);
      return relay.becomeReady();
    };
    const first = await start(0);
    this.#bootstrap = [`--bootstrap=${first.address}`];
    const others: Promise<NodeProcess>[] = [];
    for (let index = 1; index < relays; index++) others.push(start(index));
    await Promise.all(others);
  }

  #start(
    command: string,
    name: string,
    words: readonly string[],
  ): NodeProcess {
    const { flags = [], program } = this.#options;
    return this.#stack.use(
      new NodeProcess(
        name,
        this.home.pathOf(name),
        [command, ...this.#bootstrap, ...flags, ...words],
        program?.(command),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function text(value: string | null, what: string): string {
  assert.ok(value !== null, `there is no ${what}`);
  return value;
}
