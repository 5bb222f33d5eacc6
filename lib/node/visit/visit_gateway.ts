/**
 * The door between proxies and services: addresses are judged here, before
 * anything goes out.
 *
 *     host, port, isolation ─▶ address right? ─▶ Visits ─▶ stream
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import type { CryptoSuite } from "../../crypto/suite.ts";
import { errorCode, UnreachableError } from "../../base/errors.ts";
import type {
  Gateway,
  GatewayStream,
  GatewayTarget,
} from "../../http/gateway.ts";
import { parseServiceHost } from "../../service/address.ts";
import type { Visits } from "./visits.ts";

/** Opens streams for proxies and embedding programs. */
export class VisitGateway implements Gateway {
  readonly #crypto: CryptoSuite;
  readonly #visits: Visits;

  constructor(crypto: CryptoSuite, visits: Visits) {
    this.#crypto = crypto;
    this.#visits = visits;
  }

  /**
   * @throws {ConfigError} `service.address_*` for what is no address; nothing has
   * gone out then.
   * @throws {UnreachableError} `service.not_of_network` for an alias of no service here.
   */
  async connect(
    { host, port, isolation, isAlias = false }: GatewayTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<GatewayStream> {
    const service = parseServiceHost(this.#crypto, host);
    const target = { service, port, isolation };
    try {
      return await this.#visits.connect(target, options);
    } catch (cause) {
      if (!isAlias || errorCode(cause) !== "service.not_found") throw cause;
      throw new UnreachableError(
        "service.not_of_network",
        "Cannot connect: no service of this network has the key of this .onion " +
          "address; it may be one of Tor's",
        { cause },
      );
    }
  }
}
