/**
 * The introduction points of a service: three are kept, each watched, replaced
 * when it falls silent and when it has served long enough.
 *
 *     building ──▶ open ── 18 to 24 h, or many introductions ──▶ retiring
 *        │           │                                              │ a descriptor
 *        │ failed    │ silent, gone                                 ▼ without it is out
 *        └─▶ (none) ◀┴───────────────────── 5 min later ───────── leaving
 *
 * A retiring point stays in the descriptor until another has taken its place, and
 * goes on listening for those who hold the old one.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import { type Random, randomBetween } from "../base/random.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import { INTRODUCTION_POINTS } from "./descriptor.ts";
import { MAX_INTRODUCTIONS } from "./meeting/replay_cache.ts";

const HOUR_MS = 3_600_000;

/** Protocol: how long a point serves, drawn between these, ms. */
export const SERVE_MS = { low: 18 * HOUR_MS, high: 24 * HOUR_MS } as const;
/** A point is replaced before its replay cache is full: some still come meanwhile. */
export const RETIRE_AFTER = MAX_INTRODUCTIONS - 1024;
/** How long a replaced point still listens: descriptors are kept by clients, ms. */
export const LINGER_MS = 5 * 60_000;
/**
 * How often a circuit is asked for a sign of life, a quarter more or less, ms: where few
 * services share the guards of their node.
 */
export const CHECK_MS = 5_000;
/** Services of a node beyond which all of them ask less often, so that it costs the same. */
export const CHECKED_SERVICES = 20;
/** Sessions that fall silent lead to checks at most so often, ms. */
const DOUBT_MS = 1_000;
/** First and longest wait after a point could not be built, ms. */
const BUILD_WAIT_MS = { first: 500, longest: 15_000 } as const;
/**
 * Points built at once, and then one per ten seconds: an attacker that kills our
 * circuits must not walk us through all relays until it is one of them.
 */
export const BUILD_BURST = 12;
const BUILD_EVERY_MS = 10_000;
/**
 * A point is begun once the one before is there, or after this long, ms: only then
 * is it known which relays to avoid.
 */
const STAGGER_MS = 1_000;
/** Points that listen although replaced, at most. */
const MAX_LEAVING = 2;

/** Names one introduction point, for its whole life. */
export type PointId = number;

/** What the driver shall do with a point. */
export type PointAction =
  /** Establish one, best on none of these relays: `onOpen` or `onFailed`. */
  | {
    readonly type: "build";
    readonly point: PointId;
    readonly avoid: readonly string[];
  }
  /** Ask its circuit for a sign of life: `onChecked`. */
  | { readonly type: "check"; readonly point: PointId }
  /** Close its circuit. */
  | { readonly type: "close"; readonly point: PointId };

/** What a point is doing. */
export type PointState = "building" | "open" | "retiring" | "leaving";

/** A point, for its service's operator. */
export interface PointStatus {
  readonly id: PointId;
  readonly state: PointState;
  /** Introductions that came by it, ever. */
  readonly introductions: number;
  /** When its circuit last answered, ms; −Infinity if it never has. */
  readonly answeredMs: number;
}

interface Point {
  readonly id: PointId;
  state: PointState;
  relay: string | undefined;
  introductions: number;
  answeredMs: number;
  /** When the next thing happens by itself: it retires, or is closed. */
  endMs: number;
  checkMs: number;
  isBeingChecked: boolean;
}

/** The introduction points of one service. */
export class IntroductionPoints {
  readonly #random: Random;
  readonly #points = new Map<PointId, Point>();
  #nextId = 1;
  #failures = 0;
  #waitUntilMs = -Infinity;
  readonly #builds: TokenBucket;
  #doubtedMs = -Infinity;
  #checkMs = CHECK_MS;
  /** When the last point was begun. */
  #builtMs = -Infinity;

