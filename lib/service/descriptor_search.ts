/**
 * The search for a descriptor: four places, in random order, asked over one
 * circuit and, when that finds nothing, over another. One place is asked after the
 * other: a question is a look-up of the last hop, which asks a dozen relays. A last
 * hop that lies, and storing nodes that are gone, cost time and nothing else.
 *
 *     route 0   ask · ask · ask · ask ──▶ nothing
 *     route 1                             ask · ask · ask · ask ──▶ nothing ──▶ failed
 *                 └─ found: done
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import { type Random, shuffled } from "../base/random.ts";

/** Places where each descriptor is stored. */
export const DESCRIPTOR_REPLICAS = 4;
/** Circuits that are asked, one after the other. */
const ROUTES = 2;
/** Questions that may be slow, and another asked beside each. */
const MOST_SLOW = 3;
/** Another place is asked as well when an answer takes this long, ms. */
export const HEDGE_MS = 2_000;
/** A place that has not answered by then never will, ms. */
export const ASK_MS = 15_000;

/** What the driver shall do. */
export type SearchAction =
  /** Ask for a replica over a route: `onAnswer`. */
  | {
    readonly type: "ask";
    readonly replica: number;
    readonly route: number;
  }
  /** The search is over without a descriptor. */
  | { readonly type: "failed"; readonly code: SearchFailure };

/** What came of a question. Who finds what is right ends the search itself. */
export type SearchAnswer =
  /** No storing node has it. */
  | "missing"
  /** It is not of this name, or older than one seen before. */
  | "invalid"
  /** It is right, but we lack the key. */
  | "unauthorised"
  /** The circuit failed. */
  | "unreachable";

/** Why there is no descriptor: the most telling of all answers. */
export type SearchFailure =
  | "service.not_found"
  | "service.descriptor_invalid"
  | "service.unauthorised"
  | "service.unreachable";

/** From the most telling. */
const FAILURES: readonly (readonly [SearchAnswer, SearchFailure])[] = [
  ["unauthorised", "service.unauthorised"],
  ["invalid", "service.descriptor_invalid"],
  ["missing", "service.not_found"],
];

/** One search. */
export class DescriptorSearch {
  /** Questions that have not been asked. */
  readonly #open: { readonly replica: number; readonly route: number }[] = [];
  /** When each question under way was asked, by its name. */
  readonly #asked = new Map<string, number>();
  readonly #answers = new Set<SearchAnswer>();
  #isOver = false;
  /** When the search was last looked at. */
  #seenMs = -Infinity;

  constructor(random: Random) {
    const replicas = Array.from({ length: DESCRIPTOR_REPLICAS }, (_, n) => n);
    for (let route = 0; route < ROUTES; route++) {
      for (const replica of shuffled(random, replicas)) {
        this.#open.push({ replica, route });
      }
    }
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const askedMs of this.#asked.values()) {
      due = Math.min(due, askedMs + ASK_MS);
      const slowMs = askedMs + HEDGE_MS;
      if (slowMs > this.#seenMs && this.#open.length > 0) {
        due = Math.min(due, slowMs);
      }
    }
    return due;
  }

  /** Begin. */
  start(nowMs: number): SearchAction[] {
    this.#seenMs = nowMs;
    return this.#ask(nowMs);
  }

  /** A question has an answer. */
  onAnswer(
    replica: number,
    route: number,
    answer: SearchAnswer,
    nowMs: number,
  ): SearchAction[] {
    if (!this.#asked.delete(nameOf(replica, route))) return [];
    this.#answers.add(answer);
    // No other copy opens to our key either; and a dead circuit answers nothing.
    if (answer === "unauthorised") this.#open.length = 0;
    if (answer === "unreachable") this.#skipRoute(route);
    return this.#goOn(nowMs);
  }

  /** Give up on questions that take too long; ask another beside each slow one. */
  onTime(nowMs: number): SearchAction[] {
    this.#seenMs = nowMs;
    for (const [name, askedMs] of this.#asked) {
      if (nowMs - askedMs < ASK_MS) continue;
      this.#asked.delete(name);
      this.#answers.add("unreachable");
    }
    return this.#goOn(nowMs);
  }

  /** How many questions may be under way: one, and slow ones up to a limit. */
  #places(nowMs: number): number {
    let slow = 0;
    for (const askedMs of this.#asked.values()) {
      if (nowMs - askedMs >= HEDGE_MS) slow++;
    }
    return 1 + Math.min(slow, MOST_SLOW);
  }

  #skipRoute(route: number): void {
    const left = this.#open.filter((question) => question.route !== route);
    this.#open.splice(0, this.#open.length, ...left);
  }

  #goOn(nowMs: number): SearchAction[] {
    if (this.#isOver) return [];
    const actions = this.#ask(nowMs);
    if (this.#asked.size > 0) return actions;
    this.#isOver = true;
    return [{ type: "failed", code: this.#failure }];
  }

  #ask(nowMs: number): SearchAction[] {
    const places = this.#places(nowMs);
    const actions: SearchAction[] = [];
    while (this.#asked.size < places) {
      const next = this.#open[0];
      if (next === undefined) break;
      // The second route is for when the first has found nothing, or is slow.
      const isOther = [...this.#asked.keys()].some((name) =>
        !name.endsWith(` ${next.route}`)
      );
      if (isOther && places === 1) break;
      this.#open.shift();
      this.#asked.set(nameOf(next.replica, next.route), nowMs);
      actions.push({ type: "ask", ...next });
    }
    return actions;
  }

  get #failure(): SearchFailure {
    const found = FAILURES.find(([answer]) => this.#answers.has(answer));
    return found?.[1] ?? "service.unreachable";
  }
}

function nameOf(replica: number, route: number): string {
  return `${replica} ${route}`;
}
