/**
 * Services that come and go while a node runs: who added each, who may remove it, and
 * which are there again after a restart.
 *
 *     configuration, program ─▶ NodeServices ─▶ reachable, by and by
 *     operator ──── add ──┐          ▲
 *     connection ── add ──┴─▶ HostedServices ─▶ added-services.blob
 *
 * What a connection adds goes with it, also what it was just adding, unless it asked for
 * it on behalf of the operator.
 *
 * @see protocol §7 "Services", docs/decisions/0062-services-at-run-time.md
 * @module
 */
import { type Bytes, formatBase32, wipe } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { type Log, thrown } from "../../log/log.ts";
import {
  isExpandedByUs,
  newExpandedKey,
} from "../../service/service_identity.ts";
import {
  MAX_SERVICES,
  type NodeServiceNews,
  type NodeServices,
  type NodeServiceStatus,
  type ServiceDefinition,
} from "../host/node_services.ts";
import type { HostedService } from "../host/hosted_service.ts";
import type { KeptServices } from "./kept_services.ts";

/**
 * Services of one connection. One that asks for all of them leaves the operator places:
 * it is refused further ones, and nothing of others makes way.
 */
export const MAX_OWNED_SERVICES = MAX_SERVICES - 32;
/**
 * Services of all connections, with those that they have detached: a program that opens
 * many connections leaves the operator places too.
 */
export const MAX_PROGRAM_SERVICES = MAX_SERVICES - 16;

/** Random bytes in a name that was not chosen. */
const NAME_BYTES = 10;

/** Where the key of a service that is added comes from. */
export type ServiceKey =
  /** That of its name in the state directory, made if there is none. */
  | { readonly type: "stored" }
  /** A new one, in memory. */
  | { readonly type: "new" }
  /** An Ed25519 seed, 32 bytes. */
  | { readonly type: "seed"; readonly seed: Bytes }
  /**
   * An expanded key, 64 bytes. One that was not made by AnonNet may be in use at another
   * network, where it would tie both services together: `allowForeign` takes it all the
   * same.
   */
  | {
    readonly type: "expanded";
    readonly secret: Bytes;
    readonly allowForeign?: boolean;
  };

/** A service that is to be added. */
export interface ServiceWish
  extends Omit<ServiceDefinition, "name" | "seed" | "keep"> {
  /** 1 to 32 of `a-z`, `0-9` and `-`. Default: drawn; a stored key needs one. */
  readonly name?: string | undefined;
  readonly key: ServiceKey;
  /** `"state"`: it is there again after a restart; for a stored key without an owner. */
  readonly keep: "memory" | "state";
}

/** A service that was added. */
export interface AddedService {
  readonly name: string;
  /** `….anon`. */
  readonly host: string;
  /** Of a new key, the expanded key: what to give to have the address again. */
  readonly secret?: Bytes;
}

/** A service that was removed. */
export interface RemovedService {
  readonly name: string;
  /** `….anon`; `undefined` for one that had not started. */
  readonly host: string | undefined;
  /** Resolves once its last session has ended; never rejects. */
  readonly ended: Promise<void>;
}

/** A service of the node, for those who add and remove. */
export interface ListedService extends NodeServiceStatus {
  /** `node`: of the configuration, or of the program that the node is part of. */
  readonly owner: "node" | "operator" | "connection";
  /** Whether the one who asks has added it. */
  readonly isMine: boolean;
  /** Whether it is there again after a restart because it was added so. */
  readonly isKept: boolean;
}

/** What this needs of its node. */
export interface HostedServicesOptions {
  readonly services: NodeServices;
  readonly kept: KeptServices;
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly log: Log;
}

/** One service that was added, or is being added. */
interface Added {
  readonly name: string;
  readonly owner: ServiceOwner | undefined;
  readonly isKept: boolean;
  /** Whether a program asked for it on behalf of the operator. */
  readonly isDetached: boolean;
  service?: HostedService;
  /** Resolves once it has been added, or has not. */
  readonly settled: Promise<void>;
}

/**
 * One who adds services and takes them along when it goes, such as a connection. Made by
 * {@linkcode HostedServices.openOwner}.
 */
export class ServiceOwner implements AsyncDisposable {
  readonly #release: (owner: ServiceOwner) => Promise<void>;
  #isGone = false;

  constructor(release: (owner: ServiceOwner) => Promise<void>) {
    this.#release = release;
  }

  /** Whether it has gone. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /**
   * Remove all that it has added, and what it is just adding. Resolves when their
   * introduction circuits are closed; sessions drain. Idempotent.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isGone = true;
    await this.#release(this);
  }
}

/** The services that come and go. */
export class HostedServices implements AsyncDisposable {
  readonly #options: HostedServicesOptions;
  readonly #added = new Set<Added>();
  readonly #ending: TaskSet;

  constructor(options: HostedServicesOptions) {
    this.#options = options;
    const log = options.log.part("service");
    this.#ending = new TaskSet((error) =>
      log.error("Cannot stop a service", { error: thrown(error) })
    );
  }

