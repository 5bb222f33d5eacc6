/**
 * Filling buckets that have room with relays drawn from the list. The list is as
 * complete as can be had, so a draw is fair, and liars have no larger part of the
 * table than of the network.
 *
 *     contact lost, newcomer heard of ── 2 s ─▶ draw ─▶ ping ─▶ the table
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import type { Moment } from "../base/clock.ts";
import { type Random, sampled } from "../base/random.ts";
import type { Blamed } from "./table/blamed.ts";
import type { RelayList } from "./relay_list.ts";
import type { RoutingTable } from "./table/routing_table.ts";

/** Tuning: wait before buckets are filled again; longer when it was in vain. */
const FILL_MS = 2 * 1000;
const REFILL_MS = 10 * 60 * 1000;
/** Tuning: how many more are drawn for a bucket than it has room for, as some are gone. */
const SPARE_DRAWS = 2;
/** Tuning: rounds of asking for lists after which rumours have had their turn: a minute. */
const SETTLED_ROUNDS = 3;

/** What filling is made of. */
interface TableFillOptions {
  readonly random: Random;
  readonly table: RoutingTable;
  readonly relays: RelayList;
  readonly blamed: Blamed;
}

/** Fills a table, now and then. */
export class TableFill {
  readonly #options: TableFillOptions;
  #dueMs = Infinity;
  /** Contacts when that was last done. */
  #filledSize = 0;

  constructor(options: TableFillOptions) {
    this.#options = options;
  }

  /** When to {@linkcode draw} next; Infinity while there is no reason to. */
  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** There is room, or a relay for it: draw soon. */
  hurry(nowMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, nowMs + FILL_MS);
  }

  /**
   * Relays for the buckets that have room, as many as may be pinged at once.
   *
   * @param rounds Of asking for lists, so far.
   */
  draw(rounds: number, at: Moment): NodeRecord[] {
    const { random, table } = this.#options;
    const drawn: NodeRecord[] = [];
    let isMore = false;
    for (const [bucket, records] of this.#wanted(rounds, at)) {
      const room = table.roomIn(bucket);
      const count = room > 0 ? room + SPARE_DRAWS : 0;
      if (records.length > count) isMore = true;
      drawn.push(...sampled(random, records, count));
    }
    const free = table.freePings;
    isMore ||= drawn.length > free;
    // Nodes that answer, yet cannot enter, must not keep us asking for ever. And
    // those that were silent may be back: a network was cut in two, and is no more.
    const hasGrown = table.size > this.#filledSize;
    this.#dueMs = at.nowMs + (isMore && hasGrown ? FILL_MS : REFILL_MS);
    this.#filledSize = table.size;
    return sampled(random, drawn, free);
  }

  /**
   * Relays that their buckets have room for, by bucket. Those that were never
   * reached, which can be invented, until there was time to reach them: who is
   * reached first is not a fair draw.
   */
  #wanted(
    rounds: number,
    { nowMs, unixMs }: Moment,
  ): Map<number, NodeRecord[]> {
    const { table, relays, blamed } = this.#options;
    const wanted = new Map<number, NodeRecord[]>();
    // All relays heard of at the start have had their turn to be reached.
    const isSettled = rounds >= SETTLED_ROUNDS && table.size > 0 &&
      relays.listed > 1;
    relays.visitPromising(nowMs, unixMs, (record, wasReached) => {
      if (!wasReached && isSettled) return;
      const bucket = table.vacancyFor(record);
      if (bucket === undefined || blamed.has(record.nodeId, nowMs)) return;
      const others = wanted.get(bucket);
      if (others === undefined) wanted.set(bucket, [record]);
      else others.push(record);
    });
    return wanted;
  }
}
