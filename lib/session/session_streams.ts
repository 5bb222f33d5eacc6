/**
 * What a session does with its streams: frames of the peer come in, calls of
 * readers and writers come in, and what is to be sent waits for a cell. Knows
 * nothing of legs.
 *
 *     frames ─▶ onData, onFrame ─▶ events
 *     reader, writer ─▶ open, write, read, … ─▶ control queue, round ─▶ fill
 *     cell arrived ─▶ onArrived        cell lost ─▶ onLost
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { BugError, ProtocolError } from "../base/errors.ts";
import { ControlQueue } from "./control_queue.ts";
import type { ControlFrame, StreamId } from "./frames.ts";
import type { SentCell, SessionRole } from "./leg.ts";
import { OpenPace } from "./open_pace.ts";
import type { SessionQuota } from "./quota.ts";
import { type CellLoad, type SendLane, SendRound } from "./send_round.ts";
import type { SessionEvent } from "./session_event.ts";
import { type ReadResult, RESET_CODE, type SessionStream } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";

/** The stream that an introduction asks for. */
export const FIRST_STREAM: StreamId = 1;

/** A frame that says something of one stream. */
export type StreamFrame = Extract<
  ControlFrame,
  { type: "streamOpen" | "streamWindow" | "streamFin" | "streamReset" }
>;

/** Whether a writer should wait for `writable` before it writes again. */
export type WriteResult = "taken" | "full" | "gone";

/** What the owner of streams hears. */
export interface StreamsHandlers {
  /** Something happened. */
  onEvent(event: SessionEvent): void;
  /** Memory was short, and streams went: events wait that no call of ours has caused. */
  onShed(): void;
}

/** The streams of one end of a session, and what waits to be sent of them. */
export class SessionStreams {
  /** Frames other than data that wait for a cell, those of legs included. */
  readonly control = new ControlQueue();
  readonly #role: SessionRole;
  readonly #table: StreamTable;
  readonly #round = new SendRound();
  readonly #pace: OpenPace;
  readonly #handlers: StreamsHandlers;

  constructor(
    role: SessionRole,
    quota: SessionQuota,
    handlers: StreamsHandlers,
    nowMs: number,
  ) {
    this.#role = role;
    this.#handlers = handlers;
    this.#pace = new OpenPace(nowMs);
    const share = quota.open((bytes) => this.#shed(bytes));
    this.#table = new StreamTable(role, share);
  }

  #say(event: SessionEvent): void {
    this.#handlers.onEvent(event);
  }

  /** Streams there are. */
  get size(): number {
    return this.#table.size;
  }

  /** Whether stream bytes of a lane wait for a cell. */
  hasData(lane: SendLane): boolean {
    return this.#round.has(lane);
  }

  /** Whether at least so many stream bytes of a lane wait. */
  hasBytes(lane: SendLane, bytes: number): boolean {
    return this.#round.hasBytes(lane, bytes);
  }

  // ---- from the peer ----

  /** Bytes of a stream; copied. @throws {ProtocolError} `session.*`. */
  onData(id: StreamId, offset: number, bytes: Uint8Array, nowMs: number): void {
    const stream = this.#streamOf(id, nowMs);
    if (stream === undefined) return;
    this.#sayAccepted(stream);
    this.#table.counted(stream, () => stream.receive.onData(offset, bytes));
    this.#sayReadable(stream);
    this.#dropUnopened(stream);
    this.#table.relieve();
  }

  /** Too much waits for streams that may never be opened: the one that came last goes. */
  #dropUnopened(stream: SessionStream): void {
    if (stream.isOpen || !this.#table.isUnopenedFull) return;
    this.reset(stream.id, RESET_CODE.exhausted);
  }

  /** When {@linkcode onTime} has something to do; `Infinity` if never. */
  get dueMs(): number {
    return this.#pace.dueMs;
  }

  /** Streams that had to wait may be opened. */
  onTime(nowMs: number): void {
    for (const { id, port } of this.#pace.onTime(nowMs)) {
      this.#sayOpened(id, port);
    }
  }

