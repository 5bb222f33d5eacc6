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
 * @see protocol §6 "Sessions"
 * @module
 */
import { type Bytes, wipe } from "../base/bytes.ts";
import { BugError, ProtocolError } from "../base/errors.ts";
import { type CryptoSuite, TAG_BYTES } from "../crypto/suite.ts";
import {
  type ControlFrame,
  decodeFrames,
  encodeControlFrame,
  type LegNumber,
  type LegOffer,
  type StreamId,
} from "./frames.ts";
import { isCellSize, SESSION_TRAIN_BYTES, type SessionRole } from "./leg.ts";
import {
  type CellCounts,
  type LegSpread,
  type LegState,
  LegTable,
} from "./leg_table.ts";
import type { SessionQuota } from "./quota.ts";
import type { CellLoad, SendLane } from "./send_round.ts";
import { NO_EVENTS, SESSION_CODE, type SessionEvent } from "./session_event.ts";
import { FIRST_STREAM, SessionStreams } from "./session_streams.ts";
import { Standstill } from "./standstill.ts";
import type { ReadResult } from "./stream.ts";

/** A session with streams and without a leg fails after this long, ms. */
export const LEGLESS_MS = 60_000;
/** Round trip assumed before one was measured, ms. */
const ASSUMED_ROUND_TRIP_MS = 100;

/** What a session is made of. */
export interface SessionOptions {
  readonly crypto: CryptoSuite;
  readonly role: SessionRole;
  /** Shared secret of the rendezvous handshake, 32 bytes; copied. */
  readonly secret: Uint8Array;
  readonly quota: SessionQuota;
  /** Which legs carry data: the fastest one alone, or all. Default `"one"`. */
  readonly spread?: LegSpread;
}

/** A leg, seen from outside. */
export interface LegView {
  readonly number: LegNumber;
  readonly isSuspect: boolean;
  /** Smoothed, ms; `undefined` before the first answer. */
  readonly roundTripMs: number | undefined;
  /** When a cell came last, ms. */
  readonly heardMs: number;
  /** Cells that came. */
  readonly receivedCells: number;
}

/** What a session shows to those who may only look. */
export interface SessionView {
  /** Streams that are open. */
  readonly streamCount: number;
  /** What is known of each leg, oldest first. */
  readonly legs: readonly LegView[];
  /** Legs that are attached, oldest first. */
  readonly legNumbers: readonly LegNumber[];
  /** The lowest number that a new leg may have. */
  readonly nextLegNumber: LegNumber;
  /** Cells that came and went, ever. */
  readonly cells: CellCounts;
}

/** What may be asked of the streams without looking at the legs. */
export type CallableStreams = Pick<
  SessionStreams,
  | "openKnown"
  | "accept"
  | "write"
  | "unconfirmed"
  | "finish"
  | "breakOff"
  | "reset"
>;

/** One end of a session. */
export class Session implements SessionView {
  readonly role: SessionRole;
  readonly #secret: Bytes;
  readonly #legs: LegTable;
  readonly #streams: SessionStreams;
  readonly #standstill = new Standstill();
  /**
   * Called when memory was short and streams of this session went: {@linkcode
   * takeEvents} has news that no call to this session has caused.
   */
  onShed: (() => void) | undefined;
  #events: SessionEvent[] = [];
  #closed: number | undefined;
  #dataMs: number;
  /** When a stream was last opened here. */
  #openedMs: number;

