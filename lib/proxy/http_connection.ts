/**
 * One client of the HTTP proxy: its requests, one after the other. Requests that
 * arrive before the one ahead of them is answered wait in the connection.
 *
 * @see protocol §8.4 "HTTP", §8.5 "Pages of the proxy"
 * @module
 */
import {
  type Clock,
  type Deadline,
  deadline,
  raceSignal,
} from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { formatSocketAddress, parseIp } from "../auth/socket_address.ts";
import { parseAnonHost } from "../http/anon_host.ts";
import { type ClientConnection, isClientGone } from "./client_connection.ts";
import { isOwnFault } from "./failure.ts";
import type { GatewayTarget } from "../http/gateway.ts";
import {
  type ConnectionFate,
  type ExchangeOptions,
  HttpExchange,
} from "./http_exchange.ts";
import { type AbsoluteRequest, wantsKeepAlive } from "../http/forward.ts";
import { fieldValues, readHead } from "../http/head.ts";
import {
  encodeFailurePage,
  encodePacFile,
  encodeStatusPage,
  type PacReach,
} from "./http_page.ts";
import {
  decodeRequestHead,
  type HttpAuthority,
  type RequestHead,
} from "../http/request.ts";
import { authorizationIsolation } from "./isolation_key.ts";
import type { HostAlias } from "./tcp_acceptor.ts";
import { latin1Bytes } from "../http/latin1.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * How long a client may take for the head of a request, ms. Against clients that
 * hold connections and send a byte now and then.
 */
export const REQUEST_HEAD_MS = 10_000;
/** How long a connection may wait for its next request, ms. */
export const KEEP_ALIVE_MS = 60_000;

/** What the proxy's own pages take, and what it carries to services, for `Allow`. */
const OWN_METHODS = "GET, HEAD";
const SERVICE_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const ESTABLISHED = latin1Bytes("HTTP/1.1 200 Connection established\r\n\r\n");

/** What connections share. */
export interface HttpConnectionOptions extends ExchangeOptions {
  /** Ends connections that are between two requests. */
  readonly drain: AbortSignal;
  /** Whether other machines may use the proxy, which then may have any name. */
  readonly allowRemote: boolean;
  /** The host that another form of an address stands for. */
  readonly alias: HostAlias | undefined;
  /** Hears of hosts outside of `.anon` that were refused. */
  readonly onRefused: (host: string) => void;
}

/** Where the proxy auto-configuration is. `wpad.dat` is found by name: the one that does least. */
const PAC_FILES: ReadonlyMap<string, PacReach> = new Map([
  ["/strict.pac", "all"],
  ["/proxy.pac", "anon"],
  ["/wpad.dat", "anon"],
]);

/** One client's connection. */
export class HttpConnection {
  readonly #client: ClientConnection;
  readonly #options: HttpConnectionOptions;

  constructor(client: ClientConnection, options: HttpConnectionOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Serve its requests until either side has had enough. */
  async serve(): Promise<void> {
    for (;;) {
      const request = await this.#readRequest();
      if (request === undefined) return;
      const fate = await this.#serveRequest(request);
      if (fate === "over") return;
      if (fate === "close") return await this.#client.linger(this.#clock);
      if (!await this.#waitForNext()) return;
    }
  }

  get #clock(): Clock {
    return this.#options.clock;
  }

  /** @returns `undefined` when there is none, and the connection is done with. */
  async #readRequest(): Promise<RequestHead | undefined> {
    const { source } = this.#client;
    try {
      using limit = headDeadline(this.#clock, REQUEST_HEAD_MS);
      const head = await readHead(
        source,
        "strict",
        () => raceSignal(source.more(), limit.signal),
      );
      if (head === undefined) return undefined;
      const request = decodeRequestHead(head);
      source.take(head.length);
      return request;
    } catch (error) {
      // To one that is silent there is nothing to say.
      if (!(error instanceof ProtocolError) || source.bytes.length === 0) {
        throw error;
      }
      await this.#refuse(error);
      return undefined;
    }
  }

  /** Wait until another request begins. @returns `false` when none will. */
  async #waitForNext(): Promise<boolean> {
    const { source } = this.#client;
    if (source.bytes.length > 0) return true;
    using limit = headDeadline(
      this.#clock,
      KEEP_ALIVE_MS,
      this.#options.drain,
    );
    return await raceSignal(source.more(), limit.signal);
  }