  #sayOpened(id: StreamId, port: number): void {
    this.#say({ type: "opened", id, port });
    const stream = this.#table.get(id);
    if (stream !== undefined) this.#sayReadable(stream);
  }

  /** Anything else of a stream. @throws {ProtocolError} `session.*`. */
  onFrame(frame: StreamFrame, nowMs: number): void {
    if (frame.type === "streamOpen" && this.#role === "client") {
      throw new ProtocolError(
        "session.stream_open",
        "Cannot open stream: services open none",
      );
    }
    const stream = this.#streamOf(frame.id, nowMs);
    if (stream === undefined) return;
    switch (frame.type) {
      case "streamOpen":
        if (stream.isOpen) return; // a repetition by another leg
        this.#table.onOpened(stream);
        if (this.#pace.mayOpen(frame, nowMs)) {
          this.#sayOpened(frame.id, frame.port);
        }
        return this.#table.relieve();
      case "streamWindow":
        stream.send.raiseLimit(frame.max);
        this.#sayAccepted(stream);
        this.#round.queue(stream);
        return this.#dropUnopened(stream);
      case "streamFin":
        stream.receive.onFin(frame.offset);
        this.#sayAccepted(stream);
        this.#sayReadable(stream);
        return this.#dropUnopened(stream);
      case "streamReset": {
        const { id, code } = frame;
        if (this.#role === "service") this.#pace.onGivenUp(nowMs);
        const isKnown = stream.isOpen && !this.#pace.isWaiting(id);
        const unread = this.#takeUnread(stream);
        const lost = unconfirmedOf(stream);
        this.#forget(stream);
        if (isKnown) this.#say({ type: "reset", id, code, ...unread, ...lost });
      }
    }
  }

  /**
   * What a client has of a stream that its service resets: the service has waited
   * until it was there. What a client gave up is of no use to a service.
   */
  #takeUnread(stream: SessionStream): { readonly unread?: ReadResult } {
    if (this.#role === "service") return {};
    const isEnd = stream.receive.isComplete;
    const chunks = this.#table.counted(
      stream,
      () => stream.receive.readAll(),
    );
    return chunks.length > 0 || isEnd ? { unread: { chunks, isEnd } } : {};
  }

  #forget(stream: SessionStream): void {
    this.#pace.forget(stream.id);
    this.#table.forget(stream);
  }

  /** The stream that the peer speaks of; `undefined` when there is nothing to do with it. */
  #streamOf(id: StreamId, nowMs: number): SessionStream | undefined {
    const stream = this.#table.named(id, nowMs);
    if (typeof stream === "object") return stream;
    if (stream === "full") {
      this.#pace.onGivenUp(nowMs);
      const code = RESET_CODE.exhausted;
      this.control.push({ type: "streamReset", id, code });
    }
    return undefined;
  }

  /** The peer has everything that a cell carried. */
  onArrived(cell: SentCell): void {
    for (const { id, offset, length } of cell.data) {
      const stream = this.#table.get(id);
      if (stream === undefined) continue;
      this.#table.counted(
        stream,
        () => stream.send.onAcknowledged(offset, length),
      );
      this.#sayWritable(stream);
      this.#finishIfOver(stream);
      this.#breakOffIfDue(stream);
    }
    for (const frame of cell.control) {
      if (frame.type !== "streamFin") continue;
      const stream = this.#table.get(frame.id);
      if (stream === undefined) continue;
      stream.send.onFinAcknowledged();
      this.#finishIfOver(stream);
      this.#breakOffIfDue(stream);
    }
  }

  /** What a cell carried may be lost: it goes out again, but for what was true of its moment only. */
  onLost(cell: SentCell): void {
    for (const { id, offset, length } of cell.data) {
      const stream = this.#table.get(id);
      if (stream === undefined) continue;
      stream.send.onLost(offset, length);
      this.#round.queue(stream);
    }
    for (const frame of cell.control) this.#sendAgain(frame);
  }

  #sendAgain(frame: ControlFrame): void {
    switch (frame.type) {
      case "ack":
      case "ping":
        return;
      case "streamWindow": {
        const stream = this.#table.get(frame.id);
        if (stream !== undefined) this.#grant(stream);
        return;
      }
      case "streamFin": {
        const stream = this.#table.get(frame.id);
        if (stream === undefined) return;
        stream.send.onFinLost();
        return this.#round.queue(stream);
      }
      default:
        this.control.push(frame);
    }
  }

  // ---- from readers and writers ----

  /** Open a stream. @returns Its id; `undefined` while as many are open as may be. */
  open(port: number, nowMs: number): StreamId | undefined {
    this.#onlyClients();
    if (this.#table.isFull || !this.control.hasRoom) return undefined;
    const { id } = this.#table.open(nowMs);
    this.control.push({ type: "streamOpen", id, port });
    return id;
  }

  /**
   * The stream that the introduction asked for, at its client: the service has it
   * open from the beginning. Before all other streams.
   *
   * @returns Its id.
   */
  openKnown(nowMs: number): StreamId {
    this.#onlyClients();
    const { id } = this.#table.open(nowMs);
    if (id === FIRST_STREAM) return id;
    throw new BugError("session.open", "The service knows of one stream only");
  }

  #onlyClients(): void {
    if (this.#role === "client") return;
    throw new BugError("session.open", "Services open no streams");
  }

  /** Tell the client that its stream has been taken, before anything is to be said on it. */
  accept(id: StreamId): void {
    const stream = this.#table.get(id);
    if (stream !== undefined) this.#grant(stream);
  }

  /**
   * Append bytes to a stream; they must not change from now on.
   *
   * @returns `"full"` when the writer should wait for `writable` before the next
   * write (these bytes are taken all the same), `"gone"` when the stream is over.
   */
  write(id: StreamId, bytes: Uint8Array): WriteResult {
    const stream = this.#table.get(id);
    if (stream === undefined) return "gone";
    this.#table.counted(stream, () => stream.send.write(bytes));
    this.#round.queue(stream);
    this.#table.relieve();
    if (!this.#table.has(id)) return "gone";
    if (this.#table.hasRoom(stream)) return "taken";
    stream.isWriterWaiting = true;
    return "full";
  }

  /** Bytes of a stream that were written and have not arrived; `undefined` once it is over. */
  unconfirmed(id: StreamId): number | undefined {
    return this.#table.get(id)?.send.bufferedBytes;
  }

  /** End our direction of a stream; what was written still goes out. */
  finish(id: StreamId): void {
    const stream = this.#table.get(id);
    if (stream === undefined) return;
    stream.send.finish();
    this.#round.queue(stream);
  }

  /** Give up both directions. */
  reset(id: StreamId, code: number): void {
    const stream = this.#table.get(id);
    if (stream === undefined) return;
    this.#forget(stream);
    this.control.push({ type: "streamReset", id, code });
  }

  /**
   * Give up both directions, as `reset` does, but not before all that was written
   * has arrived, and the end after `finish`: the peer shall have it.
   */
  breakOff(id: StreamId, code: number): void {
    const stream = this.#table.get(id);
    if (stream === undefined) return;
    stream.breakOffCode = code;
    this.#breakOffIfDue(stream);
  }

  #breakOffIfDue(stream: SessionStream): void {
    const { id, breakOffCode: code, send } = stream;
    if (code === undefined || send.bufferedBytes > 0) return;
    if (send.isFinishing) return;
    if (!this.#table.has(id)) return;
    this.reset(id, code);
    this.#say({ type: "reset", id, code });
  }

  /**
   * Take what is there in order.
   *
   * @param maxBytes Take no more than that, unless the first piece alone is longer.
   * @param roundTripMs Of the session: how fast a window may have to grow.
   * @returns `undefined` when the stream is over.
   */
  read(
    id: StreamId,
    maxBytes: number,
    roundTripMs: number,
    nowMs: number,
  ): ReadResult | undefined {
    const stream = this.#table.get(id);
    if (stream === undefined) return undefined;
    stream.isReadableSaid = false;
    const chunks = this.#table.counted(
      stream,
      () => stream.receive.read(maxBytes),
    );
    const grant = stream.receive.takeGrant(
      nowMs,
      roundTripMs,
      (bytes) => this.#table.mayGrow(bytes),
    );
    if (grant !== undefined) this.#grant(stream);
    const isEnd = stream.receive.isAtEnd;
    this.#finishIfOver(stream);
    return { chunks, isEnd };
  }

  /** Write what waits in a lane into the room for frames of a cell, from `start` on. @returns The offset behind it. */
  fill(
    cell: Uint8Array,
    start: number,
    load: CellLoad,
    lane: SendLane,
  ): number {
    return this.#round.fill(
      cell,
      start,
      load,
      lane,
      (id) => this.#table.has(id),
      (stream) => this.#sayWritable(stream),
    );
  }

  /** Write control frames that wait. @returns The offset behind them. */
  fillControl(cell: Uint8Array, start: number, load: CellLoad): number {
    return this.control.fill(cell, start, cell.length, load.control);
  }

  /**
   * The session is over: forget all streams.
   *
   * @param lastWords Frames that still go out.
   * @param why Whether their readers and writers must be told.
   */
  end(lastWords: readonly ControlFrame[], why: "ours" | "theirs"): void {
    for (const stream of this.#table.all()) {
      const { id } = stream;
      const isKnown = stream.isOpen && !this.#pace.isWaiting(id);
      const lost = unconfirmedOf(stream);
      this.#forget(stream);
      if (why === "ours" || !isKnown) continue;
      this.#say({ type: "reset", id, code: RESET_CODE.failed, ...lost });
    }
    this.#round.clear();
    this.control.replace(lastWords);
  }

  /** Count for nothing any more. */
  clear(): void {
    this.#table.clear();
  }

  // ---- inside ----

  #grant({ id, receive }: SessionStream): void {
    this.control.push({ type: "streamWindow", id, max: receive.granted });
  }

  #sayAccepted(stream: SessionStream): void {
    if (stream.isAccepted) return;
    stream.isAccepted = true;
    if (this.#role === "service") return;
    this.#say({ type: "accepted", id: stream.id });
  }

  #sayReadable(stream: SessionStream): void {
    if (
      stream.isReadableSaid || !stream.isOpen || !stream.receive.isReadable ||
      this.#pace.isWaiting(stream.id)
    ) return;
    stream.isReadableSaid = true;
    this.#say({ type: "readable", id: stream.id });
  }

  #sayWritable(stream: SessionStream): void {
    if (!stream.isWriterWaiting || !this.#table.hasRoom(stream)) return;
    stream.isWriterWaiting = false;
    this.#say({ type: "writable", id: stream.id });
  }

  #finishIfOver(stream: SessionStream): void {
    if (!stream.isOver || !this.#table.has(stream.id)) return;
    this.#forget(stream);
    this.#say({ type: "finished", id: stream.id });
  }

  /** Memory is short, and we hold most of it: the largest streams are reset. */
  #shed(bytes: number): void {
    const code = RESET_CODE.exhausted;
    for (const stream of this.#table.largest(bytes)) {
      const { id } = stream;
      const isKnown = stream.isOpen && !this.#pace.isWaiting(id);
      const lost = unconfirmedOf(stream);
      this.#forget(stream);
      // It may be another session that runs now: what is wrong with us is not its fault.
      if (!this.control.isFull) {
        this.control.push({ type: "streamReset", id, code });
      }
      if (isKnown) this.#say({ type: "reset", id, code, ...lost });
    }
    this.#handlers.onShed();
  }
}

/** What of a stream that is about to be forgotten has not arrived. */
function unconfirmedOf(
  { send }: SessionStream,
): { readonly unconfirmed?: number } {
  return send.bufferedBytes > 0 ? { unconfirmed: send.bufferedBytes } : {};
}
