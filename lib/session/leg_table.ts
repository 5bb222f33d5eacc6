/**
 * The legs of a session: which there are, which of them carries data, and when
 * each must be heard of.
 *
 *     attached ── silent with cells in flight ──▶ suspect ── a cell ──▶ attached
 *         └────────── its circuit is gone, or given up ──────────▶ removed
 *
 * @see protocol §6.3 "Streams"
 * @module
 */
import { ProtocolError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { type LegNumber, MAX_LEG_NUMBER } from "./frames.ts";
import { HIGH_QUEUE_MS } from "./congestion.ts";
import { Leg, type SessionRole } from "./leg.ts";
import type { SendLane } from "./send_round.ts";

/** Legs that a session has at most at once. */
export const MAX_LEGS = 3;
/** Least silence after which an end with open streams asks for a sign of life, ms. */
const FIRST_PING_MS = 300;
/** Most silence between two such questions, ms. */
const MAX_PING_MS = 30_000;
/** An acknowledgement goes out on another leg when its own has not taken it for so long, ms. */
const ACK_DETOUR_MS = 50;
/** Unmeasured legs stand behind all measured ones, ms. */
const UNMEASURED_MS = 10_000;
/** A leg must be faster by so much, and by the queue that data makes, to get the data. */
const SWITCH_FACTOR = 1.5;
/** A leg must answer so much sooner than the one with the data to take young bursts off it. */
const EXPRESS = { factor: 1.1, ms: 5 } as const;

/** Whether the fastest leg alone carries data, or all of them. */
export type LegSpread = "one" | "all";

/** A leg and what the session thinks of it. */
export class LegState {
  readonly leg: Leg;
  /** It owes an answer for too long. */
  isSuspect = false;
  /** Cells numbered below this have been put up for sending on another leg already. */
  resentBelow = 0;
  /** The next cell shall ask for a sign of life. */
  isPingWanted = false;
  #pingDueMs: number;
  #pingWaitMs = FIRST_PING_MS;

  constructor(leg: Leg, nowMs: number) {
    this.leg = leg;
    this.#pingDueMs = nowMs + FIRST_PING_MS;
  }

  /** When the peer shall be asked for a sign of life. */
  get pingDueMs(): number {
    return this.#pingDueMs;
  }

  /**
   * A cell came: the next question can wait.
   *
   * @param what Whether the cell held more than acknowledgements and pings.
   */
  onHeard(what: "news" | "signs of life", nowMs: number): void {
    if (what === "news") {
      this.#pingWaitMs = Math.max(
        FIRST_PING_MS,
        2 * (this.leg.congestion.roundTripMs ?? 0),
      );
    }
    this.#pingDueMs = nowMs + this.#pingWaitMs;
  }

  /** A cell went out that asks for an acknowledgement: that is a question as well. */
  onAsked(nowMs: number): void {
    this.#pingDueMs = Math.max(this.#pingDueMs, nowMs + this.#pingWaitMs);
  }

  /** Ask for a sign of life if it is time to; less and less often. */
  pingIfDue(nowMs: number): void {
    if (this.#pingDueMs > nowMs) return;
    this.isPingWanted = true;
    this.#pingWaitMs = Math.min(MAX_PING_MS, 2 * this.#pingWaitMs);
    this.#pingDueMs = nowMs + this.#pingWaitMs;
  }

  /** Ask at once, whenever the last time was: there is reason to doubt. */
  pingSoon(nowMs: number): void {
    this.isPingWanted = true;
    this.#pingWaitMs = FIRST_PING_MS;
    this.#pingDueMs = nowMs + this.#pingWaitMs;
  }

  /** Whether the cell built now, for `on`, must acknowledge what came on this leg. */
  owesAckOn(on: LegState, nowMs: number): boolean {
    const { ackDueMs } = this.leg;
    if (ackDueMs === Infinity) return false;
    return on === this || ackDueMs + ACK_DETOUR_MS <= nowMs;
  }

  /** Whether data should rather go out here than on the leg that it goes out on. */
  isBetterThan(current: LegState): boolean {
    if (this.isSuspect !== current.isSuspect) return current.isSuspect;
    // What goes out on a leg makes it slower, and each change begins with a small
    // window: legs of about the same length must not take turns.
    return SWITCH_FACTOR * this.#roundTripMs + HIGH_QUEUE_MS <
      current.#roundTripMs;
  }

  /** Whether what is urgent arrives sooner here than behind the data on `loaded`, as far as known. */
  isQuickerThan(loaded: LegState): boolean {
    const { roundTripMs } = this.leg.congestion;
    const loadedMs = loaded.leg.congestion.roundTripMs;
    return roundTripMs !== undefined && loadedMs !== undefined &&
      EXPRESS.factor * roundTripMs + EXPRESS.ms < loadedMs;
  }

  get #roundTripMs(): number {
    return this.leg.congestion.leastMs ?? UNMEASURED_MS;
  }
}

/** Cells of a session since it began, those of legs that are gone included. */
export interface CellCounts {
  readonly cellsIn: number;
  readonly cellsOut: number;
}

/** What a leg table is made of. */
export interface LegTableOptions {
  readonly crypto: CryptoSuite;
  readonly role: SessionRole;
  readonly spread: LegSpread;
}

/** The legs of one end of a session. */
export class LegTable {
  readonly #options: LegTableOptions;
  readonly #legs = new Map<LegNumber, LegState>();
  /** Cells of legs that are gone. */
  #goneCells: CellCounts = { cellsIn: 0, cellsOut: 0 };
  #highest = -1;
  #leglessSinceMs: number;
  #primary: LegState | undefined;

