/**
 * The SOCKS5 proxy.
 *
 *     client                        proxy
 *     greeting              ─▶
 *                           ◀─      method
 *     user name, password   ─▶
 *                           ◀─      welcome
 *     request               ─▶      gateway.connect
 *                           ◀─      reply
 *     bytes                 ◀─▶     bytes
 *
 * @see protocol §8.3 "SOCKS5"
 * @module
 */
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { checkPort, parseAnonHost } from "../http/anon_host.ts";
import { type ClientConnection, isClientGone } from "./client_connection.ts";
import { isOwnFault } from "./failure.ts";
import type { Gateway, GatewayTarget } from "../http/gateway.ts";
import { openStream } from "./open_stream.ts";
import { relay } from "./relay.ts";
import { decodeSocksAuth, SOCKS_AUTH_REPLY } from "./socks_auth.ts";
import { decodeSocksGreeting, encodeSocksMethod } from "./socks_greeting.ts";
import {
  encodeSocksFailure,
  encodeSocksSuccess,
  type SocksReplySet,
} from "./socks_reply.ts";
import { decodeSocksRequest } from "./socks_request.ts";
import { answerStranger } from "./socks_stranger.ts";
import { type ProxyOptions, TcpAcceptor } from "./tcp_acceptor.ts";

/**
 * How long a client may take from connecting to the end of its request, ms.
 * Against clients that hold connections and say nothing.
 */
export const SOCKS_HANDSHAKE_MS = 10_000;

const SOCKS5 = 0x05;

/** What a SOCKS proxy is made of. */
export interface SocksServerOptions extends ProxyOptions {
  /**
   * Who is sent extended replies: clients that asked in their greeting, or all,
   * for programs made for Tor that expect them unasked. Default `"asked"`.
   */
  readonly extendedReplies?: "asked" | "always";
}

/** What a client wants, once its handshake is read. */
interface SocksHandshake {
  readonly target: GatewayTarget;
  readonly replies: SocksReplySet;
}

/** A SOCKS5 proxy, listening until disposed of. */
export class SocksServer implements AsyncDisposable {
  readonly #gateway: Gateway;
  readonly #clock: Clock;
  readonly #alwaysExtended: boolean;
  readonly #acceptor: TcpAcceptor;

  /** @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  constructor(options: SocksServerOptions) {
    this.#gateway = options.gateway;
    this.#clock = options.clock;
    this.#alwaysExtended = options.extendedReplies === "always";
    this.#acceptor = new TcpAcceptor({
      ...options,
      serve: (client, { stop }) => this.#serve(client, stop),
    });
  }

  /** Where it listens, with the port that was really bound. */
  get address(): SocketAddress {
    return this.#acceptor.address;
  }

  /** Connections open. */
  get connections(): number {
    return this.#acceptor.connections;
  }

  /** Take no more connections, and wait at most `graceMs` for the others to end. */
  drain(graceMs: number): Promise<void> {
    return this.#acceptor.drain(graceMs);
  }

  /** Close, and end all connections. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#acceptor[Symbol.asyncDispose]();
  }

  async #serve(client: ClientConnection, signal: AbortSignal): Promise<void> {
    const handshake = await this.#shakeHands(client);
    if (handshake === undefined) return;
    const { target, replies } = handshake;
    let stream;
    try {
      stream = await openStream(client, target, {
        gateway: this.#gateway,
        clock: this.#clock,
        signal,
        purpose: "tunnel",
      });
    } catch (error) {
      if (isClientGone(error)) return;
      await client.write(encodeSocksFailure(error, replies));
      await client.linger(this.#clock);
      if (isOwnFault(error)) throw error;
      return;
    }
    try {
      await client.write(encodeSocksSuccess());
    } catch (error) {
      stream.abort();
      throw error;
    }
    await relay(client, stream, { clock: this.#clock, signal });
  }

  /** @returns `undefined` when the client got its answer already. */
  async #shakeHands(
    client: ClientConnection,
  ): Promise<SocksHandshake | undefined> {
    using limit = deadline(
      this.#clock,
      SOCKS_HANDSHAKE_MS,
      () => new ProtocolError("socks.timeout", "The handshake took too long"),
    );
    const { signal } = limit;
    const first = await read(client, (data) => data[0], signal);
    if (first !== SOCKS5) {
      const answer = answerStranger(first);
      if (answer === undefined) return undefined;
      await client.write(answer);
      await client.linger(this.#clock);
      return undefined;
    }
    const greeting = await readAndTake(client, decodeSocksGreeting, signal);
    await client.write(encodeSocksMethod(greeting.method));
    if (greeting.method === "unacceptable") {
      await client.linger(this.#clock);
      return undefined;
    }
    let isolation: string | undefined;
    if (greeting.method === "password") {
      ({ isolation } = await readAndTake(client, decodeSocksAuth, signal));
      await client.write(SOCKS_AUTH_REPLY);
    }
    const replies = this.#alwaysExtended || greeting.takesExtendedReplies
      ? "extended"
      : "standard";
    try {
      const request = await readAndTake(client, decodeSocksRequest, signal);
      if (request.command !== "connect") {
        throw new ProtocolError("socks.command", "Only CONNECT is served");
      }
      const host = parseAnonHost(request.host);
      const port = checkPort(request.port);
      return { target: { host, port, isolation }, replies };
    } catch (error) {
      if (!(error instanceof ProtocolError) || signal.aborted) throw error;
      await client.write(encodeSocksFailure(error, replies));
      await client.linger(this.#clock);
      return undefined;
    }
  }
}

async function readAndTake<T extends { readonly bytesRead: number }>(
  client: ClientConnection,
  decode: (data: Uint8Array) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  const value = await read(client, decode, signal);
  client.source.take(value.bytesRead);
  return value;
}

/** Wait until what the client sent holds a value. All of them are short. */
async function read<T>(
  client: ClientConnection,
  decode: (data: Uint8Array) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    const value = decode(client.source.bytes);
    if (value !== undefined) return value;
    if (!await raceSignal(client.source.more(), signal)) {
      throw new UnreachableError("proxy.client_gone", "The client is gone");
    }
  }
}
