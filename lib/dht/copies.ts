/**
 * Copies of records on their way to the nodes that are to hold them.
 *
 *     put, republish   to the k closest, ourselves included where we are one
 *     restore          to the closest node that a look-up asked and that lacked it
 *
 * @see protocol §4.6
 * @module
 */
import type { NodeId } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { Bytes } from "../base/bytes.ts";
import { CALL_MS, type Calls, IGNORE_ANSWER } from "./calls.ts";
import type { Moment } from "./dht_action.ts";
import { compareDistance } from "./distance.ts";
import type { Lookup } from "./lookup.ts";
import type { RefusalCode } from "./messages.ts";
import type { RecordStore } from "./record_store.ts";

/** Tuning: records put back where one look-up missed them. */
const MAX_RESTORED = 4;

/** What copying needs from the node. */
export interface CopiesOptions {
  readonly network: NetworkParameters;
  readonly selfId: NodeId;
  readonly store: RecordStore;
  readonly calls: Calls;
}

/** What became of the copies. */
export interface CopiesMade {
  /** Nodes that hold a record now, summed over the records. */
  readonly copies: number;
  /** Nodes that would not, by reason. */
  readonly refused: ReadonlyMap<RefusalCode, number>;
}

/** Places copies. */
export class Copies {
  readonly #options: CopiesOptions;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** Give records to the closest nodes of a look-up that has ended. */
  place(
    records: readonly Bytes[],
    lookup: Lookup,
    at: Moment,
    done: (made: CopiesMade, at: Moment) => void,
  ): void {
    const { network, selfId, store, calls } = this.#options;
    const { target, closest } = lookup;
    const last = closest[network.k - 1];
    const isHolder = last === undefined ||
      compareDistance(target, selfId, last.nodeId) < 0;
    const holders = isHolder ? closest.slice(0, network.k - 1) : closest;
    const refused = new Map<RefusalCode, number>();
    let copies = 0;
    let waiting = 1 + records.length * holders.length;
    const count = (code: RefusalCode | undefined) => {
      if (code === undefined) copies++;
      else refused.set(code, (refused.get(code) ?? 0) + 1);
    };
    const finishOne = (at: Moment) => {
      if (--waiting === 0) done({ copies, refused }, at);
    };
    for (const record of records) {
      if (isHolder) {
        const outcome = store.put(record, "", at.nowMs, at.unixMs);
        count(outcome.type === "stored" ? undefined : outcome.code);
      }
      for (const holder of holders) {
        const request = { type: "store", record } as const;
        calls.call(holder, request, at.nowMs + CALL_MS, {
          onAnswer(response, _address, at) {
            count(response.type === "refused" ? response.code : undefined);
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
