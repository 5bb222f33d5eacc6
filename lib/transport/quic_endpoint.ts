/**
 * The runtime's QUIC as an {@linkcode Endpoint}: one UDP port that listens and
 * dials.
 *
 *     first packet ──▶ room? admit? ──▶ handshake ──▶ queue ──▶ accept()
 *                        │ no             │ oldest gives way
 *                        ▼                ▼
 *                      ignored          closed
 *
 * @see protocol §3.1 "Transport"
 * @module
 */
import { raceSignal } from "../base/clock.ts";
import type { PublicKey } from "../auth/identity.ts";
import { parseIp, type SocketAddress } from "../auth/socket_address.ts";
import { AcceptQueue } from "./_accept_queue.ts";
import { congestionControlOf } from "./_congestion_control.ts";
import { busy, dialFailure, endpointClosed } from "./_failures.ts";
import { QuicHandshakes } from "./_quic_handshakes.ts";
import { bindSockets, type QuicSockets } from "./_quic_sockets.ts";
import {
  createLeaf,
  type Leaf,
  SERVER_NAME,
  trustAnchor,
} from "./certificate.ts";
import {
  type EndpointOptions,
  limitsOf,
  type TransportLimits,
} from "./endpoint_options.ts";
import { QuicConnection } from "./quic_connection.ts";
import {
  CLOSE_BUSY,
  CLOSE_ENDPOINT,
  type Connection,
  type Endpoint,
  type OpenOptions,
} from "./transport.ts";

/** Time that the last packets get to leave, ms. */
const SENDING_MS = 10;

/**
 * Listen on a UDP port.
 *
 * @throws {ConfigError} `transport.port_in_use`, `.address`, `.permission` or
 * `.listen`; the message says what to change.
 */
export async function openQuicEndpoint(
  options: EndpointOptions,
): Promise<Endpoint> {
  const leaf = await createLeaf(options.crypto, options.identity);
  return new QuicEndpoint(options, leaf, bindSockets(options.address));
}

/** A node's UDP port. */
class QuicEndpoint implements Endpoint {
  readonly localAddress: SocketAddress;
  readonly #sockets: QuicSockets;
  /** Held on to: a listener that is collected makes its socket deaf. */
  readonly #listeners: readonly Deno.QuicListener[];
  readonly #loops: readonly Promise<void>[];
  readonly #limits: TransportLimits;
  readonly #transport: Deno.QuicTransportOptions;
  readonly #alpn: string;
  readonly #admit: () => boolean;
  readonly #handshakes: QuicHandshakes;
  readonly #waiting: AcceptQueue<QuicConnection>;
  readonly #connections = new Set<QuicConnection>();
  #dials = 0;
  #closing: Promise<void> | undefined;

