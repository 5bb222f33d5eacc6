/**
 * AnonNet for embedding programs: one object that visits services and hosts them.
 *
 *     await using node = await AnonNet.start({ state: "state", bootstrap: […] });
 *     const response = await node.fetch("http://….anon/");
 *     await using site = await node.serve({ port: 80 }, () => new Response("Hello"));
 *
 * @see protocol §9.5 "Library"
 * @module
 */
import type { NetworkTraits } from "../auth/network.ts";
import { formatNodeAddress } from "../auth/node_address.ts";
import {
  formatSocketAddress,
  parseSocketAddress,
} from "../auth/socket_address.ts";
import { BugError, ConfigError, UnreachableError } from "../base/errors.ts";
import { TaskSet } from "../base/task_set.ts";
import { checkPort, parseAnonHost } from "../http/anon_host.ts";
import { AnonConnection } from "./anon_connection.ts";
import { AnonService } from "./anon_service.ts";
import { HttpClient } from "../http/client.ts";
import { siteTarget } from "../http/site.ts";
import type { ErrorHandler, SiteHandler } from "../http/site_answer.ts";
import { ErrorLog } from "../log/error_log.ts";
import { type Log, thrown } from "../log/log.ts";
import { networkOf, parseSources } from "../node/network_choice.ts";
import { Node } from "../node/node.ts";
import type { ClientRole } from "../node/client_role.ts";
import { type Runtime, systemRuntime } from "../machine/runtime.ts";
import { parseClientKey } from "../node/host/service_keys.ts";
import type { ServiceDefinition } from "../node/host/node_services.ts";
import {
  parseStreamTarget,
  type StreamTarget,
} from "../node/host/stream_target.ts";

/** How a node is started. */
export interface AnonNetOptions {
  /**
   * Path of the state directory: guards, keys of services, relays that are known. One
   * process has it at a time. Made when there is none.
   */
  readonly state: string;
  /**
   * `"main"`, `"local"`, or a network of one's own. Default: that of the state
   * directory, or of an invite in `bootstrap`, or else `"main"`.
   */
  readonly network?: string | NetworkTraits;
  /**
   * Relays to join the network by, as `anon://KEY@IP:PORT`, or invites, as
   * `anonnet invite` prints them. Later starts remember.
   */
  readonly bootstrap?: readonly string[];
  /** Relays of a circuit, 1 to 7; the far side may add one. Default 3. */
  readonly hops?: number;
  /** The UDP address to dial from, `IP:PORT`. Default `"[::]:0"`. */
  readonly dialFrom?: string;
  /** Relay for others too. */
  readonly relay?: {
    /** The UDP address to listen on, `IP:PORT`. */
    readonly listen: string;
    /** Where others can dial it, if not there. */
    readonly advertise?: readonly string[];
    /** Bytes per second that it will carry. Default: what it has carried. */
    readonly bandwidth?: number;
  };
  /** Open proxies for other programs on this machine, each at `IP:PORT`. */
  readonly proxies?: { readonly socks?: string; readonly http?: string };
  /** Whether `anonnet status` and its like find this node. Default no. */
  readonly control?: boolean;
  /** Hears of what happens. Default: errors go to the console, and nothing else. */
  readonly log?: Log;
  /** Ends the start; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What using a service takes. */
export interface VisitOptions {
  /**
   * What belongs together: two different texts never share a circuit, a rendezvous
   * or a session, so that no service or relay can tell that they come from one
   * program. Default: a key of its own, shared by all that give none.
   */
  readonly isolate?: string;
  /** Gives up; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** What hosting takes. */
export interface HostOptions {
  /**
   * What to call the service in this process, 1 to 32 of `a-z`, `0-9` and `-`. Its key
   * is `service-<name>.key` in the state directory, made at the first start. Default
   * `"default"`.
   */
  readonly name?: string;
  /**
   * Seed of the service's key, 32 bytes, or its expanded key, 64, instead of one in the
   * state directory.
   */
  readonly key?: Uint8Array;
  /** Let only these clients find it, as `anonnet client-key` prints them; at least one. */
  readonly clients?: readonly string[];
  /**
   * Let every client that knows the address find it, also where only some could before.
   * A service of this name that had `clients` is refused without either. Default
   * `false`.
   */
  readonly public?: boolean;
  /**
   * Begin each connection of {@linkcode AnonNet.forward} to a target with a line of the
   * PROXY protocol, version 1: its source address stands for the visitor's session, so
   * that the target can limit by it. Default `false`.
   */
  readonly proxyProtocol?: boolean;
  /** Streams that one session of a visitor may have at once, 1 to 4,096. Default 1,024. */
  readonly maxStreams?: number;
  /** Gives up waiting for visitors to reach it; the service is stopped then. */
  readonly signal?: AbortSignal;
}

/** What hosting a site takes. */
export interface ServeOptions extends HostOptions {
  /** Virtual port. Default 80. */
  readonly port?: number;
  /**
   * Answers a request whose handler throws, returns no `Response` or one that was used,
   * or whose body fails at once. Default: a bare 500, and an error in the log. Not
   * called for a visitor who leaves: the request's `signal` aborts then.
   */
  readonly onError?: ErrorHandler;
}

/** A service of a node, of whichever owner. */
export interface HostedFacts {
  /** What it is called in this process. */
  readonly name: string;
  /** 56 characters and `.anon`. */
  readonly host: string;
  /** Its virtual ports. */
  readonly ports: readonly number[];
  /** Whether visitors can reach it now, as far as is known here. */
  readonly isReachable: boolean;
  /** Sessions of visitors. */
  readonly sessions: number;
}

/** A running node, for a program. */
export class AnonNet implements AsyncDisposable {
  readonly #node: Node;
  readonly #client: ClientRole;
  readonly #http: HttpClient;
  readonly #runtime: Runtime;
  /** Aborts when the node is stopped: every method asks it. */
  readonly #closing = new AbortController();
  /** Services that are being started: the state directory stays ours until they are. */
  readonly #starting = new TaskSet(() => {}); // failures are for those who called

