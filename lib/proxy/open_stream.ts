/**
 * Opening a stream for a client that waits for it, and may go away meanwhile.
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import { type ClientConnection, watchClient } from "./client_connection.ts";
import type { Gateway, GatewayStream, GatewayTarget } from "../http/gateway.ts";

/** How long a connection to a service may take to come about, ms. */
export const CONNECT_MS = 120_000;

/**
 * What a stream is for. A `request` has arrived before the stream is asked for: its
 * client may have ended its side. The client of a `tunnel` that does so has left,
 * unless it has said all that it had to say before.
 */
type StreamPurpose = "request" | "tunnel";

/** What opening takes besides a target. */
interface OpenStreamOptions {
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly purpose: StreamPurpose;
}

/**
 * Open a stream. On a live session it is there at once, and the target is asked
 * with its first bytes: its `opened` says what comes of that.
 *
 * @throws {AnonNetError} what the gateway throws; `service.timeout` after
 * `CONNECT_MS`; `proxy.client_gone` when the client vanishes.
 */
export async function openStream(
  client: ClientConnection,
  target: GatewayTarget,
  options: OpenStreamOptions,
): Promise<GatewayStream> {
  const { gateway, purpose } = options;
  using limit = deadline(
    options.clock,
    CONNECT_MS,
    () => new UnreachableError("service.timeout", "Connecting took too long"),
    options.signal,
  );
  const given = new AbortController();
  using _watch = watchClient(client, (end, cause) => {
    const mayWait = purpose === "request" || client.source.bytes.length > 0;
    if (end === "closed" || !mayWait) given.abort(cause);
  });
  const signal = AbortSignal.any([limit.signal, given.signal]);
  const connecting = gateway.connect(target, { signal });
  try {
    return await raceSignal(connecting, signal);
  } catch (error) {
    // A gateway that did not hear the signal in time: its stream is not wanted.
    connecting.then((late) => late.abort(), () => {});
    throw error;
  }
}
