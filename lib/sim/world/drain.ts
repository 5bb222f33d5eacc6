/**
 * Letting promises settle between two events of a virtual clock.
 *
 * `process.nextTick` runs when no microtask is left, however long the chains
 * were, and costs a third of `setImmediate` (0.7 µs to 1.8 µs, Deno 2.9). But
 * the first one in a test comes too early, so a run starts with a whole turn of
 * the event loop. Another is taken now and then, so that signals and output get
 * through, and whenever the caller says that work is under way elsewhere.
 *
 * @module
 */
import process from "node:process";
import { setImmediate } from "node:timers";
import type { DrainMoment } from "../../base/virtual_clock.ts";

/** What a drain has to wait for. */
export interface DrainOptions {
  /**
   * Whether work is under way outside of this thread, such as native ML-KEM:
   * time stands still until it is not. Default: never. A world that must repeat
   * itself exactly has no such work.
   */
  readonly busy?: () => boolean;
}

/** Drains between two turns of the event loop: about one each millisecond. */
const DRAINS_PER_TURN = 512;

/** A drain for {@linkcode VirtualClock}. */
export function createDrain(
  options: DrainOptions = {},
): (moment: DrainMoment) => Promise<void> {
  const { busy } = options;
  const settled = () =>
    new Promise<void>((resolve) => {
      process.nextTick(resolve);
    });
  const turn = () =>
    new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  let drains = 0;
  return (moment) => {
    const wantsTurn = moment === "start" || ++drains % DRAINS_PER_TURN === 0;
    const settling = wantsTurn ? turn() : settled();
    return busy === undefined ? settling : waitFor(busy, settling, turn);
  };
}

async function waitFor(
  busy: () => boolean,
  settling: Promise<void>,
  turn: () => Promise<void>,
): Promise<void> {
  await settling;
  while (busy()) await turn();
}
