/**
 * Machines of a whole world with processors that take their time: for each exchange of
 * keys, and for each message that is sent. What is to be done waits in line.
 *
 *     encapsulate ─┐
 *     message ─────┼─▶ ▪▪▪▪▪▪ ─▶ done, one after the other
 *     message ─────┘   the processor of one machine
 *
 * @module
 */
import { type Clock, sleep } from "../../lib/base/clock.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import type { WholeWorld } from "./whole_world.ts";

/** What work costs, ms. */
export interface WorkCosts {
  /** An answer to a handshake. */
  readonly handshakeMs: number;
  /** A message that is sent. */
  readonly messageMs: number;
}

/** One processor. */
class Processor {
  #freeMs = -Infinity;

  /** Something to do. @returns How long until it is done, ms. */
  use(ms: number, nowMs: number): number {
    this.#freeMs = Math.max(this.#freeMs, nowMs) + ms;
    return this.#freeMs - nowMs;
  }
}

/** The processors of all machines of a world. */
export class SlowProcessors {
  readonly #costs: WorkCosts;
  readonly #processors = new Map<string, Processor>();
  /** How many times as long everything takes at the moment. */
  slowness = 1;
  #clock: Clock | undefined;

  constructor(costs: WorkCosts) {
    this.#costs = costs;
  }

  /** What a machine computes with. For the options of its world. */
  cryptoOf(name: string, suite: CryptoSuite): CryptoSuite {
    const encapsulate: CryptoSuite["encapsulate"] = async (...given) => {
      const { handshakeMs } = this.#costs;
      const clock = this.#clock;
      if (clock !== undefined) {
        await sleep(clock, this.#use(name, handshakeMs, clock));
      }
      return await suite.encapsulate(...given);
    };
    return { ...suite, encapsulate };
  }

  /** From now on everything takes its time. */
  begin({ clock, network, machines }: WholeWorld): void {
    this.#clock = clock;
    const names = new Map(machines.map(({ host, name }) => [host, name]));
    network.intercept = ({ from }) => {
      const name = names.get(from.host) ?? from.host;
      const delayMs = this.#use(name, this.#costs.messageMs, clock);
      return { delayMs };
    };
  }

  #use(name: string, ms: number, clock: Clock): number {
    const processor = this.#processors.get(name) ?? new Processor();
    this.#processors.set(name, processor);
    return processor.use(ms * this.slowness, clock.nowMs());
  }
}
