/**
 * One leg of a session: keys of its own, a count of cells each way, what is in
 * flight, and how fast it answers. A leg is ordered and reliable while it lives;
 * what it carried when it died is sent again on another.
 *
 *     key = HKDF(session secret, "anonnet v1 session leg" ‖ leg(2), 64)
 *           client to service (32) ‖ service to client (32)
 *
 * @see protocol §6.1 "Legs and cells"
 * @module
 */
import { concat, utf8, wipe } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import {
  type CounterAead,
  type CryptoSuite,
  KEY_BYTES,
  TAG_BYTES,
} from "../crypto/suite.ts";
import { CongestionWindow } from "./congestion.ts";
import {
  type ControlFrame,
  FRAME_SPACE_BYTES,
  type LegNumber,
} from "./frames.ts";
import type { StreamId } from "./frames.ts";

/** Bytes of one session cell: the body of a DATA payload (protocol §5.1 "Cells"). */
export const SESSION_CELL_BYTES = FRAME_SPACE_BYTES + TAG_BYTES;
/** Bytes of what a train of {@linkcode TRAIN_CELLS} cells carries. */
export const SESSION_TRAIN_BYTES = 16_252;
/** Cells of a train: for so many it counts in windows and acknowledgements. */
export const TRAIN_CELLS = 4;
/**
 * Tuning: a leg carries trains once it carries one within so many ms: each hop waits
 * for the whole of it before it passes on the first byte.
 */
const TRAIN_MS = 40;
/**
 * Acknowledge after so many cells that ask for it: an acknowledgement is a cell,
 * and travels alone, which costs each hop as much as three cells of a batch.
 */
const ACK_EVERY_CELLS = 64;
/** … or sooner while a leg is young and every round trip counts. */
export const EARLY_ACK_EVERY_CELLS = 8;
const EARLY_CELLS = 256;
/** … or after this long, ms. */
export const ACK_DELAY_MS = 16;
/**
 * … or this, with fewer cells than these: an answer to them, or what is done about
 * them, most often leaves by then, and takes the acknowledgement with it. No window
 * waits for so few, and probe time-outs leave more room than that.
 */
export const FEW_CELLS = 4;
export const FEW_ACK_DELAY_MS = 40;

/** Which end of the session we are. */
export type SessionRole = "client" | "service";

/** A run of stream bytes that a cell carried. */
export interface SentData {
  readonly id: StreamId;
  readonly offset: number;
  readonly length: number;
}

/** What a cell in flight carried that must arrive. */
export interface SentCell {
  /** Cells that it counts for: a train is several. */
  readonly cells: number;
  /** Its number on the leg, from 0; of a train the last of its cells. */
  readonly number: number;
  readonly sentMs: number;
  readonly data: readonly SentData[];
  readonly control: readonly ControlFrame[];
}

const LEG_CONTEXT = utf8("anonnet v1 session leg");

/** One circuit's worth of a session. */
export class Leg {
  readonly number: LegNumber;
  readonly congestion = new CongestionWindow();
  readonly #seal: CounterAead;
  readonly #open: CounterAead;
  /** Cells in flight that ask for an acknowledgement, oldest first. */
  #inFlight: SentCell[] = [];
  #head = 0;
  #inFlightCells = 0;
  #sentCells = 0;
  /** Cells that the one sealed last counts for. */
  #sealedCells = 1;
  #receivedCells = 0;
  /** Cells that the one opened last counts for. */
  #openedCells = 1;
  #unacknowledged = 0;
  #firstUnacknowledgedMs = 0;
  #newestReceivedMs = 0;
  #lastHeardMs: number;
  #limitedAtCell = -1;

