/**
 * The end-to-end pipe between a client and a service: streams over one or more
 * legs. A pure machine: cells and the time go in, events and cells come out.
 *
 *     driver                    session
 *     cell of a leg      →      onCell       →  events
 *     leg may send       →      buildCell    →  a sealed cell, or none
 *     circuit is gone    →      removeLeg    →  its bytes go out on another leg
 *     deadlineMs is due  →      onTime       →  events
 *
 * @see protocol §6
 * @module
 */
import { type Bytes, wipe } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import {
  type ControlFrame,
  controlFrameBytes,
  DATA_HEADER_BYTES,
  decodeFrames,
  encodeControlFrame,
  encodeDataHeader,
  FRAME_SPACE_BYTES,
  type LegNumber,
  MAX_LEG_NUMBER,
  type StreamId,
} from "./frames.ts";
import {
  Leg,
  type SentCell,
  type SentData,
  SESSION_CELL_BYTES,
  type SessionRole,
} from "./leg.ts";
import type { SessionQuota } from "./quota.ts";
import { RESET_CODE, SessionStream } from "./stream.ts";

/** Streams that may be open at once in a session. */
export const MAX_STREAMS = 4096;
/** Legs that a session has at most at once. */
export const MAX_LEGS = 3;
/** A session without a leg fails after this long, ms. */
export const LEGLESS_MS = 60_000;
/** Control frames that may wait: each stream has a window, an end and a reset. */
const MAX_CONTROL_FRAMES = 4 * MAX_STREAMS;
/** Least silence after which an end with open streams asks for a sign of life, ms. */
const FIRST_PING_MS = 500;
/** Most silence between two such questions, ms. */
const MAX_PING_MS = 30_000;
/** An acknowledgement goes out on another leg when its own has not taken it for so long, ms. */
const ACK_DETOUR_MS = 50;

/** Why a session ended. */
export const SESSION_CODE = {
  /** On purpose. */
  done: 0,
  /** The other side broke the protocol. */
  protocol: 1,
  /** No leg for too long. */
  noLeg: 2,
} as const;

/** What happened, for the driver. */
export type SessionEvent =
  /** The client opened a stream to a virtual port. */
  | { readonly type: "opened"; readonly id: StreamId; readonly port: number }
  /** `read` has something; not said again before it was called. */
  | { readonly type: "readable"; readonly id: StreamId }
  /** A writer that was turned away may write again. */
  | { readonly type: "writable"; readonly id: StreamId }
  /** The peer gave up the stream. */
  | { readonly type: "reset"; readonly id: StreamId; readonly code: number }
  /** Both directions have ended well. */
  | { readonly type: "finished"; readonly id: StreamId }
  /** A leg owes an answer for too long: build another. */
  | { readonly type: "legSuspect"; readonly leg: LegNumber }
  /** The peer gives up a leg; its circuit can go. */
  | { readonly type: "legClosed"; readonly leg: LegNumber }
  /** The session is over. */
  | { readonly type: "closed"; readonly code: number };

/** What a session is made of. */
export interface SessionOptions {
  readonly crypto: CryptoSuite;
  readonly role: SessionRole;
  /** Shared secret of the rendezvous handshake, 32 bytes; copied. */
  readonly secret: Uint8Array;
  readonly quota: SessionQuota;
  /** Which legs carry data: the fastest one alone, or all. Default `"one"`. */
  readonly spread?: "one" | "all";
}

/** A leg and what the session thinks of it. */
interface LegState {
  readonly leg: Leg;
  isSuspect: boolean;
  /** Cells numbered below this have been put up for sending on another leg already. */
  resentBelow: number;
  pingDueMs: number;
  pingWaitMs: number;
  isPingWanted: boolean;
}

const NO_EVENTS: readonly SessionEvent[] = [];

/** One end of a session. */
export class Session {
  readonly role: SessionRole;
  readonly #crypto: CryptoSuite;
  readonly #secret: Bytes;
  readonly #quota: SessionQuota;
  readonly #spread: "one" | "all";
  readonly #legs = new Map<LegNumber, LegState>();
  readonly #streams = new Map<StreamId, SessionStream>();
  /** Ids below the highest seen whose StreamOpen is still to come by another leg. */
  readonly #skipped = new Set<StreamId>();
  #highestId = 0;
  #highestLeg = -1;
  /** Streams with something to send, in turn. */
  #round: SessionStream[] = [];
  #control: ControlFrame[] = [];
  #events: SessionEvent[] = [];
  #leglessSinceMs: number | undefined;
  #closed: number | undefined;
  #heldBytes = 0;

