/**
 * Kills relay processes of a network at random and starts them again, or pauses
 * them and lets them go on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep, type Timer } from "../../lib/base/clock.ts";
import {
  type Random,
  randomBelow,
  randomChoice,
} from "../../lib/base/random.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import type { NodeProcess } from "./process_network.ts";

/** What can happen to a relay: its process is killed and started again, or stopped and continued. */
export type Blow = "kill" | "pause";

/** A relay that is away. */
interface Victim {
  readonly relay: NodeProcess;
  readonly blow: Blow;
}

/** Strikes relays and brings them back. Strikes no more on dispose. */
export class RelayChaos implements Disposable {
  readonly #random: Random;
  readonly #blows: readonly Blow[];
  readonly #alive: NodeProcess[];
  readonly #away: Victim[] = [];
  readonly #clock = new SystemClock();
  readonly #over = new AbortController();
  /** For those who come back later. */
  readonly #timers = new Set<Timer>();
  readonly #counts: Record<Blow, number> = { kill: 0, pause: 0 };

  constructor(
    relays: readonly NodeProcess[],
    random: Random,
    blows: readonly Blow[] = ["kill"],
  ) {
    this.#random = random;
    this.#alive = [...relays];
    this.#blows = blows;
  }

  /** Relays struck so far. */
  get counts(): Readonly<Record<Blow, number>> {
    return this.#counts;
  }

  /** Strike a relay, and bring it back: at once if it was killed, with the next step if it was paused. */
  async step(): Promise<void> {
    if (this.#away.length > 0) this.#revive();
    if (await this.#strike() === "kill") this.#revive();
  }

  /** Strike a relay every `everyMs` until we are disposed of; each is away for `awayMs`. */
  async run(everyMs: number, awayMs: number): Promise<void> {
    const { signal } = this.#over;
    for (let nextMs = this.#clock.nowMs(); !signal.aborted;) {
      nextMs += everyMs;
      const waitMs = Math.max(0, nextMs - this.#clock.nowMs());
      await sleep(this.#clock, waitMs, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#strike();
      if (signal.aborted) return;
      const timer = this.#clock.schedule(awayMs, () => {
        this.#timers.delete(timer);
        this.#revive();
      });
      this.#timers.add(timer);
    }
  }

  async #strike(): Promise<Blow> {
    const index = randomBelow(this.#random, this.#alive.length);
    const [relay] = this.#alive.splice(index, 1);
    const blow = randomChoice(this.#random, this.#blows);
    assert.ok(relay !== undefined, "there is no relay to strike");
    assert.ok(blow !== undefined, "there is nothing to strike with");
    if (blow === "kill") await relay.end("kill");
    else relay.process.signal("SIGSTOP");
    this.#counts[blow]++;
    this.#away.push({ relay, blow });
    return blow;
  }

  #revive(): void {
    const back = this.#away.shift();
    if (back === undefined || this.#over.signal.aborted) return;
    this.#bringBack(back);
    this.#alive.push(back.relay);
  }

  #bringBack({ relay, blow }: Victim): void {
    if (blow === "kill") relay.begin();
    else relay.process.signal("SIGCONT");
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    // Who is stopped cannot be asked to end.
    for (const victim of this.#away.splice(0)) {
      if (victim.blow === "pause") this.#bringBack(victim);
    }
  }
}
