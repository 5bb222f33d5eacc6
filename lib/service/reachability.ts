/**
 * What a service has to do to be found and reached: keep introduction points,
 * publish descriptors, and see for itself whether both work.
 *
 *     points, publications, probes of the driver ─▶ Reachability ─▶ actions
 *
 *     build   a point, onPointOpen or onPointFailed
 *     check   a point's circuit, onChecked
 *     publish a descriptor, onPublished
 *     probe   a point, as a client would, onProbed
 *     close   a point
 *
 * After a sleep of the machine, a change of its network or the loss of all
 * points everything is checked at once, and what is broken replaced.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import type { Moment } from "../base/clock.ts";
import { type Random, randomBetween, randomChoice } from "../base/random.ts";
import {
  IntroductionPoints,
  type PointAction,
  type PointId,
  type PointStatus,
} from "./introduction_points.ts";
import type { DescriptorDates } from "./descriptor_dates.ts";
import {
  Publication,
  type PublishAction,
  type Revisions,
} from "./publication.ts";
import { type TimePeriod, timePeriod } from "./time_period.ts";

/** How often a point is tried as a client would, a half more or less, ms. */
const PROBE_MS = 10 * 60_000;
/** A descriptor that is new is probed after this time, a half more or less, ms. */
const FIRST_PROBE_MS = 20_000;
/** Timers do not see that the machine slept: look at the calendar so often, ms. */
const LOOK_MS = 10_000;
/** The calendar may run ahead of the timers by so much, and no more, ms. */
const SLEEP_MS = 30_000;

/** What the driver shall do. */
export type ReachabilityAction =
  | PointAction
  | PublishAction
  /** Fetch our descriptor, and introduce ourselves by this point: `onProbed`. */
  | { readonly type: "probe"; readonly point: PointId };

/** What came of a probe. */
export type ProbeOutcome =
  /** The introduction came back to us. */
  | "reached"
  /** Storing nodes do not have the descriptor, or an old one. */
  | "not_found"
  /** The point did not pass it on. */
  | "not_passed"
  /** We could not even ask. */
  | "unknown";

/** Keeps one service reachable. */
export class Reachability {
  readonly #random: Random;
  readonly #points: IntroductionPoints;
  readonly #publication: Publication;
  #last: Moment;
  #probeMs = Infinity;
  #isProbing = false;

  /** @param floor Revisions will be above: the last ones of an earlier run. */
  constructor(
    random: Random,
    dates: DescriptorDates,
    floor: Revisions,
    at: Moment,
  ) {
    this.#random = random;
    this.#points = new IntroductionPoints(random, at.nowMs);
    this.#publication = new Publication(random, dates, floor);
    this.#last = at;
  }

  /** When to call {@linkcode onTime} next, ms. */
  get deadlineMs(): number {
    return Math.min(
      this.#last.nowMs + LOOK_MS,
      this.#points.deadlineMs,
      this.#publication.deadlineMs,
      this.#isProbing ? Infinity : this.#probeMs,
    );
  }

