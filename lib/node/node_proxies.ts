/**
 * The proxies of a node: doors for programs that know nothing of it.
 *
 * @see protocol §8 "Proxies"
 * @module
 */
import { thrown } from "../log/log.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Gateway } from "../http/gateway.ts";
import { HttpServer } from "../proxy/http_server.ts";
import { SocksServer } from "../proxy/socks_server.ts";
import type { Runtime } from "../machine/runtime.ts";

/** Where to open proxies; none where there is no place. */
export interface ProxyPlaces {
  readonly socks?: SocketAddress | undefined;
  readonly http?: SocketAddress | undefined;
  /** Whether other machines may use them. Default: no. */
  readonly allowRemote?: boolean | undefined;
}

/** Proxies that are open, until disposed of. */
export class NodeProxies implements AsyncDisposable {
  readonly #socks: SocksServer | undefined;
  readonly #http: HttpServer | undefined;

  /** @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  constructor(
    places: ProxyPlaces,
    gateway: Gateway,
    { clock, log }: Pick<Runtime, "clock" | "log">,
  ) {
    const shared = {
      gateway,
      clock,
      allowRemote: places.allowRemote ?? false,
      onFault: (error: unknown) =>
        log.part("proxy").error("A bug: a proxy failed a client", {
          error: thrown(error),
        }),
    };
    const { socks, http } = places;
    this.#socks = socks && new SocksServer({ ...shared, listen: socks });
    try {
      this.#http = http && new HttpServer({ ...shared, listen: http });
    } catch (error) {
      this.#socks?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the SOCKS proxy listens. */
  get socks(): SocketAddress | undefined {
    return this.#socks?.address;
  }

  /** Where the HTTP proxy listens. */
  get http(): SocketAddress | undefined {
    return this.#http?.address;
  }

  /** Connections open. */
  get connections(): number {
    return (this.#socks?.connections ?? 0) + (this.#http?.connections ?? 0);
  }

  /** Take no more connections, and wait at most `graceMs` for the others to end. */
  async drain(graceMs: number): Promise<void> {
    await Promise.all([
      this.#socks?.drain(graceMs),
      this.#http?.drain(graceMs),
    ]);
  }

  /** Close, and end all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      this.#socks?.[Symbol.asyncDispose](),
      this.#http?.[Symbol.asyncDispose](),
    ]);
  }
}
