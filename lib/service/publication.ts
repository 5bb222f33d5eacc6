/**
 * When the descriptors of a service go out: for each period that counts, hourly,
 * and at once when its introduction points change.
 *
 *     periods of the moment ─┐
 *     points to name ────────┼─▶ due? ─▶ publish ─▶ stored: again in an hour
 *     time ──────────────────┘                └──▶ not stored: again soon
 *
 * Revisions of a period rise with the time and never go back, whatever the clock does:
 * what is published later always replaces what was published before.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { Moment } from "../base/clock.ts";
import { type Random, randomBetween } from "../base/random.ts";
import type { PointId } from "./introduction_points.ts";
import type { DescriptorDates } from "./descriptor_dates.ts";
import type { TimePeriod } from "./time_period.ts";

/** How often descriptors are published anew, a tenth more or less, ms. */
export const PUBLISH_MS = 3_600_000;
/** How long a change waits for others under way, so that one descriptor names them all, ms. */
export const SETTLE_MS = 1_500;
/** Least time between two publications of a period: points that come and go must not flood storing nodes. */
export const PUBLISH_GAP_MS = 5_000;
/** First and longest wait after a publication that no node stored, ms. */
export const RETRY_MS = { first: 1_000, longest: 30_000 } as const;
/** Revisions are remembered of so many periods that are over. */
const KEPT_PERIODS = 2;
/** A further period is begun within this time, so that not all services do it at once, ms. */
const PERIOD_JITTER_MS = 60_000;

/** Publish a descriptor: `onPublished`. */
export interface PublishAction {
  readonly type: "publish";
  readonly period: TimePeriod;
  /** Higher than all before of this period. */
  readonly revision: number;
  /** The points to name, at least one. */
  readonly points: readonly PointId[];
}

/** The highest revision that descriptors of each period had. */
export type Revisions = ReadonlyMap<TimePeriod, number>;

interface PeriodState {
  dueMs: number;
  isUnderWay: boolean;
  startedMs: number;
  failures: number;
  /** What the descriptor that is out names. */
  stored: readonly PointId[];
  /** What the one under way names. */
  sending: readonly PointId[];
}

/** The descriptors of one service. */
export class Publication {
  readonly #random: Random;
  readonly #dates: DescriptorDates;
  readonly #periods = new Map<TimePeriod, PeriodState>();
  readonly #revisions: Map<TimePeriod, number>;
  #points: readonly PointId[] = [];

  /** @param floor All revisions will be above: the last ones of an earlier run. */
  constructor(random: Random, dates: DescriptorDates, floor: Revisions) {
    this.#random = random;
    this.#dates = dates;
    this.#revisions = new Map(floor);
  }

  /** Points that the descriptor of a period names, as far as storing nodes know. */
  storedPoints(period: TimePeriod): readonly PointId[] {
    return this.#periods.get(period)?.stored ?? [];
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    let due = Infinity;
    if (this.#points.length === 0) return due;
    for (const { dueMs, isUnderWay } of this.#periods.values()) {
      if (!isUnderWay) due = Math.min(due, dueMs);
    }
    return due;
  }

  /**
   * The points to name.
   *
   * @param others Whether more are on their way, and worth waiting for.
   */
  setPoints(
    points: readonly PointId[],
    others: "coming" | "none",
    nowMs: number,
  ): void {
    if (points.join() === this.#points.join()) {
      if (others === "none") this.#hasten(nowMs);
      return;
    }
    const isFirst = this.#points.length === 0;
    this.#points = [...points];
    const wait = others === "coming" ? SETTLE_MS : 0;
    for (const state of this.#periods.values()) {
      // What was due before could not be done, with nothing to name.
      if (isFirst) state.dueMs = Infinity;
      this.#due(state, nowMs + wait);
    }
  }

  /** No point is waited for any more: what is due because of a change is due now. */
  #hasten(nowMs: number): void {
    for (const state of this.#periods.values()) {
      if (state.dueMs - nowMs <= SETTLE_MS && state.failures === 0) {
        this.#due(state, nowMs);
      }
    }
  }

  /** Publish all again: something is wrong with what is out. */
  demand(nowMs: number): void {
    for (const state of this.#periods.values()) this.#due(state, nowMs);
  }

  /** A publication has ended. @param copies Nodes that stored it. */
  onPublished(period: TimePeriod, copies: number, nowMs: number): void {
    const state = this.#periods.get(period);
    if (state === undefined || !state.isUnderWay) return;
    state.isUnderWay = false;
    if (copies > 0) {
      state.failures = 0;
      state.stored = state.sending;
      if (state.dueMs === Infinity) {
        state.dueMs = nowMs + this.#between(PUBLISH_MS * 0.9, PUBLISH_MS * 1.1);
      }
    } else {
      state.failures++;
      const wait = Math.min(
        RETRY_MS.longest,
        RETRY_MS.first * 2 ** (state.failures - 1),
      );
      state.dueMs = nowMs + this.#between(wait / 2, wait);
    }
  }

  /** Do what is due. */
  onTime({ nowMs, unixMs }: Moment): PublishAction[] {
    this.#keepPeriods(this.#dates.periods(unixMs), nowMs);
    if (this.#points.length === 0) return [];
    const actions: PublishAction[] = [];
    for (const [period, state] of this.#periods) {
      if (state.isUnderWay || state.dueMs > nowMs) continue;
      const revision = this.#nextRevision(period, unixMs);
      state.isUnderWay = true;
      state.startedMs = nowMs;
      state.dueMs = Infinity;
      state.sending = this.#points;
      actions.push({
        type: "publish",
        period,
        revision,
        points: this.#points,
      });
    }
    return actions;
  }

  #nextRevision(period: TimePeriod, unixMs: number): number {
    const last = this.#revisions.get(period) ?? -1;
    const revision = Math.max(this.#dates.revision(period, unixMs), last + 1);
    this.#revisions.set(period, revision);
    return revision;
  }

  #keepPeriods(periods: readonly TimePeriod[], nowMs: number): void {
    for (const period of this.#periods.keys()) {
      if (!periods.includes(period)) this.#periods.delete(period);
    }
    // A clock that is set back and forth comes by a period again.
    const oldest = Math.min(...periods) - KEPT_PERIODS;
    for (const period of this.#revisions.keys()) {
      if (period < oldest) this.#revisions.delete(period);
    }
    const isFirst = this.#periods.size === 0;
    for (const period of periods) {
      if (this.#periods.has(period)) continue;
      const wait = isFirst ? 0 : this.#between(0, PERIOD_JITTER_MS);
      this.#periods.set(period, {
        dueMs: nowMs + wait,
        isUnderWay: false,
        startedMs: -Infinity,
        failures: 0,
        stored: [],
        sending: [],
      });
    }
  }

  #due(state: PeriodState, atMs: number): void {
    const earliest = Math.max(atMs, state.startedMs + PUBLISH_GAP_MS);
    state.dueMs = Math.min(state.dueMs, earliest);
  }

  #between(low: number, high: number): number {
    return randomBetween(this.#random, low, high);
  }
}