  /** A request that cannot be read: what follows cannot be read either. */
  async #refuse(error: ProtocolError): Promise<void> {
    await this.#client.write(encodeFailurePage(error, { connection: "close" }));
    await this.#client.linger(this.#clock);
  }

  async #serveRequest(request: RequestHead): Promise<ConnectionFate | "over"> {
    // Without knowing where its body ends, there is no next request.
    const connection = request.body.type === "none" && wantsKeepAlive(request)
      ? "keep-alive"
      : "close";
    const { method, target } = request;
    let exchange: HttpExchange | undefined;
    let tunnel: Tunnel | undefined;
    try {
      switch (target.type) {
        case "origin":
          await this.#serveOwn(request, target, connection);
          return connection;
        case "authority":
          tunnel = new Tunnel(
            this.#client,
            this.#gatewayTarget(request, target),
            { ...this.#options, confirmation: ESTABLISHED },
          );
          await tunnel.run();
          return "over";
        case "absolute": {
          if (method === "TRACE" || method === "TRACK") throw badMethod();
          const named = this.#gatewayTarget(request, target);
          const { host } = named;
          const absolute: AbsoluteRequest = {
            ...request,
            // An alias stops here: the service sees its own name.
            target: named.isAlias ? { ...target, host } : target,
          };
          exchange = new HttpExchange(
            this.#client,
            absolute,
            named,
            this.#options,
          );
          return await exchange.run();
        }
      }
    } catch (error) {
      const canTell = !isClientGone(error) &&
        exchange?.hasAnswered !== true && tunnel?.isConfirmed !== true;
      if (!canTell) {
        // It must not take what it has for the whole response.
        this.#client.reset();
        throw error;
      }
      const allow = target.type === "origin" ? OWN_METHODS : SERVICE_METHODS;
      // What a client has sent into a tunnel that is not there is no request.
      const fate = tunnel === undefined ? connection : "close";
      await this.#client.write(
        encodeFailurePage(error, { connection: fate, method, allow }),
      );
      if (isOwnFault(error)) throw error;
      return fate;
    }
  }

  #gatewayTarget(
    request: RequestHead,
    { host, port }: HttpAuthority,
  ): GatewayTarget {
    const authorizations = fieldValues(request.fields, "proxy-authorization");
    const isolation = authorizations.length === 0
      ? undefined
      : authorizationIsolation(authorizations.join(", "));
    const { alias, onRefused } = this.#options;
    const stoodFor = alias?.(host);
    try {
      const named = parseAnonHost(stoodFor ?? host);
      const target = { host: named, port, isolation };
      return stoodFor === undefined ? target : { ...target, isAlias: true };
    } catch (error) {
      onRefused(host);
      throw error;
    }
  }

  /** A request to the proxy itself. */
  async #serveOwn(
    { method, fields }: RequestHead,
    target: { readonly path: string; readonly hostField: string },
    connection: ConnectionFate,
  ): Promise<void> {
    const [site = "none"] = fieldValues(fields, "sec-fetch-site");
    // A name that was made to lead here (DNS rebinding), or another site's page.
    const { allowRemote } = this.#options;
    const address = ownAddress(target.hostField, allowRemote);
    const isForeign = address === undefined ||
      (site !== "none" && site !== "same-origin");
    if (isForeign) {
      throw new ProtocolError("proxy.foreign_host", "Meant for another host");
    }
    const [path = ""] = target.path.split("?");
    const pac = PAC_FILES.get(path);
    if (pac === undefined && path !== "/") {
      throw new ProtocolError("http.not_found", "There is no such page");
    }
    if (method !== "GET" && method !== "HEAD") throw badMethod();
    const found = address === "" || !allowRemote
      ? formatSocketAddress(this.#client.localAddress)
      : address;
    await this.#client.write(
      pac === undefined
        ? encodeStatusPage({ connection, method })
        : encodePacFile(found, pac, { connection, method }),
    );
  }
}

/**
 * The host and port by which a `Host` field names us: an address, `localhost`, or,
 * where other machines are allowed, any name. Empty where it is: HTTP/1.0, which no
 * browser speaks.
 *
 * @returns `undefined` for what names another host.
 */
function ownAddress(
  hostField: string,
  allowRemote: boolean,
): string | undefined {
  const [, bracketed, plain] =
    /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]{0,253}))(?::[0-9]{1,5})?$/i.exec(
      hostField,
    ) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return undefined;
  const isOwn = host === "" || host.toLowerCase() === "localhost" ||
    parseIp(host) !== undefined || (allowRemote && bracketed === undefined);
  return isOwn ? hostField : undefined;
}

function badMethod(): ProtocolError {
  return new ProtocolError("http.method", "This method is not served");
}

function headDeadline(
  clock: Clock,
  delayMs: number,
  parent?: AbortSignal,
): Deadline {
  return deadline(
    clock,
    delayMs,
    () => new ProtocolError("http.timeout", "The request took too long"),
    parent,
  );
}