  private constructor(node: Node, client: ClientRole, runtime: Runtime) {
    this.#node = node;
    this.#client = client;
    this.#runtime = runtime;
    const { gateway } = client;
    const { signal } = this.#closing;
    this.#http = new HttpClient({ gateway, clock: runtime.clock, signal });
  }

  /**
   * Start a node. Resolves once circuits can be built.
   *
   * @throws {ConfigError} `storage.*`, `transport.*`, `node.*` and others: the
   * message says what to change.
   * @throws the reason of `signal`.
   */
  static async start(options: AnonNetOptions): Promise<AnonNet> {
    const log = options.log ?? new ErrorLog();
    return await AnonNet.startOn(await systemRuntime(log), options);
  }

  /**
   * Start a node on another machine than this one: a simulated one.
   *
   * @internal
   */
  static async startOn(
    machine: Runtime,
    options: AnonNetOptions,
  ): Promise<AnonNet> {
    const { relay, proxies } = options;
    const node = await Node.start({
      state: options.state,
      network: networkOf(options.network),
      ...parseSources(machine.crypto, options.bootstrap ?? []),
      client: {
        dialFrom: parseSocketAddress(options.dialFrom ?? "[::]:0"),
        hops: checkHops(options.hops ?? 3),
      },
      relay: relay && {
        listen: parseSocketAddress(relay.listen),
        advertise: (relay.advertise ?? []).map(parseSocketAddress),
        bandwidth: relay.bandwidth,
      },
      proxies: proxies && {
        socks: optionalAddress(proxies.socks),
        http: optionalAddress(proxies.http),
      },
      control: options.control === true ? "state" : "off",
      holder: `pid ${Deno.pid}`,
      signal: options.signal ?? new AbortController().signal,
    }, machine);
    const { client } = node;
    if (client === undefined) throw new BugError("node.client", "No client");
    return new AnonNet(node, client, machine);
  }

