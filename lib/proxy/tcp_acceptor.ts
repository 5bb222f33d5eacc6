/**
 * Accepts the connections of a proxy, holds them to a limit, and ends them all.
 *
 * @see protocol §8.6 "Limits"
 * @module
 */
import {
  type AddressInfo,
  createServer,
  type Server,
  type Socket,
} from "node:net";
import { type Clock, sleep } from "../base/clock.ts";
import { ConfigError, UnreachableError } from "../base/errors.ts";
import {
  formatSocketAddress,
  parseIp,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { ClientConnection } from "./client_connection.ts";
import { isOwnFault } from "./failure.ts";
import type { Gateway } from "../http/gateway.ts";

/** Default of {@linkcode ProxyOptions.maxConnections}. */
const MAX_CONNECTIONS = 4096;
/** Clients above the limit that are told so at the same time. */
const MAX_FAREWELLS = 64;
/** Connections that carry nothing for so long when it drains are not waited for, ms. */
export const DRAIN_REST_MS = 1_000;
/** The same once some have carried something: a transfer may move to another leg, ms. */
const DRAIN_PAUSE_MS = 4_000;

/** How draining ended: with no connection left, with those at rest, or too late for some. */
export type DrainOutcome = "ended" | "rest" | "late";

/** Another form of addresses: gives the host that a name stands for, if any. */
export type HostAlias = (host: string) => string | undefined;

/** What a proxy is made of. */
export interface ProxyOptions {
  /** Where to listen; port 0 for any. */
  readonly listen: SocketAddress;
  readonly gateway: Gateway;
  readonly clock: Clock;
  /**
   * Whether machines other than this one may use the proxy: every program that
   * reaches the port can, and what it sends crosses the network in the clear.
   * Default `false`: then only loopback addresses can be listened on.
   */
  readonly allowRemote?: boolean;
  /**
   * Connections at once, default `MAX_CONNECTIONS`. Against a program that opens
   * them until memory or descriptors run out; those beyond are turned away.
   */
  readonly maxConnections?: number;
  /**
   * The `.anon` host that another form of an address stands for; `undefined` for what is
   * of no other form. Default: there is no other form.
   *
   * @throws {ConfigError} `service.address_*` for what is of another form, and wrong.
   */
  readonly alias?: HostAlias | undefined;
  /**
   * Hears of targets outside of `.anon`, as clients name them, that were refused.
   * They may be IP addresses, which clients should not have known. Default: nothing.
   */
  readonly onRefused?: (host: string) => void;
  /** Hears of our own faults. What clients and services do wrong is none. */
  readonly onFault: (error: unknown) => void;
}

/** When a client is to be left. */
export interface ServeSignals {
  /** At once; its connection closes at the same time. */
  readonly stop: AbortSignal;
  /** As soon as it is between two requests. */
  readonly drain: AbortSignal;
}

/** How the connections of an acceptor are served. */
export interface AcceptorOptions
  extends Omit<ProxyOptions, "gateway" | "alias"> {
  /** Serve one client; the connection is closed afterwards. */
  readonly serve: (
    client: ClientConnection,
    signals: ServeSignals,
  ) => Promise<void>;
  /** What a client above the limit is sent before it is left. Default: nothing. */
  readonly farewell?: () => Uint8Array;
}

/** A listening port and its connections, until disposed of. */
export class TcpAcceptor implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly address: SocketAddress;
  readonly #options: AcceptorOptions;
  readonly #maxConnections: number;
  readonly #server: Server;
  readonly #stop = new AbortController();
  readonly #drain = new AbortController();
  readonly #connections = new Map<ClientConnection, Promise<void>>();
  #isListening = true;

  private constructor(options: AcceptorOptions, server: Server) {
    this.#options = options;
    this.#maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.address = { host: options.listen.host, port };
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", (error) => options.onFault(error));
  }

  /**
   * Listen.
   *
   * @throws {ConfigError} `proxy.public` for an address that other machines
   * reach, without `allowRemote`; `proxy.listen` when the system refuses.
   */
  static async open(options: AcceptorOptions): Promise<TcpAcceptor> {
    return new TcpAcceptor(options, await listen(options));
  }

  /** Connections open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Take no more connections; those that are there go on. */
  close(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#server.close();
  }

  /**
   * `close`, then wait until all connections have ended or carry nothing, at most
   * `graceMs`.
   */
  async drain(graceMs: number): Promise<DrainOutcome> {
    this.close();
    this.#drain.abort(shutdown());
    const { clock } = this.#options;
    const endMs = clock.nowMs() + graceMs;
    for (let restMs = DRAIN_REST_MS;;) {
      const before = this.#movedBytes();
      const leftMs = endMs - clock.nowMs();
      if (before.size === 0) return "ended";
      if (leftMs <= 0) return "late";
      const over = new AbortController();
      const { signal } = over;
      const rest = sleep(clock, Math.min(restMs, leftMs), { signal });
      await Promise.race([
        rest.catch(() => {}),
        Promise.all(this.#connections.values()),
      ]);
      over.abort();
      const isResting = [...this.#movedBytes()].every(([client, bytes]) =>
        before.get(client) === bytes
      );
      if (isResting) return this.#connections.size === 0 ? "ended" : "rest";
      restMs = DRAIN_PAUSE_MS;
    }
  }

  #movedBytes(): Map<ClientConnection, number> {
    const clients = [...this.#connections.keys()];
    return new Map(clients.map((client) => [client, client.movedBytes]));
  }

  /** Close, and break off all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) =>
      this.#server.once("close", resolve)
    );
    const wasOpen = this.#isListening || this.#connections.size > 0;
    this.close();
    this.#stop.abort(shutdown());
    for (const client of this.#connections.keys()) client.reset();
    await Promise.all(this.#connections.values());
    if (wasOpen) await closed;
  }

  #accept(socket: Socket): void {
    const client = new ClientConnection(socket);
    this.#connections.set(client, this.#serve(client));
  }

  async #serve(client: ClientConnection): Promise<void> {
    try {
      if (this.#connections.size >= this.#maxConnections) {
        return await this.#turnAway(client);
      }
      const signals = { stop: this.#stop.signal, drain: this.#drain.signal };
      await this.#options.serve(client, signals);
    } catch (error) {
      if (isOwnFault(error)) this.#options.onFault(error);
    } finally {
      client.close();
      await client.closed;
      this.#connections.delete(client);
    }
  }

  async #turnAway(client: ClientConnection): Promise<void> {
    const { farewell, clock } = this.#options;
    const isFlood =
      this.#connections.size >= this.#maxConnections + MAX_FAREWELLS;
    if (farewell === undefined || isFlood) return;
    await client.write(farewell());
    await client.linger(clock);
  }
}

function shutdown(): UnreachableError {
  return new UnreachableError("proxy.shutdown", "The proxy is stopping");
}

/** Whether only programs of this machine reach an address. */
function isLoopback(host: string): boolean {
  return host === "::1" ||
    (host.startsWith("127.") && parseIp(host) !== undefined);
}

/** @throws {ConfigError} `proxy.public`, `proxy.listen`. */
async function listen(options: AcceptorOptions): Promise<Server> {
  const { host, port } = options.listen;
  const where = formatSocketAddress(options.listen);
  if (!isLoopback(host) && options.allowRemote !== true) {
    throw new ConfigError(
      "proxy.public",
      `Cannot open a proxy at ${where}: other machines could use it; ` +
        `write 127.0.0.1:${port}, or allow it explicitly`,
    );
  }
  const server = createServer({ allowHalfOpen: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    return server;
  } catch (cause) {
    const why = LISTEN_FAILURES.get(codeOf(cause)) ?? "the system refuses";
    throw new ConfigError(
      "proxy.listen",
      `Cannot open a proxy at ${where}: ${why}`,
      { cause },
    );
  }
}

const LISTEN_FAILURES: ReadonlyMap<unknown, string> = new Map([
  ["EADDRINUSE", "the port is in use; give another one, or port 0 for any"],
  ["EADDRNOTAVAIL", "the address is not one of this machine"],
]);

/** The system's own code of an error of `node:net`. */
function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
