/**
 * The HTTP proxy: tunnels by `CONNECT`, requests for `http://….anon/`, and a few
 * pages of its own.
 *
 * @see protocol §8.4 "HTTP", §8.5 "Pages of the proxy"
 * @module
 */
import { UnreachableError } from "../base/errors.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { HttpConnection } from "./http_connection.ts";
import { encodeFailurePage } from "./http_page.ts";
import { UpstreamPool } from "../http/upstream.ts";
import {
  type DrainOutcome,
  type ProxyOptions,
  TcpAcceptor,
} from "./tcp_acceptor.ts";

/** An HTTP proxy, listening until disposed of. */
export class HttpServer implements AsyncDisposable {
  readonly #pool: UpstreamPool;
  readonly #acceptor: TcpAcceptor;

  private constructor(pool: UpstreamPool, acceptor: TcpAcceptor) {
    this.#pool = pool;
    this.#acceptor = acceptor;
  }

  /** Listen. @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  static async open(options: ProxyOptions): Promise<HttpServer> {
    const { gateway, clock, alias, allowRemote = false } = options;
    const onRefused = options.onRefused ?? (() => {});
    const pool = new UpstreamPool(clock);
    const shared = { gateway, clock, pool, alias, allowRemote, onRefused };
    const acceptor = await TcpAcceptor.open({
      ...options,
      serve: (client, { stop, drain }) =>
        new HttpConnection(client, { ...shared, signal: stop, drain }).serve(),
      farewell: () => encodeFailurePage(busy(), { connection: "close" }),
    });
    return new HttpServer(pool, acceptor);
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

  /** Use no connection to a service of before for another request. */
  newIdentity(): void {
    this.#pool.renew();
  }

  /** Close, and break off all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pool[Symbol.dispose]();
    await this.#acceptor[Symbol.asyncDispose]();
  }
}

function busy(): UnreachableError {
  return new UnreachableError("proxy.busy", "Too many connections are open");
}
