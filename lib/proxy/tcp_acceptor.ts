/**
 * Accepts the connections of a proxy, holds them to a limit, and ends them all.
 *
 * @see protocol §8.6 "Limits"
 * @module
 */
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
export const MAX_CONNECTIONS = 4096;
/** Clients above the limit that are told so at the same time. */
const MAX_FAREWELLS = 64;
/** Rest after a failed accept, such as one for want of file descriptors, ms. */
const ACCEPT_REST_MS = 100;

/** What a proxy is made of. */
export interface ProxyOptions {
  /** Where to listen; port 0 for any. */
  readonly listen: SocketAddress;
  readonly gateway: Gateway;
  readonly clock: Clock;
  /**
   * Whether machines other than this one may use the proxy: everybody who reaches
   * the port can, and what they send crosses the network in the clear. Default
   * `false`: then only loopback addresses can be listened on.
   */
  readonly allowRemote?: boolean;
  /**
   * Connections at once, default `MAX_CONNECTIONS`. Against a program that opens
   * them until memory or descriptors run out; those beyond are turned away.
   */
  readonly maxConnections?: number;
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
export interface AcceptorOptions extends Omit<ProxyOptions, "gateway"> {
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
  readonly #listener: Deno.TcpListener;
  readonly #stop = new AbortController();
  readonly #drain = new AbortController();
  readonly #connections = new Map<ClientConnection, Promise<void>>();
  readonly #accepting: Promise<void>;
  #isListening = true;

  /**
   * Listen.
   *
   * @throws {ConfigError} `proxy.public` for an address that other machines
   * reach, without `allowRemote`; `proxy.listen` when the system refuses.
   */
  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
    this.#listener = listen(options);
    const { port } = this.#listener.addr;
    this.address = { host: options.listen.host, port };
    this.#accepting = this.#acceptAll();
  }

  /** Connections open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Take no more connections; those that are there go on. */
  close(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#listener.close();
  }

  /** `close`, then wait until all connections have ended, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.close();
    this.#drain.abort(shutdown());
    const over = new AbortController();
    const waiting = sleep(this.#options.clock, graceMs, {
      signal: over.signal,
    }).catch(() => {});
    await Promise.race([waiting, Promise.all(this.#connections.values())]);
    over.abort();
  }

  /** Close, and end all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#stop.abort(shutdown());
    for (const client of this.#connections.keys()) client.close();
    await this.#accepting;
    await Promise.all(this.#connections.values());
  }

  async #acceptAll(): Promise<void> {
    const { clock, onFault } = this.#options;
    while (this.#isListening) {
      try {
        const client = new ClientConnection(await this.#listener.accept());
        this.#connections.set(client, this.#serve(client));
      } catch (error) {
        if (!this.#isListening) return;
        onFault(error);
        const { signal } = this.#stop;
        await sleep(clock, ACCEPT_REST_MS, { signal }).catch(() => {});
      }
    }
  }

  async #serve(client: ClientConnection): Promise<void> {
    using _closed = client;
    try {
      if (this.#connections.size >= this.#maxConnections) {
        return await this.#turnAway(client);
      }
      const signals = { stop: this.#stop.signal, drain: this.#drain.signal };
      await this.#options.serve(client, signals);
    } catch (error) {
      if (isOwnFault(error)) this.#options.onFault(error);
    } finally {
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

function listen(options: AcceptorOptions): Deno.TcpListener {
  const { host, port } = options.listen;
  const where = formatSocketAddress(options.listen);
  if (!isLoopback(host) && options.allowRemote !== true) {
    throw new ConfigError(
      "proxy.public",
      `Cannot open a proxy at ${where}: other machines could use it; ` +
        `write 127.0.0.1:${port}, or allow it explicitly`,
    );
  }
  try {
    return Deno.listen({ hostname: host, port, transport: "tcp" });
  } catch (cause) {
    const why = cause instanceof Deno.errors.AddrInUse
      ? "the port is in use; give another one, or port 0 for any"
      : cause instanceof Deno.errors.AddrNotAvailable
      ? "the address is not one of this machine"
      : "the system refuses";
    throw new ConfigError(
      "proxy.listen",
      `Cannot open a proxy at ${where}: ${why}`,
      { cause },
    );
  }
}
