/**
 * Runs one session: cells between its machine and the circuits that carry its
 * legs, the one timer, and streams for those who read and write.
 *
 *     reader, writer ⇄ SessionStream ⇄ Session ⇄ leg ⇄ LegCarrier (a circuit)
 *
 * @see protocol §6
 * @module
 */
import { type Bytes, concat } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";
import type { LegNumber, StreamId } from "../session/frames.ts";
import {
  Session,
  SESSION_CODE,
  type SessionEvent,
} from "../session/session.ts";
import { RESET_CODE } from "../session/stream.ts";

/** What sends and takes the cells of one leg. */
export interface CellPort {
  /**
   * Fill `body` with the next cell.
   *
   * @returns Whether there was one; ask again after {@linkcode LegCarrier.wake}.
   */
  fill(body: Uint8Array): boolean;
  /** Take a cell; `body` may be overwritten, and is not valid after the call. */
  onCell(body: Uint8Array): void;
}

/** A joined circuit, as a leg sees it. */
export interface LegCarrier {
  /** Begin to carry cells for `port`, which is asked whenever there is room. */
  attach(port: CellPort): void;
  /** The port may have cells to send. Cheap; may be called too often. */
  wake(): void;
  /** Close the circuit, after what was taken from the port has been written. */
  close(): void;
  /** Resolves when the circuit is gone; never rejects. */
  readonly closed: Promise<unknown>;
}

/** What a session's owner hears. */
export interface SessionHandlers {
  /** The client has opened a stream to a virtual port. */
  onStream?(stream: SessionStreamHandle, port: number): void;
  /** A leg does not answer: another is wanted. */
  onLegSuspect?(leg: LegNumber): void;
  /** A leg is gone, for whatever reason. */
  onLegGone?(leg: LegNumber): void;
  /** The peer broke the protocol; for the log. */
  onError?(error: AnonNetError): void;
}

/** Bytes that one read hands out at most: what a socket takes well at once. */
const READ_BYTES = 64 * 1024;

/** One end of a session, alive. */
export class SessionDriver {
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #handlers: SessionHandlers;
  readonly #carriers = new Map<LegNumber, LegCarrier>();
  readonly #streams = new Map<StreamId, SessionStreamHandle>();
  readonly #ended = Promise.withResolvers<number>();
  #timer: Timer | undefined;
  #timerMs = Infinity;
  #usedMs: number;

  constructor(session: Session, clock: Clock, handlers: SessionHandlers = {}) {
    this.#session = session;
    this.#clock = clock;
    this.#handlers = handlers;
    this.#usedMs = clock.nowMs();
    this.#arm();
  }

  /** Resolves with the close code when the session is over; never rejects. */
  get closed(): Promise<number> {
    return this.#ended.promise;
  }

  /** Whether the session has not ended. */
  get isOpen(): boolean {
    return this.#session.closedCode === undefined;
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#session.streamCount;
  }

  /** Legs that are attached. */
  get legNumbers(): readonly LegNumber[] {
    return this.#session.legNumbers;
  }

  /** The lowest number that a new leg may have. */
  get nextLegNumber(): LegNumber {
    return this.#session.nextLegNumber;
  }

  /** Smoothed round trip, ms; `undefined` before the first answer. */
  get roundTripMs(): number | undefined {
    return this.#session.roundTripMs;
  }