  constructor(options: SessionOptions, nowMs: number) {
    const { crypto, role, quota } = options;
    this.role = role;
    this.#dataMs = nowMs;
    this.#openedMs = nowMs;
    this.#secret = new Uint8Array(options.secret);
    const spread = options.spread ?? "one";
    this.#legs = new LegTable({ crypto, role, spread }, nowMs);
    this.#streams = new SessionStreams(
      role,
      quota,
      {
        onEvent: (event) => this.#events.push(event),
        onShed: () => this.onShed?.(),
      },
      nowMs,
    );
  }

  /** The code it was closed with; `undefined` while it lives. */
  get closedCode(): number | undefined {
    return this.#closed;
  }

  /** Its streams, for readers and writers. Look at what is to be sent after each call. */
  get streams(): CallableStreams {
    return this.#streams;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get legNumbers(): readonly LegNumber[] {
    return this.#legs.numbers;
  }

  get legs(): readonly LegView[] {
    return Array.from(this.#legs, ({ leg, isSuspect }) => ({
      number: leg.number,
      isSuspect,
      roundTripMs: leg.congestion.roundTripMs,
      heardMs: leg.lastHeardMs,
      receivedCells: leg.receivedCells,
    }));
  }

  get cells(): CellCounts {
    return this.#legs.cells;
  }

  get nextLegNumber(): LegNumber {
    return this.#legs.highest + 1;
  }

  /** When to call {@linkcode onTime} next; `Infinity` when nothing is due. */
  get deadlineMs(): number {
    if (this.#closed !== undefined) return Infinity;
    return Math.min(
      this.#streams.dueMs,
      this.#legs.dueMs(this.#anyStreams),
      this.#failMs,
    );
  }

  /** When it fails for want of a leg, or of an answer. Without streams it misses no leg. */
  get #failMs(): number {
    const legMs = this.#streams.size === 0
      ? Infinity
      : Math.max(this.#legs.leglessSinceMs, this.#openedMs) + LEGLESS_MS;
    return Math.min(legMs, this.#standstill.deadlineMs);
  }

  /** When bytes of a stream last came or went, ms; the beginning before that. */
  get dataMs(): number {
    return this.#dataMs;
  }

  get #anyStreams(): "some" | "none" {
    return this.#streams.size > 0 ? "some" : "none";
  }

  // ---- legs ----

  /**
   * Attach a leg over a joined circuit.
   *
   * @throws {ProtocolError} `session.leg_number` for a number not above all
   * others so far, `session.too_many_legs` beyond three.
   */
  addLeg(number: LegNumber, nowMs: number): void {
    this.#legs.add(this.#secret, number, nowMs);
    if (this.#standstill.isDoubtful) this.#legs.askAll(nowMs);
    this.#rescue();
  }

  /** A leg's circuit is gone: what was in flight on it goes out again on another. */
  removeLeg(number: LegNumber, nowMs: number): void {
    const state = this.#legs.remove(number, nowMs);
    if (state === undefined) return;
    for (const cell of state.leg.die()) {
      if (cell.number >= state.resentBelow) this.#streams.onLost(cell);
    }
  }

  /**
   * Do not wait for the end of silent legs: send on another, if one is not silent,
   * what they may have lost.
   */
  #rescue(): void {
    if (!this.#legs.hasSuspect || this.#legs.primary?.isSuspect) return;
    for (const state of this.#legs) {
      const isNews = state.leg.newestInFlight >= state.resentBelow;
      if (!state.isSuspect || !isNews) continue;
      for (const cell of state.leg.peekInFlight()) {
        if (cell.number < state.resentBelow) continue;
        state.resentBelow = cell.number + 1;
        this.#streams.onLost(cell);
      }
    }
  }

  /** Tell the peer that we give up a leg, through another one if there is one. */
  closeLeg(number: LegNumber, nowMs: number): void {
    if (this.#legs.get(number) === undefined) return;
    this.#streams.control.push({ type: "legClose", leg: number });
    this.removeLeg(number, nowMs);
  }

  /**
   * Tell the service where we wait for one more leg. Clients only; goes out on a
   * leg that lives, if there is one.
   */
  offerLeg(offer: LegOffer): void {
    if (this.#closed !== undefined) return;
    this.#streams.control.push({ type: "legOffer", ...offer });
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
    if (state.isSuspect) this.#heal(state);
    let wantsAck = false;
    let isNews = false;
    decodeFrames(frames, {
      onStreamData: (id, offset, bytes) => {
        wantsAck = isNews = true;
        this.#dataMs = nowMs;
        this.#streams.onData(id, offset, bytes, nowMs);
      },
      onControlFrame: (frame) => {
        if (frame.type !== "ack") wantsAck = true;
        if (frame.type !== "ack" && frame.type !== "ping") isNews = true;
        this.#onControlFrame(frame, nowMs);
      },
    });
    if (wantsAck) state.leg.onAckWanted(nowMs);
    state.onHeard(isNews ? "news" : "signs of life", nowMs);
    return this.takeEvents();
  }

  #heal(state: LegState): void {
    state.isSuspect = false;
    this.#events.push({ type: "legHealed", leg: state.leg.number });
    this.#rescue();
  }

  #onControlFrame(frame: ControlFrame, nowMs: number): void {
    switch (frame.type) {
      case "ack":
        return this.#onAck(frame.leg, frame.cells, frame.delayMs, nowMs);
      case "legClose":
        if (this.#legs.get(frame.leg) === undefined) return;
        this.removeLeg(frame.leg, nowMs);
        this.#events.push({ type: "legClosed", leg: frame.leg });
        return;
      case "legOffer":
        return this.#onLegOffer(frame);
      case "sessionClose":
        return this.#finish(frame.code, [], "theirs");
      case "ping":
        return;
      default:
        return this.#streams.onFrame(frame, nowMs);
    }
  }

  #onLegOffer({ leg, cookie, rendezvous }: LegOffer): void {
    if (this.role === "client") {
      throw new ProtocolError(
        "session.leg_offer",
        "Cannot take offer of a leg: services make none",
      );
    }
    if (leg <= this.#legs.highest) return; // a repetition by another leg
    const offer = { leg, cookie, rendezvous };
    this.#events.push({ type: "legOffered", offer });
  }

  #onAck(
    number: LegNumber,
    cells: number,
    delayMs: number,
    nowMs: number,
  ): void {
    const state = this.#legs.get(number);
    if (state === undefined) {
      if (number <= this.#legs.highest) return;
      throw new ProtocolError(
        "session.ack",
        "Cannot take acknowledgement: no such leg",
      );
    }
    for (const cell of state.leg.onAck(cells, delayMs, nowMs)) {
      this.#standstill.onAcknowledged(cell.sentMs);
      this.#streams.onArrived(cell);
    }
  }

  // ---- streams ----

  /**
   * Open a stream to a virtual port of the service. Clients only.
   *
   * @returns Its id, or `undefined` while as many are open as may be.
   */
  openStream(port: number, nowMs: number): StreamId | undefined {
    this.#openedMs = nowMs;
    return this.#closed === undefined
      ? this.#streams.open(port, nowMs)
      : undefined;
  }

  /** The introduction asks for a stream to `port`: as if its StreamOpen had come. */
  onKnownStream(port: number, nowMs: number): readonly SessionEvent[] {
    const frame = { type: "streamOpen", id: FIRST_STREAM, port } as const;
    this.#streams.onFrame(frame, nowMs);
    return this.takeEvents();
  }

  /**
   * Read what is there in order.
   *
   * @param maxBytes Take no more, unless the first piece alone is longer: what was
   * taken counts for nothing any more, and the peer may send as much again.
   * @returns Chunks, perhaps none, and whether the peer has ended its direction
   * behind them; `undefined` when the stream is over.
   */
  read(
    id: StreamId,
    nowMs: number,
    maxBytes: number = Infinity,
  ): ReadResult | undefined {
    const roundTripMs = this.#legs.primary?.leg.congestion.roundTripMs ??
      ASSUMED_ROUND_TRIP_MS;
    return this.#streams.read(id, maxBytes, roundTripMs, nowMs);
  }

  // ---- sending ----

  /** Whether {@linkcode buildCell} would make a cell for this leg now. */
  wantsToSend(number: LegNumber, nowMs: number): boolean {
    const state = this.#legs.get(number);
    return state !== undefined && this.#wantsToSend(state, nowMs);
  }

  #wantsToSend(state: LegState, nowMs: number): boolean {
    if (state.isPingWanted || state.leg.ackDueMs <= nowMs) {
      return true;
    }
    const lane = this.#laneOf(state);
    if (lane === "none") return false;
    return (lane !== "bulk" && this.#streams.control.length > 0) ||
      (state.leg.hasRoom && this.#streams.hasData(lane));
  }

  /**
   * Whether so much waits for this leg that {@linkcode buildCell} would fill a train
   * with it: then one shall be built.
   */
  trainWaits(number: LegNumber): boolean {
    const state = this.#legs.get(number);
    if (state === undefined || !state.leg.hasRoomForTrain) return false;
    const lane = this.#laneOf(state);
    return lane !== "none" &&
      this.#streams.hasBytes(lane, SESSION_TRAIN_BYTES);
  }

  /** Last words go behind the data, wherever that goes. */
  #laneOf(state: LegState): SendLane | "none" {
    if (this.#closed === undefined) return this.#legs.laneOf(state);
    return state === this.#legs.primary ? "all" : "none";
  }

  /**
   * Fill and seal the next cell or train of a leg.
   *
   * @param cell Takes it: exactly SESSION_CELL_BYTES, or SESSION_TRAIN_BYTES if
   * {@linkcode trainWaits}.
   * @returns Whether there was anything to send.
   */
  buildCell(number: LegNumber, cell: Uint8Array, nowMs: number): boolean {
    if (!isCellSize(cell.length)) {
      throw new BugError(
        "session.cell_size",
        `Cannot build cell of ${cell.length} bytes`,
      );
    }
    const state = this.#legs.get(number);
    if (state === undefined || !this.#wantsToSend(state, nowMs)) return false;
    const load: CellLoad = { data: [], control: [] };
    const frames = cell.subarray(0, cell.length - TAG_BYTES);
    let at = this.#fillAcks(frames, state, nowMs);
    const { isPingWanted } = state;
    if (isPingWanted) {
      state.isPingWanted = false;
      at = encodeControlFrame({ type: "ping" }, frames, at);
    }
    const lane = this.#laneOf(state);
    if (lane !== "none") {
      if (lane !== "bulk") at = this.#streams.fillControl(frames, at, load);
      if (state.leg.hasRoom) at = this.#streams.fill(frames, at, load, lane);
    }
    if (load.data.length > 0) this.#dataMs = nowMs;
    frames.fill(0, at);
    state.leg.seal(cell);
    const isEliciting = isPingWanted || load.control.length > 0 ||
      load.data.length > 0;
    if (isEliciting) {
      state.leg.onSent(load.data, load.control, nowMs);
      state.onAsked(nowMs);
    }
    return true;
  }

  #fillAcks(cell: Uint8Array, state: LegState, nowMs: number): number {
    let at = 0;
    for (const other of this.#legs) {
      if (!other.owesAckOn(state, nowMs)) continue;
      at = encodeControlFrame(other.leg.takeAck(nowMs), cell, at);
    }
    return at;
  }

  /** Events that building cells caused: writers that may go on. */
  takeEvents(): readonly SessionEvent[] {
    if (this.#events.length === 0) return NO_EVENTS;
    const events = this.#events;
    this.#events = [];
    return events;
  }

  // ---- time and end ----

  /** The deadline has passed. Call {@linkcode buildCell} for each leg afterwards. */
  onTime(nowMs: number): readonly SessionEvent[] {
    if (this.#closed !== undefined) return NO_EVENTS;
    this.#streams.onTime(nowMs);
    for (const { leg } of this.#legs.onTime(this.#anyStreams, nowMs)) {
      this.#events.push({ type: "legSuspect", leg: leg.number });
    }
    this.#rescue();
    if (nowMs >= this.#failMs) {
      this.#finish(SESSION_CODE.noLeg, [], "theirs");
    }
    return this.takeEvents();
  }

  /**
   * We stood still for `ms`, until now. Where the other end has given the session up
   * by now, unless it stood still as well, it is asked, and the session ends without
   * an answer. One without legs and streams is given up by neither end.
   */
  onStoodStill(ms: number, nowMs: number): void {
    if (this.#closed !== undefined) return;
    if (this.#streams.size === 0 && this.legNumbers.length === 0) return;
    this.#standstill.onStoodStill(ms, nowMs);
    if (this.#standstill.isDoubtful) this.#legs.askAll(nowMs);
  }

  /** Close for good. Build one more cell per leg afterwards to let the peer know. */
  close(code: number): readonly SessionEvent[] {
    this.#finish(code, [{ type: "sessionClose", code }], "ours");
    return this.takeEvents();
  }

  /** @param why Ours: our readers and writers know of it. Theirs: they are cut off. */
  #finish(
    code: number,
    lastWords: readonly ControlFrame[],
    why: "ours" | "theirs",
  ): void {
    if (this.#closed !== undefined) return;
    this.#closed = code;
    this.#streams.end(lastWords, why);
    this.#events.push({ type: "closed", code });
  }

  /** Forget all keys. The session is of no use afterwards. */
  wipe(): void {
    this.#legs.wipe();
    this.#streams.clear();
    wipe(this.#secret);
  }
}
