/**
 * The control port that speaks Tor's language: it listens on this machine alone, and
 * tells its programs once a second what has happened.
 *
 * @see protocol §9.9 "Control port of Tor's form"
 * @module
 */
import {
  formatSocketAddress,
  isLoopback,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import { TaskSet } from "../base/task_set.ts";
import { listenTcp, type PortWords } from "../control/listen.ts";
import type { AuthenticationTerms } from "./authentication.ts";
import { TorConnection } from "./tor_connection.ts";
import { EventWatch, type TorEvent } from "./tor_event.ts";
import type { TorNode } from "./tor_node.ts";
import { TorSession } from "./tor_session.ts";

/**
 * Connections of programs that have not shown who they are. Any user of the machine can
 * open them: the oldest makes room for the next, so that none keeps another out.
 */
export const MAX_STRANGERS = 64;
/** Connections of programs that have; further ones are closed as they come. */
const MAX_PROGRAMS = 192;
/** How long a program may take to show who it is, ms. */
export const STRANGER_MS = 60_000;
/** How often programs are told what has happened, ms: Tor's rate of `BW`. */
const LOOK_MS = 1_000;

const WORDS: PortWords = {
  code: "torcontrol.in_use",
  what: "open Tor's control port",
  flag: "--tor-control",
};

/** What a control port is made of. */
export interface TorControlOptions {
  /** Where to listen; port 0 for any. */
  readonly address: SocketAddress;
  readonly terms: AuthenticationTerms;
  readonly node: TorNode;
  readonly clock: Clock;
  /** Hears of faults of ours. */
  readonly onFault: (error: unknown) => void;
}

/** The control port, open until disposed of. */
export class TorControlServer implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly address: SocketAddress;
  readonly #options: TorControlOptions;
  readonly #listener: Deno.TcpListener;
  readonly #watch: EventWatch;
  /** In the order in which they came. */
  readonly #connections = new Set<TorConnection>();
  readonly #stop = new AbortController();
  readonly #tasks: TaskSet;

  /**
   * Listen.
   *
   * @throws {ConfigError} `torcontrol.public`, `torcontrol.in_use`; the system's own
   * errors otherwise.
   */
  constructor(options: TorControlOptions) {
    const { address, node } = options;
    checkTorControlAddress(address);
    this.#options = options;
    this.#tasks = new TaskSet(options.onFault);
    this.#listener = listenTcp(address, WORDS);
    this.address = { host: address.host, port: this.#listener.addr.port };
    this.#watch = new EventWatch(node);
    this.#tasks.run(this.#accept());
    this.#tasks.run(this.#look());
  }

  /** Connections open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Tell all programs that want to hear of it. */
  tell(event: TorEvent): void {
    for (const connection of this.#connections) connection.tell(event);
  }

  async #accept(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let socket: Deno.TcpConn;
      try {
        socket = await this.#listener.accept();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // Too many files are open, or the program has gone already.
        this.#options.onFault(error);
        await sleep(this.#options.clock, LOOK_MS, this.#stop).catch(() => {});
        continue;
      }
      this.#admit(socket);
    }
  }

  #admit(socket: Deno.TcpConn): void {
    const known = [...this.#connections].filter(({ isKnown }) => isKnown);
    if (known.length >= MAX_PROGRAMS) return socket.close();
    const strangers = [...this.#connections].filter(({ isKnown }) => !isKnown);
    if (strangers.length >= MAX_STRANGERS) strangers[0]?.close();
    const { terms, node, clock, onFault } = this.#options;
    const session = new TorSession({
      terms,
      node,
      port: {
        address: this.address,
        cookiePath: terms.cookiePath,
        hasPassword: terms.passwords.length > 0,
      },
      rates: () => this.#watch.rates,
      onEvent: (event) => this.tell(event),
    });
    const connection = new TorConnection({ socket, session, clock, onFault });
    this.#connections.add(connection);
    this.#tasks.run(
      connection.serve().finally(() => this.#connections.delete(connection)),
    );
  }

  async #look(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      await sleep(clock, LOOK_MS, { signal }).catch(() => {});
      if (signal.aborted) return;
      for (const event of this.#watch.look()) this.tell(event);
      for (const connection of this.#connections) {
        const isLate = clock.nowMs() - connection.openedMs > STRANGER_MS;
        if (isLate && !connection.isKnown) connection.close();
      }
    }
  }

  /** Stop listening, and break off all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#tasks.ended();
  }
}

/**
 * Refuse an address that other machines reach: who speaks there hosts services and
 * stops the node.
 *
 * @throws {ConfigError} `torcontrol.public`.
 */
export function checkTorControlAddress(address: SocketAddress): void {
  if (isLoopback(address.host)) return;
  throw new ConfigError(
    "torcontrol.public",
    `Cannot open Tor's control port at "${
      formatSocketAddress(address)
    }": it is ` +
      `for this machine alone; write 127.0.0.1:PORT or [::1]:PORT`,
  );
}