  /** When a stream was last opened, ms. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /**
   * Carry the session over one more circuit.
   *
   * @throws {ProtocolError} `session.leg_number`, `session.too_many_legs`.
   */
  addLeg(number: LegNumber, carrier: LegCarrier): void {
    this.#session.addLeg(number, this.#clock.nowMs());
    this.#carriers.set(number, carrier);
    carrier.closed.then(() => this.#onCarrierClosed(number));
    carrier.attach({
      fill: (body) => {
        const nowMs = this.#clock.nowMs();
        const isFilled = this.#session.buildCell(number, body, nowMs);
        this.#dispatch(this.#session.takeEvents());
        if (!isFilled) this.#arm();
        return isFilled;
      },
      onCell: (body) => this.#onCell(number, body),
    });
    this.#turn();
  }

  /** Give up a leg; its bytes go out on another. */
  dropLeg(number: LegNumber): void {
    const carrier = this.#carriers.get(number);
    if (carrier === undefined) return;
    this.#session.closeLeg(number, this.#clock.nowMs());
    this.#forgetLeg(number);
    carrier.close();
    this.#turn();
  }

  /**
   * Open a stream to a virtual port. Its first bytes travel with it.
   *
   * @throws {UnreachableError} `session.closed`, `session.too_many_streams`.
   */
  openStream(port: number): SessionStreamHandle {
    if (!this.isOpen) throw closedError();
    const id = this.#session.openStream(port, this.#clock.nowMs());
    if (id === undefined) {
      throw new UnreachableError(
        "session.too_many_streams",
        "Cannot open stream: as many are open as may be",
      );
    }
    this.#usedMs = this.#clock.nowMs();
    const stream = this.#addStream(id);
    // Not yet: the caller's first write shall be in the same cell.
    queueMicrotask(() => this.#turn());
    return stream;
  }

  /** End the session and all its streams, and tell the peer. */
  close(code: number = SESSION_CODE.done): void {
    if (!this.isOpen) return;
    this.#dispatch(this.#session.close(code));
  }

  #addStream(id: StreamId): SessionStreamHandle {
    const stream = new SessionStreamHandle({
      write: (bytes) => {
        const result = this.#session.write(id, bytes);
        this.#turn();
        return result;
      },
      read: () => {
        const result = this.#session.read(id, this.#clock.nowMs());
        this.#dispatch(this.#session.takeEvents());
        this.#turn();
        return result;
      },
      finish: () => {
        this.#session.finish(id);
        this.#turn();
      },
      reset: (code) => {
        this.#streams.delete(id);
        this.#session.reset(id, code);
        this.#turn();
      },
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #onCell(number: LegNumber, body: Uint8Array): void {
    try {
      const nowMs = this.#clock.nowMs();
      this.#dispatch(this.#session.onCell(number, body, nowMs));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#handlers.onError?.(error);
      const isLegAlone = error.code === "session.authentication" ||
        error.code === "session.cell_size";
      if (isLegAlone) this.dropLeg(number);
      else this.close(SESSION_CODE.protocol);
      return;
    }
    this.#turn();
  }

  #onCarrierClosed(number: LegNumber): void {
    if (!this.#carriers.has(number)) return;
    this.#session.removeLeg(number, this.#clock.nowMs());
    this.#forgetLeg(number);
    this.#turn();
  }

  #forgetLeg(number: LegNumber): void {
    this.#carriers.delete(number);
    this.#handlers.onLegGone?.(number);
  }

  /** After any input: let those legs send that may, and set the timer. */
  #turn(): void {
    const nowMs = this.#clock.nowMs();
    for (const [number, carrier] of this.#carriers) {
      if (this.#session.wantsToSend(number, nowMs)) carrier.wake();
    }
    this.#arm();
  }

  #arm(): void {
    const dueMs = this.#session.deadlineMs ?? Infinity;
    // Most inputs only put it off: an early wake-up costs less than a new timer.
    if (this.#timer !== undefined && this.#timerMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerMs = Infinity;
    if (dueMs === Infinity) return;
    this.#timerMs = dueMs;
    const waitMs = Math.max(0, dueMs - this.#clock.nowMs());
    this.#timer = this.#clock.schedule(waitMs, () => this.#onTime(), {
      keepAlive: false,
    });
  }

  #onTime(): void {
    this.#timer = undefined;
    this.#timerMs = Infinity;
    const nowMs = this.#clock.nowMs();
    if (nowMs >= (this.#session.deadlineMs ?? Infinity)) {
      this.#dispatch(this.#session.onTime(nowMs));
    }
    this.#turn();
  }

  #dispatch(events: readonly SessionEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case "opened":
          this.#handlers.onStream?.(this.#addStream(event.id), event.port);
          break;
        case "readable":
          this.#streams.get(event.id)?.onReadable();
          break;
        case "writable":
          this.#streams.get(event.id)?.onWritable();
          break;
        case "reset":
          this.#streams.get(event.id)?.onReset(event.code);
          this.#streams.delete(event.id);
          break;
        case "finished":
          this.#streams.get(event.id)?.onFinished();
          this.#streams.delete(event.id);
          break;
        case "legSuspect":
          this.#handlers.onLegSuspect?.(event.leg);
          break;
        case "legClosed":
          this.#carriers.get(event.leg)?.close();
          this.#forgetLeg(event.leg);
          break;
        case "closed":
          this.#onClosed(event.code);
          break;
      }
    }
  }

  #onClosed(code: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const stream of this.#streams.values()) {
      stream.onReset(RESET_CODE.failed);
    }
    this.#streams.clear();
    const carriers = [...this.#carriers.values()];
    // The last cell of each leg says why; carriers write it before they close.
    for (const carrier of carriers) carrier.wake();
    for (const carrier of carriers) carrier.close();
    this.#carriers.clear();
    this.#ended.resolve(code);
    Promise.allSettled(carriers.map((carrier) => carrier.closed))
      .then(() => this.#session.wipe());
  }
}

