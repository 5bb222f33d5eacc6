/**
 * The way from a descriptor to a meeting: which introduction point is tried when,
 * and when to give up.
 *
 *     point ── does not know the service, is busy, cannot be reached ──▶ the next
 *       │  ╲
 *       │   ╲ slow: another one beside it
 *       ▼    ▼
 *      met   one does not know the service, or is slow, or all were tried
 *              └──▶ search for a newer descriptor ──▶ its points
 *
 * A service may have several hosts: the points of another one come as soon as its
 * descriptor is there (`onMore`), and are tried in turn with those of the first.
 *
 * While points are slow the search is repeated: their service may be finding
 * others. Without a newer descriptor, only a service that is busy is worth
 * asking again.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { Pressure } from "../base/pressure.ts";
import { type Random, randomBetween, shuffled } from "../base/random.ts";

/** Introductions tried in all, each with a rendezvous of its own. */
export const MAX_ATTEMPTS = 6;
/**
 * How much of a hurry we are in. A session is begun with nothing known of the
 * way; for one more leg the way was known a moment ago, and a transfer may stand
 * still until it is there.
 */
export const HURRY = {
  session: {
    /** Introductions under way at once. */
    atOnce: 2,
    /** Another point is tried as well when a meeting takes this long, ms. */
    secondTryMs: 3_000,
    /** A service that has not answered an introduction by then will not, ms. */
    answerMs: 12_000,
  },
  leg: { atOnce: 3, secondTryMs: 1_500, answerMs: 5_000 },
} as const;

/**
 * Where a service has another host, one of its points is tried as well when a meeting
 * takes this long, ms: of a host that died a moment ago, points say nothing.
 */
export const OTHER_HOST_MS = 1_500;

/** What a meeting is for. */
export type ApproachPurpose = keyof typeof HURRY;

/**
 * Tuning: where our own part took long, the service has so many times as long: what is
 * slow is the network, and to ask again would cost the service a circuit more.
 */
const SLOW_ANSWER = 3;
/** A service meets no client for longer, ms. */
const MOST_ANSWER_MS = 20_000;
/** A point that has not taken an introduction by then is given up, ms. */
export const INTRODUCE_MS = 25_000;
/** Searches for a newer descriptor, at most. */
export const MAX_SEARCHES = 4;
/** A service whose points all died needs some seconds: wait before the next search, ms. */
export const SEARCH_AGAIN_MS = 4_000;
/** Wait before a busy service is asked again, drawn between these, ms. */
const BUSY_MS = { low: 1_000, high: 3_000 } as const;

/** What the driver shall do. */
export type ApproachAction =
  /** Be introduced by the point of this index: `onTaken` or `onFailed`, or a meeting. */
  | {
    readonly type: "introduce";
    readonly attempt: number;
    readonly point: number;
  }
  /** The approach waits for this attempt no more. */
  | { readonly type: "abandon"; readonly attempt: number }
  /** Look whether there is a newer descriptor: `onDescriptor`. */
  | { readonly type: "search" }
  /** There is no way. */
  | { readonly type: "failed"; readonly code: ApproachFailure };

/** Why an attempt came to nothing. */
export type AttemptFailure =
  /** The point does not know the service. */
  | "unknown"
  /** Too many want the same. */
  | "busy"
  /** A circuit of ours failed. */
  | "unreachable"
  /** The answer was not the service's. */
  | "wrong_answer"
  /** The service does not know the session that a leg was wanted for. */
  | "session_lost"
  /** No answer came. */
  | "silent";

/** Why there is no way, for the user. */
export type ApproachFailure =
  | "service.session_lost"
  | "service.rendezvous"
  | "service.introduction_timeout"
  | "service.introduction"
  | "service.unreachable";

/** From the most telling. */
const FAILURES: readonly (readonly [AttemptFailure, ApproachFailure])[] = [
  ["session_lost", "service.session_lost"],
  ["wrong_answer", "service.rendezvous"],
  ["silent", "service.introduction_timeout"],
  ["busy", "service.introduction"],
  ["unknown", "service.introduction"],
];

interface Attempt {
  readonly startedMs: number;
  /** When it is given up. */
  endMs: number;
}

