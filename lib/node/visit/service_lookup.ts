/**
 * Looking for a service without visiting it: whether it is announced, as `anonnet lookup` asks.
 *
 * @see protocol §7.3 "Descriptors", §9.3 "Control interface"
 * @module
 */
import type { CryptoSuite } from "../../crypto/suite.ts";
import { formatServiceHost, parseServiceHost } from "../../service/address.ts";
import type { ClientSecrets } from "./descriptor_finder.ts";
import { HostFinder } from "./host_finder.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** What a descriptor says to who may read it. */
export interface ServiceFacts {
  /** The address, without names in front of it. */
  readonly host: string;
  readonly introductionPoints: number;
}

/** Finds services for a caller that only wants to know. */
export class ServiceLookup {
  readonly #crypto: CryptoSuite;
  readonly #finder: HostFinder;

  constructor(context: ServiceContext, clientSecrets: ClientSecrets) {
    this.#crypto = context.crypto;
    // Of its own: what was looked up here must not be known to those who visit.
    this.#finder = new HostFinder(context, clientSecrets);
  }

  /**
   * Search for the newest descriptor of a service.
   *
   * @throws {ConfigError} `service.address_*`, `service.authorisation_*`.
   * @throws {UnreachableError} `service.not_found`, `service.unreachable`.
   * @throws {ProtocolError} `service.descriptor_invalid`.
   */
  async find(host: string, signal: AbortSignal): Promise<ServiceFacts> {
    const service = parseServiceHost(this.#crypto, host);
    const { first } = await this.#finder.find(
      service,
      "lookup",
      "newest",
      { signal },
    );
    return {
      host: formatServiceHost(this.#crypto, service),
      introductionPoints: first.content.points.length,
    };
  }
}
