/**
 * Measures how hard a relay is pressed, and has its links act on it.
 *
 *     a packet, link or circuit of another ─▶ look in 1 s ─▶ LoadMeter ─▶ links.load
 *                                               ▲    │
 *                                               └────┘ until it is settled
 *
 * A relay that hears of no newcomer looks at nothing: only newcomers are refused.
 *
 * @see protocol §3.1 "Transport" and §3.6 "Limits"
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { Load } from "../../link/link_state.ts";
import { LoadMeter } from "../../link/load_meter.ts";
import type { Log } from "../../log/log.ts";

/** Tuning: from a newcomer to a look, and from one look to the next, ms. */
export const LOOK_MS = 1_000;

/** What a watch is made of. */
export interface LoadWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How much of the quota of cells is used, 0 to 1. */
  readonly quotaShare: () => number;
  /** What acts on it; the table of links is one. */
  readonly links: { load: Load };
}

/** Looks while there are newcomers, until disposed of. */
export class LoadWatch implements Disposable {
  readonly #options: LoadWatchOptions;
  readonly #meter = new LoadMeter();
  readonly #timer: MachineTimer;
  #dueMs = Infinity;
  #isStopped = false;

  constructor(options: LoadWatchOptions) {
    this.#options = options;
    this.#timer = new MachineTimer(options.clock, () => this.#look());
  }

  /** Another node wants something new of this one. */
  onNewcomer(): void {
    if (this.#dueMs === Infinity && !this.#isStopped) this.#lookLater();
  }

  /** Stop. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#timer.stop();
  }

  #lookLater(): void {
    this.#dueMs = this.#options.clock.nowMs() + LOOK_MS;
    this.#timer.set(this.#dueMs);
  }

  #look(): void {
    const { clock, quotaShare, links } = this.#options;
    const lateMs = clock.nowMs() - this.#dueMs;
    this.#dueMs = Infinity;
    const load = this.#meter.onLook(lateMs, quotaShare());
    if (load !== links.load) this.#tell(load, lateMs);
    links.load = load;
    if (this.#meter.isUnsettled) this.#lookLater();
  }

  #tell(load: Load, lateMs: number): void {
    const { log, quotaShare } = this.#options;
    if (load === "normal") log.info("Takes new links and circuits again");
    else {
      log.warning(
        "Too much to do: takes no new links and circuits until it is less",
        {
          lateMs: Math.round(lateMs),
          waitingPercent: Math.round(100 * quotaShare()),
        },
      );
    }
  }
}
