/**
 * Writes the cells of a circuit of our own. Nothing waits here but a few control
 * cells: data is asked for when the stream takes it.
 *
 *     control cells ─┐
 *                    ├─▶ one write under way, up to 64 KiB ─▶ ask again
 *     fill(batch) ───┘
 *
 * @see protocol §5.4 "The control stream", §6.4 "Congestion"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { ByteStream } from "../../transport/transport.ts";
import type { CellBuffers } from "./cell_buffers.ts";

/** Where the cells come from. */
export interface CellSource {
  /**
   * Fill `batch` from its start with sealed cells, as many as there are and fit.
   * They are written behind all control cells that were sealed before.
   *
   * @returns How many bytes; with 0, ask again after `wake`.
   */
  fill(batch: Bytes): number;
  /** Nothing more is written: all that was to be is, or the stream takes no more. */
  onEnd(how: "drained" | "failed"): void;
}

/** Writes to one stream. */
export class CellOutlet {
  readonly #stream: ByteStream;
  readonly #buffers: CellBuffers;
  readonly #source: CellSource;
  /** Bounded by what may be asked at once on a circuit. */
  readonly #control: Bytes[] = [];
  /** What is filled and written again and again while there is work. */
  #batch: Bytes | undefined;
  #isBusy = false;
  #isWoken = false;
  #isEnding = false;
  #isEnded = false;

  constructor(stream: ByteStream, buffers: CellBuffers, source: CellSource) {
    this.#stream = stream;
    this.#buffers = buffers;
    this.#source = source;
  }

  /** Write sealed control cells, after those that were sealed before. */
  send(cells: Bytes): void {
    this.#control.push(cells);
    this.wake();
  }

  /** There may be something to write. */
  wake(): void {
    this.#isWoken = true;
    if (!this.#isBusy && !this.#isEnded) this.#pump();
  }

  /** End as soon as the source has nothing more. */
  end(): void {
    this.#isEnding = true;
    this.wake();
  }

  /** Write nothing more, now. */
  stop(): void {
    this.#isEnded = true;
    this.#control.length = 0;
  }

  #pump(): void {
    this.#isBusy = true;
    const cells = this.#control.shift() ?? this.#fill();
    if (this.#isEnded) return this.#giveBack();
    if (cells !== undefined) {
      this.#stream.write(cells).then(this.#onWritten, this.#onFailed);
      return;
    }
    this.#isBusy = false;
    this.#giveBack();
    if (this.#isEnding) this.#finish("drained");
  }

  #fill(): Bytes | undefined {
    const batch = this.#batch ??= this.#buffers.take();
    for (;;) {
      // The source may find more to do while it fills, and wake us in vain.
      this.#isWoken = false;
      const bytes = this.#source.fill(batch);
      if (bytes > 0) return batch.subarray(0, bytes);
      // `stop` or control cells may have come of it.
      if (this.#control.length > 0) return this.#control.shift();
      if (!this.#isWoken || this.#isEnded) return undefined;
    }
  }

  readonly #onWritten = (): void => {
    if (this.#isEnded) this.#giveBack();
    else this.#pump();
  };

  readonly #onFailed = (): void => {
    this.#giveBack();
    this.#finish("failed");
  };

  #giveBack(): void {
    if (this.#batch !== undefined) this.#buffers.giveBack(this.#batch.buffer);
    this.#batch = undefined;
  }

  #finish(how: "drained" | "failed"): void {
    if (this.#isEnded) return;
    this.stop();
    this.#source.onEnd(how);
  }
}
