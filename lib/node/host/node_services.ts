/**
 * The services of a node, by the names that their operator calls them.
 *
 * @see protocol §7 "Services", §9.1 "State directory"
 * @module
 */
import { Identity } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { deadline, raceSignal, sleep } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import {
  AnonNetError,
  ConfigError,
  UnreachableError,
} from "../../base/errors.ts";
import { ED25519_KEY_BYTES } from "../../crypto/suite.ts";
import { parseServiceHost } from "../../service/address.ts";
import type { Delegation } from "../../service/delegation/delegation.ts";
import {
  HostKey,
  OwnKey,
  type ServiceKey,
} from "../../service/delegation/service_key.ts";
import { SelfVisit } from "../../service/self_visit.ts";
import {
  ExpandedIdentity,
  type ServiceIdentity,
} from "../../service/service_identity.ts";
import { StartTurns } from "../../base/start_turns.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import type { ServiceTarget, Visits } from "../visit/visits.ts";
import type { ServiceContext } from "../session/service_context.ts";
import type { ServiceSessionStatus } from "./service_sessions.ts";
import { NO_REVISIONS } from "./descriptor_publisher.ts";
import {
  HostedService,
  type ServiceNews,
  type ServiceStatus,
} from "./hosted_service.ts";
import { DelegationMemory } from "./roster/delegation_memory.ts";
import { DRAIN_MS } from "./session_drain.ts";
import {
  checkAudience,
  loadServiceIdentity,
  type ServiceAudience,
  serviceFileName,
  serviceHostOf,
  ServiceMemory,
} from "./service_keys.ts";
import { checkMaxStreams } from "./stream_desk.ts";
import type { StreamTarget } from "./stream_target.ts";

/**
 * Services of one process. Each keeps three circuits, asks each of them for a sign of
 * life every few seconds, and publishes hourly.
 */
export const MAX_SERVICES = 256;

/** One service, as its operator describes it. */
export interface ServiceDefinition extends ServiceAudience {
  /** 1 to 32 of `a-z`, `0-9` and `-`. Names its key in the state directory. */
  readonly name: string;
  /**
   * Seed of its key, 32 bytes, or its expanded key, 64; it is copied. Default: the key of
   * that name in the state directory, made at the first start.
   */
  readonly seed?: Bytes | undefined;
  /**
   * Where the revisions of its descriptors, and whether only some clients may find it,
   * are remembered: a service in memory alone needs a `seed` and leaves nothing behind.
   * Default `"state"`.
   */
  readonly keep?: "memory" | "state" | undefined;
  /** What this host was given in place of the service's key. Default: it has the key. */
  readonly delegation?: Delegation | undefined;
  /** Where streams lead, by virtual port. */
  readonly targets: ReadonlyMap<number, StreamTarget>;
  /**
   * Tell targets first, by the PROXY protocol, which streams belong together.
   * Default: no.
   */
  readonly proxyProtocol?: boolean | undefined;
  /**
   * Streams of one session that are served at once, from 1 to 4,096; others are
   * reset. Default 1,024.
   */
  readonly maxStreams?: number | undefined;
}

/** A session of a service of this node. */
export interface NodeSessionStatus extends ServiceSessionStatus {
  /** Name of the service. */
  readonly service: string;
}

/** What a service shows to who asks its node. */
export interface NodeServiceStatus extends ServiceStatus {
  readonly reachable: boolean;
}

/** What a visitor would find at one port of a service. */
export interface PortVisit {
  readonly port: number;
  /** Why not, if the target did not take the stream: `service.*`, `path.*`. */
  readonly refusal?: { readonly code: string; readonly words: string };
}

/** A visit is given up after so long, ms, with what was not reached by then. */
const VISIT_MS = 45_000;

/**
 * Refuse services that could not all be started, before any is.
 *
 * @throws {ConfigError} `service.twice`, `service.too_many`, `service.max_streams`.
 */
export function checkServices(
  services: readonly Pick<ServiceDefinition, "name" | "maxStreams">[],
): void {
  const names = new Set<string>();
  for (const { name, maxStreams } of services) {
    if (names.has(name)) throw twice(name);
    if (names.size >= MAX_SERVICES) throw tooMany(name);
    if (maxStreams !== undefined) checkMaxStreams(maxStreams);
    names.add(name);
  }
}

