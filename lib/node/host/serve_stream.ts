/**
 * One stream of a session, tied to what the service offers at its port.
 *
 *     stream ── bytes, end ──▶ target     takes no more: what comes is dropped
 *     stream ◀── bytes, end ── target     breaks off: reset, behind its last byte
 *     stream ── reset ───────▶ target     reset, unless its end was there before
 *
 * A direction that takes no more ends alone: a target may answer before it has read
 * all, and close, and its answer must arrive.
 *
 * Nothing is queued here: the next bytes are read once the last are written. A
 * target that sends for ever is held back by a client that does not read, and the
 * other way round.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import { type Clock, sleep } from "../../base/clock.ts";
import { errorCode } from "../../base/errors.ts";
import { RESET_CODE } from "../../session/stream.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import type { StreamTarget } from "./stream_target.ts";
import type { TargetConnection } from "./target_connection.ts";
import type { TargetDial } from "./target_dial.ts";

/** Bytes read from a target at once. */
const READ_BYTES = 64 * 1024;

/**
 * How long a client may go on sending to a target that has ended and takes no more,
 * ms. Enough to read the answer; then its stream is reset.
 */
export const DISCARD_MS = 30_000;

/** What serving a stream takes. */
export interface ServeOptions {
  readonly clock: Clock;
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
    await tie(stream, connection, options);
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
    // The client has broken off, and does not mind.
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
  { clock, signal }: ServeOptions,
): Promise<void> {
  const cut = () => stream.abort(RESET_CODE.failed);
  signal.addEventListener("abort", cut, { once: true });
  const up = new Upload(stream, connection);
  // A target must not take what came before a cut for all of it.
  const leave = () => endQuietly(connection, up.isOver ? "close" : "reset");
  // Reads of the connection hear of a reset only when it is closed.
  const over = stream.closed.then(({ how }) => {
    if (how === "reset") leave();
  });
  try {
    stream.accept();
    // The stream is over when it cannot be read or written any more.
    const sendingUp = up.run().catch(cut);
    const ending = await sendDown(stream, connection).catch(() =>
      "cut" as const
    );
    // A write that has failed already is heard of before the end is passed on.
    if (!up.isOver) await sleep(clock, 0);
    if (ending === "cut" || up.wasReset) {
      stream.breakOff(RESET_CODE.failed);
      await over;
    } else {
      await stream.closeWrite();
      await clientEnd(sendingUp, up, clock);
      if (!up.isOver) cut();
    }
  } finally {
    signal.removeEventListener("abort", cut);
    leave();
  }
}

/** What a client sends, on its way to the target. */
class Upload {
  readonly #stream: SessionStreamHandle;
  readonly #connection: TargetConnection;
  readonly #refused = Promise.withResolvers<void>();
  #isOver = false;
  #isRefused = false;
  #wasReset = false;

  constructor(stream: SessionStreamHandle, connection: TargetConnection) {
    this.#stream = stream;
    this.#connection = connection;
  }

  /** Whether the client has sent its end. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when the target takes no more: what still comes is dropped. */
  get refused(): Promise<void> {
    return this.#refused.promise;
  }

  /**
   * Whether the target has broken off, without an end before. The system says so
   * once, be it to the write or to the read: the other then sees an end.
   */
  get wasReset(): boolean {
    return this.#wasReset;
  }

  /** Carry all of it. @throws what reading the stream throws. */
  async run(): Promise<void> {
    for (;;) {
      const bytes = await this.#stream.read();
      if (bytes === undefined) break;
      await this.#write(bytes);
    }
    this.#isOver = true;
    if (!this.#isRefused) await this.#connection.closeWrite().catch(() => {});
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < bytes.length && !this.#isRefused;) {
        sent += await this.#connection.write(bytes.subarray(sent));
      }
    } catch (error) {
      this.#isRefused = true;
      this.#refused.resolve();
      this.#wasReset = error instanceof Deno.errors.ConnectionReset;
    }
  }
}

/** @throws what reading the target throws: it has broken off. */
async function sendDown(
  stream: SessionStreamHandle,
  connection: TargetConnection,
): Promise<"ended"> {
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return "ended";
    await stream.write(buffer.subarray(0, count));
  }
}

/** Wait for the end of a client that has its answer; where all is dropped, not for ever. */
async function clientEnd(
  sendingUp: Promise<void>,
  up: Upload,
  clock: Clock,
): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  const tooLong = up.refused.then(() => sleep(clock, DISCARD_MS, { signal }));
  await Promise.race([sendingUp, tooLong.catch(() => {})]);
  waiting.abort();
}

/** Let go of a connection that may have been let go of before. */
function endQuietly(
  connection: TargetConnection,
  how: "close" | "reset",
): void {
  try {
    connection[how]();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
