/**
 * A client's TCP connection and a stream of the gateway, tied together. Each end
 * of a direction is passed on by itself. So is a stream that takes no more: its
 * answer may have been sent. A stream that cannot be read to its end breaks off
 * the client's connection, by a reset, and a client that vanishes the stream.
 *
 *     client ── bytes, end ──▶ stream
 *     client ◀── bytes, end ── stream
 *
 * Nothing is queued: the next bytes are read once the last are written, so a slow
 * reader slows its sender down and fills no memory.
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import { onAbort } from "../base/on_abort.ts";
import type { ByteSource } from "../http/byte_source.ts";
import { type ClientConnection, isClientGone } from "./client_connection.ts";
import type { GatewayStream } from "../http/gateway.ts";
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
  /**
   * Resolves once the client may be sent something. What it sends itself goes on
   * at once. Should it reject, the client's connection stays open, to be told why.
   */
  readonly confirm?: () => Promise<void>;
}

/**
 * Carry bytes both ways until both directions have ended. Closes both sides, but
 * the client's where `confirm` has rejected.
 *
 * @throws {AnonNetError} what broke it off; `proxy.client_gone` when the client
 * vanished, `proxy.idle` after `TUNNEL_IDLE_MS` or `HALF_CLOSED_IDLE_MS`.
 */
export async function relay(
  client: ClientConnection,
  stream: GatewayStream,
  options: RelayOptions,
): Promise<void> {
  const { clock, signal, fromStream } = options;
  const over = Promise.withResolvers<void>();
  let isConfirmed = options.confirm === undefined;
  const fail = (error: unknown) => {
    over.reject(error);
    stream.abort();
    if (isConfirmed || isClientGone(error)) client.reset();
  };
  using idle = new IdleWatch(clock, TUNNEL_IDLE_MS, () => {
    fail(new UnreachableError("proxy.idle", "The connection was idle"));
  });
  using _stop = onAbort(signal, fail);
  const onHalf = () => idle.set(HALF_CLOSED_IDLE_MS);
  const up = new Upload(client, stream, idle, () => isConfirmed);
  const down = async () => {
    await options.confirm?.();
    isConfirmed = true;
    await sendDown(client, stream, idle, fromStream);
  };
  Promise.all([
    up.run().then(onHalf, fail),
    down().then(onHalf, fail),
  ]).then(() => over.resolve());
  await over.promise;
  // A client that still sends what is not taken shall have the answer first.
  if (up.isRefused) await client.linger(clock);
  else client.close();
}

/** What the client sends, on its way to the stream. */
class Upload {
  readonly #client: ClientConnection;
  readonly #stream: GatewayStream;
  readonly #idle: IdleWatch;
  readonly #isConfirmed: () => boolean;
  #isRefused = false;

  constructor(
    client: ClientConnection,
    stream: GatewayStream,
    idle: IdleWatch,
    isConfirmed: () => boolean,
  ) {
    this.#client = client;
    this.#stream = stream;
    this.#idle = idle;
    this.#isConfirmed = isConfirmed;
  }

  /** Whether the stream took no more before the client's end. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** @throws {UnreachableError} `proxy.client_gone`. */
  async run(): Promise<void> {
    const { source } = this.#client;
    let isSilent = true;
    do {
      const { bytes } = source;
      if (bytes.length === 0) continue;
      isSilent = false;
      this.#idle.touch();
      if (!await this.#write(bytes)) return;
      source.take(bytes.length);
    } while (await source.more());
    // It waited for an answer, and has left.
    if (isSilent && !this.#isConfirmed()) throw clientGone();
    await this.#stream.closeWrite();
  }

  /** @returns `false` when the stream takes no more: reading it tells why. */
  async #write(bytes: Uint8Array): Promise<boolean> {
    try {
      await this.#stream.write(bytes);
      return true;
    } catch {
      this.#isRefused = true;
      return false;
    }
  }
}

async function sendDown(
  client: ClientConnection,
  stream: GatewayStream,
  idle: IdleWatch,
  source: ByteSource | undefined,
): Promise<void> {
  if (source === undefined) {
    for (;;) {
      const chunk = await stream.read();
      if (chunk === undefined) break;
      idle.touch();
      await client.write(chunk);
    }
  } else {
    do {
      const { bytes } = source;
      if (bytes.length === 0) continue;
      idle.touch();
      await client.write(bytes);
      source.take(bytes.length);
    } while (await source.more());
  }
  await client.closeWrite();
}

function clientGone(): UnreachableError {
  return new UnreachableError("proxy.client_gone", "The client is gone");
}
