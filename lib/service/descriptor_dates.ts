/**
 * What a service shows of the time: nothing that tells how far its machine's clock is
 * off, which would tie all names of that machine together, and a service to itself.
 *
 *     okm      = HKDF(seed, period(8), "anonnet v1 descriptor dates", 46)
 *              = step key(32) ‖ base(6) ‖ u(4) ‖ v(4)
 *     lag      = ⌊(u + v) · 2 h / 2³²⌋                 0 to 4 h, mostly about 2
 *     shown    = Unix time − lag                        by this clock goes all of the period
 *     steps    = ⌊(shown − (period · 24 h − 10 h)) / 5 s⌋
 *     revision = base + Σ (1 + r[i]), i below steps     r: keystream of the step key, 2 bytes each
 *                + issue' · 2³¹                          issue' as the protocol says; 0: never delegated
 *     expiry   = ⌊shown / 1 h⌋ · 1 h + 8 h
 *
 * Who stores a revision and does not know the seed sees a number drawn evenly from 2⁴⁸,
 * and sums of unknown steps on top. It rises with the time all the same, also where
 * the state directory was lost. A later issue (protocol §7.8 "Several hosts") is above
 * all of an earlier one.
 *
 * @see protocol §7.3 "Descriptors", docs/decisions/0049-no-clock-on-the-wire.md
 * @module
 */
import { type Bytes, utf8, wipe } from "../base/bytes.ts";
import { type CryptoSuite, KEY_BYTES } from "../crypto/suite.ts";
import {
  OVERLAP_MS,
  PERIOD_MS,
  type TimePeriod,
  timePeriod,
  uint64,
} from "./time_period.ts";

const HOUR_MS = 3_600_000;
/** The lag of a period is below twice this, ms. */
const HALF_LAG_MS = 2 * HOUR_MS;
/** Publication of a period begins so long before it, by the shown clock, ms. */
const LEAD_MS = OVERLAP_MS + 2 * HALF_LAG_MS;
/** Revisions rise by a step in this time, ms; publications are as far apart. */
const STEP_MS = 5_000;
/** Steps from the first moment of a period's publication to the last. */
const MAX_STEPS = (LEAD_MS + PERIOD_MS + OVERLAP_MS) / STEP_MS;
/** Expiries are whole hours, this many ms behind the hour that is shown. */
const LIFE_MS = 8 * HOUR_MS;

/** Revisions of one issue are above all of the issue before by so much, at least. */
const ISSUE_STEP = 2 ** 31;
/** Issues made so many days before a period count as one: what they delegated is over. */
const ISSUE_DAYS = 32;
/** Issues of one period that are told apart. */
const MAX_ISSUES = 1_024;

const INFO = utf8("anonnet v1 descriptor dates");
const BASE_BYTES = 6;
const LAG_BYTES = 4;

/** What limits the dates of a service beside its seed. */
export interface DateLimits {
  /** When its key was last delegated, in hours since 1970. Default 0: never. */
  readonly issue?: number;
  /** The periods that it may have descriptors of. Default: all. */
  readonly periods?: ReadonlySet<TimePeriod>;
}

/** What follows from the seed for one period. */
interface PeriodDates {
  readonly stepKey: Bytes;
  readonly base: number;
  readonly lagMs: number;
}

/** The dates of one service's descriptors. Prints as `[scrubbed]`. */
export class DescriptorDates {
  readonly #crypto: CryptoSuite;
  readonly #seed: Bytes;
  readonly #limits: DateLimits;
  readonly #periods = new Map<TimePeriod, PeriodDates>();

  /** @param seed The service's own, or its expanded key; copied. */
  constructor(
    crypto: CryptoSuite,
    seed: Uint8Array,
    limits: DateLimits = {},
  ) {
    this.#crypto = crypto;
    this.#seed = new Uint8Array(seed);
    this.#limits = limits;
  }

  /** The periods for which the service has descriptors at a moment: two at most. */
  periods(unixMs: number): TimePeriod[] {
    const current = timePeriod(unixMs);
    for (const period of this.#periods.keys()) {
      if (Math.abs(period - current) > 1) this.#periods.delete(period);
    }
    return [current, current - 1, current + 1].filter((period) => {
      const { periods } = this.#limits;
      if (period < 0 || periods?.has(period) === false) return false;
      const { fromMs, untilMs } = this.span(period);
      return unixMs >= fromMs && unixMs < untilMs;
    });
  }

  /** The revision of a descriptor that is written now; it rises with the time. */
  revision(period: TimePeriod, unixMs: number): number {
    const { stepKey, base } = this.#of(period);
    const sinceMs = this.#shownMs(period, unixMs) - period * PERIOD_MS;
    const steps = Math.floor((sinceMs + LEAD_MS) / STEP_MS);
    const bytes = new Uint8Array(2 * Math.min(Math.max(steps, 0), MAX_STEPS));
    const keystream = this.#crypto.keystream(stepKey);
    keystream.xor(bytes);
    keystream.wipe();
    const view = new DataView(bytes.buffer);
    let revision = base + issueStep(this.#limits.issue ?? 0, period);
    for (let at = 0; at < bytes.length; at += 2) {
      revision += 1 + view.getUint16(at);
    }
    return revision;
  }

  /** When the service has descriptors of a period, unix ms. */
  span(
    period: TimePeriod,
  ): { readonly fromMs: number; readonly untilMs: number } {
    const { lagMs } = this.#of(period);
    const startMs = period * PERIOD_MS + lagMs;
    return {
      fromMs: startMs - LEAD_MS,
      untilMs: startMs + PERIOD_MS + OVERLAP_MS,
    };
  }

  /** When a descriptor that is written now ends, unix ms: in 3 to 8 hours. */
  expiry(period: TimePeriod, unixMs: number): number {
    const hours = Math.floor(this.#shownMs(period, unixMs) / HOUR_MS);
    return hours * HOUR_MS + LIFE_MS;
  }

  /** Forget the seed. */
  [Symbol.dispose](): void {
    wipe(this.#seed);
    for (const { stepKey } of this.#periods.values()) wipe(stepKey);
    this.#periods.clear();
  }

  toJSON(): string {
    return "[scrubbed]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "DescriptorDates([scrubbed])";
  }

  #shownMs(period: TimePeriod, unixMs: number): number {
    return unixMs - this.#of(period).lagMs;
  }

  #of(period: TimePeriod): PeriodDates {
    return this.#periods.getOrInsertComputed(period, () => {
      const length = KEY_BYTES + BASE_BYTES + 2 * LAG_BYTES;
      const okm = this.#crypto.hkdf(this.#seed, uint64(period), INFO, length);
      const view = new DataView(okm.buffer, okm.byteOffset + KEY_BYTES);
      const base = view.getUint16(0) * 2 ** 32 + view.getUint32(2);
      const drawn = view.getUint32(BASE_BYTES) +
        view.getUint32(BASE_BYTES + LAG_BYTES);
      const lagMs = Math.floor(drawn * HALF_LAG_MS / 2 ** 32);
      const stepKey = okm.slice(0, KEY_BYTES);
      wipe(okm);
      return { stepKey, base, lagMs };
    });
  }
}

function issueStep(issue: number, period: TimePeriod): number {
  const hours = issue - (period - ISSUE_DAYS) * PERIOD_MS / HOUR_MS;
  return Math.min(Math.max(hours, 0), MAX_ISSUES - 1) * ISSUE_STEP;
}
