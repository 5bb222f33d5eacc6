/**
 * What a relay may move in a day, a week or a month, and what it has.
 *
 *     bytes of this period ──▶ limit reached ─▶ exhausted ─▶ next period begins ─▶ 0 bytes
 *
 * Periods begin at midnight, on Mondays and on first days of months, UTC. What is
 * counted is written down; a count that cannot be read, or is of a period that has
 * not begun, is never taken for "nothing used": the operator pays for what goes over.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields } from "../wire/fields.ts";
import { periodEnd, periodStart, type PeriodUnit } from "./traffic_period.ts";

/**
 * Tuning: least limit for each day of a period, bytes. A relay that carries nothing
 * still answers links and keeps its place in the DHT.
 */
export const LEAST_PER_DAY = 100_000_000;

/** So many bytes, both ways together, in each period. */
export interface TrafficLimit {
  readonly bytes: number;
  readonly unit: PeriodUnit;
}

/** What was found written down. */
export type StoredTraffic =
  /** Nothing: the first start. */
  | { readonly type: "none" }
  | { readonly type: "whole"; readonly body: Uint8Array }
  | { readonly type: "damaged" };

/** What is strange about it; for the operator. */
export type TrafficDoubt =
  /** It counts for a period that begins in the future. */
  | "future"
  /** It could not be read. */
  | "damaged";

/** Bytes of the period that we are in. */
export class TrafficAccount {
  /** What is strange about what was written down, if anything. */
  readonly doubt: TrafficDoubt | undefined;
  #limit: TrafficLimit;
  #startMs: number;
  #bytes: number;

  /** Go on where the last run ended. */
  constructor(limit: TrafficLimit, stored: StoredTraffic, unixMs: number) {
    this.#limit = limit;
    this.#startMs = periodStart(limit.unit, unixMs);
    const known = stored.type === "whole" ? decode(stored.body) : undefined;
    if (known !== undefined) {
      this.#bytes = known.sinceMs < this.#startMs ? 0 : known.bytes;
      this.doubt = known.sinceMs > unixMs ? "future" : undefined;
    } else if (stored.type === "none") this.#bytes = 0;
    else {
      // As if the relay had used its share of the time that is over.
      const endMs = periodEnd(limit.unit, unixMs);
      const share = (unixMs - this.#startMs) / (endMs - this.#startMs);
      this.#bytes = Math.ceil(limit.bytes * share);
      this.doubt = "damaged";
    }
  }

  /** Bytes of this period so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get limit(): TrafficLimit {
    return this.#limit;
  }

  /** Whether nothing more is to be moved in this period. */
  get isExhausted(): boolean {
    return this.#bytes >= this.#limit.bytes;
  }

  /** From now on another limit holds; what was moved still counts, if it is of its period. */
  setLimit(limit: TrafficLimit, unixMs: number): void {
    this.#limit = limit;
    this.#startMs = Math.max(
      this.#startMs,
      periodStart(limit.unit, unixMs),
    );
  }

  /** So many bytes more were moved. */
  add(bytes: number, unixMs: number): void {
    const startMs = periodStart(this.#limit.unit, unixMs);
    // A clock that was set back begins no period anew: what was moved was moved.
    if (startMs > this.#startMs) this.#bytes = 0;
    this.#startMs = startMs;
    this.#bytes += bytes;
  }

  /** When the next period begins, unix ms. */
  endMs(unixMs: number): number {
    return periodEnd(this.#limit.unit, unixMs);
  }

  /** For the state directory. */
  encode(): Bytes {
    return encodeCbor({ sinceMs: this.#startMs, bytes: this.#bytes });
  }
}

/** @returns `undefined` for what makes no sense. */
function decode(
  body: Uint8Array,
): { readonly sinceMs: number; readonly bytes: number } | undefined {
  try {
    const fields = decodeFields(body, "traffic");
    const sinceMs = fields.uint("sinceMs");
    const bytes = fields.uint("bytes");
    fields.finish();
    return { sinceMs, bytes };
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
