/**
 * Kills relay processes of a network at random, and starts them again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep, type Timer } from "../../lib/base/clock.ts";
import { type Random, randomBelow } from "../../lib/base/random.ts";
import { SystemClock } from "../../lib/node/system_clock.ts";
import type { NodeProcess } from "./process_network.ts";

/** Kills and restarts relays. Kills no more on dispose. */
export class RelayChaos implements Disposable {
  readonly #random: Random;
  readonly #alive: NodeProcess[];
  readonly #dead: NodeProcess[] = [];
  readonly #clock = new SystemClock();
  readonly #over = new AbortController();
  /** For those who come back later. */
  readonly #timers = new Set<Timer>();
  #kills = 0;

  constructor(relays: readonly NodeProcess[], random: Random) {
    this.#random = random;
    this.#alive = [...relays];
  }

  /** Relays killed so far. */
  get kills(): number {
    return this.#kills;
  }

  /** Kill a relay, and start it again at once. */
  async step(): Promise<void> {
    await this.#kill();
    this.#revive();
  }

  /** Kill a relay every `everyMs` until we are disposed of; each is dead for `deadMs`. */
  async run(everyMs: number, deadMs: number): Promise<void> {
    const { signal } = this.#over;
    for (let nextMs = this.#clock.nowMs(); !signal.aborted;) {
      nextMs += everyMs;
      const waitMs = Math.max(0, nextMs - this.#clock.nowMs());
      await sleep(this.#clock, waitMs, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#kill();
      if (signal.aborted) return;
      const timer = this.#clock.schedule(deadMs, () => {
        this.#timers.delete(timer);
        this.#revive();
      });
      this.#timers.add(timer);
    }
  }

  async #kill(): Promise<void> {
    const index = randomBelow(this.#random, this.#alive.length);
    const [victim] = this.#alive.splice(index, 1);
    assert.ok(victim !== undefined, "there is no relay to kill");
    await victim.end("kill");
    this.#kills++;
    this.#dead.push(victim);
  }

  #revive(): void {
    const back = this.#dead.shift();
    if (back === undefined || this.#over.signal.aborted) return;
    back.begin();
    this.#alive.push(back);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