  /**
   * Start those that were kept. One that cannot be started is told in the log, and is
   * tried again at the next start.
   */
  async restore(): Promise<void> {
    const { kept, log } = this.#options;
    for (const definition of kept.all) {
      const { name } = definition;
      try {
        await this.#start(definition, undefined, { isKept: true });
      } catch (error) {
        log.part("service").warning(
          "Cannot start a service that was added earlier; it is tried again at the " +
            "next start",
          { name, error: thrown(error) },
        );
      }
    }
  }

  /** A further owner. Dispose of it when it goes. */
  openOwner(): ServiceOwner {
    return new ServiceOwner((owner) => this.#release(owner));
  }

  /**
   * Add a service. Resolves when it is there, before clients can reach it.
   *
   * @param by Its owner. Default: it stays until it is removed, or the node stops.
   * @throws {ConfigError} `service.name`, `service.twice`, `service.key_in_use`,
   * `service.key`, `service.foreign_key`, `service.too_many`, `service.max_streams`,
   * `service.audience`, `service.restricted`, `storage.*`; `service.owner_gone` when the
   * owner went meanwhile, and then nothing is left.
   */
  async add(wish: ServiceWish, by?: ServiceOwner): Promise<AddedService> {
    return await this.#add(wish, by, false);
  }

  /**
   * Add a service that a program asks for on behalf of the operator: it stays, and has
   * no place of those that programs leave the operator.
   *
   * @throws {ConfigError} as {@linkcode add}.
   */
  async addDetached(wish: ServiceWish): Promise<AddedService> {
    return await this.#add(wish, undefined, true);
  }

  async #add(
    wish: ServiceWish,
    by: ServiceOwner | undefined,
    isDetached: boolean,
  ): Promise<AddedService> {
    const { kept } = this.#options;
    const { key, keep, name = this.#drawName(key), ...rest } = wish;
    const isKept = keep === "state";
    if (isKept && (by !== undefined || key.type !== "stored")) {
      throw new TypeError(
        "Cannot keep a service: it needs a stored key, and no owner",
      );
    }
    if (by !== undefined) this.#checkOwner(name, by);
    if (by !== undefined || isDetached) this.#checkPrograms(name);
    const secret = this.#secretOf(key);
    try {
      const definition: ServiceDefinition = secret === undefined
        ? { ...rest, name }
        : { ...rest, name, seed: secret, keep: "memory" };
      const how = { isKept, isDetached };
      const service = await this.#start(definition, by, how);
      if (isKept) {
        try {
          await kept.add(definition);
        } catch (error) {
          this.#stop(this.#named(name));
          throw error;
        }
      }
      if (by?.isGone) throw ownerGone(name);
      const { host } = service;
      return key.type === "new" && secret !== undefined
        ? { name, host, secret: secret.slice() }
        : { name, host };
    } finally {
      if (secret !== undefined) wipe(secret);
    }
  }

  /**
   * Remove a service. Its introduction circuits end at once, and no node is told; the
   * key in the state directory stays.
   *
   * @param service Its name, or its address.
   * @param by Who asks: an owner removes its own services and those that have none.
   * Default: the operator.
   * @param sessions Whether streams may take their time to end, as when the node stops.
   * @throws {ConfigError} `service.no_service`, `service.not_yours`, `storage.*`.
   */
  async remove(
    service: string,
    by?: ServiceOwner,
    { sessions = "drain" }: { readonly sessions?: "drain" | "close" } = {},
  ): Promise<RemovedService> {
    const { kept } = this.#options;
    const entry = this.#find(service);
    if (entry === undefined) return await this.#removeKept(service);
    const { name, owner } = entry;
    if (owner !== undefined && owner !== by) throw ofConnection(name);
    if (entry.isKept) await kept.remove(name);
    const host = entry.service?.host;
    return { name, host, ended: this.#stop(entry, sessions) };
  }

  /** All services of the node. @param by Who asks. Default: the operator. */
  list(by?: ServiceOwner): readonly ListedService[] {
    return this.#options.services.status.map((status) => {
      const entry = this.#named(status.name);
      const { owner } = entry ?? {};
      const isOperators = entry !== undefined && owner === undefined;
      return {
        ...status,
        owner: owner !== undefined
          ? "connection"
          : isOperators
          ? "operator"
          : "node",
        isMine: entry !== undefined && owner === by,
        isKept: entry?.isKept ?? false,
      };
    });
  }

  /** Hear what becomes of all services, until disposed of. */
  listen(listener: (news: NodeServiceNews) => void): Disposable {
    return this.#options.services.listen(listener);
  }

