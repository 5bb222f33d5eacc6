/**
 * Reads a circuit's stream cell by cell, or rather by all the whole cells that a
 * read brings: each read costs as much as turning several cells.
 *
 *     read ─▶ [ cell | cell | cell | ce ] ─▶ sink: three cells, in place
 *                                    └────▶ start of the next read
 *
 * The sink may keep the memory, such as to write from it; then the next read
 * gets other memory.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { CELL_BYTES, TRAIN_BYTES, unitBytes } from "../../circuit/cell.ts";
import type { ByteStream } from "../../transport/transport.ts";
import type { CellBuffers } from "./cell_buffers.ts";

/**
 * Tuning: room of a read with which a stream waits for its next cell. Idle streams
 * are most of all, and the second read that each first cell takes is cheap beside
 * 4 KiB for every one of them.
 */
const IDLE_BYTES = 256;

/**
 * Tuning: room once a cell has begun. The surplus tells a cell that comes alone
 * from one that others follow.
 */
const CELL_ROOM_BYTES = CELL_BYTES + IDLE_BYTES;

/** Tuning: most room for a train that has begun, where no large buffer is to be had. */
const TRAIN_ROOM_BYTES = TRAIN_BYTES + IDLE_BYTES;

/** Tuning: a large read is followed by another if it brings so much. */
const BUSY_BYTES = 4 * CELL_BYTES;

/**
 * Tuning: a stream that has brought so many cells is expected to bring more, and
 * waits with room for a cell: one read each is cheaper than two. Building a
 * circuit takes fewer, so those that are built ahead wait in little.
 */
const EXPECTED_AFTER_CELLS = 12;

/** Takes what a {@linkcode CellReader} reads. */
export interface CellSink {
  /**
   * Take whole cells, at least one; they may be changed in place.
   *
   * @returns Whether their memory is kept. Then it is the sink's to give back to
   * the {@linkcode CellBuffers}; otherwise nothing of it may be used after the
   * call.
   */
  onCells(cells: Bytes): boolean;
  /**
   * What has begun of a train takes so much memory, beyond what any stream may take;
   * 0 once it is over. Called where that changes.
   */
  onBegun?(heldBytes: number): void;
  /** The stream has ended, well or badly, perhaps inside a cell. Called once. */
  onEnd(): void;
  /** `onCells` has thrown: stop the reader. */
  onError(error: unknown): void;
}

/** Reads one stream. Call {@linkcode start} once. */
export class CellReader {
  readonly #stream: ByteStream;
  readonly #buffers: CellBuffers;
  readonly #sink: CellSink;
  /** Empty while a read has its memory. */
  #buffer: Bytes = new Uint8Array(IDLE_BYTES);
  /** What the buffer counts for with `#buffers`. */
  #room: "little" | "cell" | "large" = "little";
  /** Cells that have come, until they are enough to tell. */
  #cells = 0;
  /** Bytes of a cell or train that has begun, at the start of the buffer. */
  #begun = 0;
  /** What the sink knows of it. */
  #heldBytes = 0;
  #isPaused = false;
  #isReading = false;
  #isStopped = false;
  #isOver = false;

  constructor(stream: ByteStream, buffers: CellBuffers, sink: CellSink) {
    this.#stream = stream;
    this.#buffers = buffers;
    this.#sink = sink;
  }

  /** Read until the stream ends or {@linkcode stop}. */
  start(): void {
    this.#read();
  }

