/**
 * Writes a circuit's cells to one stream of a relay. Cells go out from where they
 * were read, one write at a time; while it is under way, others wait in a ring.
 *
 *     cells ─▶ write under way? ─ no ─▶ written in place ─▶ memory given back
 *              or not our turn?                 │
 *                    │ yes                      ▼
 *                    ▼                    our turn? ─ no ─▶ onTurn ─┐
 *                  ring ───────────────▶ next write, up to 64 KiB ◀─┘
 *
 * No reader waits for a writer: it learns at once what became of its cells, and
 * goes on reading.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { CellQuota } from "../../circuit/cell_quota.ts";
import { CellRing } from "../../circuit/cell_ring.ts";
import { Turn } from "../../circuit/cell_turns.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { type CellBuffers, CHUNK_BYTES } from "./cell_buffers.ts";

/** Tuning: so many cells wait where they are; fewer are copied behind others. */
const ADOPTED_BYTES = CHUNK_BYTES / 2;

/** What became of cells. */
export type WriteOutcome =
  /** Their memory is the writer's, which gives it back when they are written. */
  | "kept"
  /** They were copied. */
  | "copied"
  /** The writer has ended, and dropped them. */
  | "dropped"
  /** There is no room, and nothing was taken: destroy the circuit. */
  | "full";

/** Whose cells go out next, where there is a rate to keep. */
export interface WriteTurns {
  /** Most bytes of one write. */
  readonly writeBytes: number;
  /** Whether to write now. If not, `onTurn` says when. */
  ask(turn: Turn): boolean;
  /** So many bytes are being written. */
  onWritten(turn: Turn, bytes: number): void;
  /** Not to be called any more. */
  leave(turn: Turn): void;
}

/** What writers of one process share. */
export interface CellWriterHost<Owner> {
  readonly clock: Clock;
  readonly buffers: CellBuffers;
  readonly quota: CellQuota<Owner>;
  /** Default: no rate is kept. */
  readonly turns?: WriteTurns;
}

/** Writes to one stream. */
export class CellWriter<Owner> {
  readonly #stream: ByteStream;
  readonly #host: CellWriterHost<Owner>;
  readonly #ring: CellRing<Owner>;
  readonly #onEnd: () => void;
  readonly #turn = new Turn(() => this.#onTurn());
  /** Whether cells wait in the ring for our turn. */
  #isWaiting = false;
  /** What is being written. */
  #writing: Bytes | undefined;
  #state: "open" | "ending" | "ended" = "open";

  /**
   * @param owner Whom the quota names.
   * @param onEnd Called once: all is written that ever will be.
   */
  constructor(
    stream: ByteStream,
    host: CellWriterHost<Owner>,
    owner: Owner,
    onEnd: () => void,
  ) {
    this.#stream = stream;
    this.#host = host;
    this.#ring = new CellRing(host.quota, owner);
    this.#onEnd = onEnd;
  }

  /** Bytes of cells that wait, with those being written. */
  get waitingBytes(): number {
    return this.#ring.waitingBytes;
  }

  /**
   * Write whole cells, after all that came before. Then look whether the quota is
   * over.
   */
  write(cells: Bytes): WriteOutcome {
    if (this.#state !== "open") return "dropped";
    const nowMs = this.#host.clock.nowMs();
    const isIdle = this.#writing === undefined && !this.#isWaiting;
    if (!isIdle || !this.#mayWrite()) return this.#keep(cells, nowMs);
    if (cells.length > (this.#host.turns?.writeBytes ?? Infinity)) {
      const outcome = this.#keep(cells, nowMs);
      this.#onTurn();
      return outcome;
    }
    this.#ring.lend(cells, nowMs);
    this.#start(cells);
    return "kept";
  }

  /** Let cells wait. */
  #keep(cells: Bytes, nowMs: number): WriteOutcome {
    if (cells.length >= ADOPTED_BYTES && cells.byteOffset === 0) {
      return this.#ring.adopt(cells, nowMs) ? "kept" : "full";
    }
    return this.#ring.push(cells, nowMs) ? "copied" : "full";
  }

  /** End once all that waits is written. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.#writing === undefined && !this.#isWaiting) this.#finish();
  }

  /** Forget what waits. A write under way ends when it ends. */
  drop(): void {
    this.end();
    this.#ring.clear();
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#host.turns?.leave(this.#turn);
    this.#finish();
  }

  /** Whether it is our turn; else we are told when it is. */
  #mayWrite(): boolean {
    this.#isWaiting = !(this.#host.turns?.ask(this.#turn) ?? true);
    return !this.#isWaiting;
  }

  #onTurn(): void {
    this.#isWaiting = false;
    const next = this.#ring.take(this.#host.turns?.writeBytes);
    if (next !== undefined) this.#start(next);
  }

  #start(cells: Bytes): void {
    this.#host.turns?.onWritten(this.#turn, cells.length);
    this.#writing = cells;
    this.#stream.write(cells).then(this.#onWritten, this.#onFailed);
  }

  readonly #onWritten = (): void => {
    this.#release();
    if (this.#ring.waitingBytes > 0) {
      if (this.#mayWrite()) this.#onTurn();
    } else if (this.#state === "ending") this.#finish();
  };

  readonly #onFailed = (): void => {
    this.#release();
    this.#ring.clear();
    this.#finish();
  };

  #release(): void {
    this.#ring.release();
    if (this.#writing !== undefined) {
      this.#host.buffers.giveBack(this.#writing.buffer);
    }
    this.#writing = undefined;
  }

  #finish(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#onEnd();
  }
}
