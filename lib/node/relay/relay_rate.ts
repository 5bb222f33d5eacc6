/**
 * Holds what a relay passes on to a rate: runs the machine that says whose cells go
 * out next, and counts what has gone out.
 *
 * Only cells of circuits are held back. Requests, their answers and pings of links go
 * on streams of their own, so that a relay with much to carry is slow and never silent.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { TokenRate } from "../../base/token_bucket.ts";
import { CellTurns, NO_RATE, type Turn } from "../../circuit/cell_turns.ts";
import type { WriteTurns } from "../circuit/cell_writer.ts";

/** The rate of one relay. */
export class RelayRate implements WriteTurns {
  readonly #clock: Clock;
  readonly #turns: CellTurns;
  readonly #timer: MachineTimer;
  #sentBytes = 0;

  /** @param rate Default: no limit. */
  constructor(clock: Clock, rate: TokenRate = NO_RATE) {
    this.#clock = clock;
    this.#turns = new CellTurns(rate, clock.nowMs());
    this.#timer = new MachineTimer(clock, () => this.#onTime());
  }

  /** Bytes of cells that went out, ever. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Streams whose cells wait for their turn. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  get writeBytes(): number {
    return this.#turns.writeBytes;
  }

  /** From now on another rate holds; `undefined` for none. */
  setRate(rate: TokenRate = NO_RATE): void {
    this.#turns.setRate(rate, this.#clock.nowMs());
    this.#onTime();
  }

  ask(turn: Turn): boolean {
    const isTurn = this.#turns.ask(turn, this.#clock.nowMs());
    if (!isTurn) this.#arm();
    return isTurn;
  }

  onWritten(turn: Turn, bytes: number): void {
    this.#sentBytes += bytes;
    this.#turns.onWritten(turn, bytes, this.#clock.nowMs());
  }

  leave(turn: Turn): void {
    this.#turns.leave(turn);
    this.#arm();
  }

  #onTime(): void {
    const nowMs = this.#clock.nowMs();
    for (
      let turn = this.#turns.next(nowMs);
      turn !== undefined;
      turn = this.#turns.next(nowMs)
    ) turn.onTurn();
    this.#arm();
  }

  #arm(): void {
    this.#timer.set(this.#turns.deadlineMs);
  }
}
