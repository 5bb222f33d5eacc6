/**
 * Sees that the machine slept, or is on another network: then links may be dead
 * without a word, and what failed before may work.
 *
 *     every 5 s, or in doubt
 *                 calendar or timers ahead by 10 s or more ──→ it slept
 *                 other addresses than before              ──→ it moved
 *
 * While a machine sleeps, timers stand still and the calendar goes on; on some
 * systems the timers go on too, and one of them comes late.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { Timer } from "../base/clock.ts";
import type { Runtime } from "./runtime.ts";

/** Tuning: time between two looks, ms. */
const LOOK_MS = 5_000;
/** Tuning: shorter sleeps are left to the keep-alive of links, ms. */
const SLEEP_MS = 10_000;

/** What happened. */
export type NetworkChange =
  /** The machine, or this process, stood still. */
  | "woke"
  /** Its addresses are others. */
  | "moved";

/** Looks now and then, until disposed of. */
export class NetworkWatch implements Disposable {
  readonly #runtime: Pick<Runtime, "clock" | "localAddresses">;
  readonly #onChange: (change: NetworkChange, stillMs: number) => void;
  #timer: Timer | undefined;
  #lookedMs: number;
  #lookedUnixMs: number;
  #addresses: string | undefined;

  /**
   * @param onChange Hears of each change, and for how long we stood still, ms; must
   * not throw.
   */
  constructor(
    runtime: Pick<Runtime, "clock" | "localAddresses">,
    onChange: (change: NetworkChange, stillMs: number) => void,
  ) {
    this.#runtime = runtime;
    this.#onChange = onChange;
    this.#lookedMs = runtime.clock.nowMs();
    this.#lookedUnixMs = runtime.clock.unixMs();
    this.#addresses = this.#readAddresses();
    this.#lookLater();
  }

  /** Look now: what does not answer may be the work of a sleep. */
  look(): void {
    this.#timer?.cancel();
    this.#look();
  }

  /** Stop. */
  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#runtime.clock.schedule(LOOK_MS, () => this.#look(), {
      keepAlive: false,
    });
  }

  #look(): void {
    this.#lookLater();
    const { clock } = this.#runtime;
    const [nowMs, unixMs] = [clock.nowMs(), clock.unixMs()];
    const passedMs = nowMs - this.#lookedMs;
    const stillMs = Math.max(
      0,
      passedMs - LOOK_MS,
      unixMs - this.#lookedUnixMs - passedMs,
    );
    this.#lookedMs = nowMs;
    this.#lookedUnixMs = unixMs;
    const addresses = this.#readAddresses();
    const hasMoved = addresses !== this.#addresses;
    this.#addresses = addresses;
    if (hasMoved) this.#onChange("moved", stillMs);
    else if (stillMs >= SLEEP_MS) this.#onChange("woke", stillMs);
  }

  /** In an order of their own: systems list them in any. */
  #readAddresses(): string | undefined {
    return this.#runtime.localAddresses?.()?.toSorted().join(" ");
  }
}
