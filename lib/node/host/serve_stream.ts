/**
 * One stream of a session, tied to what the service offers at its port.
 *
 *     stream ── bytes, end ──▶ target
 *     stream ◀── bytes, end ── target
 *
 * Nothing is queued here: the next bytes are read once the last are written. A
 * target that sends for ever is held back by a client that does not read, and the
 * other way round.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import { errorCode } from "../../base/errors.ts";
import { RESET_CODE } from "../../session/stream.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import type { StreamTarget } from "./stream_target.ts";
import type { TargetConnection, TargetDial } from "./target_dial.ts";

/** Bytes read from a target at once. */
const READ_BYTES = 64 * 1024;

/** What serving a stream takes. */
export interface ServeOptions {
  readonly dial: TargetDial;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
}

/**
 * Serve a stream until both directions have ended, or it was given up.
 *
 * @throws what a handler throws, and what the dial throws beside
 * `UnreachableError`. The stream has been aborted then.
 */
export async function serveStream(
  stream: SessionStreamHandle,
  target: StreamTarget,
  options: ServeOptions,
): Promise<void> {
  try {
    if (target.type === "handler") {
      await target.handle(stream, options.signal);
      return await letGo(stream);
    }
    const connection = await options.dial(target, options);
    await tie(stream, connection, options.signal);
  } catch (error) {
    stream.abort(resetCodeOf(error));
    throw error;
  }
}

/** A handler is done: what it has not ended breaks off, what it has not read is dropped. */
async function letGo(stream: SessionStreamHandle): Promise<void> {
  if (!stream.isWriteClosed) return stream.abort(RESET_CODE.failed);
  try {
    while (await stream.read() !== undefined);
  } catch {
    // The client has broken off: nobody is there to mind.
  }
}

/** The code that tells a client why its stream was not served. */
function resetCodeOf(error: unknown): number {
  switch (errorCode(error)) {
    case "service.target_refused":
      return RESET_CODE.refused;
    case "service.target_timeout":
      return RESET_CODE.timedOut;
    default:
      return RESET_CODE.failed;
  }
}

async function tie(
  stream: SessionStreamHandle,
  connection: TargetConnection,
  signal: AbortSignal,
): Promise<void> {
  const cut = () => stream.abort(RESET_CODE.failed);
  signal.addEventListener("abort", cut, { once: true });
  // Reads of the connection hear of a reset only when it is closed.
  stream.closed.then(({ how }) => {
    if (how === "reset") closeQuietly(connection);
  });
  try {
    stream.accept();
    await Promise.all([
      sendUp(stream, connection).catch(cut),
      sendDown(stream, connection).catch(cut),
    ]);
  } finally {
    signal.removeEventListener("abort", cut);
    closeQuietly(connection);
  }
}

async function sendUp(
  stream: SessionStreamHandle,
  connection: TargetConnection,
): Promise<void> {
  for (;;) {
    const bytes = await stream.read();
    if (bytes === undefined) break;
    for (let sent = 0; sent < bytes.length;) {
      sent += await connection.write(bytes.subarray(sent));
    }
  }
  await connection.closeWrite();
}

async function sendDown(
  stream: SessionStreamHandle,
  connection: TargetConnection,
): Promise<void> {
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) break;
    await stream.write(buffer.subarray(0, count));
  }
  await stream.closeWrite();
}

/** Close a connection that a reset may have closed before. */
function closeQuietly(connection: TargetConnection): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
