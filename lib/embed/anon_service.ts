/**
 * A service that an embedding program hosts.
 *
 * @module
 */
import { UnreachableError } from "../base/errors.ts";
import type { NodeServices } from "../node/host/node_services.ts";
import type { HostedService } from "../node/host/hosted_service.ts";

/** A hosted service, until disposed of or until its node stops. */
export class AnonService implements AsyncDisposable {
  /** Its host name: 56 characters and `.anon`. */
  readonly host: string;
  readonly #driver: HostedService;
  readonly #services: NodeServices;
  /** Aborts when it is stopped, alone or with its node. */
  readonly #over: AbortSignal;
  readonly #stopping = new AbortController();

  /**
   * Made by `AnonNet.serve` and `AnonNet.forward`.
   *
   * @param closing Aborts when the node is stopped.
   */
  constructor(
    driver: HostedService,
    services: NodeServices,
    closing: AbortSignal,
  ) {
    this.host = driver.host;
    this.#driver = driver;
    this.#services = services;
    this.#over = AbortSignal.any([closing, this.#stopping.signal]);
  }

  /** Whether visitors can reach it now, as far as is known here. */
  get isReachable(): boolean {
    return !this.#over.aborted && this.#driver.isReachable;
  }

  /**
   * Resolves once visitors can reach it: once we have visited it ourselves.
   *
   * @throws {UnreachableError} `service.stopped`, or `node.closed`, once it is stopped.
   * @throws the signal's reason; the service is stopped then.
   */
  async reachable(signal: AbortSignal): Promise<void> {
    try {
      await this.#services.reachable(this.#driver, {
        signal: AbortSignal.any([signal, this.#over]),
      });
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Stop it; its address stays ours for another time. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(
      new UnreachableError("service.stopped", "The service has been stopped"),
    );
    await this.#services.stop(this.#driver);
  }
}
