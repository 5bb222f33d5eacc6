/**
 * The door between proxies and services: addresses are judged here, before
 * anything goes out.
 *
 *     host, port, isolation ─▶ address right? ─▶ ServiceClientDriver ─▶ stream
 *
 * @see protocol §8.1
 * @module
 */
import type { CryptoSuite } from "../../crypto/suite.ts";
import type {
  Gateway,
  GatewayStream,
  GatewayTarget,
} from "../../http/gateway.ts";
import { parseServiceHost } from "../../service/address.ts";
import type { ServiceClientDriver } from "./service_client.ts";

/** Opens streams for proxies and embedding programs. */
export class ServiceGateway implements Gateway {
  readonly #crypto: CryptoSuite;
  readonly #client: ServiceClientDriver;

  constructor(crypto: CryptoSuite, client: ServiceClientDriver) {
    this.#crypto = crypto;
    this.#client = client;
  }

  /**
   * @throws {ConfigError} `service.address_*` for what is no address; nothing has
   * gone out then.
   */
  async connect(
    { host, port, isolation }: GatewayTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<GatewayStream> {
    const service = parseServiceHost(this.#crypto, host);
    const target = { service, port, isolation };
    return await this.#client.connect(target, options);
  }
}
