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
import { CALL_MS } from "./calls.ts";
import { compareDistance } from "./records/distance.ts";
import type { Lookup } from "./lookup/lookup.ts";
import type { DhtResponse, RefusalCode } from "./messages.ts";
import { type CallAction, NO_PURPOSE } from "./part_action.ts";
import type { RecordStore } from "./records/record_store.ts";

/**
 * Tuning: a holder that has not answered by then is waited for no longer, if any
 * other has. It may well store the record all the same.
 */
export const COPY_PATIENCE_MS = 2 * 1000;
/** Tuning: records put back where one look-up missed them. */
const MAX_RESTORED = 4;

/** What copying needs. */
interface CopiesOptions {
  readonly network: NetworkParameters;
  readonly selfPlace: Place;
  readonly store: RecordStore;
}

/** What became of the copies. */
export interface CopiesMade {
  /** Nodes that hold a record now, summed over the records. */
  readonly copies: number;
  /** Nodes that would not, by reason. */
  readonly refused: ReadonlyMap<RefusalCode, number>;
}

/** What copying asks for: calls, and at its end what it was for goes on. */
export type CopyAction<Purpose> =
  | CallAction
  | {
    readonly type: "placed";
    readonly made: CopiesMade;
    readonly purpose: Purpose;
  };

/** Records on their way to their holders. */
interface Placement<Purpose> {
  readonly purpose: Purpose;
  /** When patience ends; Infinity once it has. */
  dueMs: number;
  /** Calls that have not ended. */
  waiting: number;
  /** Holders that have answered. */
  answers: number;
  copies: number;
  readonly refused: Map<RefusalCode, number>;
}

/** Places copies. */
export class Copies<Purpose> {
  readonly #options: CopiesOptions;
  /** No more than look-ups that have ended; each ends with its calls. */
  readonly #placements = new Map<number, Placement<Purpose>>();
  #nextId = 1;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** When to call {@linkcode onTime} next. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { dueMs } of this.#placements.values()) {
      due = Math.min(due, dueMs);
    }
    return due;
  }

  /** Time has come: those who are slow are waited for no longer. */
  onTime({ nowMs }: Moment): CopyAction<Purpose>[] {
    const actions: CopyAction<Purpose>[] = [];
    for (const [placementId, placement] of this.#placements) {
      if (placement.dueMs > nowMs) continue;
      placement.dueMs = Infinity;
      if (placement.answers > 0) actions.push(...this.#end(placementId));
    }
    return actions;
  }

  /**
   * Give records to the closest nodes of a look-up that has ended. Ends with `placed`.
   *
   * @param from Whom our own copies are counted against; see {@linkcode RecordStore.put}.
   */
  place(
    records: readonly Bytes[],
    from: string,
    { target, closest }: Lookup,
    purpose: Purpose,
    { nowMs, unixMs }: Moment,
  ): CopyAction<Purpose>[] {
    const { network, selfPlace, store } = this.#options;
    const last = closest[network.k - 1];
    const isHolder = last === undefined ||
      compareDistance(target, selfPlace, last.place) < 0;
    const holders = isHolder ? closest.slice(0, network.k - 1) : closest;
    const placement: Placement<Purpose> = {
      purpose,
      dueMs: nowMs + COPY_PATIENCE_MS,
      waiting: records.length * holders.length,
      answers: 0,
      copies: 0,
      refused: new Map(),
    };
    const placementId = this.#nextId++;
    this.#placements.set(placementId, placement);
    const actions: CopyAction<Purpose>[] = [];
    for (const record of records) {
      if (isHolder) {
        const outcome = store.put(record, from, nowMs, unixMs);
        count(placement, outcome.type === "stored" ? undefined : outcome.code);
      }
      for (const to of holders) {
        actions.push({
          type: "call",
          to,
          request: { type: "store", record },
          dueMs: nowMs + CALL_MS,
          purpose: { part: "copies", placementId },
        });
      }
    }
    if (placement.waiting === 0) actions.push(...this.#end(placementId));
    return actions;
  }

  /**
   * A call of a placement has ended.
   *
   * @param response `undefined` when there was none.
   */
  onEnd(
    placementId: number,
    response: DhtResponse | undefined,
  ): CopyAction<Purpose>[] {
    const placement = this.#placements.get(placementId);
    if (placement === undefined) return [];
    if (response !== undefined) {
      count(
        placement,
        response.type === "refused" ? response.code : undefined,
      );
      placement.answers++;
    }
    placement.waiting--;
    const isLate = placement.dueMs === Infinity && placement.answers > 0;
    return placement.waiting === 0 || isLate ? this.#end(placementId) : [];
  }

  /** Put what a look-up found where it was missing (Kademlia §2.3). */
  restore({ closestWithout, values }: Lookup, { nowMs }: Moment): CallAction[] {
    if (closestWithout === undefined) return [];
    return values.slice(0, MAX_RESTORED).map(({ encoded }) => ({
      type: "call",
      to: closestWithout,
      request: { type: "store", record: encoded },
      dueMs: nowMs + CALL_MS,
      purpose: NO_PURPOSE,
    }));
  }

  #end(placementId: number): CopyAction<Purpose>[] {
    const placement = this.#placements.get(placementId);
    if (placement === undefined) return [];
    this.#placements.delete(placementId);
    const { copies, refused, purpose } = placement;
    return [{ type: "placed", made: { copies, refused }, purpose }];
  }
}

/** Count an answer. @param code Why it was refused; `undefined` when it was stored. */
function count(
  placement: Placement<unknown>,
  code: RefusalCode | undefined,
): void {
  const { refused } = placement;
  if (code === undefined) placement.copies++;
  else refused.set(code, (refused.get(code) ?? 0) + 1);
}
