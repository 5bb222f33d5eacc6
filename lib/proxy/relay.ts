/**
 * A client's TCP connection and a stream of the gateway, tied together. Each end
 * of a direction is passed on by itself; a failure of either side ends both.
 *
 *     client ── bytes, end ──▶ stream
 *     client ◀── bytes, end ── stream
 *
 * Nothing is queued: the next bytes are read once the last are written, so a slow
 * reader slows its sender down and fills no memory.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import type { ByteSource } from "../http/byte_source.ts";
import type { ClientConnection } from "./client_connection.ts";
import type { GatewayStream } from "../http/gateway.ts";
import { onAbort } from "../http/on_abort.ts";
import { IdleWatch } from "./idle_watch.ts";

/** A connection that carries nothing in either direction for so long is cut, ms. */
export const TUNNEL_IDLE_MS = 2 * 60 * 60 * 1000;

/** The same once one direction has ended, ms: its other end may be gone for good. */
export const HALF_CLOSED_IDLE_MS = 10 * 60 * 1000;

/** What a relay needs besides its two ends. */
export interface RelayOptions {
  readonly clock: Clock;
  /** Ends both sides. */
  readonly signal: AbortSignal;
  /** What already reads from the stream. Default: nothing. */
  readonly fromStream?: ByteSource;
}

/**
 * Carry bytes both ways until both directions have ended. Closes both sides in
 * any case.
 *
 * @throws {AnonNetError} of the side that failed first; `proxy.client_gone` when
 * the client vanished, `proxy.idle` after `TUNNEL_IDLE_MS` or `HALF_CLOSED_IDLE_MS`.
 */
export async function relay(
  client: ClientConnection,
  stream: GatewayStream,
  options: RelayOptions,
): Promise<void> {
  let firstError: unknown;
  const fail = (error: unknown) => {
    firstError ??= error;
    stream.abort();
    client.close();
  };
  using idle = new IdleWatch(options.clock, TUNNEL_IDLE_MS, () => {
    fail(new UnreachableError("proxy.idle", "The connection was idle"));
  });
  using _stop = onAbort(options.signal, fail);
  const onHalf = () => idle.set(HALF_CLOSED_IDLE_MS);
  await Promise.all([
    sendUp(client, stream, idle).then(onHalf, fail),
    sendDown(client, stream, idle, options.fromStream).then(onHalf, fail),
  ]);
  client.close();
  if (firstError !== undefined) throw firstError;
}

async function sendUp(
  client: ClientConnection,
  stream: GatewayStream,
  idle: IdleWatch,
): Promise<void> {
  await drain(client.source, (bytes) => stream.write(bytes), idle);
  await stream.closeWrite();
}

async function sendDown(
  client: ClientConnection,
  stream: GatewayStream,
  idle: IdleWatch,
  source: ByteSource | undefined,
): Promise<void> {
  if (source !== undefined) {
    await drain(source, (bytes) => client.write(bytes), idle);
  } else {
    for (;;) {
      const chunk = await stream.read();
      if (chunk === undefined) break;
      idle.touch();
      await client.write(chunk);
    }
  }
  await client.closeWrite();
}

async function drain(
  source: ByteSource,
  write: (bytes: Uint8Array) => Promise<void>,
  idle: IdleWatch,
): Promise<void> {
  do {
    const { bytes } = source;
    if (bytes.length === 0) continue;
    idle.touch();
    await write(bytes);
    source.take(bytes.length);
  } while (await source.more());
}
