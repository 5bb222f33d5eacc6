/**
 * The wait for streams under way when a service stops.
 *
 * @module
 */
import { type Clock, sleep } from "../../base/clock.ts";
import type { Log } from "../../log/log.ts";

/** Default of how long streams may take to end when the service is stopped, ms; some never would. */
export const DRAIN_MS = 4_000;
/** Streams that carry nothing for so long are not waited for, ms. */
export const REST_MS = 1_000;
/** The same once some have carried something: a transfer may move to another leg, ms. */
const PAUSE_MS = 4_000;
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

/** What the wait of one service takes. */
export interface DrainOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** What its operator calls the service. */
  readonly name: string;
  /** Longest wait, ms. */
  readonly drainMs: number;
}

/** Wait until the last stream has ended, all of them rest, or time is up; say so. */
export async function drainSessions(
  sessions: SessionTraffic,
  { clock, log, name, drainMs }: DrainOptions,
): Promise<void> {
  if (sessions.streamCount === 0) return;
  log.info("Waiting for streams to end", {
    name,
    streams: sessions.streamCount,
    seconds: Math.round(drainMs / 1000),
  });
  const outcome = await drained(sessions, clock, drainMs);
  const streams = sessions.streamCount;
  if (streams === 0) log.info("All streams have ended", { name });
  else if (outcome === "late") {
    log.warning("Cut streams that had not ended", { name, streams });
  } else log.info("Closed streams that were at rest", { name, streams });
}

async function drained(
  sessions: SessionTraffic,
  clock: Clock,
  drainMs: number,
): Promise<"ended" | "rest" | "late"> {
  const endMs = clock.nowMs() + drainMs;
  let restMs = REST_MS;
  let lookedMs = clock.nowMs();
  let before = sessions.receivedCells;
  while (sessions.streamCount > 0) {
    if (clock.nowMs() >= endMs) return "late";
    await sleep(clock, Math.min(DRAIN_LOOK_MS, endMs - clock.nowMs()));
    // Bytes either way bring cells, if only acknowledgements; pings are few.
    const { receivedCells, legCount } = sessions;
    const isMoving = receivedCells - before > 2 * legCount;
    if (!isMoving && clock.nowMs() - lookedMs < restMs) continue;
    if (!isMoving) return "rest";
    restMs = PAUSE_MS;
    lookedMs = clock.nowMs();
    before = receivedCells;
  }
  return "ended";
}
