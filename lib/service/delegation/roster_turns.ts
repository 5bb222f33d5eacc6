/**
 * Which of a service's hosts publishes the roster, and when: as often as one service
 * publishes its descriptor, however many hosts there are.
 *
 *     a roster's hour has come ── our turn ──▶ publish
 *                              └─ another host's: nothing
 *     every 10 min · hosts ─────▶ look: there, and of this hour? ── no ──▶ publish
 *
 * Who stores rosters sees the publications of one service, and one that looks whether
 * it can be found, each hour. A host that is dead is made good for by the others' looks,
 * long before the roster that it did not renew ends.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import type { Moment } from "../../base/clock.ts";
import { type Random, randomBetween } from "../../base/random.ts";
import { type TimePeriod, timePeriod } from "../time_period.ts";
import type {
  DelegatedPeriod,
  Delegation,
  SignedRoster,
} from "./delegation.ts";

/** How often all hosts together look whether the roster is there, a half more or less, ms. */
export const LOOK_MS = 10 * 60_000;
/** A host whose turn it is has so long to publish, ms. */
export const GRACE_MS = 5 * 60_000;
/** First and longest wait after a publication or a look that failed, ms. */
export const ROSTER_RETRY_MS = { first: 1_000, longest: 30_000 } as const;
/** A further period is begun within this time, ms. */
const BEGIN_MS = 60_000;
/** The calendar may be set: look at it so often, ms. */
const CALENDAR_MS = 60_000;
/** The last roster of a period is published for so long, ms. */
const LAST_MS = 3_600_000;

/** What the driver shall do. */
export type RosterAction =
  /** Store a roster: `onPublished`. */
  | {
    readonly type: "publish";
    readonly of: DelegatedPeriod;
    readonly roster: SignedRoster;
  }
  /** Look what is under the service's key: `onLooked`. */
  | { readonly type: "look"; readonly period: TimePeriod };

/** What is under the service's key. */
export type RosterSight =
  | {
    readonly type: "found";
    readonly revision: number;
    readonly issue: number;
    /** Whether it names this host, by the key that we have. */
    readonly namesUs: boolean;
  }
  | { readonly type: "missing" }
  /** The network did not answer. */
  | { readonly type: "unknown" };

/** How this host stands. */
export type HostStanding =
  /** Clients that look find it. */
  | "named"
  /** Clients do not find it yet, as far as we know. */
  | "unknown"
  /** A later delegation names it as well: its file is out of date. */
  | "outdated"
  /** A later delegation does not name it. */
  | "revoked";

interface PeriodState {
  readonly of: DelegatedPeriod;
  /** The roster whose hour it is. */
  index: number;
  lookMs: number;
  isLooking: boolean;
  isPublishing: boolean;
  failures: number;
  isThere: boolean;
}

/** One host's part in publishing the roster. */
export class RosterTurns {
  readonly #random: Random;
  readonly #delegation: Delegation;
  readonly #periods = new Map<TimePeriod, PeriodState>();
  #standing: "ours" | "outdated" | "revoked" = "ours";
  #calendarMs = -Infinity;

  constructor(random: Random, delegation: Delegation) {
    this.#random = random;
    this.#delegation = delegation;
  }

  /** When to call {@linkcode onTime} next, ms. */
  get deadlineMs(): number {
    let due = this.#calendarMs;
    for (const { lookMs, isLooking, isPublishing } of this.#periods.values()) {
      if (!isLooking && !isPublishing) due = Math.min(due, lookMs);
    }
    return due;
  }

