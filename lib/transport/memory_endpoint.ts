/**
 * A node's place in the in-memory network. What it does towards others goes
 * through the network, which knows who is where.
 *
 * @module
 */
import type { Timer } from "../base/clock.ts";
import { equalBytes } from "../base/bytes.ts";
import type { PublicKey } from "../auth/identity.ts";
import { parseIp, type SocketAddress } from "../auth/socket_address.ts";
import { AcceptQueue } from "./_accept_queue.ts";
import {
  busy,
  endpointClosed,
  unreachable,
  wrongIdentity,
  wrongProtocol,
} from "./_failures.ts";
import type { SharedLine } from "./_lane.ts";
import {
  type EndpointOptions,
  limitsOf,
  type TransportLimits,
} from "./endpoint_options.ts";
import type { MemoryConnection } from "./memory_connection.ts";
import {
  CLOSE_BUSY,
  CLOSE_ENDPOINT,
  type Connection,
  type Endpoint,
  type OpenOptions,
} from "./transport.ts";

/** Shortest wait for an answer, ms; as the runtime's QUIC. */
const MIN_DIAL_TIMEOUT_MS = 3_000;

/** Times of the first packet and its repetitions, ms from the start (RFC 9002 §6.2). */
const DIAL_ATTEMPTS_MS = [0, 1_000, 3_000, 7_000, 15_000] as const;

/** What an endpoint needs of its network. */
export interface EndpointHost {
  /** Call `arrive` when a first packet reaches `to`; never, if nothing does. */
  knock(
    from: MemoryEndpoint,
    to: SocketAddress,
    arrive: (target: MemoryEndpoint) => void,
  ): void;
  /** Call `arrive` when a bare answer gets back. */
  answer(
    from: MemoryEndpoint,
    to: MemoryEndpoint,
    arrive: () => void,
  ): void;
  /** Join two endpoints; each gets its `onReady` when its handshake is done. */
  join(
    dialler: MemoryEndpoint,
    answerer: MemoryEndpoint,
    onDialled: (connection: MemoryConnection) => void,
    onAccepted: (connection: MemoryConnection) => void,
  ): MemoryConnection;
  schedule(delayMs: number, wake: () => void): Timer;
  left(endpoint: MemoryEndpoint): void;
}

/** One dial under way. */
interface Dial {
  readonly address: SocketAddress;
  readonly peer: PublicKey;
  readonly timers: Timer[];
  readonly settle: (outcome: MemoryConnection | Error) => void;
  connection: MemoryConnection | undefined;
  settled: boolean;
}

/** A node's place in the network; made by `MemoryNetwork.endpoint`. */
export class MemoryEndpoint implements Endpoint {
  /** Changes when the node moves. */
  localAddress: SocketAddress;
  readonly limits: TransportLimits;
  /** The node's way to its provider, shared by its connections. */
  readonly uplink: SharedLine | undefined;
  readonly #options: EndpointOptions;
  readonly #host: EndpointHost;
  readonly #waiting: AcceptQueue<MemoryConnection>;
  readonly #connections = new Set<MemoryConnection>();
  readonly #dials = new Set<Dial>();
  #handshakes = 0;
  #closed = false;

  constructor(
    options: EndpointOptions,
    host: EndpointHost,
    address: SocketAddress,
    uplinkBytesPerSecond: number | undefined,
  ) {
    this.#options = options;
    this.#host = host;
    this.localAddress = address;
    this.limits = limitsOf(options);
    this.#waiting = new AcceptQueue(this.limits.maxWaiting);
    this.uplink = uplinkBytesPerSecond === undefined
      ? undefined
      : { bytesPerSecond: uplinkBytesPerSecond, busyUntilMs: 0 };
  }

  dial(
    address: SocketAddress,
    peer: PublicKey,
    options: OpenOptions = {},
  ): Promise<Connection> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(endpointClosed());
    if (this.#dials.size >= this.limits.maxDials) {
      return Promise.reject(busy("connect"));
    }
    if (parseIp(address.host) === undefined) {
      return Promise.reject(
        new TypeError("Cannot dial a host name: want an IP literal"),
      );
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => dial.settle(signal?.reason);
      const dial: Dial = {
        address,
        peer,
        timers: [],
        connection: undefined,
        settled: false,
        settle: (outcome) => {
          if (dial.settled) return;
          dial.settled = true;
          this.#dials.delete(dial);
          for (const timer of dial.timers) timer.cancel();
          signal?.removeEventListener("abort", onAbort);
          if (outcome === dial.connection) return resolve(dial.connection);
          dial.connection?.close(CLOSE_ENDPOINT);
          reject(outcome);
        },
      };
      this.#dials.add(dial);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#knock(dial);
    });
  }

  #knock(dial: Dial): void {
    const timeoutMs = Math.max(this.limits.idleTimeoutMs, MIN_DIAL_TIMEOUT_MS);
    dial.timers.push(
      this.#host.schedule(timeoutMs, () => dial.settle(unreachable())),
    );
    const knock = () => {
      if (dial.connection !== undefined || dial.settled) return;
      this.#host.knock(
        this,
        dial.address,
        (target) => target.#answer(this, dial),
      );
    };
    knock();
    for (const atMs of DIAL_ATTEMPTS_MS.slice(1)) {
      if (atMs >= timeoutMs) break;
      dial.timers.push(this.#host.schedule(atMs, knock));
    }
  }

  /** A first packet has reached us. */
  #answer(dialler: MemoryEndpoint, dial: Dial): void {
    if (this.#closed || dial.settled || dial.connection !== undefined) return;
    if (
      !this.#waiting.hasRoom || this.#handshakes >= this.limits.maxHandshakes ||
      this.#options.admit?.() === false
    ) return;
    const refuse = (error: () => Error) =>
      this.#host.answer(this, dialler, () => dial.settle(error()));
    if (this.#options.alpn !== dialler.#options.alpn) {
      return refuse(wrongProtocol);
    }
    if (!equalBytes(this.#options.identity.publicKey, dial.peer)) {
      return refuse(wrongIdentity);
    }
    this.#handshakes++;
    let isReady = false;
    const unready = () => {
      if (!isReady) this.#handshakes--;
      isReady = true;
    };
    dial.connection = this.#host.join(
      dialler,
      this,
      (connection) => dial.settle(connection),
      (connection) => {
        unready();
        if (!this.#waiting.push(connection)) connection.close(CLOSE_BUSY);
      },
    );
    dial.connection.closed.then(() => {
      unready();
      dial.settle(unreachable());
    });
  }

  async accept(): Promise<Connection | undefined> {
    for (;;) {
      const connection = await this.#waiting.take();
      if (!connection?.ended) return connection;
    }
  }

  close(): Promise<void> {
    for (const connection of this.#connections) {
      connection.close(CLOSE_ENDPOINT);
    }
    this.#leave();
    return Promise.resolve();
  }

  /** Stop at once, without a word to any peer. */
  crash(): void {
    for (const connection of this.#connections) {
      connection.end({ by: "lost", code: 0 });
    }
    this.#leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A connection of ours has begun. */
  adopt(connection: MemoryConnection): void {
    this.#connections.add(connection);
  }

  /** A connection of ours has ended. */
  release(connection: MemoryConnection): void {
    this.#connections.delete(connection);
  }

  #leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const dial of this.#dials) dial.settle(endpointClosed());
    this.#waiting.end();
    this.#host.left(this);
  }
}