/** One way to one service. */
export class Approach {
  readonly #random: Random;
  /** Points not tried yet, the next one last. */
  #points: number[];
  readonly #attempts = new Map<number, Attempt>();
  readonly #failures = new Set<AttemptFailure>();
  #nextAttempt = 0;
  /** When the last attempt was begun. */
  #startedMs = -Infinity;
  /** Attempts from this one on are by the newest descriptor. */
  #firstAttempt = 0;
  #isSearching = false;
  /** No other point is tried before the search has ended. */
  #mustSearch = false;
  #searches = 0;
  /** When the next search may begin. */
  #searchMs = -Infinity;
  #waitUntilMs = -Infinity;
  readonly #hurry: typeof HURRY[ApproachPurpose];
  /** Points that the driver knows by their numbers. */
  #known: number;
  #secondTryMs: number;
  #isOver = false;

  /**
   * @param points How many points the descriptor names.
   * @param purpose Whether a new session is wanted, or one more leg.
   */
  constructor(
    random: Random,
    points: number,
    purpose: ApproachPurpose,
  ) {
    this.#random = random;
    this.#hurry = HURRY[purpose];
    this.#secondTryMs = this.#hurry.secondTryMs;
    this.#known = points;
    this.#points = indices(random, points);
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    if (this.#isOver) return Infinity;
    // Where no attempt is left, only the search that is under way brings another.
    const isWaiting = !this.#isSearching ||
      this.#mayTryAnother && !this.#mustSearch;
    let due = this.#attempts.size === 0 && this.#points.length > 0 && isWaiting
      ? this.#waitUntilMs
      : Infinity;
    for (const { endMs } of this.#attempts.values()) due = Math.min(due, endMs);
    if (this.#attempts.size === 0) return due;
    const slowMs = this.#startedMs + this.#secondTryMs;
    if (this.#mayTryAnother) due = Math.min(due, slowMs);
    if (this.#maySearch) {
      const lateMs = this.#startedMs + this.#hurry.secondTryMs;
      due = Math.min(due, Math.max(lateMs, this.#searchMs));
    }
    return due;
  }

  /** Begin. */
  start(nowMs: number): ApproachAction[] {
    return this.#goOn(nowMs);
  }

  /**
   * The point has passed on the introduction: now the service has to answer, for which
   * it builds a circuit as we did.
   */
  onTaken(attempt: number, nowMs: number): void {
    const state = this.#attempts.get(attempt);
    if (state === undefined) return;
    const tookMs = nowMs - state.startedMs;
    const answerMs = Math.max(this.#hurry.answerMs, SLOW_ANSWER * tookMs);
    state.endMs = nowMs + Math.min(MOST_ANSWER_MS, answerMs);
  }

  /** An attempt came to nothing. */
  onFailed(
    attempt: number,
    failure: AttemptFailure,
    nowMs: number,
    pressure: Pressure,
  ): ApproachAction[] {
    if (!this.#attempts.delete(attempt)) return [];
    this.#failures.add(failure);
    // Said by the service itself, and true at all its points.
    if (failure === "session_lost") return this.#giveUp();
    // The service has left this point, and most likely the others as well.
    const isGone = failure === "unknown" && this.#searches === 0;
    const search = isGone ? this.#beginSearch() : [];
    // Most likely the others do not know it either: tried meanwhile where that is cheap.
    const isInVain = failure === "unknown" && this.#isSearching;
    this.#mustSearch = isInVain && pressure !== "free";
    return [...search, ...this.#goOn(nowMs)];
  }

  /**
   * The search has ended.
   *
   * @param points Of the newest descriptor.
   * @param news Whether it is another one than before.
   */
  onDescriptor(
    points: number,
    news: "newer" | "same",
    nowMs: number,
  ): ApproachAction[] {
    this.#isSearching = false;
    this.#mustSearch = false;
    this.#searchMs = nowMs + SEARCH_AGAIN_MS;
    if (news === "newer") {
      this.#known = points;
      this.#secondTryMs = this.#hurry.secondTryMs;
      this.#points = indices(this.#random, points);
      this.#firstAttempt = this.#nextAttempt;
      const [oldest] = this.#attempts.values();
      const isSlow = this.#isSlow(oldest?.startedMs, nowMs);
      if (isSlow && this.#mayTryAnother) return this.#try(nowMs);
      return this.#goOn(nowMs);
    }
    if (this.#failures.has("busy") && this.#points.length === 0) {
      this.#points = indices(this.#random, points);
      this.#waitUntilMs = nowMs +
        randomBetween(this.#random, BUSY_MS.low, BUSY_MS.high);
    }
    return this.#goOn(nowMs);
  }

  /**
   * There is another host.
   *
   * @param points Of its descriptor; their numbers follow those of before.
   */
  onMore(points: number, nowMs: number): ApproachAction[] {
    const more = indices(this.#random, points).map((n) => this.#known + n);
    this.#known += points;
    this.#secondTryMs = Math.min(this.#secondTryMs, OTHER_HOST_MS);
    // In turn, the last first: what was tried until now was the other host.
    const [rest, inTurn] = [this.#points, [] as number[]];
    while (rest.length + more.length > 0) {
      inTurn.push(...more.splice(-1), ...rest.splice(-1));
    }
    this.#points = inTurn.reverse();
    return this.#goOn(nowMs);
  }

  /**
   * Give up what takes too long; try another point beside a slow one, unless all is
   * slow.
   */
  onTime(nowMs: number, pressure: Pressure): ApproachAction[] {
    const actions: ApproachAction[] = [];
    for (const [attempt, { endMs }] of this.#attempts) {
      if (endMs > nowMs) continue;
      this.#attempts.delete(attempt);
      this.#failures.add("silent");
      actions.push({ type: "abandon", attempt });
    }
    const isSlow = this.#isSlow(this.#startedMs, nowMs);
    if (isSlow && pressure !== "free") this.#startedMs = nowMs;
    else if (this.#attempts.size > 0 && isSlow) {
      const isLate = this.#startedMs + this.#hurry.secondTryMs <= nowMs;
      const search = isLate && this.#searchMs <= nowMs
        ? this.#beginSearch()
        : [];
      if (this.#mayTryAnother) actions.push(...this.#try(nowMs));
      actions.push(...search);
    }
    return [...actions, ...this.#goOn(nowMs)];
  }

  /** @param startedMs Of an attempt that is under way, if there is one. */
  #isSlow(startedMs: number | undefined, nowMs: number): boolean {
    return startedMs !== undefined &&
      startedMs + this.#secondTryMs <= nowMs;
  }

  #beginSearch(): ApproachAction[] {
    if (!this.#maySearch) return [];
    this.#isSearching = true;
    this.#searches++;
    return [{ type: "search" }];
  }

  get #maySearch(): boolean {
    return !this.#isSearching && this.#searches < MAX_SEARCHES;
  }

  get #mayTryAnother(): boolean {
    let underWay = 0;
    for (const attempt of this.#attempts.keys()) {
      if (attempt >= this.#firstAttempt) underWay++;
    }
    return underWay < this.#hurry.atOnce &&
      this.#points.length > 0 &&
      this.#nextAttempt < MAX_ATTEMPTS;
  }

  #goOn(nowMs: number): ApproachAction[] {
    const mustWait = this.#isOver || this.#attempts.size > 0 ||
      this.#mustSearch ||
      this.#waitUntilMs > nowMs;
    if (mustWait) return [];
    if (this.#mayTryAnother) return this.#try(nowMs);
    if (this.#isSearching) return [];
    const isOld = this.#searches === 0 || this.#searchMs <= nowMs;
    if (isOld && this.#maySearch) return this.#beginSearch();
    return this.#giveUp();
  }

  #giveUp(): ApproachAction[] {
    this.#isOver = true;
    const found = FAILURES.find(([failure]) => this.#failures.has(failure));
    return [{ type: "failed", code: found?.[1] ?? "service.unreachable" }];
  }

  #try(nowMs: number): ApproachAction[] {
    const point = this.#points.pop();
    if (point === undefined) return [];
    const attempt = this.#nextAttempt++;
    this.#startedMs = nowMs;
    const endMs = nowMs + INTRODUCE_MS;
    this.#attempts.set(attempt, { startedMs: nowMs, endMs });
    return [{ type: "introduce", attempt, point }];
  }
}

function indices(random: Random, count: number): number[] {
  return shuffled(random, Array.from({ length: count }, (_, n) => n));
}
