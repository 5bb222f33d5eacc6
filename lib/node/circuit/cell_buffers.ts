/**
 * The memory that busy streams of circuits are read into, shared by all of them.
 *
 *     take ─▶ a read waits ─▶ part ─▶ cells are written from it ─▶ give
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
 * Tuning: large buffers in which reads may wait at once, 16 MiB. Nobody can call
 * back the buffer of a read that waits, so whoever sends a burst on each of many
 * circuits and then nothing would pin 64 KiB with each. Beyond this, reads are
 * small again, which costs a tenth of the speed.
 */
const MAX_READING = 256;

/**
 * Tuning: reads that may wait at once with room for a cell, 4 MiB, for the same
 * reason. Beyond this each cell that comes alone takes two reads again.
 */
const MAX_EXPECTING = 1024;

/** Tuning: free buffers kept for the next reads, 4 MiB. */
const MAX_FREE = 64;

/** Large buffers, taken and given back. */
export class CellBuffers {
  readonly #free: Bytes[] = [];
  #reading = 0;
  #expecting = 0;

  /** Buffers in which reads wait. */
  get reading(): number {
    return this.#reading;
  }

  /**
   * A buffer of {@linkcode CHUNK_BYTES} to read into; what it holds is of no
   * meaning. {@linkcode part} with it when the read is over.
   *
   * @returns `undefined` while too many reads wait.
   */
  take(): Bytes | undefined {
    if (this.#reading >= MAX_READING) return undefined;
    this.#reading++;
    return this.borrow();
  }

  /** Reads that wait with room for one cell. */
  get expecting(): number {
    return this.#expecting;
  }

  /** Whether one more read may wait with room for a cell; {@linkcode met} ends it. */
  expect(): boolean {
    if (this.#expecting >= MAX_EXPECTING) return false;
    this.#expecting++;
    return true;
  }

  /** A read that was expected to bring a cell has, or never will. */
  met(): void {
    this.#expecting--;
  }

  /** A buffer of {@linkcode CHUNK_BYTES} for other work than reading. */
  borrow(): Bytes {
    return this.#free.pop() ?? new Uint8Array(CHUNK_BYTES);
  }

  /** A buffer that was taken serves no read any more. */
  part(): void {
    this.#reading--;
  }

  /** Nobody uses this memory any more. Other sizes are left to the collector. */
  give(memory: ArrayBuffer): void {
    if (memory.byteLength !== CHUNK_BYTES) return;
    if (this.#free.length < MAX_FREE) this.#free.push(new Uint8Array(memory));
  }
}
