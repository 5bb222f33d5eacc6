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
 * @see protocol §5.6
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { UnreachableError } from "../base/errors.ts";
import { CELL_BYTES } from "../circuit/cell.ts";
import type { ByteStream } from "../transport/transport.ts";
import type { CellBuffers } from "./cell_buffers.ts";

/** Tuning: a read that brings so much is followed by a large one. */
const BUSY_BYTES = 4 * CELL_BYTES;

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
  /** The stream has ended, well or badly, perhaps inside a cell. Called once. */
  onEnd(): void;
}

/** Reads one stream. Call {@linkcode run} once. */
export class CellReader {
  readonly #stream: ByteStream;
  readonly #buffers: CellBuffers;
  readonly #sink: CellSink;
  /** Empty while a read has its memory. */
  #buffer: Bytes = new Uint8Array(CELL_BYTES);
  #isLarge = false;
  /** Bytes of a cell that has begun, at the start of the buffer. */
  #begun = 0;
  #isStopped = false;
  #paused: PromiseWithResolvers<void> | undefined;

  constructor(stream: ByteStream, buffers: CellBuffers, sink: CellSink) {
    this.#stream = stream;
    this.#buffers = buffers;
    this.#sink = sink;
  }

  /**
   * Read until the stream ends or {@linkcode stop}; never rejects for what the
   * peer does.
   */
  async run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const room = this.#begun === 0
          ? this.#buffer
          : this.#buffer.subarray(this.#begun);
        const chunk = await this.#stream.read(room);
        if (chunk === undefined) break;
        if (this.#isStopped) break;
        this.#onChunk(chunk);
        if (this.#paused !== undefined) await this.#paused.promise;
      }
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
    } finally {
      // The last read has taken the memory with it.
      if (this.#isLarge) this.#buffers.part();
      this.#sink.onEnd();
    }
  }

  /** Hand out nothing more. The stream is the caller's to end. */
  stop(): void {
    this.#isStopped = true;
    this.resume();
  }

  /** Read no more until {@linkcode resume}, once the sink has returned. */
  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  /** Read on. */
  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  #onChunk(chunk: Bytes): void {
    const buffer = new Uint8Array(chunk.buffer);
    const filled = this.#begun + chunk.length;
    const begun = filled % CELL_BYTES;
    const whole = filled - begun;
    const isBusy = filled === buffer.length || whole >= BUSY_BYTES;
    this.#buffer = buffer;
    this.#begun = begun;
    if (whole === 0) return;
    const cells = whole === buffer.length ? buffer : buffer.subarray(0, whole);
    const isKept = this.#sink.onCells(cells);
    this.#nextBuffer(whole, { isKept, isBusy });
  }

  /** Go on with what follows `whole` bytes of the buffer, in the right memory. */
  #nextBuffer(
    whole: number,
    { isKept, isBusy }: { readonly isKept: boolean; readonly isBusy: boolean },
  ): void {
    const { buffer } = this.#buffer;
    const rest = this.#buffer.subarray(whole, whole + this.#begun);
    if (!isKept && this.#isLarge === isBusy) {
      if (rest.length > 0) {
        this.#buffer.copyWithin(0, whole, whole + rest.length);
      }
      return;
    }
    if (this.#isLarge) this.#buffers.part();
    const large = isBusy ? this.#buffers.take() : undefined;
    this.#isLarge = large !== undefined;
    this.#buffer = large ?? new Uint8Array(CELL_BYTES);
    this.#buffer.set(rest);
    if (!isKept) this.#buffers.give(buffer);
  }
}