/**
 * Refuse services whose state directory speaks against them, before anything is begun.
 *
 * @throws {ConfigError} `service.restricted`, `service.audience`, `service.name`,
 * `delegation.in_force`, `storage.*`.
 */
export async function checkAudiences(
  state: StateDirectory,
  services:
    readonly (ServiceAudience & Pick<ServiceDefinition, "delegation">)[],
  unixMs: number,
): Promise<void> {
  for (const service of services) {
    const { name, delegation } = service;
    (await ServiceMemory.load(state, name)).check(service);
    if (delegation !== undefined) continue;
    (await DelegationMemory.load(state, name)).checkServes(unixMs);
  }
}

function twice(name: string): ConfigError {
  return new ConfigError(
    "service.twice",
    `Cannot start service "${name}": there is one of that name; give each ` +
      `service a name of its own`,
  );
}

function noService(name: string): ConfigError {
  return new ConfigError(
    "service.no_service",
    `Cannot visit service "${name}": this node hosts none of that name`,
  );
}

function visitTooLong(): UnreachableError {
  return new UnreachableError(
    "service.visit_timeout",
    `Cannot visit service: no answer within ${VISIT_MS / 1000} s`,
  );
}

function tooMany(name: string): ConfigError {
  return new ConfigError(
    "service.too_many",
    `Cannot start service "${name}": a process hosts at most ${MAX_SERVICES}; ` +
      `start another one, with a state directory of its own, for the others`,
  );
}

function keyInUse(name: string): ConfigError {
  return new ConfigError(
    "service.key_in_use",
    `Cannot start service "${name}": another service of this node has its key; stop ` +
      `that one first, or use another key`,
  );
}

/** What became of which service. */
export interface NodeServiceNews {
  readonly name: string;
  /** `….anon`. */
  readonly host: string;
  readonly news: ServiceNews | "started" | "stopped";
}

/** The services of one node. */
export class NodeServices implements AsyncDisposable {
  readonly #context: ServiceContext;
  readonly #visits: Visits;
  readonly #state: StateDirectory;
  readonly #drainMs: number;
  /** By name; `undefined` while being started. */
  readonly #services = new Map<string, HostedService | undefined>();
  /** Addresses in use. */
  readonly #hosts = new Set<string>();
  readonly #listeners = new Set<(news: NodeServiceNews) => void>();
  readonly #turns = new StartTurns<HostedService>();
  /** Visits of services to themselves take turns as well; each is told when it may begin. */
  readonly #visitTurns = new StartTurns<() => void>();
  readonly #timer: MachineTimer;

  /**
   * @param visits Of the same node; services visit themselves by it.
   * @param drainMs How long streams may take to end when a service is stopped.
   */
  constructor(
    context: ServiceContext,
    visits: Visits,
    state: StateDirectory,
    drainMs: number = DRAIN_MS,
  ) {
    this.#context = context;
    this.#visits = visits;
    this.#state = state;
    this.#drainMs = drainMs;
    this.#timer = new MachineTimer(context.clock, () => this.#giveTurns());
  }

  /** What each is doing. */
  get status(): readonly NodeServiceStatus[] {
    return [...this.#services.values()].flatMap((service) =>
      service === undefined
        ? []
        : [{ ...service.status, reachable: service.isReachable }]
    );
  }

  /** The service of this name, if it has started. */
  named(name: string): HostedService | undefined {
    return this.#services.get(name);
  }

  /** What the sessions of all services are doing, service by service. */
  get sessions(): readonly NodeSessionStatus[] {
    return [...this.#services].flatMap(([service, hosted]) =>
      (hosted?.sessions ?? []).map((session) => ({ service, ...session }))
    );
  }

  /** Close the session of this id, whichever service has it. @returns Whether one had. */
  closeSession(id: string): boolean {
    for (const service of this.#services.values()) {
      if (service?.closeSession(id)) return true;
    }
    return false;
  }

