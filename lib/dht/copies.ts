/**
 * Copies of records on their way to the nodes that are to hold them.
 *
 *     put, republish   to the k closest, ourselves included where we are one
 *     restore          to the closest node that a look-up asked and that lacked it
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { NetworkParameters } from "../auth/network.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Moment } from "../base/clock.ts";
import { CALL_MS, type Calls, IGNORE_ANSWER } from "./calls.ts";
import { compareDistance } from "./records/distance.ts";
import type { Lookup } from "./lookup/lookup.ts";
import type { RefusalCode } from "./messages.ts";
import type { RecordStore } from "./records/record_store.ts";

/**
 * Tuning: a holder that has not answered by then is waited for no longer, if any
 * other has. It may well store the record all the same.
 */
export const COPY_PATIENCE_MS = 2 * 1000;
/** Tuning: records put back where one look-up missed them. */
const MAX_RESTORED = 4;

/** What copying needs from the node. */
interface CopiesOptions {
  readonly network: NetworkParameters;
  readonly selfPlace: Place;
  readonly store: RecordStore;
  readonly calls: Calls;
}

/** What became of the copies. */
interface CopiesMade {
  /** Nodes that hold a record now, summed over the records. */
  readonly copies: number;
  /** Nodes that would not, by reason. */
  readonly refused: ReadonlyMap<RefusalCode, number>;
}

/** Records on their way to their holders. */
interface Placement {
  /** When patience ends; Infinity once it has. */
  dueMs: number;
  /** Holders that have answered. */
  answers: number;
  readonly end: (at: Moment) => void;
}

/** Places copies. */
export class Copies {
  readonly #options: CopiesOptions;
  /** No more than look-ups that have ended; each ends with its calls. */
  readonly #placements = new Set<Placement>();

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { dueMs } of this.#placements) due = Math.min(due, dueMs);
    return due;
  }

  /** Time has come: those who are slow are waited for no longer. */
  onTime(at: Moment): void {
    for (const placement of this.#placements) {
      if (placement.dueMs > at.nowMs) continue;
      placement.dueMs = Infinity;
      if (placement.answers > 0) placement.end(at);
    }
  }

  /**
   * Give records to the closest nodes of a look-up that has ended.
   *
   * @param from Whom our own copies are counted against; see {@linkcode RecordStore.put}.
   */
  place(
    records: readonly Bytes[],
    from: string,
    lookup: Lookup,
    at: Moment,
    done: (made: CopiesMade, at: Moment) => void,
  ): void {
    const { network, selfPlace, store, calls } = this.#options;
    const { target, closest } = lookup;
    const last = closest[network.k - 1];
    const isHolder = last === undefined ||
      compareDistance(target, selfPlace, last.place) < 0;
    const holders = isHolder ? closest.slice(0, network.k - 1) : closest;
    const refused = new Map<RefusalCode, number>();
    let copies = 0;
    let waiting = 1 + records.length * holders.length;
    const count = (code: RefusalCode | undefined) => {
      if (code === undefined) copies++;
      else refused.set(code, (refused.get(code) ?? 0) + 1);
    };
    const placement: Placement = {
      dueMs: at.nowMs + COPY_PATIENCE_MS,
      answers: 0,
      end: (at) => {
        if (this.#placements.delete(placement)) done({ copies, refused }, at);
      },
    };
    const finishOne = (at: Moment) => {
      const isLate = placement.dueMs === Infinity && placement.answers > 0;
      if (--waiting === 0 || isLate) placement.end(at);
    };
    this.#placements.add(placement);
    for (const record of records) {
      if (isHolder) {
        const outcome = store.put(record, from, at.nowMs, at.unixMs);
        count(outcome.type === "stored" ? undefined : outcome.code);
      }
      for (const holder of holders) {
        const request = { type: "store", record } as const;
        calls.call(holder, request, at.nowMs + CALL_MS, {
          onAnswer(response, _address, at) {
            count(response.type === "refused" ? response.code : undefined);
            placement.answers++;
            finishOne(at);
          },
          onFailure: finishOne,
        });
      }
    }
    finishOne(at);
  }

  /** Put what a look-up found where it was missing (Kademlia §2.3). */
  restore({ closestWithout, values }: Lookup, { nowMs }: Moment): void {
    if (closestWithout === undefined) return;
    for (const { encoded } of values.slice(0, MAX_RESTORED)) {
      const request = { type: "store", record: encoded } as const;
      const { calls } = this.#options;
      calls.call(closestWithout, request, nowMs + CALL_MS, IGNORE_ANSWER);
    }
  }
}
