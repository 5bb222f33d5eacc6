/**
 * What a node tells its operator of a visit: how it goes, and not where. No name, key
 * or isolation key is in it, and ages are coarse, as those of circuits are.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { SessionView } from "../../session/session.ts";

/** Ages are told in steps of so many seconds. */
const AGE_STEP_SECONDS = 10;

/** A session with a service of others. */
export interface VisitStatus {
  /** Counts sessions from 1, in the order in which they began. */
  readonly id: number;
  /** The same for all sessions of one isolation key; it means nothing elsewhere. */
  readonly isolation: number;
  /** `ending`: of an identity that is over; it ends with its streams. */
  readonly state: "open" | "parked" | "ending";
  /** Since it began, rounded down to {@linkcode AGE_STEP_SECONDS}. */
  readonly ageSeconds: number;
  readonly streams: number;
  readonly legs: number;
  /** Legs that owe an answer for too long. */
  readonly silentLegs: number;
  /** Of the leg that answers soonest, whole ms; `null` before it is known. */
  readonly roundTripMs: number | null;
  /** Cells of 4 KiB that came and went, ever. */
  readonly cellsIn: number;
  readonly cellsOut: number;
}

/** Names of a visit, and since when it is there. */
export interface VisitMark {
  readonly id: number;
  readonly isolation: number;
  readonly sinceMs: number;
}

/** One visit's line. */
export function visitStatus(
  { id, isolation, sinceMs }: VisitMark,
  { streamCount, legs, cells }: SessionView,
  state: VisitStatus["state"],
  nowMs: number,
): VisitStatus {
  const roundTripMs = Math.min(
    ...legs.map((leg) => leg.roundTripMs ?? Infinity),
  );
  const ageSeconds = (nowMs - sinceMs) / 1000;
  return {
    id,
    isolation,
    state,
    ageSeconds: Math.floor(ageSeconds / AGE_STEP_SECONDS) * AGE_STEP_SECONDS,
    streams: streamCount,
    legs: legs.length,
    silentLegs: legs.filter(({ isSuspect }) => isSuspect).length,
    roundTripMs: roundTripMs === Infinity ? null : Math.round(roundTripMs),
    ...cells,
  };
}