  constructor(options: SessionOptions, nowMs: number) {
    this.role = options.role;
    this.#crypto = options.crypto;
    this.#secret = new Uint8Array(options.secret);
    this.#quota = options.quota;
    this.#spread = options.spread ?? "one";
    this.#leglessSinceMs = nowMs;
  }

  /** The code it was closed with; `undefined` while it lives. */
  get closedCode(): number | undefined {
    return this.#closed;
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Legs that are attached. */
  get legNumbers(): LegNumber[] {
    return [...this.#legs.keys()];
  }

  /** The lowest number that a new leg may have. */
  get nextLegNumber(): LegNumber {
    return this.#highestLeg + 1;
  }

  /** Smoothed round trip of the leg that carries data, ms. */
  get roundTripMs(): number | undefined {
    return this.#primary()?.leg.congestion.roundTripMs;
  }

  /** When to call {@linkcode onTime} next; `undefined` when nothing is due. */
  get deadlineMs(): number | undefined {
    if (this.#closed !== undefined) return undefined;
    let due = this.#leglessSinceMs === undefined
      ? Infinity
      : this.#leglessSinceMs + LEGLESS_MS;
    for (const state of this.#legs.values()) {
      const { leg } = state;
      due = Math.min(due, leg.ackDueMs ?? Infinity);
      if (!state.isSuspect) due = Math.min(due, leg.probeDueMs ?? Infinity);
      if (this.#streams.size > 0) due = Math.min(due, state.pingDueMs);
    }
    return due === Infinity ? undefined : due;
  }

  // ---- legs ----

  /**
   * Attach a leg over a joined circuit.
   *
   * @throws {ProtocolError} `session.leg_number` for a number used before or not
   * the next few, `session.too_many_legs` beyond three.
   */
  addLeg(number: LegNumber, nowMs: number): void {
    if (number <= this.#highestLeg || number > MAX_LEG_NUMBER) {
      throw new ProtocolError(
        "session.leg_number",
        `Cannot add leg: number ${number} was used`,
      );
    }
    if (this.#legs.size >= MAX_LEGS) {
      throw new ProtocolError(
        "session.too_many_legs",
        "Cannot add leg: the session has three",
      );
    }
    this.#highestLeg = number;
    this.#legs.set(number, {
      leg: new Leg(this.#crypto, this.#secret, number, this.role, nowMs),
      isSuspect: false,
      resentBelow: 0,
      pingDueMs: nowMs + FIRST_PING_MS,
      pingWaitMs: FIRST_PING_MS,
      isPingWanted: false,
    });
    this.#leglessSinceMs = undefined;
  }

  /** A leg's circuit is gone: what was in flight on it goes out again on another. */
  removeLeg(number: LegNumber, nowMs: number): void {
    const state = this.#legs.get(number);
    if (state === undefined) return;
    this.#legs.delete(number);
    for (const cell of state.leg.die()) {
      if (cell.number >= state.resentBelow) this.#resend(cell);
    }
    if (this.#legs.size === 0) this.#leglessSinceMs = nowMs;
  }

  /** Tell the peer that we give up a leg, through another one if there is one. */
  closeLeg(number: LegNumber, nowMs: number): void {
    if (!this.#legs.has(number)) return;
    this.#pushControl({ type: "legClose", leg: number });
    this.removeLeg(number, nowMs);
  }

  /** The leg that data goes out on: not suspect, and the fastest of those. */
  #primary(): LegState | undefined {
    let best: LegState | undefined;
    for (const state of this.#legs.values()) {
      if (best === undefined || score(state) < score(best)) best = state;
    }
    return best;
  }

  #mayCarryData(state: LegState): boolean {
    if (this.#spread === "all" && !state.isSuspect) return true;
    return state === this.#primary();
  }

  #resend(cell: SentCell): void {
    for (const { id, offset, length } of cell.data) {
      const stream = this.#streams.get(id);
      if (stream === undefined) continue;
      stream.send.onLost(offset, length);
      this.#queue(stream);
    }
    for (const frame of cell.control) {
      switch (frame.type) {
        case "ack":
        case "ping":
          break; // true of the moment only
        case "streamWindow": {
          const stream = this.#streams.get(frame.id);
          if (stream !== undefined) {
            this.#pushControl({
              type: "streamWindow",
              id: frame.id,
              max: stream.receive.granted,
            });
          }
          break;
        }
        case "streamFin": {
          const stream = this.#streams.get(frame.id);
          stream?.send.onFinLost();
          if (stream !== undefined) this.#queue(stream);
          break;
        }
        default:
          this.#pushControl(frame);
      }
    }
  }

  // ---- receiving ----

  /**
   * Take a cell of a leg; it is decrypted in place.
   *
   * @throws {ProtocolError} when the leg must be given up (`session.cell_size`,
   * `session.authentication`) or the peer breaks the protocol (all others). The
   * driver removes the leg for the former, and closes the session for the latter.
   */
  onCell(
    number: LegNumber,
    cell: Uint8Array,
    nowMs: number,
  ): readonly SessionEvent[] {
    const state = this.#legs.get(number);
    if (state === undefined || this.#closed !== undefined) return NO_EVENTS;
    const frames = state.leg.open(cell, nowMs);
    state.isSuspect = false;
    let wantsAck = false;
    let isBusy = false;
    decodeFrames(frames, {
      onStreamData: (id, offset, bytes) => {
        wantsAck = isBusy = true;
        this.#onStreamData(id, offset, bytes, nowMs);
      },
      onControlFrame: (frame) => {
        if (frame.type !== "ack") wantsAck = true;
        if (frame.type !== "ack" && frame.type !== "ping") isBusy = true;
        this.#onControlFrame(frame, nowMs);
      },
    });
    if (wantsAck) state.leg.onAckWanted(nowMs);
    if (isBusy) {
      state.pingWaitMs = Math.max(
        FIRST_PING_MS,
        2 * (state.leg.congestion.roundTripMs ?? 0),
      );
    }
    state.pingDueMs = nowMs + state.pingWaitMs;
    return this.#takeEvents();
  }

  #onStreamData(
    id: StreamId,
    offset: number,
    bytes: Uint8Array,
    nowMs: number,
  ): void {
    const stream = this.#streamOf(id, nowMs);
    if (stream === undefined) return;
    const added = stream.receive.onData(offset, bytes);
    this.#hold(added);
    this.#sayReadable(stream);
    if (this.#quota.isExceeded) this.#shed();
  }

  #onControlFrame(frame: ControlFrame, nowMs: number): void {
    switch (frame.type) {
      case "ack":
        return this.#onAck(frame.leg, frame.cells, frame.delayMs, nowMs);
      case "streamOpen":
        return this.#onStreamOpen(frame.id, frame.port, nowMs);
      case "streamWindow": {
        const stream = this.#streamOf(frame.id, nowMs);
        stream?.send.raiseLimit(frame.max);
        if (stream !== undefined) this.#queue(stream);
        return;
      }
      case "streamFin": {
        const stream = this.#streamOf(frame.id, nowMs);
        stream?.receive.onFin(frame.offset);
        if (stream !== undefined) this.#sayReadable(stream);
        return;
      }
      case "streamReset": {
        const stream = this.#streamOf(frame.id, nowMs);
        if (stream === undefined) return;
        this.#forget(stream);
        if (stream.isOpen) {
          this.#events.push({ type: "reset", id: frame.id, code: frame.code });
        }
        return;
      }
      case "legClose":
        if (!this.#legs.has(frame.leg)) return;
        this.removeLeg(frame.leg, nowMs);
        this.#events.push({ type: "legClosed", leg: frame.leg });
        return;
      case "sessionClose":
        return this.#end(frame.code);
      case "ping":
        return;
    }
  }

  #onAck(
    number: LegNumber,
    cells: number,
    delayMs: number,
    nowMs: number,
  ): void {
    const state = this.#legs.get(number);
    if (state === undefined) {
      if (number > this.#highestLeg) {
        throw new ProtocolError(
          "session.ack",
          "Cannot take acknowledgement: no such leg",
        );
      }
      return;
    }
    for (const cell of state.leg.onAck(cells, delayMs, nowMs)) {
      for (const { id, offset, length } of cell.data) {
        const stream = this.#streams.get(id);
        if (stream === undefined) continue;
        const before = stream.send.bufferedBytes;
        stream.send.onAcknowledged(offset, length);
        this.#hold(stream.send.bufferedBytes - before);
        this.#sayWritable(stream);
        this.#finishIfOver(stream);
      }
      for (const frame of cell.control) {
        if (frame.type !== "streamFin") continue;
        const stream = this.#streams.get(frame.id);
        stream?.send.onFinAcknowledged();
        if (stream !== undefined) this.#finishIfOver(stream);
      }
    }
  }

  #onStreamOpen(id: StreamId, port: number, nowMs: number): void {
    if (this.role === "client") {
      throw new ProtocolError(
        "session.stream_open",
        "Cannot open stream: services open none",
      );
    }
    const stream = this.#streamOf(id, nowMs);
    if (stream === undefined || stream.isOpen) return; // a repetition by another leg
    stream.isOpen = true;
    this.#events.push({ type: "opened", id, port });
    this.#sayReadable(stream);
  }

