/**
 * How fast circuits are, seen where much goes through them: what steers the choice
 * of relays, beside what they say of themselves.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { CELL_BYTES } from "../../circuit/cell.ts";

/** How often it is looked, ms. */
const SAMPLE_MS = 5_000;
/**
 * From so many cells in that time on it is the circuit that is slow, and not
 * whoever uses it: 1 MiB a second.
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
  #timer: Timer | undefined;

  /** @param circuits Those that there are at each look. */
  constructor(
    clock: Clock,
    circuits: ReadonlyMap<Id, MeteredCircuit>,
    onSample: (id: Id, bytesPerSecond: number) => void,
  ) {
    this.#clock = clock;
    this.#circuits = circuits;
    this.#onSample = onSample;
  }

  /** Begin. */
  start(): void {
    this.#timer = this.#clock.schedule(SAMPLE_MS, () => {
      this.#sample();
      this.start();
    }, { keepAlive: false });
  }

  /** Look no more. */
  stop(): void {
    this.#timer?.cancel();
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