  /** How this host stands at a moment. */
  standing(unixMs: number): HostStanding {
    if (this.#standing !== "ours") return this.#standing;
    const state = this.#periods.get(timePeriod(unixMs));
    return state?.isThere ? "named" : "unknown";
  }

  /** Do what is due. */
  onTime({ nowMs, unixMs }: Moment): RosterAction[] {
    this.#calendarMs = nowMs + CALENDAR_MS;
    this.#keepPeriods(nowMs, unixMs);
    return [...this.#periods.values()].flatMap((state) => {
      const index = indexAt(state.of, unixMs);
      const isNew = index > state.index;
      state.index = index;
      this.#wakeFor(state, nowMs, unixMs);
      if (isNew && this.#isOurTurn(state)) return this.#publish(state);
      const mustLook = state.lookMs <= nowMs && !state.isLooking &&
        !state.isPublishing;
      if (!mustLook) return [];
      state.isLooking = true;
      return [{ type: "look", period: state.of.period }];
    });
  }

  /** What we know may be out of date: look at once. */
  onDoubt(nowMs: number): void {
    for (const state of this.#periods.values()) state.lookMs = nowMs;
  }

  /** A look has ended. */
  onLooked(
    period: TimePeriod,
    sight: RosterSight,
    { nowMs, unixMs }: Moment,
  ): RosterAction[] {
    const state = this.#periods.get(period);
    if (state === undefined) return [];
    state.isLooking = false;
    if (sight.type === "unknown") {
      this.#tryAgain(state, nowMs);
      return [];
    }
    state.failures = 0;
    const { length } = state.of.hosts;
    state.lookMs = nowMs + this.#between(LOOK_MS / 2, LOOK_MS * 1.5) * length;
    if (sight.type === "missing") return this.#publish(state);
    if (sight.issue > this.#delegation.issue) {
      this.#standing = sight.namesUs ? "outdated" : "revoked";
      return [];
    }
    this.#standing = "ours";
    const { rosters } = state.of;
    const due = rosters[state.index];
    if (due === undefined) return [];
    const isNow = sight.revision >= due.revision;
    const before = rosters[state.index - 1];
    const isJustOver = before !== undefined &&
      sight.revision >= before.revision && unixMs - due.atMs < GRACE_MS;
    state.isThere = isNow || isJustOver;
    return state.isThere ? [] : this.#publish(state);
  }

  /** A publication has ended. @param copies Nodes that stored it. */
  onPublished(period: TimePeriod, copies: number, nowMs: number): void {
    const state = this.#periods.get(period);
    if (state === undefined) return;
    state.isPublishing = false;
    if (copies === 0) return this.#tryAgain(state, nowMs);
    state.failures = 0;
    state.isThere = true;
  }

  #publish(state: PeriodState): RosterAction[] {
    const roster = state.of.rosters[state.index];
    if (roster === undefined || state.isPublishing) return [];
    state.isPublishing = true;
    return [{ type: "publish", of: state.of, roster }];
  }

  /** What is there may be of a later delegation: look before it is tried again. */
  #tryAgain(state: PeriodState, nowMs: number): void {
    const { first, longest } = ROSTER_RETRY_MS;
    const waitMs = Math.min(longest, first * 2 ** state.failures++);
    state.lookMs = nowMs + this.#between(waitMs / 2, waitMs);
  }

  #isOurTurn({ of: { period, hosts }, index }: PeriodState): boolean {
    if (this.#standing !== "ours") return false;
    const turn = (period + index) % hosts.length;
    return hosts[turn]?.slot === this.#delegation.slot;
  }

  /** The hour of the next roster is no later than this. */
  #wakeFor({ of, index }: PeriodState, nowMs: number, unixMs: number): void {
    const next = of.rosters[index + 1];
    if (next === undefined) return;
    const atMs = nowMs + next.atMs - unixMs;
    this.#calendarMs = Math.min(this.#calendarMs, atMs);
  }

  #keepPeriods(nowMs: number, unixMs: number): void {
    const isFirst = this.#periods.size === 0;
    for (const of of this.#delegation.periods) {
      const { period, rosters } = of;
      const [fromMs, lastMs] = [rosters[0]?.atMs, rosters.at(-1)?.atMs];
      const isOn = fromMs !== undefined && lastMs !== undefined &&
        fromMs <= unixMs && unixMs < lastMs + LAST_MS;
      if (!isOn) this.#periods.delete(period);
      else if (!this.#periods.has(period)) {
        this.#periods.set(period, {
          of,
          index: indexAt(of, unixMs),
          lookMs: nowMs + (isFirst ? 0 : this.#between(0, BEGIN_MS)),
          isLooking: false,
          isPublishing: false,
          failures: 0,
          isThere: false,
        });
      }
    }
  }

  #between(low: number, high: number): number {
    return randomBetween(this.#random, low, high);
  }
}

/** The roster of a period whose hour it is. */
function indexAt({ rosters }: DelegatedPeriod, unixMs: number): number {
  return rosters.findLastIndex(({ atMs }) => atMs <= unixMs);
}