  constructor(options: LegTableOptions, nowMs: number) {
    this.#options = options;
    this.#leglessSinceMs = nowMs;
  }

  /** Legs attached. */
  get size(): number {
    return this.#legs.size;
  }

  /** Their numbers, oldest first. */
  get numbers(): LegNumber[] {
    return [...this.#legs.keys()];
  }

  /** The highest number ever attached; −1 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Since when there is none; `Infinity` while there are some. */
  get leglessSinceMs(): number {
    return this.#leglessSinceMs;
  }

  /** Cells that came and went on all legs, ever. */
  get cells(): CellCounts {
    let { cellsIn, cellsOut } = this.#goneCells;
    for (const { leg } of this.#legs.values()) {
      cellsIn += leg.receivedCells;
      cellsOut += leg.sentCells;
    }
    return { cellsIn, cellsOut };
  }

  get(number: LegNumber): LegState | undefined {
    return this.#legs.get(number);
  }

  [Symbol.iterator](): IterableIterator<LegState> {
    return this.#legs.values();
  }

  /**
   * Attach a leg.
   *
   * @param secret Of the session.
   * @throws {ProtocolError} `session.leg_number` for a number not above all
   * others so far, `session.too_many_legs` beyond {@linkcode MAX_LEGS}.
   */
  add(secret: Uint8Array, number: LegNumber, nowMs: number): void {
    if (number <= this.#highest || number > MAX_LEG_NUMBER) {
      throw new ProtocolError(
        "session.leg_number",
        `Cannot add leg: number ${number} was used`,
      );
    }
    if (this.#legs.size >= MAX_LEGS) {
      throw new ProtocolError(
        "session.too_many_legs",
        "Cannot add leg: the session has three",
      );
    }
    this.#highest = number;
    const { crypto, role } = this.#options;
    const leg = new Leg(crypto, secret, number, role, nowMs);
    this.#legs.set(number, new LegState(leg, nowMs));
    this.#leglessSinceMs = Infinity;
  }

  /** Detach a leg. @returns What it was; `undefined` when it was not there. */
  remove(number: LegNumber, nowMs: number): LegState | undefined {
    const state = this.#legs.get(number);
    if (state === undefined) return undefined;
    const { cellsIn, cellsOut } = this.#goneCells;
    this.#goneCells = {
      cellsIn: cellsIn + state.leg.receivedCells,
      cellsOut: cellsOut + state.leg.sentCells,
    };
    this.#legs.delete(number);
    if (this.#primary === state) this.#primary = undefined;
    if (this.#legs.size === 0) this.#leglessSinceMs = nowMs;
    return state;
  }

  /** The leg that data goes out on: not suspect, if there is one, and no slow one. */
  get primary(): LegState | undefined {
    let best = this.#primary;
    for (const state of this.#legs.values()) {
      if (best === undefined || state.isBetterThan(best)) best = state;
    }
    return this.#primary = best;
  }

  /** Whether any leg is suspect. */
  get hasSuspect(): boolean {
    for (const { isSuspect } of this.#legs.values()) if (isSuspect) return true;
    return false;
  }

  /**
   * The leg that young bursts and control frames go out on: another than the one
   * with the data, where the queue of that data would hold them up.
   */
  get express(): LegState | undefined {
    if (this.#legs.size === 1 || this.#options.spread === "all") {
      return undefined;
    }
    const { primary } = this;
    let best = primary;
    for (const state of this.#legs.values()) {
      if (state.isSuspect || best === undefined) continue;
      if (state.isQuickerThan(best)) best = state;
    }
    return best === primary || primary?.isSuspect ? undefined : best;
  }

  /** What may go out on a leg: control frames with `"all"` and `"young"`. */
  laneOf(state: LegState): SendLane | "none" {
    if (this.#legs.size === 1) return "all";
    if (this.#options.spread === "all" && !state.isSuspect) return "all";
    const { express } = this;
    if (state === express) return "young";
    if (state !== this.primary) return "none";
    return express?.leg.hasRoom ? "bulk" : "all";
  }

  /** When something is due for one of the legs; `Infinity` if nothing is. */
  dueMs(streams: "some" | "none"): number {
    let due = Infinity;
    for (const state of this.#legs.values()) {
      const { leg } = state;
      due = Math.min(due, leg.ackDueMs);
      if (!state.isSuspect) due = Math.min(due, leg.probeDueMs);
      if (streams === "some") due = Math.min(due, state.pingDueMs);
    }
    return due;
  }

  /** Time has passed. @returns Legs that have become suspect with it. */
  onTime(streams: "some" | "none", nowMs: number): LegState[] {
    const suspect: LegState[] = [];
    for (const state of this.#legs.values()) {
      if (!state.isSuspect && state.leg.probeDueMs <= nowMs) {
        state.isSuspect = true;
        suspect.push(state);
      }
      if (streams === "some") state.pingIfDue(nowMs);
    }
    // What one relay took with it may be more than one leg.
    if (suspect.length > 0) this.#doubtOthers(nowMs);
    return suspect;
  }

  #doubtOthers(nowMs: number): void {
    for (const state of this.#legs.values()) {
      if (!state.isSuspect) state.pingSoon(nowMs);
    }
  }

  /** Ask for a sign of life on all legs. */
  askAll(nowMs: number): void {
    for (const state of this.#legs.values()) state.pingSoon(nowMs);
  }

  /** Forget all keys. */
  wipe(): void {
    for (const { leg } of this.#legs.values()) leg.wipe();
    this.#legs.clear();
    this.#primary = undefined;
  }
}