  /** Points that the descriptor of now names and that listen, to our knowledge. */
  reachablePoints(unixMs: number): PointId[] {
    const stored = this.#publication.storedPoints(timePeriod(unixMs));
    return stored.filter((point) => this.#points.stateOf(point) !== undefined);
  }

  /** What each point is doing. */
  get points(): PointStatus[] {
    return this.#points.status;
  }

  /** A point listens. @param relay Its node id, as text. */
  onPointOpen(point: PointId, relay: string, at: Moment): ReachabilityAction[] {
    this.#points.onOpen(point, relay, at.nowMs);
    return this.onTime(at);
  }

  /** A point could not be built, or its circuit is gone. */
  onPointFailed(point: PointId, at: Moment): ReachabilityAction[] {
    this.#points.onFailed(point, at.nowMs);
    return this.onTime(at);
  }

  /** A check has ended. */
  onChecked(
    point: PointId,
    answer: "alive" | "silent",
    at: Moment,
  ): ReachabilityAction[] {
    if (answer === "silent") {
      // What took this one may have taken others.
      this.#points.onDoubt(at.nowMs);
      return this.#giveUp(point, at);
    }
    this.#points.onChecked(point, at.nowMs);
    return this.onTime(at);
  }

  /** A client was introduced by a point. */
  onIntroduction(point: PointId, at: Moment): ReachabilityAction[] {
    this.#points.onIntroduction(point, at.nowMs);
    return this.onTime(at);
  }

  /** A publication has ended. @param copies Nodes that stored it. */
  onPublished(
    period: TimePeriod,
    copies: number,
    at: Moment,
  ): ReachabilityAction[] {
    const { nowMs, unixMs } = at;
    this.#publication.onPublished(period, copies, nowMs);
    if (copies > 0 && period === timePeriod(unixMs)) {
      const stored = this.#publication.storedPoints(period);
      this.#points.onPublished(stored, nowMs);
      const soon = nowMs + this.#about(FIRST_PROBE_MS);
      this.#probeMs = Math.min(this.#probeMs, soon);
    }
    return this.onTime(at);
  }

  /** A probe has ended. */
  onProbed(
    point: PointId,
    outcome: ProbeOutcome,
    at: Moment,
  ): ReachabilityAction[] {
    this.#isProbing = false;
    this.#probeMs = at.nowMs +
      this.#about(outcome === "reached" ? PROBE_MS : FIRST_PROBE_MS);
    if (outcome === "not_found") this.#publication.demand(at.nowMs);
    return outcome === "not_passed" ? this.#giveUp(point, at) : this.onTime(at);
  }

  /** So many services share the circuits of our node. */
  onServices(count: number): void {
    this.#points.onServices(count);
  }

  /** A visitor got through, from end to end: a probe would show no more. */
  onVisited(at: Moment): ReachabilityAction[] {
    if (!this.#isProbing) this.#probeMs = at.nowMs + this.#about(PROBE_MS);
    return this.onTime(at);
  }

  /** Some circuit of ours has fallen silent: see to the points soon. */
  onDoubt(at: Moment): ReachabilityAction[] {
    this.#points.onDoubt(at.nowMs);
    return this.onTime(at);
  }

  /** The machine has another address, or none any more. */
  onNetworkChange(at: Moment): ReachabilityAction[] {
    this.#upheave(at.nowMs);
    return this.onTime(at);
  }

  /** Do what is due. */
  onTime(at: Moment): ReachabilityAction[] {
    const { nowMs, unixMs } = at;
    const slept = (unixMs - this.#last.unixMs) - (nowMs - this.#last.nowMs);
    const isLate = nowMs - this.#last.nowMs > LOOK_MS + SLEEP_MS;
    this.#last = at;
    if (slept > SLEEP_MS || isLate) this.#upheave(nowMs);
    const points = this.#points.onTime(nowMs);
    const others = this.#points.building > 0 ? "coming" : "none";
    this.#publication.setPoints(this.#points.listed, others, nowMs);
    return [
      ...points,
      ...this.#publication.onTime(at),
      ...this.#probe(at),
    ];
  }

  #giveUp(point: PointId, at: Moment): ReachabilityAction[] {
    this.#points.onFailed(point, at.nowMs);
    return [{ type: "close", point }, ...this.onTime(at)];
  }

  #upheave(nowMs: number): void {
    this.#points.onUpheaval(nowMs);
    this.#publication.demand(nowMs);
  }

  #probe({ nowMs, unixMs }: Moment): ReachabilityAction[] {
    if (this.#isProbing || this.#probeMs > nowMs) return [];
    const point = randomChoice(this.#random, this.reachablePoints(unixMs));
    if (point === undefined) {
      this.#probeMs = Infinity; // until the next descriptor is out
      return [];
    }
    this.#isProbing = true;
    return [{ type: "probe", point }];
  }

  #about(ms: number): number {
    return randomBetween(this.#random, ms / 2, ms * 1.5);
  }
}
