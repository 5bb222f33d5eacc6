/**
 * Relays that did not answer when a circuit was last to be built over them. The
 * relay list keeps a relay until its record ends; this says how many of those that
 * are listed may well be gone.
 *
 *     could not be added to a circuit ──→ silent ──→ answered, or 10 min without a try ──→ not
 *
 * A relay can say of the next one that it does not answer, and lie. What is counted
 * here is told to the user, and decides nothing.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { RelayKey } from "./relay_key.ts";

/** Tuning: how long a failure counts, ms: what is down for good is tried again before. */
export const SILENT_FOR_MS = 600_000;
/** Tuning: relays remembered; the one that failed longest ago is forgotten. */
const MAX_SILENT = 1024;

/** Relays that are silent. */
export class SilentRelays {
  /** When each failed last, the longest ago first. */
  readonly #failedMs = new Map<RelayKey, number>();

  /** It could not be added to a circuit. */
  onSilent(key: RelayKey, nowMs: number): void {
    this.#failedMs.delete(key);
    const [oldest] = this.#failedMs.keys();
    if (oldest !== undefined && this.#failedMs.size >= MAX_SILENT) {
      this.#failedMs.delete(oldest);
    }
    this.#failedMs.set(key, nowMs);
  }

  /** It has become part of a circuit. */
  onAnswer(key: RelayKey): void {
    this.#failedMs.delete(key);
  }

  /** Those of a list that are silent. Takes time with how many failed. */
  count(isListed: (key: RelayKey) => boolean, nowMs: number): number {
    let count = 0;
    for (const [key, failedMs] of this.#failedMs) {
      if (nowMs - failedMs >= SILENT_FOR_MS) this.#failedMs.delete(key);
      else if (isListed(key)) count++;
    }
    return count;
  }

  /** It was our own network that failed. */
  clear(): void {
    this.#failedMs.clear();
  }
}
