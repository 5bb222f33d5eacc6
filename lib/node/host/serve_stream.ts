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
 * other way round. Few bytes alone wait a moment for what comes right behind them,
 * which most often is the end: each cell that travels by itself wakes all relays of
 * the path.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import { concat } from "../../base/bytes.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import { errorCode } from "../../base/errors.ts";
import { RESET_CODE } from "../../session/stream.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import type { StreamTarget } from "./stream_target.ts";
import type { TargetConnection } from "./target_connection.ts";
import type { TargetDial } from "./target_dial.ts";

/**
 * Bytes read from a target at once: at first, and from one that had more. A stream
 * whose target is silent holds as much.
 */
const READ_BYTES = { first: 4 * 1024, most: 64 * 1024 } as const;

/** Tuning: so many bytes do not wait for others, or for the end. */
const TOGETHER_BYTES = 16 * 1024;
/** Tuning: how long fewer do, ms: a target that answers and closes does both at once. */
export const TOGETHER_MS = 4;
/** Tuning: a target whose bytes waited so often for nothing is one that goes on. */
const VAIN_WAITS = 2;

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
    const down = new Download(stream, connection, clock);
    const ending = await down.run().catch(() => "cut" as const);
    // A write that has failed already is heard of before the end is passed on.
    if (!up.isOver) await sleep(clock, 0);
    if (ending === "cut" || up.wasReset) {
      await down.flush().catch(() => {});
      stream.breakOff(RESET_CODE.failed);
      await over;
    } else {
      await stream.closeWrite(down.take());
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

/** What a target says, on its way to the client. */
class Download {
  readonly #stream: SessionStreamHandle;
  readonly #connection: TargetConnection;
  readonly #clock: Clock;
  #readBytes: number = READ_BYTES.first;
  #buffer = new Uint8Array(READ_BYTES.first);
  /** What was read and not written. */
  #held: Uint8Array[] = [];
  #heldSinceMs = 0;
  #vainWaits = 0;

  constructor(
    stream: SessionStreamHandle,
    connection: TargetConnection,
    clock: Clock,
  ) {
    this.#stream = stream;
    this.#connection = connection;
    this.#clock = clock;
  }

  /**
   * Carry all of it, but for what came right before the end: see {@linkcode take}.
   *
   * @throws what reading the target throws: it has broken off.
   */
  async run(): Promise<"ended"> {
    for (let reading = this.#read();;) {
      const bytes = await reading;
      if (bytes === undefined) return "ended";
      this.#hold(bytes);
      if (this.#mayWait()) {
        reading = this.#read();
        if (await this.#comes(reading)) continue;
        this.#vainWaits++;
        await this.flush();
      } else {
        await this.flush();
        reading = this.#read();
      }
    }
  }

  /** The last bytes, which no cell has carried yet. */
  take(): Uint8Array {
    const [first, ...others] = this.#held;
    this.#held = [];
    if (first === undefined) return new Uint8Array(0);
    return others.length === 0 ? first : concat(first, ...others);
  }

  /** Write what is held. @throws what writing to the stream throws. */
  async flush(): Promise<void> {
    if (this.#held.length > 0) await this.#stream.write(this.take());
  }

  /** @returns What came, `undefined` at the end. */
  async #read(): Promise<Uint8Array | undefined> {
    // What is held is in the one before; what was written has been copied.
    if (this.#held.length > 0 || this.#buffer.length !== this.#readBytes) {
      this.#buffer = new Uint8Array(this.#readBytes);
    }
    const buffer = this.#buffer;
    const count = await this.#connection.read(buffer);
    if (count === null) return undefined;
    this.#readBytes = count === buffer.length
      ? READ_BYTES.most
      : READ_BYTES.first;
    return buffer.subarray(0, count);
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held.length === 0) this.#heldSinceMs = this.#clock.nowMs();
    this.#held.push(bytes);
  }

  #mayWait(): boolean {
    const bytes = this.#held.reduce((sum, { length }) => sum + length, 0);
    return bytes < TOGETHER_BYTES && this.#vainWaits < VAIN_WAITS &&
      this.#clock.nowMs() < this.#heldSinceMs + TOGETHER_MS;
  }

  /**
   * Whether a read ends soon. Two wake-ups: where this process has much to do the first
   * may come before what has arrived was looked at.
   */
  async #comes(reading: Promise<unknown>): Promise<boolean> {
    let hasCome = false;
    const came = reading.then(() => hasCome = true, () => hasCome = true);
    for (let wakeUp = 0; wakeUp < 2 && !hasCome; wakeUp++) {
      const waiting = Promise.withResolvers<void>();
      const timer = this.#clock.schedule(TOGETHER_MS / 2, waiting.resolve);
      await Promise.race([came, waiting.promise]);
      timer.cancel();
    }
    return hasCome;
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
