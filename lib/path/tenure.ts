/**
 * How long this node has known each relay, and what that makes of its weight. Relays
 * that came yesterday may all be one party's; to have been there for weeks cannot be
 * bought in a day.
 *
 *     known from the first hour on    weight in full
 *     known for less than 7 days      weight · age / 7 days, and no guard
 *     all that came on one day        together at most 5 % of the weight of all that came
 *                                     before them, for each day since
 *
 * In a young list, with fewer than 30 relays that were there before, age says nothing.
 * Dates are of the calendar, as they have to hold over restarts.
 *
 * @see protocol §5.8 "Paths"
 * @see docs/decisions/0028-newcomers-gain-weight.md
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields } from "../wire/fields.ts";
import type { RelayKey } from "./relay_key.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3600 * 1000;

/** Relays that are listed so soon after the first one were there before us. */
export const FOUNDING_MS = 3600 * 1000;
/** A relay that is known for so long is no newcomer. */
export const NEWCOMER_MS = 7 * DAY_MS;
/** What one day's newcomers weigh together, for each day since, in all that came before. */
export const DAILY_GROWTH = 0.05;
/** Fewer relays than these are no measure for others: a young network grows fast. */
export const LEAST_SETTLED = 30;
/**
 * Tuning: relays remembered; beyond, those that are not listed are forgotten. Stops
 * inventions that come and go from filling memory: twice the longest list.
 */
export const MAX_REMEMBERED = 20_000;

/** Shortest time between two revisions, ms: a list that grows changes all the time. */
const REVISION_MS = 10 * MINUTE_MS;

const VERSION = 1;
const KEY_BYTES = 32;
const ENTRY_BYTES = KEY_BYTES + 4;

/** Since when relays are known. */
export class Tenure {
  /** When each was first listed, unix ms. */
  readonly #sinceMs = new Map<RelayKey, number>();
  #begunMs = Infinity;
  #unixMs = 0;
  #isYoung = true;
  #revision = 0;
  #revisedMs = -Infinity;
  #hasNews = false;

  /** @throws {ProtocolError} `wire.*` or `path.tenure` for what is no {@linkcode snapshot}. */
  static restore(encoded: Uint8Array): Tenure {
    const fields = decodeFields(encoded, "tenure");
    const version = fields.uint("version");
    const begunMs = MINUTE_MS * fields.uint("begun", 2 ** 32 - 1);
    const relays = fields.bytes("relays", {
      max: ENTRY_BYTES * 2 * MAX_REMEMBERED,
    });
    fields.finish();
    if (version !== VERSION || relays.length % ENTRY_BYTES !== 0) {
      throw new ProtocolError("path.tenure", "Cannot read tenure: cut, or new");
    }
    const tenure = new Tenure();
    tenure.#begunMs = begunMs;
    const view = new DataView(relays.buffer, relays.byteOffset);
    for (let at = 0; at < relays.length; at += ENTRY_BYTES) {
      const key = String.fromCharCode(...relays.subarray(at, at + KEY_BYTES));
      tenure.#sinceMs.set(key, MINUTE_MS * view.getUint32(at + KEY_BYTES));
    }
    return tenure;
  }

  /** For the state directory. */
  snapshot(): Bytes {
    const relays = new Uint8Array(ENTRY_BYTES * this.#sinceMs.size);
    const view = new DataView(relays.buffer);
    let at = 0;
    for (const [key, sinceMs] of this.#sinceMs) {
      for (let i = 0; i < KEY_BYTES; i++) relays[at + i] = key.charCodeAt(i);
      view.setUint32(at + KEY_BYTES, Math.floor(sinceMs / MINUTE_MS));
      at += ENTRY_BYTES;
    }
    const begun = this.#sinceMs.size === 0
      ? 0
      : Math.floor(this.#begunMs / MINUTE_MS);
    return encodeCbor({ version: VERSION, begun, relays });
  }

  /** Another number when there is something to store. */
  get revision(): number {
    return this.#revision;
  }

  /** What is new is to be stored now: the node stops. */
  flush(): void {
    if (!this.#hasNews) return;
    this.#hasNews = false;
    this.#revision++;
  }

  /** These are the relays that are listed now. */
  note(listed: readonly RelayKey[], unixMs: number): void {
    this.#unixMs = unixMs;
    if (listed.length > 0) this.#begunMs = Math.min(this.#begunMs, unixMs);
    for (const key of listed) {
      // Also where the clock was ahead when it came.
      if ((this.#sinceMs.get(key) ?? Infinity) <= unixMs) continue;
      this.#sinceMs.set(key, unixMs);
      this.#hasNews = true;
    }
    if (this.#sinceMs.size > MAX_REMEMBERED) this.#forgetAllBut(listed);
    let settled = 0;
    for (const key of listed) if (this.#isSettled(key)) settled++;
    this.#isYoung = settled < LEAST_SETTLED;
    if (Math.abs(unixMs - this.#revisedMs) < REVISION_MS) return;
    this.#revisedMs = unixMs;
    this.flush();
  }

  /** Whether a relay of the last {@linkcode note} is to be no guard yet, while others are listed. */
  isNewcomer(key: RelayKey): boolean {
    return !this.#isYoung && !this.#isSettled(key);
  }

  /**
   * Lower the weights of those that came of late.
   *
   * @param weights Of the relays of the last {@linkcode note}, in its order; changed in place.
   */
  lower(listed: readonly RelayKey[], weights: Float64Array): void {
    if (this.#isYoung) return;
    const founded = Number.POSITIVE_INFINITY;
    const days = new Map<number, number[]>();
    for (const [index, key] of listed.entries()) {
      const ageMs = this.#ageMs(key);
      const day = this.#isFounder(key) ? founded : Math.floor(ageMs / DAY_MS);
      const sameDay = days.get(day);
      if (sameDay === undefined) days.set(day, [index]);
      else sameDay.push(index);
      if (day === founded) continue;
      weights[index] = (weights[index] ?? 0) * Math.min(1, ageMs / NEWCOMER_MS);
    }
    let before = 0;
    for (const day of [...days.keys()].sort((a, b) => b - a)) {
      const indices = days.get(day) ?? [];
      let sum = 0;
      for (const index of indices) sum += weights[index] ?? 0;
      // The oldest have nothing before them that they could be measured by.
      const most = before === 0 ? Infinity : DAILY_GROWTH * (day + 1) * before;
      const share = Math.min(1, most / sum);
      if (share < 1) {
        for (const index of indices) {
          weights[index] = (weights[index] ?? 0) * share;
        }
      }
      before += Math.min(sum, most);
    }
  }

  #ageMs(key: RelayKey): number {
    return this.#unixMs - (this.#sinceMs.get(key) ?? this.#unixMs);
  }

  #isFounder(key: RelayKey): boolean {
    const sinceMs = this.#sinceMs.get(key) ?? Infinity;
    return sinceMs - this.#begunMs <= FOUNDING_MS;
  }

  #isSettled(key: RelayKey): boolean {
    return this.#isFounder(key) || this.#ageMs(key) >= NEWCOMER_MS;
  }

  #forgetAllBut(listed: readonly RelayKey[]): void {
    const kept = new Set(listed);
    for (const key of this.#sinceMs.keys()) {
      if (!kept.has(key)) this.#sinceMs.delete(key);
    }
  }
}
