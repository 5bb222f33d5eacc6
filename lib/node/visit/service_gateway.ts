/**
 * The door between proxies and services: addresses are judged here, before
 * anything goes out.
 *
 *     host, port, isolation ─▶ address right? ─▶ ServiceClientDriver ─▶ stream
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { ConfigError } from "../../base/errors.ts";
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

  hasSession(host: string, isolation: string | undefined): boolean {
    const service = this.#parse(host);
    return service !== undefined && this.#client.hasSession(service, isolation);
  }

  #parse(host: string): PublicKey | undefined {
    try {
      return parseServiceHost(this.#crypto, host);
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }
}
