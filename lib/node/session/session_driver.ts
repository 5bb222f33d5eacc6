/**
 * Runs one session: cells between its machine and the circuits that carry its
 * legs, the one timer, and streams for those who read and write.
 *
 *     reader, writer ⇄ SessionStream ⇄ Session ⇄ leg ⇄ LegCarrier (a circuit)
 *
 * @see protocol §6 "Sessions"
 * @module
 */
import type { LegCarrier } from "../circuit/leg_carrier.ts";
import type { Clock } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { LegNumber, LegOffer, StreamId } from "../../session/frames.ts";
import { MAX_LEGS } from "../../session/leg_table.ts";
import type { Session, SessionView } from "../../session/session.ts";
import {
  SESSION_CODE,
  type SessionEvent,
} from "../../session/session_event.ts";
import { RESET_CODE } from "../../session/stream.ts";
import {
  READ_BYTES,
  SESSION_LOST,
  SessionStreamHandle,
} from "./session_stream.ts";

/** Tuning: time between two looks at what is overdue and cannot be sent, ms. */
const OVERDUE_MS = 5;

/** Tuning: between two words that data moves, ms. */
const TELL_DATA_MS = 500;

/** What a session's owner hears. */
export interface SessionHandlers {
  /** The client has opened a stream to a virtual port. */
  onStream?(stream: SessionStreamHandle, port: number): void;
  /** The first cell of the peer came: it is there, and holds the secret. */
  onHeard?(): void;
  /** A leg does not answer: another is wanted. */
  onLegSuspect?(leg: LegNumber): void;
  /** A suspect leg was heard of again. */
  onLegHealed?(leg: LegNumber): void;
  /** The client waits somewhere for one more leg. */
  onLegOffered?(offer: LegOffer): void;
  /** A leg is gone, for whatever reason. */
  onLegGone?(leg: LegNumber): void;
  /**
   * The session is lost, and the peer had not taken this stream, nor been told a word
   * on it: let it go on in another session, or reset it with the code `why`.
   */
  onOrphan?(stream: SessionStreamHandle, why: number): void;
  /** Bytes of streams came or went; told twice a second at most. */
  onData?(): void;
  /** The peer broke the protocol; for the log. */
  onError?(error: AnonNetError): void;
}

/** One end of a session, alive. */
export class SessionDriver {
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #handlers: SessionHandlers;
  readonly #carriers = new Map<LegNumber, LegCarrier>();
  readonly #streams = new Map<StreamId, SessionStreamHandle>();
  readonly #ended = Promise.withResolvers<number>();
  readonly #timer: MachineTimer;
  /** When the timer last called. */
  #lookedMs = -Infinity;
  #usedMs: number;
  /** Of the data that the owner was told of. */
  #toldMs = -Infinity;
  #isHeard = false;

