/**
 * A tunnel: a client's connection tied to a stream of its own, and told of it once
 * the target has accepted.
 *
 *     client            proxy               service
 *     CONNECT     ─▶    stream        ─▶    target asked
 *     early bytes ─▶                  ─▶    they travel with the opening
 *                 ◀─    it is there   ◀─    accepted
 *     bytes       ◀─▶                 ◀─▶   bytes
 *
 * A client that waits for the answer learns what was refused. One that speaks first
 * without waiting loses no round trip: what it sends goes on at once.
 *
 * @see protocol §8.1 "Targets and isolation", docs/decisions/0037-confirmed-once-accepted.md
 * @module
 */
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import type { Gateway, GatewayTarget } from "../http/gateway.ts";
import type { ClientConnection } from "./client_connection.ts";
import { CONNECT_MS, openStream } from "./open_stream.ts";
import { relay } from "./relay.ts";

/** What a tunnel is made of. */
export interface TunnelOptions {
  readonly gateway: Gateway;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** What the client is told once the target has accepted. */
  readonly confirmation: Uint8Array;
}

/** One tunnel. */
export class Tunnel {
  readonly #client: ClientConnection;
  readonly #target: GatewayTarget;
  readonly #options: TunnelOptions;
  #isConfirmed = false;

  constructor(
    client: ClientConnection,
    target: GatewayTarget,
    options: TunnelOptions,
  ) {
    this.#client = client;
    this.#target = target;
    this.#options = options;
  }

  /** Whether the client speaks with the service now: there is no other answer to give. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /**
   * Open it, and carry bytes until both directions have ended.
   *
   * @throws {AnonNetError} why there is none, to be told to the client unless
   * `isConfirmed`; then the connection has been closed, as `relay` has it.
   */
  async run(): Promise<void> {
    const { clock, signal, confirmation } = this.#options;
    const client = this.#client;
    const stream = await openStream(client, this.#target, {
      ...this.#options,
      purpose: "tunnel",
    });
    const confirm = async () => {
      using limit = deadline(clock, CONNECT_MS, tooLong, signal);
      await raceSignal(stream.opened, limit.signal);
      this.#isConfirmed = true;
      await client.write(confirmation);
    };
    await relay(client, stream, { clock, signal, confirm });
  }
}

function tooLong(): UnreachableError {
  return new UnreachableError("service.timeout", "Connecting took too long");
}
