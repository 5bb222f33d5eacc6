/**
 * Whose cells go out next at a relay that is held to a rate.
 *
 *     ask ─ tokens, and none waits ─▶ write ─▶ onWritten takes what it was
 *       └─ else ─▶ waits ─ deadlineMs ─▶ next: the quietest of those that wait
 *
 * A write is let through while there is a token and may take more than there are: so
 * the average is kept, whatever the sizes of writes. Quiet is who wrote least lately:
 * of a busy relay a page gets through beside downloads, and the answers of a circuit
 * that is being built come before either. Every writer that waits gets quieter
 * beside those that write, so each has its turn.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import { IndexedHeap } from "../base/indexed_heap.ts";
import { TokenBucket, type TokenRate } from "../base/token_bucket.ts";
import { CELL_BYTES } from "./cell.ts";

/** Tuning: time in which what was written counts half, ms. */
const QUIET_HALF_LIFE_MS = 10_000;

/**
 * Tuning: longest time for which one write uses the rate up, ms. The quietest circuit
 * waits so long at each relay of its path that is held to a rate.
 */
const WRITE_MS = 20;

/** No limit. */
export const NO_RATE: TokenRate = { perSecond: Infinity, burst: 1 };

/** One writer's place. */
export class Turn {
  /** Called when the writer that waits may write. */
  readonly onTurn: () => void;
  /**
   * Bytes written, as the logarithm to base 2 of what they will count for at any time
   * to come: all grow old alike, so the order of two never changes by waiting.
   */
  loudness = -Infinity;

  constructor(onTurn: () => void) {
    this.onTurn = onTurn;
  }
}

/** Turns of all writers of one relay. */
export class CellTurns {
  readonly #waiting = new IndexedHeap<Turn>();
  readonly #bucket: TokenBucket;
  #rate: TokenRate;

  constructor(rate: TokenRate, nowMs: number) {
    this.#rate = rate;
    this.#bucket = new TokenBucket(rate, nowMs);
  }

  /** Most bytes of one write: whole cells, one at least. */
  get writeBytes(): number {
    const bytes = this.#rate.perSecond * WRITE_MS / 1000;
    if (bytes === Infinity) return Infinity;
    return CELL_BYTES * Math.max(1, Math.floor(bytes / CELL_BYTES));
  }

  /** Writers that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** When to call {@linkcode next}, ms; `Infinity` while none waits. */
  get deadlineMs(): number {
    return this.#waiting.size === 0 ? Infinity : this.#bucket.readyMs(1);
  }

  /** From now on another rate holds; no burst is given anew. */
  setRate(rate: TokenRate, nowMs: number): void {
    this.#rate = rate;
    this.#bucket.change(rate, nowMs);
  }

  /** Whether a writer may write now. If not, it waits for its turn. */
  ask(turn: Turn, nowMs: number): boolean {
    // Who comes while others wait waits too: the quietest of all is next.
    if (this.#waiting.size === 0 && this.#bucket.has(1, nowMs)) return true;
    this.#waiting.set(turn, turn.loudness);
    return false;
  }

  /** The quietest writer that waits, if one may write now. It waits no more. */
  next(nowMs: number): Turn | undefined {
    const first = this.#waiting.first;
    if (first === undefined || !this.#bucket.has(1, nowMs)) return undefined;
    this.#waiting.delete(first.item);
    return first.item;
  }

  /** A writer writes so many bytes. */
  onWritten(turn: Turn, bytes: number, nowMs: number): void {
    if (this.#rate.perSecond === Infinity) return;
    this.#bucket.reserve(bytes, Infinity, nowMs);
    const now = Math.log2(bytes) + nowMs / QUIET_HALF_LIFE_MS;
    const most = Math.max(now, turn.loudness);
    turn.loudness = most +
      Math.log2(2 ** (now - most) + 2 ** (turn.loudness - most));
  }

  /** A writer has nothing to write any more. */
  leave(turn: Turn): void {
    this.#waiting.delete(turn);
  }
}
