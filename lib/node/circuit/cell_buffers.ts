/**
 * The memory that busy streams of circuits are read into, shared by all of them.
 *
 *     beginRead ─▶ a read waits ─▶ endRead ─▶ cells are written ─▶ giveBack
 *
 * An idle stream waits with little room, so that ten thousand of them are cheap.
 * One that brings cells now and then waits with room for one, and one that brings
 * many gets 64 KiB from here: the more a read brings, the less each cell costs.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { CELL_BYTES } from "../../circuit/cell.ts";

/** Tuning: bytes of a large buffer, sixteen cells: as much as a read ever brings. */
export const CHUNK_BYTES: number = 16 * CELL_BYTES;

/**
 * Tuning: large buffers in which reads may wait at once, 16 MiB. The buffer
 * of a read that waits cannot be called back, so a peer that sends a burst on each of many
 * circuits and then nothing would pin 64 KiB with each. Beyond this, reads are
 * small again, which costs a tenth of the speed.
 */
const MAX_READS = 256;

/**
 * Tuning: reads that may wait at once with room for a cell, 4 MiB, for the same
 * reason. Beyond this each cell that comes alone takes two reads again.
 */
const MAX_CELL_WAITS = 1024;

/** Tuning: free buffers kept for the next reads, 4 MiB. */
const MAX_FREE = 64;

/** Large buffers, taken and given back. */
export class CellBuffers {
  readonly #free: Bytes[] = [];
  #reads = 0;
  #cellWaits = 0;

  /** Buffers in which reads wait. */
  get reads(): number {
    return this.#reads;
  }

  /**
   * A buffer of {@linkcode CHUNK_BYTES} to read into; what it holds is of no
   * meaning. {@linkcode endRead} when the read is over.
   *
   * @returns `undefined` while too many reads wait.
   */
  beginRead(): Bytes | undefined {
    if (this.#reads >= MAX_READS) return undefined;
    this.#reads++;
    return this.take();
  }

  /** Reads that wait with room for one cell. */
  get cellWaits(): number {
    return this.#cellWaits;
  }

  /** Whether one more read may wait with room for a cell; {@linkcode endCellWait} ends it. */
  beginCellWait(): boolean {
    if (this.#cellWaits >= MAX_CELL_WAITS) return false;
    this.#cellWaits++;
    return true;
  }

  /** A read that waited with room for a cell waits no more. */
  endCellWait(): void {
    this.#cellWaits--;
  }

  /** A buffer of {@linkcode CHUNK_BYTES} for other work than reading; {@linkcode giveBack} it. */
  take(): Bytes {
    return this.#free.pop() ?? new Uint8Array(CHUNK_BYTES);
  }

  /** A buffer that was taken serves no read any more. */
  endRead(): void {
    this.#reads--;
  }

  /** This memory is free again. Other sizes are left to the collector. */
  giveBack(memory: ArrayBuffer): void {
    if (memory.byteLength !== CHUNK_BYTES) return;
    if (this.#free.length < MAX_FREE) this.#free.push(new Uint8Array(memory));
  }
}