  constructor(
    crypto: CryptoSuite,
    secret: Uint8Array,
    number: LegNumber,
    role: SessionRole,
    nowMs: number,
  ) {
    this.number = number;
    this.#lastHeardMs = nowMs;
    const info = concat(LEG_CONTEXT, Uint8Array.of(number >> 8, number & 0xff));
    const keys = crypto.hkdf(secret, new Uint8Array(0), info, 2 * KEY_BYTES);
    const toService = crypto.counterAead(keys.subarray(0, KEY_BYTES));
    const toClient = crypto.counterAead(keys.subarray(KEY_BYTES));
    [this.#seal, this.#open] = role === "client"
      ? [toService, toClient]
      : [toClient, toService];
    wipe(keys);
  }

  /** Cells in flight that ask for an acknowledgement. */
  get inFlightCells(): number {
    return this.#inFlightCells;
  }

  /** Number of the newest cell in flight that asks for an acknowledgement; −1: none. */
  get newestInFlight(): number {
    const newest = this.#inFlight[this.#inFlight.length - 1];
    return this.#inFlightCells === 0 ? -1 : newest?.number ?? -1;
  }

  /** Whether the congestion window lets another cell out. */
  get hasRoom(): boolean {
    return this.inFlightCells < this.congestion.cells;
  }

  /** Whether the congestion window lets a train out, and the path is fast enough for it. */
  get hasRoomForTrain(): boolean {
    const { cells, roundTripMs = Infinity } = this.congestion;
    return this.inFlightCells + TRAIN_CELLS <= cells &&
      cells * TRAIN_MS >= TRAIN_CELLS * roundTripMs;
  }

  /** Cells received from the beginning. */
  get receivedCells(): number {
    return this.#receivedCells;
  }

  /** Cells sealed from the beginning. */
  get sentCells(): number {
    return this.#sentCells;
  }

  /** When the peer was last heard of on this leg. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** When an acknowledgement of ours is due; `Infinity` if none is. */
  get ackDueMs(): number {
    if (this.#unacknowledged === 0) return Infinity;
    const every = this.#receivedCells < EARLY_CELLS
      ? EARLY_ACK_EVERY_CELLS
      : ACK_EVERY_CELLS;
    if (this.#unacknowledged >= every) return this.#firstUnacknowledgedMs;
    const delayMs = this.#unacknowledged < FEW_CELLS
      ? FEW_ACK_DELAY_MS
      : ACK_DELAY_MS;
    return this.#firstUnacknowledgedMs + delayMs;
  }

  /** When the oldest cell in flight has waited too long; `Infinity` with none in flight. */
  get probeDueMs(): number {
    const oldest = this.#inFlight[this.#head];
    if (oldest === undefined) return Infinity;
    return Math.max(oldest.sentMs, this.#lastHeardMs) +
      this.congestion.probeTimeoutMs;
  }

  /** Encrypt the frames in a cell or train, all of it but its tag, where they are. */
  seal(cell: Uint8Array): void {
    this.#seal.seal(cell.subarray(0, cell.length - TAG_BYTES), cell);
    this.#sealedCells = cellsIn(cell);
    this.#sentCells += this.#sealedCells;
  }

  /** Remember what the cell or train just sealed carried. */
  onSent(
    data: readonly SentData[],
    control: readonly ControlFrame[],
    nowMs: number,
  ): void {
    const cells = this.#sealedCells;
    this.#inFlightCells += cells;
    this.#inFlight.push({
      cells,
      number: this.#sentCells - 1,
      sentMs: nowMs,
      data,
      control,
    });
    if (!this.hasRoom) this.#limitedAtCell = this.#sentCells - 1;
  }

  /**
   * Decrypt a cell or train where it is.
   *
   * @returns Its frames: a view of `cell`.
   * @throws {ProtocolError} `session.cell_size`, or `session.authentication` for a
   * cell that is altered, repeated, out of order or of another leg.
   */
  open(cell: Uint8Array, nowMs: number): Uint8Array {
    if (!isCellSize(cell.length)) {
      throw new ProtocolError(
        "session.cell_size",
        `Cannot read cell: ${cell.length} bytes`,
      );
    }
    const frames = cell.subarray(0, cell.length - TAG_BYTES);
    if (!this.#open.open(cell, frames)) {
      throw new ProtocolError(
        "session.authentication",
        "Cannot read cell: wrong tag",
      );
    }
    this.#openedCells = cellsIn(cell);
    this.#receivedCells += this.#openedCells;
    this.#lastHeardMs = nowMs;
    this.#newestReceivedMs = nowMs;
    return frames;
  }

  /** The cell opened last asks for an acknowledgement. */
  onAckWanted(nowMs: number): void {
    if (this.#unacknowledged === 0) this.#firstUnacknowledgedMs = nowMs;
    this.#unacknowledged += this.#openedCells;
  }

  /** The acknowledgement to send now. */
  takeAck(nowMs: number): ControlFrame {
    this.#unacknowledged = 0;
    const delayMs = nowMs - this.#newestReceivedMs;
    return {
      type: "ack",
      leg: this.number,
      cells: this.#receivedCells,
      delayMs,
    };
  }

  /**
   * The peer has received the first `cells` cells of this leg.
   *
   * @returns What is no longer in flight.
   * @throws {ProtocolError} `session.ack` when we never sent so many.
   */
  onAck(cells: number, delayMs: number, nowMs: number): SentCell[] {
    if (cells > this.#sentCells) {
      throw new ProtocolError(
        "session.ack",
        "Cannot take acknowledgement: never sent so much",
      );
    }
    const done: SentCell[] = [];
    const before = this.#inFlightCells;
    for (
      let cell = this.#inFlight[this.#head];
      cell !== undefined && cell.number < cells;
    ) {
      done.push(cell);
      this.#inFlightCells -= cell.cells;
      cell = this.#inFlight[++this.#head];
    }
    const newest = done[done.length - 1];
    if (newest === undefined) return done;
    const isLimited = newest.number <= this.#limitedAtCell ||
      done[0] !== undefined &&
        done[0].number <= this.#limitedAtCell;
    if (this.#head > 256 && this.#head * 2 > this.#inFlight.length) {
      this.#inFlight = this.#inFlight.slice(this.#head);
      this.#head = 0;
    }
    const roundTripMs = nowMs - newest.sentMs -
      Math.min(delayMs, nowMs - newest.sentMs);
    const acknowledged = before - this.#inFlightCells;
    this.congestion.onAcknowledged(acknowledged, roundTripMs, isLimited, nowMs);
    return done;
  }

  /** The leg is dead: forget the keys, and say what was in flight. */
  die(): SentCell[] {
    const lost = this.#inFlight.slice(this.#head);
    this.#inFlight = [];
    this.#head = 0;
    this.#inFlightCells = 0;
    this.#unacknowledged = 0;
    this.wipe();
    return lost;
  }

  /** What is in flight, left there: for sending it on another leg as well. */
  peekInFlight(): SentCell[] {
    return this.#inFlight.slice(this.#head);
  }

  /** Forget the keys. */
  wipe(): void {
    this.#seal.wipe();
    this.#open.wipe();
  }
}

/** Whether a cell or train has so many bytes. */
export function isCellSize(bytes: number): boolean {
  return bytes === SESSION_CELL_BYTES || bytes === SESSION_TRAIN_BYTES;
}

/** Cells that a cell or train counts for. */
function cellsIn(cell: Uint8Array): number {
  return cell.length === SESSION_TRAIN_BYTES ? TRAIN_CELLS : 1;
}