  constructor(options: EndpointOptions, leaf: Leaf, sockets: QuicSockets) {
    this.#limits = limitsOf(options);
    this.#alpn = options.alpn;
    this.#admit = options.admit ?? (() => true);
    this.#handshakes = new QuicHandshakes(
      this.#limits.maxHandshakes,
      () => performance.now(),
    );
    this.#waiting = new AcceptQueue(this.#limits.maxWaiting);
    this.#transport = {
      maxConcurrentBidirectionalStreams: this.#limits.maxStreams,
      maxConcurrentUnidirectionalStreams: 0,
      maxIdleTimeout: this.#limits.idleTimeoutMs,
      keepAliveInterval: this.#limits.keepAliveMs,
    };
    this.#sockets = sockets;
    const { hostname, port } = sockets.first.addr;
    this.localAddress = { host: hostname, port };
    this.#listeners = socketsOf(sockets).map((socket) =>
      socket.listen({
        cert: leaf.certificate,
        key: leaf.privateKey,
        alpnProtocols: [options.alpn],
        ...this.#transport,
        // Who dials us at an address of loopback is on this machine.
        congestionControl: congestionControlOf(hostname),
      })
    );
    this.#loops = this.#listeners.map((listener) => this.#listen(listener));
  }

  async dial(
    address: SocketAddress,
    peer: PublicKey,
    options: OpenOptions = {},
  ): Promise<Connection> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw endpointClosed();
    if (this.#dials >= this.#limits.maxDials) throw busy("connect");
    this.#dials++;
    const attempt = this.#connect(address, peer).finally(() => this.#dials--);
    try {
      return await raceSignal(attempt, signal);
    } catch (error) {
      // The runtime cannot be told to give up: a late success is closed.
      attempt.then((connection) => connection.close(CLOSE_ENDPOINT), () => {});
      throw error;
    }
  }

  async #connect(
    address: SocketAddress,
    peer: PublicKey,
  ): Promise<QuicConnection> {
    const ip = parseIp(address.host);
    if (ip === undefined) {
      // A name would be resolved, which blocks, and tells the resolver.
      throw new TypeError("Cannot dial a host name: want an IP literal");
    }
    const { first, ipv4 } = this.#sockets;
    try {
      const conn = await Deno.connectQuic<false>({
        endpoint: ip.length === 4 ? ipv4 ?? first : first,
        hostname: address.host,
        port: address.port,
        serverName: SERVER_NAME,
        alpnProtocols: [this.#alpn],
        caCerts: [trustAnchor(peer)],
        ...this.#transport,
        congestionControl: congestionControlOf(address.host),
      });
      return this.#adopt(conn);
    } catch (cause) {
      throw this.#closing === undefined
        ? dialFailure(cause)
        : endpointClosed(cause);
    }
  }

  async accept(): Promise<Connection | undefined> {
    for (;;) {
      const connection = await this.#waiting.take();
      if (!connection?.ended) return connection;
    }
  }

  close(): Promise<void> {
    return this.#closing ??= this.#shutDown();
  }

  async #shutDown(): Promise<void> {
    const ends = [...this.#connections].map((connection) => {
      connection.close(CLOSE_ENDPOINT);
      return connection.closed;
    });
    for (const socket of socketsOf(this.#sockets)) {
      socket.close({ closeCode: CLOSE_ENDPOINT, reason: "" });
    }
    this.#waiting.end();
    await Promise.all([...ends, ...this.#loops]);
    if (ends.length > 0) await sent();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(listener: Deno.QuicListener): Promise<void> {
    try {
      for await (const incoming of listener) this.#receive(incoming);
    } catch (error) {
      if (this.#closing === undefined) throw error;
    } finally {
      // By close(), or because the socket broke: then no peer reaches us any more.
      this.#waiting.end();
    }
  }

  /**
   * Take or ignore a first packet. Must not touch the getters of `incoming`
   * (they consume it), must not wait, and must not throw whatever was sent.
   */
  #receive(incoming: Deno.QuicIncoming): void {
    if (
      !this.#waiting.hasRoom || !this.#admit() || !this.#handshakes.makeRoom()
    ) return incoming.ignore();
    let conn: Deno.QuicConn;
    try {
      // A connection at once, which can be closed before its handshake is done.
      // No early data comes of it: no caller gets it before then.
      conn = incoming.accept<true>({ zeroRtt: true });
    } catch {
      return; // not a handshake, or of another protocol
    }
    this.#welcome(conn);
  }

  async #welcome(conn: Deno.QuicConn): Promise<void> {
    if (!await this.#handshakes.complete(conn)) return;
    const connection = this.#adopt(conn);
    if (!this.#waiting.push(connection)) connection.close(CLOSE_BUSY);
  }

  #adopt(conn: Deno.QuicConn): QuicConnection {
    const connection = new QuicConnection(conn, this.#limits.maxStreams);
    this.#connections.add(connection);
    connection.closed.then(() => this.#connections.delete(connection));
    return connection;
  }
}

function socketsOf({ first, ipv4 }: QuicSockets): Deno.QuicEndpoint[] {
  return ipv4 === undefined ? [first] : [first, ipv4];
}

/**
 * Closing only queues the packets that tell the peers: give the runtime some
 * turns to send them, since the program may exit right after.
 */
function sent(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SENDING_MS));
}
