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
import { type ProxyOptions, TcpAcceptor } from "./tcp_acceptor.ts";

/** An HTTP proxy, listening until disposed of. */
export class HttpServer implements AsyncDisposable {
  readonly #pool: UpstreamPool;
  readonly #acceptor: TcpAcceptor;

  /** @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  constructor(options: ProxyOptions) {
    const { gateway, clock } = options;
    const pool = new UpstreamPool(clock);
    this.#pool = pool;
    this.#acceptor = new TcpAcceptor({
      ...options,
      serve: (client, { stop, drain }) => {
        const shared = { gateway, clock, pool, signal: stop, drain };
        return new HttpConnection(client, shared).serve();
      },
      farewell: () => encodeFailurePage(busy(), { connection: "close" }),
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
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pool[Symbol.dispose]();
    await this.#acceptor[Symbol.asyncDispose]();
  }
}

function busy(): UnreachableError {
  return new UnreachableError("proxy.busy", "Too many connections are open");
}
