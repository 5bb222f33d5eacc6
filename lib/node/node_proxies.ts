/**
 * The proxies of a node: doors for programs that know nothing of it.
 *
 * @see protocol §8 "Proxies"
 * @module
 */
import { parseIp, type SocketAddress } from "../auth/socket_address.ts";
import type { Clock } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import { TokenBucket, type TokenRate } from "../base/token_bucket.ts";
import { type Log, sensitive, thrown } from "../log/log.ts";
import type { Gateway } from "../http/gateway.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { hostOfAlias } from "../torcontrol/onion_alias.ts";
import { HttpServer } from "../proxy/http_server.ts";
import type { HostAlias } from "../proxy/tcp_acceptor.ts";
import { Automap } from "../proxy/socks/automap.ts";
import { SocksServer } from "../proxy/socks/socks_server.ts";
import type { Runtime } from "../machine/runtime.ts";

/** Where to open proxies; none where there is no place. */
export interface ProxyPlaces {
  readonly socks?: SocketAddress | undefined;
  readonly http?: SocketAddress | undefined;
  /** Whether other machines may use them. Default: no. */
  readonly allowRemote?: boolean | undefined;
  /** Whether the SOCKS proxy gives addresses to programs that resolve names. Default: no. */
  readonly automap?: boolean | undefined;
  /** Whether services are reached by addresses of Tor's form too. Default: no. */
  readonly onionAlias?: boolean | undefined;
}

/** What proxies stand on. */
type ProxyRuntime = Pick<Runtime, "clock" | "crypto" | "log">;

/** A gateway of proxies that are not to serve: they are opened to see whether they can be. */
const NO_GATEWAY: Gateway = {
  connect: () =>
    Promise.reject(
      new UnreachableError("proxy.shutdown", "The proxy is not open yet"),
    ),
};

/**
 * See whether proxies can be opened, before the node joins the network for them.
 *
 * @throws {ConfigError} `proxy.public`, `proxy.listen`.
 */
export async function checkProxies(
  places: ProxyPlaces,
  runtime: ProxyRuntime,
): Promise<void> {
  const proxies = await NodeProxies.open(places, NO_GATEWAY, runtime);
  await proxies[Symbol.asyncDispose]();
}

/**
 * Lines about refused targets: a few at once, then one a minute. A program may ask
 * thousands of times.
 */
const REFUSAL_LINES: TokenRate = { perSecond: 1 / 60, burst: 3 };

/** Proxies that are open, until disposed of. */
export class NodeProxies implements AsyncDisposable {
  readonly #log: Log;
  readonly #socks: SocksServer | undefined;
  readonly #http: HttpServer | undefined;

  private constructor(
    log: Log,
    socks: SocksServer | undefined,
    http: HttpServer | undefined,
  ) {
    this.#log = log;
    this.#socks = socks;
    this.#http = http;
  }

  /** Open them. @throws {ConfigError} `proxy.public`, `proxy.listen`. */
  static async open(
    places: ProxyPlaces,
    gateway: Gateway,
    { clock, log, crypto }: ProxyRuntime,
  ): Promise<NodeProxies> {
    await using opening = new AsyncDisposableStack();
    const part = log.part("proxy");
    const shared = {
      gateway,
      clock,
      allowRemote: places.allowRemote ?? false,
      alias: places.onionAlias ? onionAlias(crypto, part) : undefined,
      onRefused: refusalLog(part, clock),
      onFault: (error: unknown) =>
        part.error("A bug: a proxy failed a client", { error: thrown(error) }),
    };
    const socks = places.socks && opening.use(
      await SocksServer.open({
        ...shared,
        listen: places.socks,
        automap: places.automap ? new Automap() : undefined,
      }),
    );
    const http = places.http && opening.use(
      await HttpServer.open({ ...shared, listen: places.http }),
    );
    opening.move();
    return new NodeProxies(part, socks, http);
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
    const { connections } = this;
    const seconds = Math.round(graceMs / 1000);
    if (connections > 0) {
      const fields = { connections, seconds };
      this.#log.info("Waiting for connections to end", fields);
    }
    const outcomes = await Promise.all([
      this.#socks?.drain(graceMs),
      this.#http?.drain(graceMs),
    ]);
    const left = { connections: this.connections };
    if (outcomes.includes("late")) {
      this.#log.warning("Cut connections that had not ended", left);
    } else if (left.connections > 0) {
      this.#log.info("Closed connections that were at rest", left);
    }
  }

  /** Use no connection to a service of before for another request. */
  newIdentity(): void {
    this.#http?.newIdentity();
  }

  /** Close, and break off all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      this.#socks?.[Symbol.asyncDispose](),
      this.#http?.[Symbol.asyncDispose](),
    ]);
  }
}

/** Addresses of Tor's form, which the log tells of once. */
function onionAlias(crypto: CryptoSuite, log: Log): HostAlias {
  let isTold = false;
  return (host) => {
    const stoodFor = hostOfAlias(crypto, host);
    if (stoodFor !== undefined && !isTold) {
      isTold = true;
      log.info(
        "A program visits a service by an address of Tor's form; all of them are " +
          "looked for in this network alone, and never at Tor",
      );
    }
    return stoodFor;
  };
}

/** Tells the operator of programs that ask for what the proxies refuse. */
function refusalLog(log: Log, clock: Clock): (host: string) => void {
  const lines = new TokenBucket(REFUSAL_LINES, clock.nowMs());
  let unsaid = 0;
  return (host) => {
    if (!lines.take(1, clock.nowMs())) {
      unsaid++;
      return;
    }
    const fields = { host: sensitive(host), unsaid: unsaid || undefined };
    unsaid = 0;
    if (parseIp(host.replace(/^\[(.*)\]$/, "$1")) === undefined) {
      log.warning("Refused a request: it was for nothing under .anon", fields);
    } else {
      log.warning(
        "Refused a request for an IP address: the program may have asked a " +
          "resolver for it in the clear; have it leave names to the proxy",
        fields,
      );
    }
  };
}
