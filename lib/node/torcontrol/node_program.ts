/**
 * One program at Tor's control port, and the services that it has added.
 *
 * @module
 */
import { type Bytes, wipe } from "../../base/bytes.ts";
import { raceSignal } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { formatServiceHost } from "../../service/address.ts";
import { clientKeyOfHalf } from "../../service/client_authorisation.ts";
import {
  ExpandedIdentity,
  newExpandedKey,
} from "../../service/service_identity.ts";
import type { OnionRequest } from "../../torcontrol/onion_request.ts";
import type {
  AddedOnion,
  OnionStatus,
  TorProgram,
} from "../../torcontrol/tor_node.ts";
import { MAX_SERVED } from "../host/stream_desk.ts";
import type {
  HostedServices,
  ServiceOwner,
  ServiceWish,
} from "../services/hosted_services.ts";
import type { OnionNames } from "./onion_names.ts";

/** What programs share. */
export interface ProgramBase {
  /** Resolves once services can be added; rejects when the node stops before. */
  readonly hosted: Promise<HostedServices>;
  /** The same, as soon as there are any. */
  readonly services: () => HostedServices | undefined;
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly names: OnionNames;
  /** Whether keys that AnonNet did not make are taken. */
  readonly takesForeignKeys: boolean;
  /** Hosts of services that no program takes along. */
  readonly detached: Set<string>;
  /** A program was told of a service that it has added. */
  readonly onAnswered: (
    host: string,
    /** Who hears of it; `undefined` for a detached one, which is every program's. */
    only: TorProgram | undefined,
  ) => void;
}

/** One program. */
export class NodeProgram implements TorProgram {
  readonly #base: ProgramBase;
  readonly #gone = new AbortController();
  #owner: ServiceOwner | undefined;

  constructor(base: ProgramBase) {
    this.#base = base;
  }

  /**
   * @throws {ConfigError} `service.client_key`, `service.key`, and as
   * {@linkcode HostedServices.add}; `torcontrol.gone` when the program goes meanwhile.
   */
  async addOnion(request: OnionRequest): Promise<AddedOnion> {
    const { hosted, crypto, random, takesForeignKeys } = this.#base;
    const { isDetached, maxStreams, targets } = request;
    const { signal } = this.#gone;
    const services = await raceSignal(hosted, signal);
    signal.throwIfAborted();
    const isNew = request.secret === undefined;
    const secret = request.secret ?? newExpandedKey(crypto, random);
    using identity = new ExpandedIdentity(secret);
    const { publicKey } = identity;
    const clients = request.clients.map((half) => {
      checkHalf(crypto, half);
      return clientKeyOfHalf(crypto, half, publicKey);
    });
    const host = formatServiceHost(crypto, publicKey);
    try {
      const wish: ServiceWish = {
        key: { type: "expanded", secret, allowForeign: takesForeignKeys },
        targets,
        keep: "memory",
        maxStreams: maxStreams === 0
          ? undefined
          : Math.min(maxStreams, MAX_SERVED),
        ...clients.length === 0 ? {} : { clients },
      };
      if (isDetached) await services.addDetached(wish);
      else await services.add(wish, this.#ownerAt(services));
    } catch (error) {
      if (isNew) wipe(secret);
      throw error;
    }
    if (isDetached) this.#base.detached.add(host);
    return {
      id: this.#base.names.nameOf(publicKey),
      secret: isNew ? secret : undefined,
      onAnswered: () =>
        this.#base.onAnswered(host, isDetached ? undefined : this),
    };
  }

  async removeOnion(id: string): Promise<boolean> {
    const { crypto, detached, names } = this.#base;
    const key = names.keyOf(id);
    const hosted = this.#base.services();
    if (key === undefined || hosted === undefined) return false;
    const host = formatServiceHost(crypto, key);
    const service = hosted.list(this.#owner).find((one) => one.host === host);
    const isMine = service?.isMine === true && this.#owner !== undefined;
    if (service === undefined || !(isMine || detached.has(host))) return false;
    await hosted.remove(host, this.#owner);
    detached.delete(host);
    return true;
  }

  get onions(): readonly OnionStatus[] {
    const { detached, names } = this.#base;
    const owner = this.#owner;
    return (this.#base.services()?.list(owner) ?? []).map((
      { host, isMine },
    ) => ({
      id: names.nameOfHost(host),
      owner: detached.has(host)
        ? "detached"
        : isMine && owner !== undefined
        ? "mine"
        : "other",
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone.abort(
      new ConfigError("torcontrol.gone", "The program has gone"),
    );
    await this.#owner?.[Symbol.asyncDispose]();
  }

  #ownerAt(services: HostedServices): ServiceOwner {
    this.#owner ??= services.openOwner();
    return this.#owner;
  }
}

/** @throws {ConfigError} `service.client_key` for a key of low order. */
function checkHalf(crypto: CryptoSuite, half: Bytes): void {
  const probe = new Uint8Array(half.length).fill(1);
  if (crypto.x25519(probe, half) !== undefined) return;
  throw new ConfigError(
    "service.client_key",
    "Cannot use v3 client auth key: it is of low order",
  );
}
