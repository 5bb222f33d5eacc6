/**
 * The services of a node, by the names that their operator calls them.
 *
 * @see protocol §7 "Services", §9.1 "State directory"
 * @module
 */
import { Identity } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { raceSignal, sleep } from "../../base/clock.ts";
import { AnonNetError, ConfigError, errorCode } from "../../base/errors.ts";
import { parseServiceHost } from "../../service/address.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type {
  ServiceClientDriver,
  ServiceTarget,
} from "../visit/service_client.ts";
import type { ServiceContext } from "../session/service_context.ts";
import { ServiceHostDriver, type ServiceStatus } from "./service_host.ts";
import {
  loadServiceIdentity,
  revisionStore,
  serviceFileName,
} from "./service_keys.ts";
import type { StreamTarget } from "./stream_target.ts";

/** Services of one process. Each keeps three circuits and publishes hourly. */
const MAX_SERVICES = 64;

/** First and longest wait before a service that did not reach itself tries again, ms. */
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 8_000;

/** What a visit to an unserved port ends with when it got through. */
const ARRIVED = new Set([
  "service.no_port",
  "service.authorisation_missing",
  "service.authorisation_wrong",
]);

/** One service, as its operator describes it. */
export interface ServiceDefinition {
  /** 1 to 32 of `a-z`, `0-9` and `-`. Names its key in the state directory. */
  readonly name: string;
  /**
   * Seed of its key, 32 bytes; it is copied. Default: the key of that name in the state
   * directory, made at the first start.
   */
  readonly seed?: Bytes | undefined;
  /** Where streams lead, by virtual port. */
  readonly targets: ReadonlyMap<number, StreamTarget>;
  /** X25519 keys of those who may find it. Default: everybody who knows the address. */
  readonly clients?: readonly Bytes[] | undefined;
}

/** What a service shows to who asks its node. */
export interface NodeServiceStatus extends ServiceStatus {
  readonly reachable: boolean;
}

/** The services of one node. */
export class NodeServices implements AsyncDisposable {
  readonly #context: ServiceContext;
  readonly #visits: ServiceClientDriver;
  readonly #state: StateDirectory;
  readonly #runtime: Runtime;
  /** By name; `undefined` while being started. */
  readonly #services = new Map<string, ServiceHostDriver | undefined>();

  /** @param visits Of the same node; services visit themselves by it. */
  constructor(
    context: ServiceContext,
    visits: ServiceClientDriver,
    state: StateDirectory,
    runtime: Runtime,
  ) {
    this.#context = context;
    this.#visits = visits;
    this.#state = state;
    this.#runtime = runtime;
  }

  /** What each is doing. */
  get status(): readonly NodeServiceStatus[] {
    return [...this.#services.values()].flatMap((service) =>
      service === undefined
        ? []
        : [{ ...service.status, reachable: service.isReachable }]
    );
  }

  /**
   * Start a service; it becomes reachable by and by. Dispose of it to stop it, or of
   * all of them with the node.
   *
   * @throws {ConfigError} `service.name`, `service.twice`, `service.too_many`,
   * `storage.*`.
   */
  async start(definition: ServiceDefinition): Promise<ServiceHostDriver> {
    const { name, targets, clients } = definition;
    serviceFileName(name); // refuses what is no name
    if (this.#services.has(name)) {
      throw new ConfigError(
        "service.twice",
        `Cannot start service "${name}": there is one of that name; give each ` +
          `service a name of its own`,
      );
    }
    if (this.#services.size >= MAX_SERVICES) {
      throw new ConfigError(
        "service.too_many",
        `Cannot start service "${name}": ${MAX_SERVICES} are running`,
      );
    }
    this.#services.set(name, undefined);
    try {
      const service = await ServiceHostDriver.start({
        context: this.#context,
        name,
        identity: await this.#identityOf(definition),
        revisions: revisionStore(this.#state, name),
        targets,
        ...clients === undefined ? {} : { clients },
      });
      this.#services.set(name, service);
      return service;
    } catch (error) {
      this.#services.delete(name);
      throw error;
    }
  }

  /**
   * Resolves once a visitor has got through: ourselves, from end to end, the way
   * that everybody takes. Of a service for some clients alone that much is seen that
   * its descriptor is there.
   *
   * @throws {UnreachableError} `service.stopped`.
   * @throws the signal's reason.
   */
  async reachable(
    service: ServiceHostDriver,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    await raceSignal(service.ready, signal);
    const { clock, crypto, log } = this.#context;
    const { name, host, ports } = service.status;
    const target: ServiceTarget = {
      service: parseServiceHost(crypto, host),
      port: unservedPort(ports),
      isolation: `self-visit ${name}`,
    };
    for (
      let waitMs = FIRST_WAIT_MS;;
      waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)
    ) {
      try {
        const stream = await this.#visits.connect(target, { signal });
        await raceSignal(stream.opened, signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (ARRIVED.has(errorCode(error))) return;
        if (!(error instanceof AnonNetError)) throw error;
        log.part("service").info(
          "A service cannot reach itself yet; trying again",
          { name, error },
        );
      }
      await sleep(clock, waitMs, { signal });
      await raceSignal(service.ready, signal); // or it has been stopped
    }
  }

  /** Stop a service. Harmless when it has stopped. */
  async stop(service: ServiceHostDriver): Promise<void> {
    for (const [name, running] of this.#services) {
      if (running === service) this.#services.delete(name);
    }
    await service[Symbol.asyncDispose]();
  }

  /** The machine is on another network, or awake again. */
  onNetworkChange(): void {
    for (const service of this.#services.values()) service?.onNetworkChange();
  }

  /** Stop all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    const services = [...this.#services.values()];
    this.#services.clear();
    await Promise.all(
      services.map((service) => service?.[Symbol.asyncDispose]()),
    );
  }

  async #identityOf({ name, seed }: ServiceDefinition): Promise<Identity> {
    return seed === undefined
      ? await loadServiceIdentity(this.#state, name, this.#runtime)
      : new Identity(this.#runtime.crypto, seed);
  }
}

/** A port at which there is nothing: a visit there disturbs nobody. */
function unservedPort(served: readonly number[]): number {
  for (let port = 1;; port++) if (!served.includes(port)) return port;
}