  constructor(session: Session, clock: Clock, handlers: SessionHandlers = {}) {
    this.#session = session;
    this.#clock = clock;
    this.#handlers = handlers;
    this.#usedMs = clock.nowMs();
    this.#timer = new MachineTimer(clock, () => this.#onTime());
    session.onShed = () => queueMicrotask(() => this.#onShed());
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

  /** Its streams and legs, as they are at any time. */
  get view(): SessionView {
    return this.#session;
  }

  /** When a stream was last opened, or one ended, ms. */
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
      trainWaits: () => this.#session.trainWaits(number),
      fill: (body) => {
        const nowMs = this.#clock.nowMs();
        const isFilled = this.#session.buildCell(number, body, nowMs);
        this.#dispatch(this.#session.takeEvents());
        if (!isFilled) this.#arm();
        this.#tellData();
        return isFilled;
      },
      onCell: (body) => this.#onCell(number, body),
    });
    this.#turn();
  }

  /** Tell the service where we wait for one more leg. */
  offerLeg(offer: LegOffer): void {
    this.#session.offerLeg(offer);
    this.#turn();
  }

  /** For one more leg: where as many are there as may be, the one silent for longest goes. */
  makeRoom(): void {
    const { legs } = this.#session;
    if (legs.length < MAX_LEGS) return;
    const [stalest] = legs.toSorted((a, b) => a.heardMs - b.heardMs);
    if (stalest !== undefined) this.dropLeg(stalest.number);
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

  /** The stream that our introduction asked for. Before the first leg, and all other streams. */
  openKnownStream(): SessionStreamHandle {
    return this.#addStream(
      this.#session.streams.openKnown(this.#clock.nowMs()),
    );
  }

  /** The client's introduction asks for a stream to this virtual port. */
  onKnownStream(port: number): void {
    if (!this.isOpen) return; // closed by the very cell that we waited for
    this.#dispatch(this.#session.onKnownStream(port, this.#clock.nowMs()));
    this.#turn();
  }

  /** We stood still for so long, ms: the peer may have given the session up. */
  onStoodStill(ms: number): void {
    this.#session.onStoodStill(ms, this.#clock.nowMs());
    this.#turn();
  }

  /** End the session and all its streams, and tell the peer. */
  close(code: number = SESSION_CODE.done): void {
    if (!this.isOpen) return;
    this.#dispatch(this.#session.close(code));
  }

  #addStream(id: StreamId): SessionStreamHandle {
    const stream = new SessionStreamHandle({
      accept: () => {
        this.#session.streams.accept(id);
        this.#turn();
      },
      write: (bytes) => {
        const result = this.#session.streams.write(id, bytes);
        this.#turn();
        return result;
      },
      read: () => {
        const nowMs = this.#clock.nowMs();
        const result = this.#session.read(id, nowMs, READ_BYTES);
        this.#dispatch(this.#session.takeEvents());
        this.#turn();
        return result;
      },
      unconfirmed: () => this.#session.streams.unconfirmed(id),
      finish: (bytes) => {
        if (bytes.length > 0) this.#session.streams.write(id, bytes);
        this.#session.streams.finish(id);
        this.#turn();
      },
      breakOff: (code) => {
        this.#session.streams.breakOff(id, code);
        this.#dispatch(this.#session.takeEvents());
        this.#turn();
      },
      reset: (code) => {
        this.#usedMs = this.#clock.nowMs();
        this.#streams.delete(id);
        this.#session.streams.reset(id, code);
        this.#turn();
      },
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #onCell(number: LegNumber, body: Uint8Array): void {
    try {
      const nowMs = this.#clock.nowMs();
      const events = this.#session.onCell(number, body, nowMs);
      if (!this.#isHeard) this.#onHeard();
      this.#dispatch(events);
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
    this.#tellData();
  }

  #tellData(): void {
    const { dataMs } = this.#session;
    if (dataMs - this.#toldMs < TELL_DATA_MS) return;
    this.#toldMs = dataMs;
    this.#handlers.onData?.();
  }

  /** Memory was short: some of our streams are gone. */
  #onShed(): void {
    if (!this.isOpen) return;
    this.#dispatch(this.#session.takeEvents());
    this.#turn();
  }

  #onHeard(): void {
    this.#isHeard = true;
    this.#handlers.onHeard?.();
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
    const dueMs = this.#session.deadlineMs;
    // What was due at the last look could not leave, where no leg takes our cells:
    // look again, but at leisure.
    const isStuck = dueMs <= this.#lookedMs;
    this.#timer.set(isStuck ? this.#lookedMs + OVERDUE_MS : dueMs);
  }

  #onTime(): void {
    const nowMs = this.#clock.nowMs();
    this.#lookedMs = nowMs;
    if (nowMs >= this.#session.deadlineMs) {
      this.#dispatch(this.#session.onTime(nowMs));
    }
    this.#turn();
  }

  #dispatch(events: readonly SessionEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case "opened":
          this.#usedMs = this.#clock.nowMs();
          this.#handlers.onStream?.(this.#addStream(event.id), event.port);
          break;
        case "readable":
          this.#streams.get(event.id)?.onReadable();
          break;
        case "writable":
          this.#streams.get(event.id)?.onWritable();
          break;
        case "reset":
          // With the whole session: `closed` follows, and sees to all streams.
          if (this.#session.closedCode === SESSION_CODE.noLeg) break;
          this.#usedMs = this.#clock.nowMs();
          this.#streams.get(event.id)?.onReset(event.code, {
            unread: event.unread,
            unconfirmed: event.unconfirmed ?? 0,
          });
          this.#streams.delete(event.id);
          break;
        case "finished":
          this.#usedMs = this.#clock.nowMs();
          this.#streams.get(event.id)?.onFinished();
          this.#streams.delete(event.id);
          break;
        case "accepted":
          this.#streams.get(event.id)?.onAccepted();
          break;
        case "legSuspect":
          this.#handlers.onLegSuspect?.(event.leg);
          break;
        case "legHealed":
          this.#handlers.onLegHealed?.(event.leg);
          break;
        case "legOffered":
          this.#handlers.onLegOffered?.(event.offer);
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
    this.#timer.stop();
    const why = code === SESSION_CODE.lost ? SESSION_LOST : RESET_CODE.failed;
    const isLost = code === SESSION_CODE.lost || code === SESSION_CODE.noLeg;
    const { onOrphan } = this.#handlers;
    for (const stream of this.#streams.values()) {
      if (isLost && onOrphan && stream.isUntouched) onOrphan(stream, why);
      else stream.onReset(why);
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

function closedError(): UnreachableError {
  return new UnreachableError(
    "session.closed",
    "Cannot open stream: the session is over",
  );
}