  /** Wait for the streams of services that were removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ending.ended();
  }

  async #start(
    definition: ServiceDefinition,
    owner: ServiceOwner | undefined,
    { isKept, isDetached = false }: {
      readonly isKept: boolean;
      readonly isDetached?: boolean;
    },
  ): Promise<HostedService> {
    const { services } = this.#options;
    const { name } = definition;
    const { promise: settled, resolve } = Promise.withResolvers<void>();
    const entry: Added = { name, owner, isKept, isDetached, settled };
    this.#added.add(entry);
    try {
      const service = await services.start(definition);
      entry.service = service;
      if (owner?.isGone) {
        this.#stop(entry, "close");
        throw ownerGone(name);
      }
      return service;
    } catch (error) {
      this.#added.delete(entry);
      throw error;
    } finally {
      resolve();
    }
  }

  /** Take a service out of everything; its sessions end by and by. */
  #stop(
    entry: Added | undefined,
    sessions: "drain" | "close" = "drain",
  ): Promise<void> {
    const service = entry?.service;
    if (entry === undefined || service === undefined) return Promise.resolve();
    this.#added.delete(entry);
    const { services } = this.#options;
    const ended = sessions === "close"
      ? services.stop(service, 0)
      : services.stop(service);
    this.#ending.run(ended);
    return ended.catch(() => {});
  }

  async #release(owner: ServiceOwner): Promise<void> {
    const its = [...this.#added].filter((entry) => entry.owner === owner);
    await Promise.all(its.map(async (entry) => {
      // One that is being added sees that its owner is gone, and stops by itself.
      await entry.settled;
      this.#stop(entry);
    }));
  }

  /** Forget a service that was kept and did not start. */
  async #removeKept(name: string): Promise<RemovedService> {
    const { kept, services } = this.#options;
    const isRunning = services.status.some((service) =>
      service.name === name || service.host === hostOf(name)
    );
    if (isRunning) throw ofNode(name);
    if (!kept.all.some((service) => service.name === name)) throw unknown(name);
    await kept.remove(name);
    return { name, host: undefined, ended: Promise.resolve() };
  }

  #named(name: string): Added | undefined {
    return [...this.#added].find((entry) =>
      entry.name === name && entry.service !== undefined
    );
  }

  #find(service: string): Added | undefined {
    const host = hostOf(service);
    return this.#named(service) ??
      [...this.#added].find((entry) => entry.service?.host === host);
  }

  #checkOwner(name: string, owner: ServiceOwner): void {
    if (owner.isGone) throw ownerGone(name);
    let count = 0;
    for (const entry of this.#added) if (entry.owner === owner) count++;
    if (count < MAX_OWNED_SERVICES) return;
    throw new ConfigError(
      "service.too_many",
      `Cannot start service "${name}": one connection has at most ` +
        `${MAX_OWNED_SERVICES}; remove one first`,
    );
  }

  #checkPrograms(name: string): void {
    let count = 0;
    for (const { owner, isDetached } of this.#added) {
      if (owner !== undefined || isDetached) count++;
    }
    if (count < MAX_PROGRAM_SERVICES) return;
    throw new ConfigError(
      "service.too_many",
      `Cannot start service "${name}": all programs together have at most ` +
        `${MAX_PROGRAM_SERVICES}; remove one first`,
    );
  }

  #drawName(key: ServiceKey): string {
    if (key.type === "stored") {
      throw new ConfigError(
        "service.name",
        "Cannot add a service with a stored key: give it a name",
      );
    }
    return formatBase32(this.#options.random.bytes(NAME_BYTES));
  }

  /** A copy of what the service signs by, where that is not in the state directory. */
  #secretOf(key: ServiceKey): Bytes | undefined {
    const { crypto, random } = this.#options;
    switch (key.type) {
      case "stored":
        return undefined;
      case "new":
        return newExpandedKey(crypto, random);
      case "seed":
        return new Uint8Array(key.seed);
      case "expanded":
        if (!(key.allowForeign ?? false)) {
          checkOurs(crypto, key.secret);
        }
        return new Uint8Array(key.secret);
    }
  }
}

/** @throws {ConfigError} `service.foreign_key`. */
function checkOurs(crypto: CryptoSuite, secret: Uint8Array): void {
  if (isExpandedByUs(crypto, secret)) return;
  throw new ConfigError(
    "service.foreign_key",
    "Cannot use expanded key: AnonNet did not make it; a service with one key at two " +
      "networks is known to be the same at both",
  );
}

/** An address, in whatever form it was written. */
function hostOf(text: string): string {
  const lower = text.toLowerCase();
  return lower.endsWith(".anon") ? lower : `${lower}.anon`;
}

/** A name as it is; what may be an address stays out of messages. */
function told(service: string): string {
  return /^[a-z0-9-]{1,32}$/.test(service) ? `"${service}"` : "by its address";
}

function ownerGone(name: string): ConfigError {
  return new ConfigError(
    "service.owner_gone",
    `Cannot start service "${name}": the connection that asked for it has closed`,
  );
}

function ofConnection(name: string): ConfigError {
  return new ConfigError(
    "service.not_yours",
    `Cannot remove service "${name}": a program added it by a connection of its own; ` +
      `it goes when that program removes it or closes its connection`,
  );
}

function ofNode(service: string): ConfigError {
  return new ConfigError(
    "service.not_yours",
    `Cannot remove service ${
      told(service)
    }: it was not added while the node ran; take it ` +
      `out of the configuration and reload that, or stop the program that serves it`,
  );
}

function unknown(service: string): ConfigError {
  return new ConfigError(
    "service.no_service",
    `Cannot remove service ${
      told(service)
    }: this node hosts none of that name or ` +
      `address; anonnet services lists them`,
  );
}
