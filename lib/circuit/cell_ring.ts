/**
 * Where the cells of one circuit and direction wait for a writer that is busy.
 *
 *     push →  [ cells | cells | cells ]  → take … release
 *             at most RING_CELLS           one run being written
 *
 * A relay always reads, because what it leaves in the transport it can neither
 * count nor bound. The ends never have more than RING_CELLS in flight on a leg,
 * so an honest circuit does not overflow, and one that does is destroyed.
 *
 * Memory is taken as cells come, in runs that double up to 64 KiB: an attacker's
 * one waiting cell costs one cell.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import { BugError } from "../base/errors.ts";
import { CELL_BYTES } from "./cell.ts";
import type { CellQuota, Waiter } from "./cell_quota.ts";

/** Protocol: cells that a relay holds for one circuit and direction. */
export const RING_CELLS = 2048;

/** Tuning: longest run, that is, longest write. */
const MAX_RUN_BYTES = 64 * 1024;

/** Cells in one piece of memory. */
interface Run {
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Where the first cell begins that still waits, and where the last one ends. */
  start: number;
  length: number;
  /** When the first of them came. */
  readonly sinceMs: number;
}

/** Sizes, where they are not ours. */
export interface CellRingOptions {
  /** Bytes that may wait. Default {@linkcode RING_CELLS} cells. */
  readonly maxBytes?: number;
}

/** The waiting cells of one circuit in one direction. */
export class CellRing<Owner> implements Waiter<Owner> {
  readonly kind = "cells";
  /** Whom the quota names. */
  readonly owner: Owner;
  readonly #quota: CellQuota<Owner>;
  readonly #maxBytes: number;
  readonly #runs: Run[] = [];
  /** Bytes of cells in `#runs`. */
  #waitingBytes = 0;
  /** Bytes of memory in `#runs`. */
  #heldBytes = 0;
  /** What is being written: not ours to free. */
  #writingBytes = 0;
  #writingSinceMs: number | undefined;

  /**
   * A ring in which nothing waits.
   *
   * @param quota Counts what waits here.
   */
  constructor(
    quota: CellQuota<Owner>,
    owner: Owner,
    options: CellRingOptions = {},
  ) {
    this.#quota = quota;
    this.owner = owner;
    this.#maxBytes = options.maxBytes ?? RING_CELLS * CELL_BYTES;
  }

  /** Bytes of cells that wait, with those being written. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#writingBytes;
  }

  /** Bytes of memory that wait, as the quota counts them. */
  get heldBytes(): number {
    return this.#heldBytes + this.#writingBytes;
  }

  /** Bytes that {@linkcode clear} frees. */
  get freeableBytes(): number {
    return this.#heldBytes;
  }

  /** Whether a write is under way. */
  get writing(): boolean {
    return this.#writingSinceMs !== undefined;
  }

  /** When the oldest cell came that waits or is being written. */
  get oldestMs(): number | undefined {
    return this.#writingSinceMs ?? this.#runs[0]?.sinceMs;
  }

  /**
   * Let whole cells wait; they are copied. Afterwards look whether the quota is
   * over.
   *
   * @returns `false`, and nothing taken, when there is no room: the circuit must
   * be destroyed.
   */
  push(cells: Uint8Array, nowMs: number): boolean {
    if (this.waitingBytes + cells.length > this.#maxBytes) return false;
    let rest = cells;
    while (rest.length > 0) {
      const run = this.#runWithRoom(rest.length, nowMs);
      const part = rest.subarray(0, run.buffer.length - run.length);
      run.buffer.set(part, run.length);
      run.length += part.length;
      rest = rest.subarray(part.length);
    }
    this.#waitingBytes += cells.length;
    return true;
  }

  /**
   * As {@linkcode push}, but the cells wait where they are: their memory is the
   * ring's, and {@linkcode take} hands it on.
   *
   * @param cells From the start of their memory, all of which counts.
   */
  adopt(cells: Uint8Array<ArrayBuffer>, nowMs: number): boolean {
    if (this.waitingBytes + cells.length > this.#maxBytes) return false;
    this.#addRun({
      buffer: new Uint8Array(cells.buffer),
      start: 0,
      length: cells.length,
      sinceMs: nowMs,
    });
    this.#waitingBytes += cells.length;
    return true;
  }

  /**
   * Count `cells` that are written from where they are, without waiting here:
   * only while nothing waits and nothing is being written. End with
   * {@linkcode release}.
   *
   * @throws {BugError} `circuit.ring_order` otherwise: cells would overtake.
   */
  lend(cells: Uint8Array, nowMs: number): void {
    if (this.writing || this.#runs.length > 0) throw orderError();
    this.#startWriting(cells.length, nowMs);
    this.#quota.add(this, cells.length);
  }

  /**
   * The oldest run of whole cells, to be written. It counts until
   * {@linkcode release}.
   *
   * @param maxBytes Longest run to take, in whole cells; of a longer one a copy of
   * its beginning. Default: as long as they are.
   * @returns `undefined` when none waits.
   * @throws {BugError} `circuit.ring_order` while another is being written.
   */
  take(maxBytes: number = Infinity): Uint8Array<ArrayBuffer> | undefined {
    if (this.writing) throw orderError();
    const [run] = this.#runs;
    if (run === undefined) return undefined;
    const bytes = run.length - run.start;
    if (bytes > maxBytes) return this.#takePart(run, maxBytes);
    this.#runs.shift();
    this.#heldBytes -= run.buffer.length;
    this.#waitingBytes -= bytes;
    this.#startWriting(run.buffer.length, run.sinceMs);
    return run.buffer.subarray(run.start, run.length);
  }

  /** A copy: the memory is that of the rest, and counts until all of it has been taken. */
  #takePart(run: Run, bytes: number): Uint8Array<ArrayBuffer> {
    const part = run.buffer.slice(run.start, run.start + bytes);
    run.start += bytes;
    this.#waitingBytes -= bytes;
    this.#startWriting(bytes, run.sinceMs);
    this.#quota.add(this, bytes);
    return part;
  }

  /** The write has ended, well or not. */
  release(): void {
    const bytes = this.#writingBytes;
    this.#writingBytes = 0;
    this.#writingSinceMs = undefined;
    this.#quota.remove(this, bytes);
  }

  /**
   * Forget what waits: the circuit is destroyed. A write under way still counts
   * until it ends, because its memory is still there.
   */
  clear(): void {
    const bytes = this.#heldBytes;
    this.#runs.length = 0;
    this.#heldBytes = 0;
    this.#waitingBytes = 0;
    this.#quota.remove(this, bytes);
  }

  /** The last run, or a new one with room for a cell at least. */
  #runWithRoom(wantedBytes: number, nowMs: number): Run {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.length < last.buffer.length) return last;
    const doubled = Math.max(wantedBytes, 2 * (last?.buffer.length ?? 0));
    const run = {
      buffer: new Uint8Array(Math.min(doubled, MAX_RUN_BYTES)),
      start: 0,
      length: 0,
      sinceMs: nowMs,
    };
    this.#addRun(run);
    return run;
  }

  #addRun(run: Run): void {
    this.#runs.push(run);
    this.#heldBytes += run.buffer.length;
    this.#quota.add(this, run.buffer.length);
  }

  #startWriting(bytes: number, sinceMs: number): void {
    this.#writingBytes = bytes;
    this.#writingSinceMs = sinceMs;
  }
}

function orderError(): BugError {
  return new BugError(
    "circuit.ring_order",
    "Cannot write cells: others are being written or wait before them",
  );
}
