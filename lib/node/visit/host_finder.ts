/**
 * From an address to a host: most services have one, and their own descriptor says
 * where it is; others have a roster, and each host a descriptor.
 *
 *     find ─▶ descriptor ─▶ its one host
 *         └─▶ roster ─▶ a host by lot ─▶ its descriptor ─▶ first
 *                           │ slow, not there, or found
 *                           └─▶ another by lot ─▶ its descriptor ─▶ other
 *
 * Each descriptor is looked up over a circuit of its own: the relay at its end does not
 * learn which are of one service.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { sleep } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import { shuffled } from "../../base/random.ts";
import { RecentMap } from "../../base/recent_map.ts";
import type { RosterHost } from "../../service/delegation/roster.ts";
import type { KnownDescriptor } from "../../service/known_descriptors.ts";
import type { ServiceContext } from "../session/service_context.ts";
import {
  type ClientSecrets,
  DescriptorFinder,
  type Freshness,
  type SearchLimit,
} from "./descriptor_finder.ts";
import type { KnownService } from "./descriptor_store.ts";

/** The host of a service that has one, and no roster. */
const OWN_SLOT = 0;
/** Another host is looked for as well when one takes so long to find, ms. */
const NEXT_HOST_MS = 1_000;
/** A host that let us down is tried after the others for so long, ms. */
const DOUBT_MS = 10 * 60_000;
/** Hosts in doubt that are remembered. */
const MAX_DOUBTS = 256;

/** Where a host can be reached. */
export interface HostDescriptor extends KnownDescriptor {
  /** The host's number in the roster; 0 where there is none. */
  readonly slot: number;
}

/** Hosts of one service. */
export interface FoundHosts {
  readonly first: HostDescriptor;
  /** Another one, once it is found; `undefined` where there is none. Never rejects. */
  readonly other: Promise<HostDescriptor | undefined>;
}

/** Which host is wanted. */
export interface HostWish extends SearchLimit {
  /** The one that a session is with. Default: any. */
  readonly slot?: number | undefined;
}

/** Finds the hosts of services. */
export class HostFinder {
  readonly #context: ServiceContext;
  readonly #finder: DescriptorFinder;
  /** When hosts let us down last, by service, isolation key and slot. */
  readonly #doubts = new RecentMap<string, number>(MAX_DOUBTS);

  constructor(context: ServiceContext, clientSecrets: ClientSecrets) {
    this.#context = context;
    this.#finder = new DescriptorFinder(context, clientSecrets);
  }

  /**
   * Hosts of a service.
   *
   * @throws as `DescriptorFinder.find`, and {@link UnreachableError}
   * `service.session_lost` where the service has the wanted host no more.
   */
  async find(
    service: PublicKey,
    isolation: string,
    freshness: Freshness,
    wish: HostWish,
  ): Promise<FoundHosts> {
    const known = await this.#finder.find(service, isolation, freshness, wish);
    const { slot } = wish;
    const { name, record } = known;
    if (record.type === "descriptor") {
      if (slot !== undefined && slot !== OWN_SLOT) throw hostGone();
      const { content } = record;
      const first = { name, content, slot: OWN_SLOT };
      return { first, other: Promise.resolve(undefined) };
    }
    const hosts = slot === undefined
      ? this.#byLot(record.hosts, service, isolation)
      : record.hosts.filter((host) => host.slot === slot);
    if (hosts.length === 0) throw hostGone();
    return await this.#search(known, hosts, isolation, freshness, wish);
  }

  /** A host let us down: others come first for a while. */
  doubt(service: PublicKey, isolation: string, slot: number): void {
    if (slot === OWN_SLOT) return;
    const nowMs = this.#context.clock.nowMs();
    this.#doubts.set(keyOf(service, isolation, slot), nowMs);
  }

  /** What is known of a service led nowhere: search next time. */
  forget(service: PublicKey, isolation: string): void {
    this.#finder.forget(service, isolation);
  }

  #byLot(
    hosts: readonly RosterHost[],
    service: PublicKey,
    isolation: string,
  ): RosterHost[] {
    const nowMs = this.#context.clock.nowMs();
    const isInDoubt = ({ slot }: RosterHost) => {
      const doubtedMs = this.#doubts.get(keyOf(service, isolation, slot));
      return doubtedMs !== undefined && nowMs - doubtedMs < DOUBT_MS;
    };
    const drawn = shuffled(this.#context.random, hosts);
    return [
      ...drawn.filter((host) => !isInDoubt(host)),
      ...drawn.filter(isInDoubt),
    ];
  }

  /** The first of `hosts` that is found, and one more. */
  async #search(
    { name }: KnownService,
    hosts: readonly RosterHost[],
    isolation: string,
    freshness: Freshness,
    { signal, avoid }: HostWish,
  ): Promise<FoundHosts> {
    const { clock } = this.#context;
    const first = Promise.withResolvers<HostDescriptor>();
    const other = Promise.withResolvers<HostDescriptor | undefined>();
    first.promise.catch(() => {});
    let found = 0;
    const seek = async ({ key, slot }: RosterHost): Promise<void> => {
      const limit = { signal, avoid };
      const descriptor = await this.#finder
        .findHost(name, key, isolation, freshness, limit);
      const host = { ...descriptor, slot };
      if (found++ === 0) first.resolve(host);
      else other.resolve(host);
    };
    const seekAll = async (): Promise<void> => {
      const seeking: Promise<unknown>[] = [];
      let failure: unknown = hostGone();
      for (const host of hosts) {
        if (found > 1) break;
        const one = seek(host).catch((error) => failure = error);
        seeking.push(one);
        const rest = new AbortController();
        const within = AbortSignal.any([signal, rest.signal]);
        const slow = sleep(clock, NEXT_HOST_MS, { signal: within });
        await Promise.race([one, slow]).finally(() => rest.abort());
      }
      await Promise.all(seeking);
      first.reject(failure);
      other.resolve(undefined);
    };
    seekAll().catch((error) => {
      first.reject(error);
      other.resolve(undefined);
    });
    return { first: await first.promise, other: other.promise };
  }
}

function keyOf(service: PublicKey, isolation: string, slot: number): string {
  return `${service.toHex()} ${isolation} ${slot}`;
}

function hostGone(): UnreachableError {
  return new UnreachableError(
    "service.session_lost",
    "Cannot add a leg: the service has left the host that has the session",
  );
}