/** What a stream handle asks of its session. */
interface StreamCalls {
  write(bytes: Uint8Array): "taken" | "full" | "gone";
  read(): { chunks: Bytes[]; isEnd: boolean } | undefined;
  finish(): void;
  reset(code: number): void;
}

/** One stream, for one reader and one writer. */
export class SessionStreamHandle {
  readonly #calls: StreamCalls;
  readonly #ended = Promise.withResolvers<StreamEnd>();
  #chunks: Bytes[] = [];
  #isEnd = false;
  #end: StreamEnd | undefined;
  #reader: (() => void) | undefined;
  #writer: (() => void) | undefined;

  constructor(calls: StreamCalls) {
    this.#calls = calls;
  }

  /** Resolves when both directions are over, or the stream was reset; never rejects. */
  get closed(): Promise<StreamEnd> {
    return this.#ended.promise;
  }

  /**
   * Bytes that have arrived, in order; `undefined` at the end.
   *
   * @throws {UnreachableError} `session.reset_*` when the stream was reset; what
   * had arrived and was not read yet is dropped then.
   */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#chunks.length > 0) return this.#takeChunks();
      if (this.#isEnd) return undefined;
      if (this.#end !== undefined) throw resetError(this.#end.code);
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
   * @throws {UnreachableError} `session.reset_*` when the stream is over.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#end !== undefined) throw resetError(this.#end.code);
    const result = this.#calls.write(new Uint8Array(bytes));
    if (result === "gone") throw resetError(RESET_CODE.failed);
    if (result === "taken") return;
    await new Promise<void>((resolve) => {
      this.#writer = resolve;
    });
    const end = this.#end as StreamEnd | undefined;
    if (end !== undefined) throw resetError(end.code);
  }

  /** End our direction after what was written; the other one stays. */
  closeWrite(): Promise<void> {
    if (this.#end === undefined) this.#calls.finish();
    return Promise.resolve();
  }

  /** Give up both directions, and tell the peer why. Idempotent. */
  abort(code: number = RESET_CODE.cancelled): void {
    if (this.#end !== undefined) return;
    this.#calls.reset(code);
    this.onReset(code);
  }

  /** For the session: there is something to read. */
  onReadable(): void {
    this.#reader?.();
    this.#reader = undefined;
  }

  /** For the session: there is room to write. */
  onWritable(): void {
    this.#writer?.();
    this.#writer = undefined;
  }

  /** For the session: the stream was reset. */
  onReset(code: number): void {
    this.#finish({ how: "reset", code });
  }

  /** For the session: both directions have ended well. */
  onFinished(): void {
    this.#finish({ how: "finished", code: RESET_CODE.cancelled });
  }

  #finish(end: StreamEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.onReadable();
    this.onWritable();
    this.#ended.resolve(end);
  }

  #takeChunks(): Uint8Array {
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

/** How a stream ended. */
export interface StreamEnd {
  readonly how: "finished" | "reset";
  /** Reset code (§6.2); 0 when it finished. */
  readonly code: number;
}

const RESET_NAMES = new Map<number, string>(
  Object.entries(RESET_CODE).map(([name, code]) => [code, name]),
);

const RESET_REASONS: Readonly<Record<string, string>> = {
  cancelled: "the other side gave it up",
  failed: "it broke on the way",
  noSuchPort: "the service has nothing at this port",
  refused: "the service's target refused it",
  timedOut: "the service's target did not answer",
  exhausted: "too many streams, or too much waiting to be read",
};

/** The error for a reset code: `session.reset_refused` and so on. */
export function resetError(code: number): UnreachableError {
  const name = RESET_NAMES.get(code) ?? "failed";
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return new UnreachableError(
    `session.reset_${snake}`,
    `Cannot go on with stream: ${RESET_REASONS[name] ?? "it broke on the way"}`,
  );
}

function closedError(): UnreachableError {
  return new UnreachableError(
    "session.closed",
    "Cannot open stream: the session is over",
  );
}
