/**
 * How fast circuits are, seen where much goes through them: what steers the choice
 * of relays, beside what they say of themselves.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import { CELL_BYTES } from "../../circuit/cell.ts";

/** How often it is looked, ms. */
const SAMPLE_MS = 5_000;
/**
 * From so many cells in that time on it is the circuit that is slow, and not its
 * user: 1 MiB a second.
 */
const BUSY_CELLS = SAMPLE_MS / 1000 * 256;

/** A circuit, as it is measured. */
export interface MeteredCircuit {
  /** Cells of data that it has ever carried. */
  readonly cellsCarried: number;
}

/** Looks at circuits again and again. */
export class CircuitMeter<Id> {
  readonly #clock: Clock;
  readonly #circuits: ReadonlyMap<Id, MeteredCircuit>;
  readonly #onSample: (id: Id, bytesPerSecond: number) => void;
  /** What each had carried at the last look. */
  #carried = new Map<Id, number>();
  readonly #timer: MachineTimer;

  /** @param circuits Those that there are at each look. */
  constructor(
    clock: Clock,
    circuits: ReadonlyMap<Id, MeteredCircuit>,
    onSample: (id: Id, bytesPerSecond: number) => void,
  ) {
    this.#clock = clock;
    this.#circuits = circuits;
    this.#onSample = onSample;
    this.#timer = new MachineTimer(clock, () => {
      this.#sample();
      this.start();
    });
  }

  /** Begin. */
  start(): void {
    this.#timer.set(this.#clock.nowMs() + SAMPLE_MS);
  }

  /** Look no more. */
  stop(): void {
    this.#timer.stop();
  }

  #sample(): void {
    const before = this.#carried;
    this.#carried = new Map();
    for (const [id, { cellsCarried }] of this.#circuits) {
      this.#carried.set(id, cellsCarried);
      const cells = cellsCarried - (before.get(id) ?? 0);
      if (cells < BUSY_CELLS) continue;
      this.#onSample(id, cells * CELL_BYTES / (SAMPLE_MS / 1000));
    }
  }
}
