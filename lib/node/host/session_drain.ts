/**
 * The wait for streams under way when a service stops.
 *
 * @module
 */
import { type Clock, sleep } from "../../base/clock.ts";

/** How long streams may take to end when the service is stopped, ms; some never would. */
export const DRAIN_MS = 4_000;
/** Streams that carry nothing for so long are not waited for, ms. */
export const REST_MS = 1_000;
const DRAIN_LOOK_MS = 250;

/** What shows whether sessions carry anything. */
export interface SessionTraffic {
  /** Streams that are open. */
  readonly streamCount: number;
  /** Cells that came on all legs there are. */
  readonly receivedCells: number;
  /** Legs that there are. */
  readonly legCount: number;
}

/** Wait until the last stream has ended, all of them rest, or time is up. */
export async function drainSessions(
  sessions: SessionTraffic,
  clock: Clock,
): Promise<void> {
  const endMs = clock.nowMs() + DRAIN_MS;
  let lookedMs = clock.nowMs();
  let before = sessions.receivedCells;
  while (sessions.streamCount > 0 && clock.nowMs() < endMs) {
    await sleep(clock, DRAIN_LOOK_MS);
    if (clock.nowMs() - lookedMs < REST_MS) continue;
    // Bytes either way bring cells, if only acknowledgements; pings are few.
    const { receivedCells, legCount } = sessions;
    if (receivedCells - before <= 2 * legCount) return;
    lookedMs = clock.nowMs();
    before = receivedCells;
  }
}
