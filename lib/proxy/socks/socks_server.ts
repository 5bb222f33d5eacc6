/**
 * The SOCKS5 proxy.
 *
 *     client                        proxy
 *     greeting              ─▶
 *                           ◀─      method
 *     user name, password   ─▶
 *                           ◀─      welcome
 *     request               ─▶      gateway.connect
 *     early bytes           ─▶
 *                           ◀─      reply, once the target has accepted or refused
 *     bytes                 ◀─▶     bytes
 *
 * @see protocol §8.3 "SOCKS5"
 * @module
 */
import { type Automap, isMappedAddress } from "./automap.ts";
import { deadline, raceSignal } from "../../base/clock.ts";
import {
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { checkPort, parseAnonHost } from "../../http/anon_host.ts";
import { type ClientConnection, isClientGone } from "../client_connection.ts";
import { isOwnFault } from "../failure.ts";
import type { GatewayTarget } from "../../http/gateway.ts";
import { decodeSocksAuth, SOCKS_AUTH_REPLY } from "./socks_auth.ts";
import { decodeSocksGreeting, encodeSocksMethod } from "./socks_greeting.ts";
import {
  encodeSocksAddress,
  encodeSocksFailure,
  encodeSocksName,
  encodeSocksSuccess,
  type SocksReplySet,
} from "./socks_reply.ts";
import { decodeSocksRequest, type SocksRequest } from "./socks_request.ts";
import { answerStranger } from "./socks_stranger.ts";
import {
  type DrainOutcome,
  type ProxyOptions,
  TcpAcceptor,
} from "../tcp_acceptor.ts";
import { Tunnel } from "../tunnel.ts";

/**
 * How long a client may take from connecting to the end of its request, ms.
 * Against clients that hold connections and say nothing.
 */
export const SOCKS_HANDSHAKE_MS = 10_000;

const SOCKS5 = 0x05;

/** What a SOCKS proxy is made of. */
export interface SocksServerOptions extends ProxyOptions {
  /**
   * Which clients are sent extended replies: those that asked in their greeting, or all,
   * for programs made for Tor that expect them unasked. Default `"asked"`.
   */
  readonly extendedReplies?: "asked" | "always";
  /** Gives addresses to programs that ask for them. Default: none are given. */
  readonly automap?: Automap | undefined;
}

/** What a client wants, once its handshake is read. */
interface SocksHandshake {
  readonly target: GatewayTarget;
  readonly replies: SocksReplySet;
}

/** A SOCKS5 proxy, listening until disposed of. */
export class SocksServer implements AsyncDisposable {
  readonly #acceptor: TcpAcceptor;

  private constructor(acceptor: TcpAcceptor) {
    this.#acceptor = acceptor;
  }

  /** Listen. @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  static async open(options: SocksServerOptions): Promise<SocksServer> {
    const acceptor = await TcpAcceptor.open({
      ...options,
      serve: (client, { stop }) =>
        new SocksConnection(client, options, stop).serve(),
    });
    return new SocksServer(acceptor);
  }

  /** Where it listens, with the port that was really bound. */
  get address(): SocketAddress {
    return this.#acceptor.address;
  }

  /** Connections open. */
  get connections(): number {
    return this.#acceptor.connections;
  }

  /** Take no more connections, and wait at most `graceMs` for those that carry something. */
  drain(graceMs: number): Promise<DrainOutcome> {
    return this.#acceptor.drain(graceMs);
  }

  /** Close, and break off all connections. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#acceptor[Symbol.asyncDispose]();
  }
}

/** One client's connection. */
class SocksConnection {
  readonly #client: ClientConnection;
  readonly #options: SocksServerOptions;
  readonly #signal: AbortSignal;

  constructor(
    client: ClientConnection,
    options: SocksServerOptions,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#options = options;
    this.#signal = signal;
  }

  async serve(): Promise<void> {
    const handshake = await this.#shakeHands();
    if (handshake === undefined) return;
    const { target, replies } = handshake;
    const tunnel = new Tunnel(this.#client, target, {
      gateway: this.#options.gateway,
      clock: this.#options.clock,
      signal: this.#signal,
      confirmation: encodeSocksSuccess(),
    });
    try {
      await tunnel.run();
    } catch (error) {
      if (tunnel.isConfirmed || isClientGone(error)) throw error;
      await this.#endWith(encodeSocksFailure(error, replies));
      if (isOwnFault(error)) throw error;
    }
  }

  /** @returns `undefined` when the client got its answer already. */
  async #shakeHands(): Promise<SocksHandshake | undefined> {
    const client = this.#client;
    using limit = deadline(
      this.#options.clock,
      SOCKS_HANDSHAKE_MS,
      () => new ProtocolError("socks.timeout", "The handshake took too long"),
    );
    const { signal } = limit;
    const first = await read(client, (data) => data[0], signal);
    if (first !== SOCKS5) {
      const answer = answerStranger(first);
      return answer && await this.#endWith(answer);
    }
    const greeting = await readAndTake(client, decodeSocksGreeting, signal);
    const method = encodeSocksMethod(greeting.method);
    if (greeting.method === "unacceptable") return await this.#endWith(method);
    await client.write(method);
    let isolation: string | undefined;
    if (greeting.method === "password") {
      ({ isolation } = await readAndTake(client, decodeSocksAuth, signal));
      await client.write(SOCKS_AUTH_REPLY);
    }
    const isExtended = this.#options.extendedReplies === "always" ||
      greeting.takesExtendedReplies;
    const replies = isExtended ? "extended" : "standard";
    try {
      const request = await readAndTake(client, decodeSocksRequest, signal);
      if (request.command.startsWith("resolve")) {
        return await this.#endWith(this.#resolve(request, isolation));
      }
      return { target: this.#targetOf(request, isolation), replies };
    } catch (error) {
      const isTold = error instanceof ProtocolError ||
        error instanceof ConfigError;
      if (!isTold || signal.aborted) throw error;
      return await this.#endWith(encodeSocksFailure(error, replies));
    }
  }

  /**
   * The answer to RESOLVE and RESOLVE_PTR.
   *
   * @throws {ProtocolError} `socks.command`, `proxy.*`.
   */
  #resolve(
    { command, host }: SocksRequest,
    isolation: string | undefined,
  ): Uint8Array {
    const { automap, clock } = this.#options;
    if (automap === undefined) throw unserved();
    const nowMs = clock.nowMs();
    if (command === "resolve") {
      const { host: name } = this.#serviceHost(host);
      return encodeSocksAddress(automap.addressOf(name, isolation, nowMs));
    }
    const name = automap.hostOf(host, isolation, nowMs);
    if (name === undefined) throw unmapped();
    return encodeSocksName(name);
  }

  /** @throws {ProtocolError} `socks.command`, `proxy.*`. */
  #targetOf(
    { command, host, port }: SocksRequest,
    isolation: string | undefined,
  ): GatewayTarget {
    if (command !== "connect") throw unserved();
    const mapped = this.#mappedHost(host, isolation);
    const named = mapped === undefined
      ? this.#serviceHost(host)
      : { host: mapped };
    return { ...named, port: checkPort(port), isolation };
  }

  /** What an address of ours stands for. @throws {ProtocolError} `proxy.unmapped`. */
  #mappedHost(host: string, isolation: string | undefined): string | undefined {
    const { automap, clock } = this.#options;
    if (automap === undefined || !isMappedAddress(host)) return undefined;
    const name = automap.hostOf(host, isolation, clock.nowMs());
    if (name === undefined) throw unmapped();
    return name;
  }

  /** @throws {ProtocolError} `proxy.not_anon`; what the alias throws. */
  #serviceHost(host: string): Pick<GatewayTarget, "host" | "isAlias"> {
    const stoodFor = this.#options.alias?.(host);
    try {
      const named = parseAnonHost(stoodFor ?? host);
      return stoodFor === undefined
        ? { host: named }
        : { host: named, isAlias: true };
    } catch (error) {
      this.#options.onRefused?.(host);
      throw error;
    }
  }

  /** A last answer. */
  async #endWith(answer: Uint8Array): Promise<undefined> {
    await this.#client.write(answer);
    await this.#client.linger(this.#options.clock);
  }
}

function unserved(): ProtocolError {
  return new ProtocolError("socks.command", "Only CONNECT is served");
}

function unmapped(): ProtocolError {
  return new ProtocolError(
    "proxy.unmapped",
    "Cannot tell which name the address stands for: it was not given to this " +
      "client, or not lately",
  );
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
