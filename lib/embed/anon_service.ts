/**
 * A service that an embedding program hosts.
 *
 * @module
 */
import type { NodeServices } from "../node/host/node_services.ts";
import type { ServiceHostDriver } from "../node/host/service_host.ts";

/** A hosted service, until disposed of or until its node stops. */
export class AnonService implements AsyncDisposable {
  /** Its host name: 56 characters and `.anon`. */
  readonly host: string;
  readonly #driver: ServiceHostDriver;
  readonly #services: NodeServices;

  /** Made by `AnonNet.serve` and `AnonNet.forward`. */
  constructor(driver: ServiceHostDriver, services: NodeServices) {
    this.host = driver.host;
    this.#driver = driver;
    this.#services = services;
  }

  /** Whether visitors can reach it now, as far as is known here. */
  get isReachable(): boolean {
    return this.#driver.isReachable;
  }

  /**
   * Resolves once visitors can reach it: once we have visited it ourselves.
   *
   * @throws the signal's reason; the service is stopped then.
   */
  async reachable(signal: AbortSignal): Promise<void> {
    try {
      await this.#services.reachable(this.#driver, { signal });
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Stop it; its address stays ours for another time. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#services.stop(this.#driver);
  }
}