  constructor(random: Random, nowMs: number) {
    this.#random = random;
    this.#builds = new TokenBucket(
      { perSecond: 1000 / BUILD_EVERY_MS, burst: BUILD_BURST },
      nowMs,
    );
  }

  /** Points that a descriptor should name now, oldest first. */
  get listed(): PointId[] {
    const open = this.#in("open");
    const missing = INTRODUCTION_POINTS - open.length;
    const kept = missing > 0 ? this.#in("retiring").slice(-missing) : [];
    return [...kept, ...open].map(({ id }) => id).sort((a, b) => a - b);
  }

  /** Points being built. */
  get building(): number {
    return this.#in("building").length;
  }

  /** What all of them are doing, the oldest first. */
  get status(): PointStatus[] {
    return Array.from(
      this.#points.values(),
      ({ id, state, introductions, answeredMs }) => ({
        id,
        state,
        introductions,
        answeredMs,
      }),
    );
  }

  /** What a point is doing; `undefined` once it is gone. */
  stateOf(point: PointId): PointState | undefined {
    return this.#points.get(point)?.state;
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    let due = Math.max(this.#buildDueMs, this.#builds.readyMs(1));
    for (const point of this.#points.values()) {
      if (point.state === "building") continue;
      due = Math.min(due, point.endMs);
      if (isWatched(point)) due = Math.min(due, point.checkMs);
    }
    return due;
  }

  /** A point listens at `relay`. */
  onOpen(id: PointId, relay: string, nowMs: number): void {
    const point = this.#points.get(id);
    if (point?.state !== "building") return;
    this.#failures = 0;
    this.#waitUntilMs = -Infinity;
    point.state = "open";
    point.relay = relay;
    point.answeredMs = nowMs;
    point.endMs = nowMs + this.#between(SERVE_MS.low, SERVE_MS.high);
    point.checkMs = nowMs + this.#checkWait();
  }

  /** A point could not be built, does not answer, or its circuit is gone. */
  onFailed(id: PointId, nowMs: number): void {
    const point = this.#points.get(id);
    if (point === undefined) return;
    this.#points.delete(id);
    if (point.state !== "building") return;
    this.#failures++;
    const wait = Math.min(
      BUILD_WAIT_MS.longest,
      BUILD_WAIT_MS.first * 2 ** (this.#failures - 1),
    );
    this.#waitUntilMs = nowMs + this.#between(wait / 2, wait);
  }

  /** A point's circuit has answered. */
  onChecked(id: PointId, nowMs: number): void {
    const point = this.#points.get(id);
    if (point === undefined) return;
    point.isBeingChecked = false;
    point.answeredMs = nowMs;
    point.checkMs = nowMs + this.#checkWait();
  }

  /** A client was introduced. */
  onIntroduction(id: PointId, nowMs: number): void {
    const point = this.#points.get(id);
    if (point === undefined) return;
    point.introductions++;
    if (point.introductions === RETIRE_AFTER) point.endMs = nowMs;
  }

  /** A descriptor that names `listed` is out: those it no longer names may go. */
  onPublished(listed: readonly PointId[], nowMs: number): void {
    for (const point of this.#in("retiring")) {
      if (listed.includes(point.id)) continue;
      point.state = "leaving";
      point.endMs = nowMs + LINGER_MS;
    }
  }

  /** So many services share our guards: each asks the less often, the more there are. */
  onServices(count: number): void {
    this.#checkMs = CHECK_MS * Math.max(1, count / CHECKED_SERVICES);
  }

  /** A circuit of ours has fallen silent: check all of them, but not without end. */
  onDoubt(nowMs: number): void {
    if (nowMs - this.#doubtedMs < DOUBT_MS) return;
    this.#doubtedMs = nowMs;
    for (const point of this.#points.values()) point.checkMs = nowMs;
  }

  /** Nothing is known of the network any more: check all circuits, build without waiting. */
  onUpheaval(nowMs: number): void {
    this.#failures = 0;
    this.#waitUntilMs = -Infinity;
    for (const point of this.#points.values()) point.checkMs = nowMs;
  }

  /** Do what is due. */
  onTime(nowMs: number): PointAction[] {
    const actions: PointAction[] = [];
    for (const point of [...this.#points.values()]) {
      if (point.state === "building") continue;
      if (point.endMs <= nowMs) this.#onEnd(point, actions);
      else if (isWatched(point) && point.checkMs <= nowMs) {
        point.isBeingChecked = true;
        actions.push({ type: "check", point: point.id });
      }
    }
    for (const point of this.#in("leaving").slice(0, -MAX_LEAVING)) {
      this.#onEnd(point, actions);
    }
    while (this.#buildDueMs <= nowMs && this.#builds.take(1, nowMs)) {
      actions.push(this.#build(nowMs));
    }
    return actions;
  }

  #onEnd(point: Point, actions: PointAction[]): void {
    if (point.state === "open") {
      point.state = "retiring";
      point.endMs = Infinity;
    } else {
      this.#points.delete(point.id);
      actions.push({ type: "close", point: point.id });
    }
  }

  #build(nowMs: number): PointAction {
    this.#builtMs = nowMs;
    const id = this.#nextId++;
    const avoid = [...this.#points.values()]
      .flatMap(({ relay }) => relay ?? []);
    this.#points.set(id, {
      id,
      state: "building",
      relay: undefined,
      introductions: 0,
      answeredMs: -Infinity,
      endMs: Infinity,
      checkMs: Infinity,
      isBeingChecked: false,
    });
    return { type: "build", point: id, avoid };
  }

  get #wanted(): number {
    return INTRODUCTION_POINTS - this.#in("open").length - this.building;
  }

  /** When the next point should be begun, if tokens allow it. */
  get #buildDueMs(): number {
    if (this.#wanted <= 0) return Infinity;
    const staggeredMs = this.building > 0
      ? this.#builtMs + STAGGER_MS
      : -Infinity;
    return Math.max(this.#waitUntilMs, staggeredMs);
  }

  #in(state: PointState): Point[] {
    return [...this.#points.values()].filter((point) => point.state === state);
  }

  #checkWait(): number {
    return this.#between(this.#checkMs * 0.75, this.#checkMs * 1.25);
  }

  #between(low: number, high: number): number {
    return randomBetween(this.#random, low, high);
  }
}

/** Whether a point's circuit must show that it lives. */
function isWatched({ state, isBeingChecked }: Point): boolean {
  return !isBeingChecked && (state === "open" || state === "retiring");
}
