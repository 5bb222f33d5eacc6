/**
 * Which services of a node begin when: a few at once, the next one when one of these can
 * be reached, or took too long.
 *
 *     wait ─▶ wait ─▶ wait ─▶ ┬ turn ──▶ reachable, stopped, or 30 s later ─▶ (none)
 *                             ├ turn
 *                             └ …   8 at most, 2 while circuits are slow or waited for
 *
 * Together, hundreds would wait for the same few circuits until all of them gave up, and
 * publish a descriptor for each point that came in between. One that cannot be reached
 * lets the next one begin and goes on trying by itself.
 *
 * @see protocol §7.6 "Legs, and staying reachable", docs/decisions/0071-hundreds-of-services.md
 * @module
 */
import type { Pressure } from "./pressure.ts";

/** Tuning: services that begin at once: as many as circuits are built at once. */
export const MAX_TURNS = 8;
/** Tuning: the same where circuits are slow or waited for: not none, for that may last. */
export const PRESSED_TURNS = 2;
/** Tuning: a turn ends after this time, ms: what failed by then is tried without one. */
export const TURN_MS = 30_000;
/** Tuning: how often to look whether circuits are faster again, ms. */
const LOOK_MS = 1_000;

/** The turns of one node's services. */
export class StartTurns<Service> {
  /** In the order in which they came. */
  readonly #waiting = new Set<Service>();
  /** When the turn of each ends at the latest, ms. */
  readonly #turns = new Map<Service, number>();
  #lookMs = Infinity;

  /** When to call {@linkcode onTime} next, ms. */
  get deadlineMs(): number {
    if (this.#waiting.size === 0) return Infinity;
    return Math.min(this.#lookMs, ...this.#turns.values());
  }

  /** A service wants to begin. */
  add(service: Service): void {
    this.#waiting.add(service);
    this.#lookMs = -Infinity;
  }

  /** A service can be reached, or has been stopped: it needs no turn any more. */
  end(service: Service): void {
    this.#waiting.delete(service);
    if (this.#turns.delete(service)) this.#lookMs = -Infinity;
  }

  /** @returns The services that begin now. */
  onTime(nowMs: number, pressure: Pressure): Service[] {
    for (const [service, endMs] of this.#turns) {
      if (endMs <= nowMs) this.#turns.delete(service);
    }
    const most = pressure === "free" ? MAX_TURNS : PRESSED_TURNS;
    const begun: Service[] = [];
    for (const service of this.#waiting) {
      if (this.#turns.size >= most) break;
      this.#waiting.delete(service);
      this.#turns.set(service, nowMs + TURN_MS);
      begun.push(service);
    }
    this.#lookMs = pressure === "free" ? Infinity : nowMs + LOOK_MS;
    return begun;
  }
}
