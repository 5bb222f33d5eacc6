/**
 * Callers who wait for a service while no circuit can be built: they are told why,
 * before they give up themselves. Nothing else changes: circuits are tried on, and a
 * later caller may find them there.
 *
 *     call ── 15 s ─▶ no circuit since, and known why? ── no ──▶ look each second
 *                                     │ yes
 *                                     └─▶ told
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { UnreachableError } from "../../base/errors.ts";
import type { Circuits } from "../circuit/circuits.ts";

/**
 * Tuning: how long a caller waits at least, ms. A guard that is gone is noticed after
 * 5 s, and a dial to it takes as long; most programs wait for 30 s.
 */
export const OUTAGE_WAIT_MS = 15_000;
/** Tuning: how often to look from then on, ms. */
const LOOK_MS = 1_000;

/** Watches for one caller, until disposed of. */
export class OutageWatch implements Disposable {
  readonly #clock: Clock;
  readonly #circuits: Pick<Circuits, "outageSince">;
  readonly #sinceMs: number;
  readonly #onOutage: (why: UnreachableError) => "done" | "go_on";
  #timer: Timer | undefined;

  /**
   * Begin.
   *
   * @param onOutage Hears of it each time, until it is done.
   */
  constructor(
    clock: Clock,
    circuits: Pick<Circuits, "outageSince">,
    onOutage: (why: UnreachableError) => "done" | "go_on",
  ) {
    this.#clock = clock;
    this.#circuits = circuits;
    this.#onOutage = onOutage;
    this.#sinceMs = clock.nowMs();
    this.#look(OUTAGE_WAIT_MS);
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #look(inMs: number): void {
    this.#timer = this.#clock.schedule(inMs, () => {
      const why = this.#circuits.outageSince(this.#sinceMs);
      if (why !== undefined && this.#onOutage(why) === "done") return;
      this.#look(LOOK_MS);
    });
  }
}
