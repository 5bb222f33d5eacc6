/**
 * Finds descriptors for clients: known ones at once, others by a search.
 *
 *     find ─▶ known and fresh? ── yes ──▶ descriptor
 *                   │ no
 *                   └─▶ DescriptorSearch ─▶ directory circuits ─▶ checks ─▶ descriptor
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import {
  type AnonNetError,
  ConfigError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { RecentMap } from "../../base/recent_map.ts";
import {
  DescriptorSearch,
  type SearchAction,
  type SearchAnswer,
  type SearchFailure,
} from "../../service/descriptor_search.ts";
import type { DescriptorName } from "../../service/descriptor_box.ts";
import {
  type KnownDescriptor,
  KnownDescriptors,
  MAX_REVISIONS,
} from "../../service/known_descriptors.ts";
import { blindedKey, timePeriod } from "../../service/time_period.ts";
import { whileAlive } from "../circuit/circuit_use.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import {
  type KnownService,
  readDescriptor,
  readService,
  type Wanted,
} from "./descriptor_store.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** Whether a descriptor that we know will do. */
export type Freshness = "known" | "newest";

/** The key that we keep for a service, if there is one. */
export type ClientSecrets = (service: PublicKey) => Bytes | undefined;

/** How long a search may take, and which relays had better not be on the way. */
export interface SearchLimit extends WaitLimit {
  readonly avoid?: PathAvoid | undefined;
}

/** Finds descriptors and rosters, and remembers them. */
export class DescriptorFinder {
  readonly #context: ServiceContext;
  readonly #clientSecrets: ClientSecrets;
  readonly #services = new KnownDescriptors<KnownService>();
  readonly #hosts = new KnownDescriptors();
  /** The highest issue of each service, for all isolation keys: it leads to refusals alone. */
  readonly #issues = new RecentMap<string, number>(MAX_REVISIONS);

  constructor(context: ServiceContext, clientSecrets: ClientSecrets) {
    this.#context = context;
    this.#clientSecrets = clientSecrets;
  }

  /**
   * What is under the key of a service: its descriptor, or its roster.
   *
   * @throws {UnreachableError} `service.not_found`, `service.unreachable`.
   * @throws {ProtocolError} `service.descriptor_invalid`, or `crypto.blind_key`
   * for an address that no service can have.
   * @throws {ConfigError} `service.authorisation_missing`,
   * `service.authorisation_wrong`.
   */
  async find(
    service: PublicKey,
    isolation: string,
    freshness: Freshness,
    limit: SearchLimit,
  ): Promise<KnownService> {
    const { clock, crypto } = this.#context;
    const period = timePeriod(clock.unixMs());
    const leastIssue = this.#issues.get(service.toHex()) ?? 0;
    const known = this.#services.get(service, period, isolation, clock.nowMs());
    if (freshness === "known" && known !== undefined) {
      if (known.record.issue >= leastIssue) return known;
    }
    const blinded = blindedKey(crypto, service, period);
    const wanted = {
      service,
      period,
      blinded,
      leastRevision: this.#services.leastRevision(blinded),
      leastIssue,
      clientSecret: this.#clientSecrets(service),
    };
    const found = await search(
      this.#context,
      wanted,
      limit,
      (circuit, replica, limit) =>
        readService(this.#context, circuit, wanted, replica, limit),
    );
    this.#services.add(found, isolation, clock.nowMs());
    const { issue } = found.record;
    if (issue > leastIssue) this.#issues.set(service.toHex(), issue);
    return found;
  }

  /**
   * The descriptor of one host that a roster names.
   *
   * @param roster The name of the roster.
   * @param host The host's key.
   * @throws as {@linkcode find}.
   */
  async findHost(
    { publicKey: service, period }: DescriptorName,
    host: PublicKey,
    isolation: string,
    freshness: Freshness,
    limit: SearchLimit,
  ): Promise<KnownDescriptor> {
    const { clock } = this.#context;
    const known = this.#hosts.get(host, period, isolation, clock.nowMs());
    if (freshness === "known" && known !== undefined) return known;
    const wanted: Wanted = {
      service,
      period,
      blinded: host,
      leastRevision: this.#hosts.leastRevision(host),
      clientSecret: this.#clientSecrets(service),
    };
    const found = await search(
      this.#context,
      wanted,
      limit,
      (circuit, replica, limit) =>
        readDescriptor(this.#context, circuit, wanted, replica, limit),
    );
    this.#hosts.add(found, isolation, clock.nowMs(), host);
    return found;
  }

  /** What is known of a service led nowhere: search next time. */
  forget(service: PublicKey, isolation: string): void {
    const { clock } = this.#context;
    const period = timePeriod(clock.unixMs());
    const known = this.#services.get(service, period, isolation, clock.nowMs());
    if (known?.record.type === "roster") {
      for (const { key } of known.record.hosts) {
        this.#hosts.forget(key, isolation);
      }
    }
    this.#services.forget(service, isolation);
  }
}

/** Reads one replica of what is searched for. */
type ReadReplica<T> = (
  circuit: ServiceCircuit,
  replica: number,
  limit: WaitLimit,
) => Promise<T | undefined>;

/** Run one search to its end. */
async function search<T>(
  context: ServiceContext,
  wanted: Wanted,
  { signal, avoid }: SearchLimit,
  read: ReadReplica<T>,
): Promise<T> {
  signal.throwIfAborted();
  const { circuits, clock, random } = context;
  const machine = new DescriptorSearch(random);
  const routes = new Map<number, Promise<ServiceCircuit>>();
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });

  const route = (number: number): Promise<ServiceCircuit> => {
    const there = routes.get(number);
    if (there !== undefined) return there;
    const taken = circuits.take({
      purpose: "directory",
      avoid,
      signal: within,
    });
    taken.catch(() => {});
    routes.set(number, taken);
    return taken;
  };
  const ask = async (replica: number, number: number): Promise<void> => {
    let answer: SearchAnswer;
    try {
      const circuit = await route(number);
      const found = await whileAlive(
        clock,
        circuit,
        { signal: within },
        (limit) => read(circuit, replica, limit),
      );
      if (found !== undefined) return resolve(found);
      answer = "missing";
    } catch (error) {
      if (!(error instanceof ProtocolError) && errorCode(error) === "unknown") {
        if (!within.aborted) return reject(error);
      }
      answer = answerOf(error);
    }
    if (within.aborted) return;
    carryOut(machine.onAnswer(replica, number, answer, clock.nowMs()));
  };
  const timer = new MachineTimer(
    clock,
    () => carryOut(machine.onTime(clock.nowMs())),
  );
  const carryOut = (actions: readonly SearchAction[]) => {
    for (const action of actions) {
      if (action.type === "ask") ask(action.replica, action.route);
      else reject(failure(action.code, wanted));
    }
    timer.set(machine.deadlineMs);
  };
  try {
    carryOut(machine.start(clock.nowMs()));
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    timer.stop();
    over.abort();
    for (const taken of routes.values()) {
      taken.then((circuit) => circuit.close(), () => {});
    }
  }
}

function answerOf(error: unknown): SearchAnswer {
  if (!(error instanceof ProtocolError)) return "unreachable";
  return error.code === "service.descriptor_unauthorised"
    ? "unauthorised"
    : "invalid";
}

function failure(code: SearchFailure, wanted: Wanted): AnonNetError {
  switch (code) {
    case "service.unauthorised":
      return wanted.clientSecret === undefined
        ? new ConfigError(
          "service.authorisation_missing",
          "Cannot read descriptor: the service is for authorised clients, and " +
            "no client key is configured for it",
        )
        : new ConfigError(
          "service.authorisation_wrong",
          "Cannot read descriptor: the service does not know our client key",
        );
    case "service.descriptor_invalid":
      return new ProtocolError(
        code,
        "Cannot use descriptor: what was found does not check out",
      );
    case "service.not_found":
      return new UnreachableError(
        code,
        "Cannot find service: it has not been announced lately",
      );
    case "service.unreachable":
      return new UnreachableError(
        code,
        "Cannot look for service: the network does not answer",
      );
  }
}
