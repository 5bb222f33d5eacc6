/**
 * How the introduction points of a service are, for its operator: without a word of
 * which relays they are.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { PointState, PointStatus } from "./introduction_points.ts";

/** One introduction point. */
export interface ServicePointStatus {
  readonly state: PointState;
  /** Whether the published descriptor names it. */
  readonly isNamed: boolean;
  /** Introductions that came by it, ever. */
  readonly introductions: number;
  /** Since its circuit last answered, whole seconds; `null` before it has. */
  readonly answeredSecondsAgo: number | null;
  /** Of that answer, whole ms; `null` before there was one. */
  readonly roundTripMs: number | null;
}

/** One point's line. @param roundTripMs `undefined` while it does not listen. */
export function servicePointStatus(
  { state, introductions, answeredMs }: PointStatus,
  { isNamed, roundTripMs = Infinity }: {
    readonly isNamed: boolean;
    readonly roundTripMs: number | undefined;
  },
  nowMs: number,
): ServicePointStatus {
  return {
    state,
    isNamed,
    introductions,
    answeredSecondsAgo: answeredMs === -Infinity
      ? null
      : Math.floor((nowMs - answeredMs) / 1000),
    roundTripMs: roundTripMs === Infinity ? null : Math.round(roundTripMs),
  };
}
