/**
 * Metrics on a TCP port of this machine, for monitoring systems that cannot speak
 * to a unix socket. It answers nothing but `GET /metrics`.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import {
  formatSocketAddress,
  isLoopback,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { ConfigError } from "../base/errors.ts";
import type { ControlPlace } from "./control_note.ts";
import { type PortWords, serveTcp } from "./listen.ts";
import type { MetricsDoor } from "./metrics_door.ts";

const WORDS: PortWords = {
  code: "control.metrics_in_use",
  what: "serve metrics",
  flag: "--metrics",
};

/** The port, open until disposed of. */
export class MetricsServer implements AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly address: SocketAddress;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  /**
   * Listen.
   *
   * @throws {ConfigError} `control.metrics_public` for an address that other machines
   * reach, `control.metrics_in_use`; the system's own errors otherwise.
   */
  constructor(address: SocketAddress, door: Pick<MetricsDoor, "answer">) {
    checkMetricsAddress(address);
    const { host, port } = address;
    const { signal } = this.#stop;
    const answer = (request: Request) =>
      door.answer(request, this.#place) ?? new Response(null, { status: 403 });
    this.#server = serveTcp(
      { hostname: host, port, signal, onListen() {} },
      answer,
      WORDS,
    );
    this.address = { host, port: this.#server.addr.port };
  }

  get #place(): ControlPlace {
    return { type: "tcp", address: this.address };
  }

  /** Stop listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }
}

/**
 * Refuse an address that other machines reach: the token would cross the network in
 * the clear.
 *
 * @throws {ConfigError} `control.metrics_public`.
 */
export function checkMetricsAddress(address: SocketAddress): void {
  if (isLoopback(address.host)) return;
  throw new ConfigError(
    "control.metrics_public",
    `Cannot serve metrics at "${formatSocketAddress(address)}": they are for ` +
      `this machine alone; write 127.0.0.1:PORT or [::1]:PORT, and let a tunnel ` +
      `or a proxy with TLS carry them further`,
  );
}
