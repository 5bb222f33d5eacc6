/**
 * A service visits itself, to know that clients get through: which port it asks
 * for, which ends of a visit show that it arrived, and when to try again.
 *
 *     visit ─▶ taken, or a refusal of the service itself ─▶ arrived
 *       ▲  └─▶ anything else ─▶ wait, longer each time ─┐
 *       └───────────────────────────────────────────────┘
 *
 * @module
 */

/** First and longest wait before a service that did not reach itself tries again, ms. */
export const SELF_VISIT_WAIT_MS = { first: 500, longest: 8_000 } as const;

/** What a visit to an unserved port ends with when it got through. */
const ARRIVED: ReadonlySet<string> = new Set([
  "service.no_port",
  // Of a service for some clients alone, a visitor sees that its descriptor is there.
  "service.authorisation_missing",
  "service.authorisation_wrong",
]);

/** The visits of one service to itself, until one arrives. */
export class SelfVisit {
  /** The virtual port to ask for: nothing is there, so a visit disturbs no target. */
  readonly port: number;
  #waitMs: number = SELF_VISIT_WAIT_MS.first;
  #againMs = -Infinity;

  /** @param served The virtual ports at which there is something. */
  constructor(served: readonly number[]) {
    this.port = unservedPort(served);
  }

  /** When to visit next, ms. */
  get deadlineMs(): number {
    return this.#againMs;
  }

  /** A visit has ended with an error of this code. */
  onRefused(code: string, nowMs: number): "arrived" | "again" {
    if (ARRIVED.has(code)) return "arrived";
    this.#againMs = nowMs + this.#waitMs;
    this.#waitMs = Math.min(2 * this.#waitMs, SELF_VISIT_WAIT_MS.longest);
    return "again";
  }
}

function unservedPort(served: readonly number[]): number {
  for (let port = 1;; port++) if (!served.includes(port)) return port;
}