  /**
   * Start a service; it becomes reachable by and by. Dispose of it to stop it, or of
   * all of them with the node.
   *
   * @throws {ConfigError} `service.name`, `service.twice`, `service.too_many`,
   * `service.max_streams`, `service.restricted`, `service.audience`,
   * `delegation.in_force`, `storage.*`.
   */
  async start(definition: ServiceDefinition): Promise<HostedService> {
    const { name } = definition;
    serviceFileName(name); // refuses what is no name
    const { maxStreams } = definition;
    if (maxStreams !== undefined) checkMaxStreams(maxStreams);
    if (this.#services.has(name)) throw twice(name);
    if (this.#services.size >= MAX_SERVICES) throw tooMany(name);
    this.#services.set(name, undefined);
    try {
      const service = await this.#start(definition);
      this.#services.set(name, service);
      this.#onCount();
      this.#tell({ name, host: service.host, news: "started" });
      this.#turns.add(service);
      const endTurn = () => {
        this.#turns.end(service);
        this.#giveTurns();
      };
      service.ready.then(endTurn, endTurn);
      this.#giveTurns();
      return service;
    } catch (error) {
      this.#services.delete(name);
      throw error;
    }
  }

  async #start(definition: ServiceDefinition): Promise<HostedService> {
    const { name, keep = "state", ...rest } = definition;
    const { targets, clients, proxyProtocol, maxStreams } = rest;
    const memory = keep === "memory"
      ? undefined
      : await ServiceMemory.load(this.#state, name);
    if (memory === undefined) checkAudience(definition);
    else memory.check(definition);
    await using stack = new AsyncDisposableStack();
    const key = stack.use(await this.#keyOf(definition));
    const host = serviceHostOf(this.#context.crypto, key.publicKey);
    if (this.#hosts.has(host)) throw keyInUse(name);
    this.#hosts.add(host);
    stack.defer(() => void this.#hosts.delete(host));
    await memory?.take(definition);
    const service = await HostedService.start({
      context: this.#context,
      name,
      key,
      delegation: definition.delegation,
      revisions: memory ?? NO_REVISIONS,
      targets,
      drainMs: this.#drainMs,
      proxyProtocol,
      maxStreams,
      startsWhen: "told",
      onNews: (news) => this.#tell({ name, host, news }),
      ...clients === undefined ? {} : { clients },
    });
    stack.move();
    return service;
  }

  /** Have the next services begin, as far as circuits allow it. */
  #giveTurns(): void {
    const { circuits, clock } = this.#context;
    const nowMs = clock.nowMs();
    const { pressure } = circuits;
    for (const service of this.#turns.onTime(nowMs, pressure)) service.begin();
    for (const begin of this.#visitTurns.onTime(nowMs, pressure)) begin();
    this.#timer.set(
      Math.min(this.#turns.deadlineMs, this.#visitTurns.deadlineMs),
    );
  }

  /** All of them share the same guards. */
  #onCount(): void {
    const { size } = this.#services;
    this.#context.circuits.onServices(size);
    for (const service of this.#services.values()) service?.onServices(size);
  }

  /** Hear what becomes of all services, until disposed of. */
  listen(listener: (news: NodeServiceNews) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #tell(news: NodeServiceNews): void {
    for (const listener of this.#listeners) listener(news);
  }

  /**
   * Resolves once a visitor has got through: ourselves, from end to end, the way
   * that every client takes. Of a service for some clients alone that much is seen
   * that its descriptor is there.
   *
   * @throws {UnreachableError} `service.stopped`.
   * @throws the signal's reason.
   */
  async reachable(
    service: HostedService,
    limit: { readonly signal: AbortSignal },
  ): Promise<void> {
    const signal = AbortSignal.any([limit.signal, service.stopped]);
    await raceSignal(service.ready, signal);
    const { clock, crypto, log } = this.#context;
    const { name, host, ports } = service.status;
    const visits = new SelfVisit(ports);
    const target: ServiceTarget = {
      service: parseServiceHost(crypto, host),
      port: visits.port,
      isolation: `self-visit ${name}`,
    };
    try {
      for (;;) {
        try {
          await this.#inTurn(signal, async () => {
            const stream = await this.#visits.connect(target, { signal });
            await raceSignal(stream.opened, signal);
          });
          service.onVisited();
          return;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof AnonNetError)) throw error;
          const outcome = visits.onRefused(error.code, clock.nowMs());
          if (outcome === "arrived") {
            service.onVisited();
            return;
          }
          log.part("service").info(
            "A service cannot reach itself yet; trying again",
            { name, error },
          );
        }
        await sleep(clock, visits.deadlineMs - clock.nowMs(), { signal });
      }
    } finally {
      // No visitor: among their sessions it would be taken for one.
      this.#visits.leave(target);
    }
  }

  /**
   * Visit a service as a client does: with a session of its own, over circuits of our
   * client, to each of its ports. The targets see a connection that says nothing.
   *
   * @throws {ConfigError} `service.no_service`.
   * @throws the signal's reason.
   */
  async visit(
    name: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PortVisit[]> {
    const hosted = this.#services.get(name);
    if (hosted === undefined) throw noService(name);
    const { clock, crypto } = this.#context;
    const { host, ports } = hosted.status;
    const target = {
      service: parseServiceHost(crypto, host),
      isolation: `visit ${name} ${clock.nowMs()}`,
    };
    using limit = deadline(clock, VISIT_MS, visitTooLong, signal);
    try {
      return await Promise.all(
        ports.map((port) => this.#visitPort({ ...target, port }, limit.signal)),
      );
    } finally {
      this.#visits.leave(target);
    }
  }

  /** Do something of which not too much shall be done at once. */
  async #inTurn(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#visitTurns.add(resolve);
    this.#giveTurns();
    try {
      await raceSignal(promise, signal);
      await work();
    } finally {
      this.#visitTurns.end(resolve);
      this.#giveTurns();
    }
  }

  async #visitPort(
    target: ServiceTarget,
    signal: AbortSignal,
  ): Promise<PortVisit> {
    const { port } = target;
    try {
      const stream = await this.#visits.connect(target, { signal });
      try {
        await raceSignal(stream.opened, signal);
      } finally {
        stream.abort();
      }
      return { port };
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      return { port, refusal: { code: error.code, words: error.message } };
    }
  }

  /**
   * Stop a service; its name and its key are free at once. Harmless when it has stopped.
   *
   * @param drainMs How long its streams may take to end. Default: that of the node.
   */
  async stop(service: HostedService, drainMs = this.#drainMs): Promise<void> {
    const { host } = service;
    for (const [name, running] of this.#services) {
      if (running !== service) continue;
      this.#services.delete(name);
      this.#hosts.delete(host);
      this.#onCount();
      this.#tell({ name, host, news: "stopped" });
    }
    await service.stop(drainMs);
  }

  /**
   * The machine is on another network, or awake again.
   *
   * @param stillMs How long it stood still.
   */
  onNetworkChange(stillMs: number): void {
    for (const service of this.#services.values()) {
      service?.onNetworkChange(stillMs);
    }
  }

  /** Stop all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.stop();
    const services = [...this.#services.values()];
    this.#services.clear();
    await Promise.all(
      services.map((service) => service?.[Symbol.asyncDispose]()),
    );
  }

  async #keyOf(
    { name, seed, keep, delegation }: ServiceDefinition,
  ): Promise<ServiceKey> {
    const { clock, crypto } = this.#context;
    if (delegation !== undefined) {
      const { service, seed, periods } = delegation;
      const named = new Set(periods.map(({ period }) => period));
      return new HostKey(crypto, service, seed, named);
    }
    const memory = keep === "memory"
      ? undefined
      : await DelegationMemory.load(this.#state, name);
    memory?.checkServes(clock.unixMs());
    const identity = await this.#identityOf(name, seed);
    return new OwnKey(crypto, identity, memory?.issue);
  }

  async #identityOf(
    name: string,
    seed: Bytes | undefined,
  ): Promise<ServiceIdentity> {
    if (seed === undefined) {
      return await loadServiceIdentity(this.#state, name, this.#context);
    }
    return seed.length === ED25519_KEY_BYTES
      ? new Identity(this.#context.crypto, seed)
      : new ExpandedIdentity(seed);
  }
}
