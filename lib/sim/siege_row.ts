/**
 * What a besieged network is measured by.
 *
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { nodeKey } from "../dht/table/node_key.ts";
import type { MachineWorld } from "./world/machine_world.ts";
import type { CircuitCounts } from "./siege_client.ts";
import type { SimNode } from "./world/sim_world.ts";

/** Figures of a span of time. Shares are from 0 to 1, `null` of nothing. */
export interface SiegeRow {
  /** Invented relays that every relay was told of so far. */
  readonly told: number;
  /** Relays of the botnet that are there. */
  readonly bots: number;
  /** The lists of honest relays, and those of clients. */
  readonly relayLists: ListFigures;
  readonly clientLists: ListFigures;
  /** Honest relays that came. */
  readonly newcomers: {
    readonly count: number;
    /** How many of them had joined after 30 s. */
    readonly joined: number;
    /** Share of the honest relays that listed such a one after 30 s. */
    readonly known: number;
  };
  /** Circuits of clients that have known the relays of the beginning for a month. */
  readonly circuits: CircuitFigures;
  /** Circuits of clients that have just begun. */
  readonly newClients: CircuitFigures;
}

/** Figures of relay lists. */
export interface ListFigures {
  /** Share of the honest relays that is in a list, on average. */
  readonly honest: number | null;
  /** Share of a list that is there and not invented, in the worst one. */
  readonly real: number | null;
}

/** Figures of circuits. */
export interface CircuitFigures {
  readonly built: number;
  readonly failed: number;
  /** Shares of the built ones: hostile first hop; hostile last hop; both. */
  readonly guard: number | null;
  readonly last: number | null;
  readonly ends: number | null;
}

/** Counts of circuits, all 0. */
export function NO_CIRCUITS(): CircuitCounts {
  return { built: 0, failed: 0, guard: 0, last: 0, ends: 0 };
}

/** Add counts to others. */
export function addCounts(to: CircuitCounts, from: CircuitCounts): void {
  to.built += from.built;
  to.failed += from.failed;
  to.guard += from.guard;
  to.last += from.last;
  to.ends += from.ends;
}

/** What counts come to. */
export function circuitFigures(counts: CircuitCounts): CircuitFigures {
  const { built, failed, guard, last, ends } = counts;
  return {
    built,
    failed,
    guard: rounded(guard / built, 5),
    last: rounded(last / built, 5),
    ends: rounded(ends / built, 5),
  };
}

/** Counts what is in lists. */
export class ListCounts {
  readonly #world: MachineWorld;
  readonly #honest: ReadonlySet<string>;

  /** @param honest Relays that ought to be in them. */
  constructor(world: MachineWorld, honest: readonly SimNode[]) {
    this.#world = world;
    this.#honest = new Set(honest.map(({ record }) => nodeKey(record)));
  }

  /** Figures of these lists. */
  countAll(lists: Iterable<Iterable<NodeRecord>>): ListFigures {
    let count = 0;
    let honest = 0;
    let real = 1;
    for (const list of lists) {
      let listed = 0;
      let there = 0;
      for (const record of list) {
        listed++;
        if (this.#world.nodeOf(record) !== undefined) there++;
        if (this.#honest.has(nodeKey(record))) honest++;
      }
      count++;
      if (listed > 0) real = Math.min(real, there / listed);
    }
    return {
      honest: rounded(honest / count / this.#honest.size, 4),
      real: count === 0 ? null : rounded(real, 5),
    };
  }
}

/** A number that prints the same everywhere; `null` for none. */
export function rounded(value: number, digits: number): number | null {
  if (!Number.isFinite(value)) return null;
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
