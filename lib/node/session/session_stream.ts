/**
 * One stream of a live session, for one reader and one writer.
 *
 *     read ◀── chunks ── SessionDriver ◀── legs
 *     write ── bytes ──▶ SessionDriver ──▶ legs
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { type Bytes, concat } from "../../base/bytes.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { WriteResult } from "../../session/session_streams.ts";
import { type ReadResult, RESET_CODE } from "../../session/stream.ts";

/** Bytes that one read hands out at most: what a socket takes well at once. */
export const READ_BYTES = 64 * 1024;

/**
 * How streams end, here alone, whose session the service does not know any more. No
 * reset code: those are below 256.
 */
export const SESSION_LOST = 256;

const NO_BYTES = new Uint8Array(0);

/** What a stream asks of its session. */
export interface StreamCalls {
  accept(): void;
  write(bytes: Uint8Array): WriteResult;
  read(): ReadResult | undefined;
  /** Bytes written that the peer has not confirmed; `undefined` once it is over. */
  unconfirmed(): number | undefined;
  /** With the last bytes, which must not change from now on. */
  finish(bytes: Uint8Array): void;
  breakOff(code: number): void;
  reset(code: number): void;
}

/** How a stream ended. */
export interface StreamEnd {
  readonly how: "finished" | "reset";
  /** Reset code (protocol §6.2 "Frames"), or {@linkcode SESSION_LOST}; 0 when it finished. */
  readonly code: number;
  /** Why we gave it up, where we did and know. */
  readonly error?: UnreachableError;
}

/** What is left of a stream that was reset. */
export interface StreamRest {
  /** What is still to be read. */
  readonly unread?: ReadResult | undefined;
  /** Bytes of ours that have not arrived. Default: that is not known. */
  readonly unconfirmed?: number;
}

/** One stream, for one reader and one writer. */
export class SessionStreamHandle {
  #calls: StreamCalls;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<StreamEnd>();
  #chunks: Bytes[] = [];
  #isEnd = false;
  #isWriteClosed = false;
  /** Whether the peer has taken it, or the caller has said something. */
  #isTouched = false;
  /** While its session is lost and another is begun for it. */
  #moving: PromiseWithResolvers<void> | undefined;
  /** The stream that goes on as this one. */
  #heir: SessionStreamHandle | undefined;
  #end: StreamEnd | undefined;
  /** Bytes that had not arrived when the stream was reset. */
  #lost: number | undefined;
  #watch: (() => Disposable) | undefined;
  #awaiting: Disposable | undefined;
  #reader: (() => void) | undefined;
  #writer: (() => void) | undefined;

  constructor(calls: StreamCalls) {
    this.#calls = calls;
    this.#opened.promise.catch(() => {});
  }

  /**
   * At the client: resolves once the service has taken the stream. Rejects with
   * the error of its reset when it did not; the caller need not listen.
   */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when both directions are over, or the stream was reset; never rejects. */
  get closed(): Promise<StreamEnd> {
    return this.#ended.promise;
  }

  /** Whether we have ended our direction. */
  get isWriteClosed(): boolean {
    return this.#isWriteClosed;
  }

