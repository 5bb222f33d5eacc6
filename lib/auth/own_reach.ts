/**
 * Whether others reach this relay at the addresses of its record. No relay can see
 * that for itself: its own links show that it reaches others. So it asks some of
 * those that try it anyway, before they list it.
 *
 *     joined ── 10 s ─▶ ask 8 ─▶ answers ─┬─ none has tried ──▶ again, 10 s, 20 s … 5 min
 *                                         ├─ more silent ─────▶ not reached; again in 5 min
 *                                         └─ else ────────────▶ reached; again in an hour
 *
 * A peer can lie. It is one of those asked, and most of them decide; what they
 * decide is no more than what the operator is told.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";

/** Protocol: the method of links that asks a relay whether it reached the asker. */
export const REACH_METHOD = "reach";

/** Tuning: relays asked in one round. */
export const REACH_ASKED = 8;
/**
 * Tuning: first asked so long after the start, ms. Others try a relay as soon as they
 * hear of it, and know after 8 s that it is silent.
 */
export const FIRST_ASK_MS = 10_000;
/** Tuning: asked again at the latest after so long, ms, unless it was reached. */
export const UNSURE_MS = 5 * 60_000;
/** Tuning: asked again so long after it was reached, ms. */
export const SURE_MS = 3_600_000;

/** Protocol: what a relay answers of the asker, in one byte. */
const ANSWER_BYTES = { untried: 0, reached: 1, silent: 2 } as const;

/**
 * What a relay says of the one that asks it: that it listed it, having reached it at
 * an address of its record; that it tried, and had no answer there; or neither yet.
 */
export type ReachAnswer = keyof typeof ANSWER_BYTES;

/** An answer as bytes. */
export function encodeReachAnswer(answer: ReachAnswer): Bytes {
  return Uint8Array.of(ANSWER_BYTES[answer]);
}

/** Read an answer. @throws {ProtocolError} `auth.reach_answer`. */
export function decodeReachAnswer(bytes: Uint8Array): ReachAnswer {
  const [byte] = bytes;
  if (bytes.length === 1) {
    if (byte === ANSWER_BYTES.untried) return "untried";
    if (byte === ANSWER_BYTES.reached) return "reached";
    if (byte === ANSWER_BYTES.silent) return "silent";
  }
  throw new ProtocolError(
    "auth.reach_answer",
    "Cannot read whether we were reached: no such answer",
  );
}

/** What is known of it. */
export interface OwnReachStatus {
  readonly state: "unknown" | "reached" | "not_reached";
  /** Relays that reached us, and that tried in vain, of those last asked. */
  readonly reached: number;
  readonly silent: number;
}

/** What there is to do. */
export type OwnReachAction =
  /** Ask some relays; then `onAnswers`. */
  | { readonly type: "ask" }
  /** The operator should hear of it. */
  | { readonly type: "tell"; readonly status: OwnReachStatus };

/** Whether others reach us. */
export class OwnReach {
  #status: OwnReachStatus = { state: "unknown", reached: 0, silent: 0 };
  #dueMs = Infinity;
  #waitMs = FIRST_ASK_MS;

  /** When to call {@linkcode onTime} next, ms; `Infinity` with nothing to wait for. */
  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** What the last answers were. */
  get status(): OwnReachStatus {
    return this.#status;
  }

  /** Others have heard of us, or of other addresses: what was known is old. */
  start(nowMs: number): void {
    this.#status = { state: "unknown", reached: 0, silent: 0 };
    this.#waitMs = FIRST_ASK_MS;
    this.#dueMs = nowMs + FIRST_ASK_MS;
  }

  /** The deadline has come. Nothing is due again before {@linkcode onAnswers}. */
  onTime(nowMs: number): OwnReachAction[] {
    if (nowMs < this.#dueMs) return [];
    this.#dueMs = Infinity;
    return [{ type: "ask" }];
  }

  /** A round is over. @param answers Of those that gave one. */
  onAnswers(answers: readonly ReachAnswer[], nowMs: number): OwnReachAction[] {
    // Started anew meanwhile: these are of before.
    if (this.#dueMs < Infinity) return [];
    const reached = answers.filter((answer) => answer === "reached").length;
    const silent = answers.filter((answer) => answer === "silent").length;
    if (reached + silent === 0) {
      // Where we are cut off ourselves, what was known stays as it was.
      this.#dueMs = nowMs + this.#waitMs;
      this.#waitMs = Math.min(2 * this.#waitMs, UNSURE_MS);
      return [];
    }
    const state = silent > reached ? "not_reached" : "reached";
    const isNews = state !== this.#status.state;
    this.#status = { state, reached, silent };
    this.#dueMs = nowMs + (state === "reached" ? SURE_MS : UNSURE_MS);
    return isNews ? [{ type: "tell", status: this.#status }] : [];
  }
}

/** In words, for a status page. */
export function describeOwnReach(
  { state, reached, silent }: OwnReachStatus,
): string {
  const tried = reached + silent;
  switch (state) {
    case "unknown":
      return "not known yet: no other relay has tried";
    case "reached":
      return `reached by ${reached} of ${tried} relays that tried`;
    case "not_reached":
      return `not reached: ${silent} of ${tried} relays tried in vain; see ` +
        "that the port is forwarded to this machine, that no firewall closes it, " +
        "and that --advertise is right";
  }
}