  /** The stream with this id; made when the peer may speak of it first; `undefined` when it is over. */
  #streamOf(id: StreamId, nowMs: number): SessionStream | undefined {
    const known = this.#streams.get(id);
    if (known !== undefined) return known;
    if (this.role === "client") {
      if (id > this.#highestId || id === 0) {
        throw new ProtocolError(
          "session.stream_id",
          "Cannot take frame: stream never opened",
        );
      }
      return undefined;
    }
    if (id === 0) {
      throw new ProtocolError(
        "session.stream_id",
        "Cannot take frame: stream 0",
      );
    }
    if (id > this.#highestId) {
      if (id - this.#highestId > MAX_STREAMS) {
        throw new ProtocolError(
          "session.stream_id",
          "Cannot take frame: stream id leaps ahead",
        );
      }
      for (let skip = this.#highestId + 1; skip < id; skip++) {
        this.#skipped.add(skip);
      }
      if (this.#skipped.size > MAX_STREAMS) {
        throw new ProtocolError(
          "session.stream_id",
          "Cannot take frame: too many ids left out",
        );
      }
      this.#highestId = id;
    } else if (!this.#skipped.delete(id)) return undefined;
    if (this.#streams.size >= MAX_STREAMS) {
      this.#pushControl({
        type: "streamReset",
        id,
        code: RESET_CODE.exhausted,
      });
      return undefined;
    }
    const stream = new SessionStream(id, nowMs, "expected");
    this.#streams.set(id, stream);
    return stream;
  }

  #sayReadable(stream: SessionStream): void {
    if (stream.isReadableSaid || !stream.isOpen || !stream.receive.isReadable) {
      return;
    }
    stream.isReadableSaid = true;
    this.#events.push({ type: "readable", id: stream.id });
  }

  #sayWritable(stream: SessionStream): void {
    if (!stream.isWriterWaiting || !stream.hasRoom) return;
    stream.isWriterWaiting = false;
    this.#events.push({ type: "writable", id: stream.id });
  }

  /** Over the quota: the stream that holds most is reset. */
  #shed(): void {
    let worst: SessionStream | undefined;
    for (const stream of this.#streams.values()) {
      if (worst === undefined || stream.heldBytes > worst.heldBytes) {
        worst = stream;
      }
    }
    if (worst === undefined) return;
    const { id, isOpen } = worst;
    this.#reset(worst, RESET_CODE.exhausted);
    if (isOpen) {
      this.#events.push({ type: "reset", id, code: RESET_CODE.exhausted });
    }
  }

  // ---- streams ----

  /**
   * Open a stream to a virtual port of the service. Clients only.
   *
   * @returns Its id, or `undefined` while as many are open as may be.
   */
  openStream(port: number, nowMs: number): StreamId | undefined {
    if (this.role !== "client") {
      throw new BugError("session.open", "Services open no streams");
    }
    if (this.#closed !== undefined || this.#streams.size >= MAX_STREAMS) {
      return undefined;
    }
    const id = ++this.#highestId;
    this.#streams.set(id, new SessionStream(id, nowMs, "open"));
    this.#pushControl({ type: "streamOpen", id, port });
    return id;
  }

  /**
   * Append bytes to a stream; they must not change from now on.
   *
   * @returns `"full"` when the writer should wait for `writable` before the next
   * write (these bytes are taken all the same), `"gone"` when the stream is over.
   */
  write(id: StreamId, bytes: Uint8Array): "taken" | "full" | "gone" {
    const stream = this.#streams.get(id);
    if (stream === undefined || this.#closed !== undefined) return "gone";
    stream.send.write(bytes);
    this.#hold(bytes.length);
    this.#queue(stream);
    if (stream.hasRoom) return "taken";
    stream.isWriterWaiting = true;
    return "full";
  }

  /** End our direction of a stream; what was written still goes out. */
  finish(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.send.finish();
    this.#queue(stream);
  }

  /** Give up a stream, both directions. */
  reset(id: StreamId, code: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#reset(stream, code);
  }

  #reset(stream: SessionStream, code: number): void {
    this.#forget(stream);
    this.#pushControl({ type: "streamReset", id: stream.id, code });
  }

  /**
   * Read what is there in order.
   *
   * @returns Chunks, perhaps none, and whether the peer has ended its direction
   * behind them; `undefined` when the stream is over.
   */
  read(
    id: StreamId,
    nowMs: number,
  ): { chunks: Bytes[]; isEnd: boolean } | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined) return undefined;
    stream.isReadableSaid = false;
    const before = stream.receive.bufferedBytes;
    const chunks = stream.receive.readAll();
    this.#hold(stream.receive.bufferedBytes - before);
    const roundTripMs = this.roundTripMs ?? 100;
    const max = stream.receive.takeGrant(
      nowMs,
      roundTripMs,
      (n) => this.#quota.mayGrow(n),
    );
    if (max !== undefined) this.#pushControl({ type: "streamWindow", id, max });
    const isEnd = stream.receive.isAtEnd;
    this.#finishIfOver(stream);
    return { chunks, isEnd };
  }

  #finishIfOver(stream: SessionStream): void {
    if (!stream.isOver || !this.#streams.has(stream.id)) return;
    this.#forget(stream);
    this.#events.push({ type: "finished", id: stream.id });
  }

  #forget(stream: SessionStream): void {
    this.#streams.delete(stream.id);
    this.#hold(-stream.heldBytes);
    stream.send.drop();
    stream.receive.drop();
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#quota.add(bytes);
  }

  // ---- sending ----

  #queue(stream: SessionStream): void {
    if (
      stream.isQueued ||
      (!stream.send.hasData && stream.send.finToSend === undefined)
    ) return;
    stream.isQueued = true;
    this.#round.push(stream);
  }

  #pushControl(frame: ControlFrame): void {
    if (this.#control.length >= MAX_CONTROL_FRAMES) {
      // Only a peer that resets and reopens without reading gets here.
      throw new ProtocolError(
        "session.control_flood",
        "Cannot answer: too many frames waiting",
      );
    }
    this.#control.push(frame);
  }

  /** Whether {@linkcode buildCell} would make a cell for this leg now. */
  wantsToSend(number: LegNumber, nowMs: number): boolean {
    const state = this.#legs.get(number);
    if (state === undefined) return false;
    if (state.isPingWanted || (state.leg.ackDueMs ?? Infinity) <= nowMs) {
      return true;
    }
    if (!this.#mayCarryData(state)) return false;
    return this.#control.length > 0 ||
      (state.leg.hasRoom && this.#round.length > 0);
  }

  /**
   * Fill and seal the next cell of a leg.
   *
   * @param cell Takes the cell: exactly SESSION_CELL_BYTES.
   * @returns Whether there was anything to send.
   */
  buildCell(number: LegNumber, cell: Uint8Array, nowMs: number): boolean {
    if (cell.length !== SESSION_CELL_BYTES) {
      throw new BugError(
        "session.cell_size",
        `Cannot build cell of ${cell.length} bytes`,
      );
    }
    const state = this.#legs.get(number);
    if (state === undefined || !this.wantsToSend(number, nowMs)) return false;
    const { leg } = state;
    const control: ControlFrame[] = [];
    const data: SentData[] = [];
    let at = 0;
    let isEliciting = false;

    for (const other of this.#legs.values()) {
      const due = other.leg.ackDueMs;
      if (
        due === undefined || (other !== state && due + ACK_DETOUR_MS > nowMs)
      ) continue;
      at = encodeControlFrame(other.leg.takeAck(nowMs), cell, at);
    }
    if (state.isPingWanted) {
      state.isPingWanted = false;
      at = encodeControlFrame({ type: "ping" }, cell, at);
      isEliciting = true;
    }
    if (this.#mayCarryData(state)) {
      let sent = 0;
      for (const frame of this.#control) {
        if (at + controlFrameBytes(frame) > FRAME_SPACE_BYTES) break;
        at = encodeControlFrame(frame, cell, at);
        control.push(frame);
        sent++;
      }
      if (sent > 0) this.#control.splice(0, sent);
      if (leg.hasRoom) at = this.#fillData(cell, at, data, control);
      isEliciting ||= control.length > 0 || data.length > 0;
    }
    cell.fill(0, at, FRAME_SPACE_BYTES);
    leg.seal(cell);
    if (isEliciting) leg.onSent(data, control, nowMs);
    return true;
  }

  /** Stream bytes in turn, one run of a stream per cell as long as it fills the cell. */
  #fillData(
    cell: Uint8Array,
    start: number,
    data: SentData[],
    control: ControlFrame[],
  ): number {
    let at = start;
    let turns = this.#round.length;
    while (turns-- > 0 && at + DATA_HEADER_BYTES < FRAME_SPACE_BYTES) {
      const stream = this.#round.shift() as SessionStream;
      stream.isQueued = false;
      if (!this.#streams.has(stream.id)) continue;
      const taken = stream.send.take(
        FRAME_SPACE_BYTES - at - DATA_HEADER_BYTES,
      );
      if (taken !== undefined) {
        const { offset, length } = taken;
        at = encodeDataHeader(cell, at, stream.id, offset, length);
        stream.send.copy(offset, length, cell, at);
        at += length;
        data.push({ id: stream.id, offset, length });
        this.#sayWritable(stream);
      }
      const fin = stream.send.finToSend;
      if (fin !== undefined) {
        const frame: ControlFrame = {
          type: "streamFin",
          id: stream.id,
          offset: fin,
        };
        if (at + controlFrameBytes(frame) <= FRAME_SPACE_BYTES) {
          at = encodeControlFrame(frame, cell, at);
          control.push(frame);
          stream.send.onFinSent();
        }
      }
      this.#queue(stream);
    }
    return at;
  }

  /** Events that building cells caused: writers that may go on. */
  takeEvents(): readonly SessionEvent[] {
    return this.#takeEvents();
  }

  // ---- time and end ----

  /** The deadline has passed. Call {@linkcode buildCell} for each leg afterwards. */
  onTime(nowMs: number): readonly SessionEvent[] {
    if (this.#closed !== undefined) return NO_EVENTS;
    for (const state of this.#legs.values()) {
      if (!state.isSuspect && (state.leg.probeDueMs ?? Infinity) <= nowMs) {
        this.#suspect(state);
      }
      if (this.#streams.size > 0 && state.pingDueMs <= nowMs) {
        state.isPingWanted = true;
        state.pingWaitMs = Math.min(MAX_PING_MS, 2 * state.pingWaitMs);
        state.pingDueMs = nowMs + state.pingWaitMs;
      }
    }
    if (
      this.#leglessSinceMs !== undefined &&
      nowMs - this.#leglessSinceMs >= LEGLESS_MS
    ) {
      this.#end(SESSION_CODE.noLeg);
    }
    return this.#takeEvents();
  }

  /** A leg is silent: do not wait for its end, send on another what it may have lost. */
  #suspect(state: LegState): void {
    state.isSuspect = true;
    this.#events.push({ type: "legSuspect", leg: state.leg.number });
    if (this.#legs.size === 1) return;
    for (const cell of state.leg.peekInFlight()) {
      if (cell.number < state.resentBelow) continue;
      state.resentBelow = cell.number + 1;
      this.#resend(cell);
    }
  }

  /** Close for good. Build one more cell per leg afterwards to let the peer know. */
  close(code: number): readonly SessionEvent[] {
    if (this.#closed !== undefined) return NO_EVENTS;
    this.#control = [{ type: "sessionClose", code }];
    this.#round = [];
    for (const stream of [...this.#streams.values()]) this.#forget(stream);
    this.#closed = code;
    this.#events.push({ type: "closed", code });
    return this.#takeEvents();
  }

  #end(code: number): void {
    if (this.#closed !== undefined) return;
    for (const stream of [...this.#streams.values()]) {
      this.#forget(stream);
      if (stream.isOpen) {
        this.#events.push({
          type: "reset",
          id: stream.id,
          code: RESET_CODE.failed,
        });
      }
    }
    this.#closed = code;
    this.#control = [];
    this.#round = [];
    this.#events.push({ type: "closed", code });
  }

  /** Forget all keys. The session is of no use afterwards. */
  wipe(): void {
    for (const { leg } of this.#legs.values()) leg.wipe();
    this.#legs.clear();
    this.#quota.add(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#streams.clear();
    wipe(this.#secret);
  }

  #takeEvents(): readonly SessionEvent[] {
    if (this.#events.length === 0) return NO_EVENTS;
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

function score(state: LegState): number {
  const { congestion, number } = state.leg;
  // Unmeasured legs come behind measured ones; equals in order of age.
  const roundTripMs = congestion.roundTripMs ?? 10_000;
  return (state.isSuspect ? 1e9 : 0) + roundTripMs + number / 1e5;
}