  /**
   * Bytes written that the other side has not confirmed; after a reset, those that it
   * had not until then, and `Infinity` where that is not known.
   */
  get unconfirmedBytes(): number {
    if (this.#end?.how === "finished") return 0;
    return this.#lost ?? this.#calls.unconfirmed() ?? Infinity;
  }

  /** At the client: what {@linkcode awaitAnswer} begins. */
  onAwait(watch: () => Disposable): void {
    this.#watch = watch;
  }

  /** Until bytes come, see whether any can come at all. */
  awaitAnswer(): void {
    if (this.#end === undefined) this.#awaiting ??= this.#watch?.();
  }

  /** At the service: tell the client that its stream has been taken. */
  accept(): void {
    if (this.#end === undefined) this.#calls.accept();
  }

  /**
   * Bytes that have arrived, in order; `undefined` at the end.
   *
   * @throws {UnreachableError} as {@linkcode resetError} has it, when the stream
   * was reset: at a client once all that had arrived in order has been read.
   */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#chunks.length > 0) return this.#takeChunks();
      // Finished: the end came in one cell with the last acknowledgement, and all
      // that was before it has been read.
      if (this.#isEnd || this.#end?.how === "finished") return undefined;
      if (this.#end !== undefined) throw resetError(this.#end);
      const result = this.#calls.read();
      if (result !== undefined) {
        this.#chunks = result.chunks;
        this.#isEnd = result.isEnd;
        if (this.#chunks.length > 0 || this.#isEnd) continue;
      }
      if (this.#end !== undefined) continue;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
  }

  /**
   * Write bytes; they are copied. Resolves when more are welcome.
   *
   * @throws {UnreachableError} `session.finished` when both directions have ended;
   * otherwise as {@linkcode read} does, when the stream was reset.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#moving !== undefined) await this.#moving.promise;
    this.#isTouched = true;
    if (this.#end !== undefined) throw endError(this.#end);
    const result = this.#calls.write(new Uint8Array(bytes));
    if (result === "gone") throw resetError({ code: RESET_CODE.failed });
    if (result === "taken") return;
    await new Promise<void>((resolve) => {
      this.#writer = resolve;
    });
    const end = this.#end as StreamEnd | undefined;
    if (end !== undefined) throw endError(end);
  }

  /**
   * End our direction after what was written; the other one stays.
   *
   * @param lastBytes Go out before the end, in the same cell where they fit. They are
   * copied.
   */
  async closeWrite(lastBytes: Uint8Array = NO_BYTES): Promise<void> {
    this.#isWriteClosed = true;
    if (this.#moving !== undefined) await this.#moving.promise;
    this.#isTouched = true;
    if (this.#end !== undefined) return;
    this.#calls.finish(new Uint8Array(lastBytes));
  }

  /**
   * Give up both directions once all that was written has arrived, and the end where
   * that was sent: the peer gets it, and learns that no more is taken, or will come.
   */
  breakOff(code: number): void {
    if (this.#moving !== undefined) return this.abort(code);
    if (this.#end === undefined) this.#calls.breakOff(code);
  }

  /** End our direction, and give up the other one once that end has arrived. */
  leave(): void {
    this.closeWrite();
    this.breakOff(RESET_CODE.cancelled);
  }

  /** Give up both directions, and tell the peer why. Idempotent. */
  abort(code: number = RESET_CODE.cancelled): void {
    if (this.#end !== undefined) return;
    // While it moves there is no peer to tell.
    if (this.#moving === undefined) this.#calls.reset(code);
    this.onReset(code);
  }

  /** Give up both directions: our reads, writes and `opened` reject with `error`. */
  giveUp(error: UnreachableError): void {
    if (this.#end !== undefined) return;
    const code = RESET_CODE.cancelled;
    if (this.#moving === undefined) this.#calls.reset(code);
    this.#opened.reject(error);
    this.#finish({ how: "reset", code, error });
  }

  /** Whether the peer has not taken it, and has been told nothing: it can be opened anew. */
  get isUntouched(): boolean {
    return !this.#isTouched && this.#end === undefined;
  }

  /** Its session is lost, and it waits for {@linkcode goOnAs}. Only while it is untouched. */
  beginMove(): void {
    this.#moving = Promise.withResolvers();
  }

  /** Go on as a stream of another session, which no caller has. */
  goOnAs(other: SessionStreamHandle): void {
    if (this.#end !== undefined) return other.abort();
    this.#calls = other.#calls;
    other.#heir = this;
    if (other.#isTouched) this.onAccepted();
    // Should that session be lost as well, this is the end.
    other.#isTouched = true;
    const end = other.#end;
    if (end !== undefined) {
      const unread = { chunks: other.#chunks, isEnd: other.#isEnd };
      this.onReset(end.code, { unread });
    }
    this.#endMove();
    this.onReadable();
  }

  /** For the session: the peer has taken the stream. */
  onAccepted(): void {
    this.#isTouched = true;
    this.#opened.resolve();
    this.#heir?.onAccepted();
  }

  /** For the session: there is something to read. */
  onReadable(): void {
    this.#reader?.();
    this.#reader = undefined;
    this.#heir?.onReadable();
  }

  /** For the session: there is room to write. */
  onWritable(): void {
    this.#writer?.();
    this.#writer = undefined;
    this.#heir?.onWritable();
  }

  /** For the session: the stream was reset. */
  onReset(code: number, rest: StreamRest = {}): void {
    const { unread, unconfirmed = Infinity } = rest;
    if (unread !== undefined && this.#end === undefined) {
      this.#chunks.push(...unread.chunks);
      this.#isEnd ||= unread.isEnd;
    }
    this.#lost ??= unconfirmed;
    this.#opened.reject(resetError({ code }));
    this.#finish({ how: "reset", code });
    this.#heir?.onReset(code, rest);
  }

  /** For the session: both directions have ended well. */
  onFinished(): void {
    this.#finish({ how: "finished", code: RESET_CODE.cancelled });
    this.#heir?.onFinished();
  }

  #finish(end: StreamEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#stopAwaiting();
    this.#endMove();
    this.onReadable();
    this.onWritable();
    this.#ended.resolve(end);
  }

  #stopAwaiting(): void {
    this.#awaiting?.[Symbol.dispose]();
    this.#awaiting = undefined;
  }

  #endMove(): void {
    this.#moving?.resolve();
    this.#moving = undefined;
  }

  #takeChunks(): Uint8Array {
    this.#stopAwaiting();
    const chunks = this.#chunks;
    let bytes = 0;
    let count = 0;
    for (const chunk of chunks) {
      if (count > 0 && bytes + chunk.length > READ_BYTES) break;
      bytes += chunk.length;
      count++;
    }
    const taken = chunks.splice(0, count);
    return taken.length === 1 ? (taken[0] as Bytes) : concat(...taken);
  }
}

const FAILED: readonly [string, string] = [
  "session.reset_failed",
  "it broke on the way",
];

/** For each reset code, the code of the error and what happened. */
const RESETS: ReadonlyMap<number, readonly [string, string]> = new Map([
  [RESET_CODE.cancelled, [
    "session.reset_cancelled",
    "the other side gave it up",
  ]],
  [RESET_CODE.failed, FAILED],
  [RESET_CODE.noSuchPort, [
    "service.no_port",
    "the service has nothing at this port",
  ]],
  [RESET_CODE.refused, ["service.refused", "the service's target refused it"]],
  [RESET_CODE.timedOut, [
    "service.timeout",
    "the service's target did not answer",
  ]],
  [RESET_CODE.exhausted, [
    "session.reset_exhausted",
    "too many streams, or too much waiting to be read",
  ]],
  [SESSION_LOST, [
    "service.session_lost",
    "the service does not know it any more; it was started anew, or gave it up",
  ]],
]);

/** Why there is no writing to a stream that is over. */
function endError(end: StreamEnd): UnreachableError {
  return end.how === "reset" ? resetError(end) : new UnreachableError(
    "session.finished",
    "Cannot write to stream: both of its directions have ended",
  );
}

/**
 * The error for a reset code: `service.no_port`, `service.refused`,
 * `service.timeout`, `service.session_lost`, or `session.reset_*`.
 */
function resetError(
  { code, error }: Pick<StreamEnd, "code" | "error">,
): UnreachableError {
  if (error !== undefined) return error;
  const [name, what] = RESETS.get(code) ?? FAILED;
  return new UnreachableError(name, `Cannot go on with stream: ${what}`);
}
