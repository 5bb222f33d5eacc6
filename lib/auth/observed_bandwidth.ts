/**
 * What a relay has carried: the most bytes per second that it kept up for 10 s, of
 * the last days. It declares that, since what it once carried it can carry again, and
 * a figure that was never reached tells clients nothing.
 *
 *     total so far ──add──▶ rate over ≥ 10 s ──▶ highest of its day ──▶ highest of 5 days
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields, Fields } from "../wire/fields.ts";

/** Shortest time over which a rate counts, ms: shorter bursts come out of buffers. */
export const SUSTAINED_MS = 10_000;
/** Days whose highest rates count; after that the line may have changed. */
export const OBSERVED_DAYS = 5;
/**
 * Least that a relay declares, bytes per second. One that is new has carried nothing,
 * and would never be drawn to carry anything.
 */
export const LEAST_DECLARED = 1_000_000;

const DAY_MS = 24 * 3600 * 1000;

/** Highest rates by day. */
export class ObservedBandwidth {
  /** Days since 1970, at most {@linkcode OBSERVED_DAYS} of them, and bytes per second. */
  readonly #days = new Map<number, number>();
  #totalBytes = 0;
  #sinceMs: number | undefined;

  /** @throws {ProtocolError} `wire.*` or `node.bandwidth` for what is no {@linkcode encode}. */
  static decode(encoded: Uint8Array): ObservedBandwidth {
    const observed = new ObservedBandwidth();
    const fields = decodeFields(encoded, "observed bandwidth");
    for (const item of fields.array("days", OBSERVED_DAYS)) {
      const entry = new Fields(item, "observed day");
      const day = entry.uint("day");
      if (observed.#days.has(day)) {
        throw new ProtocolError(
          "node.bandwidth",
          "Cannot read observed bandwidth: one day twice",
        );
      }
      observed.#days.set(day, entry.uint("bytesPerSecond"));
      entry.finish();
    }
    fields.finish();
    return observed;
  }

  /** For the state directory. */
  encode(): Bytes {
    const days = Array.from(
      this.#days,
      ([day, bytesPerSecond]) => ({ day, bytesPerSecond }),
    );
    return encodeCbor({ days });
  }

  /**
   * @param totalBytes Carried since the start of this run.
   * @param nowMs Monotonic.
   * @returns Whether the day's highest rate has changed.
   */
  add(totalBytes: number, nowMs: number, unixMs: number): boolean {
    const sinceMs = this.#sinceMs;
    if (sinceMs !== undefined && nowMs - sinceMs < SUSTAINED_MS) return false;
    const bytes = totalBytes - this.#totalBytes;
    this.#sinceMs = nowMs;
    this.#totalBytes = totalBytes;
    if (sinceMs === undefined) return false;
    const rate = Math.floor(1000 * bytes / (nowMs - sinceMs));
    const day = Math.floor(unixMs / DAY_MS);
    if (rate <= (this.#days.get(day) ?? 0)) return false;
    this.#days.set(day, rate);
    this.#forget(day);
    return true;
  }

  /** The highest rate of the last days, bytes per second; 0 where there is none. */
  highest(unixMs: number): number {
    this.#forget(Math.floor(unixMs / DAY_MS));
    return Math.max(0, ...this.#days.values());
  }

  /**
   * What to declare: that, rounded down to two digits, since an exact figure would tell
   * how much went through this relay at one moment; no less than {@linkcode LEAST_DECLARED}.
   */
  declared(unixMs: number): number {
    const highest = this.highest(unixMs);
    const step = 10 ** Math.max(0, Math.floor(Math.log10(highest || 1)) - 1);
    return Math.max(LEAST_DECLARED, step * Math.floor(highest / step));
  }

  /** Days that are over, and such of a clock that was ahead. */
  #forget(today: number): void {
    for (const day of this.#days.keys()) {
      if (day <= today - OBSERVED_DAYS || day > today) this.#days.delete(day);
    }
  }
}