  /** `anon://…` of its relay, once it is known where others can dial it. */
  get relayAddress(): string | undefined {
    if (this.#closing.signal.aborted) return undefined;
    const { address } = this.#node;
    return address && formatNodeAddress(address);
  }

  /** `IP:PORT` of the proxies that were asked for; none once it is stopped. */
  get proxies(): { readonly socks?: string; readonly http?: string } {
    if (this.#closing.signal.aborted) return {};
    const { socks, http } = this.#node.proxies ?? {};
    return {
      ...socks && { socks: formatSocketAddress(socks) },
      ...http && { http: formatSocketAddress(http) },
    };
  }

  /**
   * The services that it hosts now: those of this program, and what `anonnet services add`
   * has added; none once it is stopped.
   */
  get services(): readonly HostedFacts[] {
    if (this.#closing.signal.aborted) return [];
    const services = this.#node.hosted?.list() ?? [];
    return services.map(({ name, host, ports, sessions, reachable }) => (
      { name, host, ports, isReachable: reachable, sessions }
    ));
  }

  /**
   * `fetch`, for `http://….anon/`. Nothing else is reachable, also by redirects;
   * bodies are not decompressed, and cookies not kept. Bodies stream both ways: the
   * response is there when its head is.
   *
   * @throws {TypeError} for what no `Request` can be, for a URL with a user name or
   * password, and where a redirect asks for a stream to be sent twice.
   * @throws {ConfigError} `http.scheme`, `service.address_*`, `service.authorisation_*`.
   * @throws {ProtocolError} `proxy.not_anon`, `proxy.port`.
   * @throws {UnreachableError} `service.*`, `http.redirects`, `circuit.*`, `path.*`;
   * `node.closed` once the node is stopped.
   * @throws the reason of `signal`; what the body of the request fails with.
   */
  async fetch(
    input: string | URL | Request,
    init: RequestInit & VisitOptions = {},
  ): Promise<Response> {
    this.#closing.signal.throwIfAborted();
    const { isolate: isolation, ...rest } = init;
    return await this.#http.fetch(input, { ...rest, isolation });
  }

  /**
   * Open a stream of bytes to a port of a service. Resolves at once where there is a
   * live session with it; {@linkcode AnonConnection.opened} tells when the service
   * has taken it.
   *
   * @throws as {@linkcode fetch}.
   */
  async connect(
    host: string,
    port: number,
    options: VisitOptions = {},
  ): Promise<AnonConnection> {
    this.#closing.signal.throwIfAborted();
    const { isolate: isolation, signal } = options;
    const target = {
      host: parseAnonHost(host),
      port: checkPort(port),
      isolation,
    };
    const stream = await this.#client.gateway.connect(target, {
      signal: this.#untilClosed(signal),
    });
    return new AnonConnection(stream, signal);
  }

  /**
   * Host a site: the handler is given each request, as with `Deno.serve`, and no
   * local socket is involved. Resolves once visitors can reach it.
   *
   * @throws {ConfigError} `service.name`, `service.twice`, `service.key_in_use`,
   * `service.key`, `service.restricted`, `service.audience`, `storage.*`.
   * @throws {UnreachableError} `node.closed` once the node is stopped.
   * @throws the reason of `signal`; the service is stopped then.
   */
  async serve(
    options: ServeOptions,
    handler: SiteHandler,
  ): Promise<AnonService> {
    const port = checkPort(options.port ?? 80);
    const log = this.#runtime.log.part("site");
    let host = "service.anon";
    const handle = siteTarget(port, {
      clock: this.#runtime.clock,
      host: () => host,
      handler,
      onError: options.onError,
      onFault: (error) =>
        log.error("The handler of a site failed", { error: thrown(error) }),
    });
    return await this.#host(
      options,
      new Map([[port, { type: "handler", handle }]]),
      (known) => host = known,
    );
  }

  /**
   * Host a service whose ports lead elsewhere: `{ 80: "127.0.0.1:8080" }`, or
   * `{ 22: "unix:/run/ssh.sock" }`. Resolves once visitors can reach it.
   *
   * @throws {ConfigError} `service.target`, and as {@linkcode serve}.
   */
  async forward(
    targets: Readonly<Record<number, string>>,
    options: HostOptions = {},
  ): Promise<AnonService> {
    const parsed = Object.entries(targets).map(([port, target]) =>
      [checkPort(Number(port)), parseStreamTarget(target)] as const
    );
    return await this.#host(options, new Map(parsed), () => {});
  }

  /** Stop everything: services, connections, circuits. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(
      new UnreachableError("node.closed", "The node has been stopped"),
    );
    this.#http[Symbol.dispose]();
    await this.#starting.ended();
    await this.#node[Symbol.asyncDispose]();
  }

  #untilClosed(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal;
    return signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  async #host(
    options: HostOptions,
    targets: ReadonlyMap<number, StreamTarget>,
    onHost: (host: string) => void,
  ): Promise<AnonService> {
    const signal = this.#untilClosed(options.signal);
    signal.throwIfAborted();
    const starting = this.#start(
      definitionOf(options, targets),
      onHost,
      signal,
    );
    this.#starting.run(starting);
    return await starting;
  }

  async #start(
    definition: ServiceDefinition,
    onHost: (host: string) => void,
    signal: AbortSignal,
  ): Promise<AnonService> {
    const { services } = this.#client;
    const driver = await services.start(definition);
    onHost(driver.host);
    const service = new AnonService(driver, services, this.#closing.signal);
    await service.reachable(signal);
    return service;
  }
}

/** A seed, or an expanded key. */
const KEY_BYTES: readonly number[] = [32, 64];
const MAX_HOPS = 7;

/** @throws {ConfigError} `service.key`, `service.client_key`. */
function definitionOf(
  options: HostOptions,
  targets: ReadonlyMap<number, StreamTarget>,
): ServiceDefinition {
  const { name = "default", key, clients, proxyProtocol, maxStreams } = options;
  if (key !== undefined && !KEY_BYTES.includes(key.length)) {
    throw new ConfigError(
      "service.key",
      `Cannot use key: it is ${key.length} bytes, and not ${
        KEY_BYTES.join(" or ")
      }`,
    );
  }
  return {
    name,
    targets,
    seed: key && new Uint8Array(key),
    clients: clients?.map(parseClientKey),
    isPublic: options.public,
    proxyProtocol,
    maxStreams,
  };
}

function optionalAddress(text: string | undefined) {
  return text === undefined ? undefined : parseSocketAddress(text);
}

function checkHops(hops: number): number {
  if (Number.isInteger(hops) && hops >= 1 && hops <= MAX_HOPS) return hops;
  throw new RangeError(`Cannot build circuits of ${hops} hops: 1 to 7`);
}