  /** Hand out nothing more. The caller ends the stream, and so a read that waits. */
  stop(): void {
    this.#isStopped = true;
    if (!this.#isReading) this.#finish();
  }

  /** Begin no read until {@linkcode resume}. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Read on. */
  resume(): void {
    this.#isPaused = false;
    if (!this.#isReading && !this.#isOver) this.#read();
  }

  // No loop that awaits: ten thousand of them wait at once, and a callback takes
  // a kilobyte less.
  #read(): void {
    this.#isReading = true;
    const room = this.#begun === 0
      ? this.#buffer
      : this.#buffer.subarray(this.#begun);
    this.#stream.read(room).then(this.#onRead, this.#onFailed);
  }

  readonly #onRead = (chunk: Bytes | undefined): void => {
    this.#isReading = false;
    if (chunk === undefined || this.#isStopped) return this.#finish();
    this.#isReading = true; // stop() meanwhile leaves the rest to us
    try {
      this.#onChunk(chunk);
      this.#sayBegun(this.#room === "little" ? this.#buffer.length : 0);
    } catch (error) {
      this.#isStopped = true;
      this.#sink.onError(error);
    }
    this.#isReading = false;
    if (this.#isStopped) this.#finish();
    else if (!this.#isPaused) this.#read();
  };

  readonly #onFailed = (): void => {
    this.#isReading = false;
    this.#finish();
  };

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // The last read has taken the memory with it.
    this.#endRoom();
    this.#sayBegun(0);
    this.#sink.onEnd();
  }

  #sayBegun(bufferBytes: number): void {
    const heldBytes = bufferBytes > CELL_ROOM_BYTES ? bufferBytes : 0;
    if (heldBytes === this.#heldBytes) return;
    this.#heldBytes = heldBytes;
    this.#sink.onBegun?.(heldBytes);
  }

  /** The buffer is no longer what the next read waits in. */
  #endRoom(): void {
    if (this.#room === "large") this.#buffers.endRead();
    if (this.#room === "cell") this.#buffers.endCellWait();
    this.#room = "little";
  }

  #onChunk(chunk: Bytes): void {
    const buffer = this.#buffer = new Uint8Array(chunk.buffer);
    const filled = this.#begun + chunk.length;
    const whole = wholeBytes(buffer, filled);
    const begun = this.#begun = filled - whole;
    const isBusy = filled === buffer.length || whole >= BUSY_BYTES;
    if (whole === 0) {
      // Only where little was expected the room is so little.
      if (isBusy) this.#grow(buffer);
      return;
    }
    const rest = buffer.subarray(whole, filled);
    const isKept = this.#sink.onCells(buffer.subarray(0, whole));
    if (this.#cells < EXPECTED_AFTER_CELLS) this.#cells += whole / CELL_BYTES;
    if (!isKept && this.#room === (isBusy ? "large" : "cell")) {
      if (begun > 0) buffer.copyWithin(0, whole, filled);
      return;
    }
    this.#endRoom();
    const next = (isBusy ? this.#takeLarge() : undefined) ??
      this.#takeSmall(begun);
    this.#goOn(rest, next);
    if (!isKept) this.#buffers.giveBack(buffer.buffer);
  }

  /** Make room for the rest of what has begun: as it comes, so that it costs who sends it. */
  #grow(begun: Bytes): void {
    this.#endRoom();
    const bytes = begun.length < CELL_ROOM_BYTES
      ? CELL_ROOM_BYTES
      : Math.min(2 * begun.length, TRAIN_ROOM_BYTES);
    this.#goOn(begun, new Uint8Array(bytes));
  }

  #takeLarge(): Bytes | undefined {
    const large = this.#buffers.beginRead();
    if (large !== undefined) this.#room = "large";
    return large;
  }

  /** Memory to wait in, behind `begun` bytes of a cell. */
  #takeSmall(begun: number): Bytes {
    const isExpected = this.#cells >= EXPECTED_AFTER_CELLS &&
      this.#buffers.beginCellWait();
    if (isExpected) this.#room = "cell";
    if (begun >= CELL_BYTES) return new Uint8Array(TRAIN_ROOM_BYTES);
    return new Uint8Array(
      isExpected || begun > 0 ? CELL_ROOM_BYTES : IDLE_BYTES,
    );
  }

  /** Read into other memory, behind the cell that has begun. */
  #goOn(begun: Bytes, buffer: Bytes): void {
    buffer.set(begun);
    this.#buffer = buffer;
  }
}

/** Bytes of whole cells and trains at the start of `buffer`. */
function wholeBytes(buffer: Bytes, filled: number): number {
  let whole = 0;
  for (let next = 0; next <= filled; next = whole + unitBytes(buffer, whole)) {
    whole = next;
    if (whole === filled) break;
  }
  return whole;
}
