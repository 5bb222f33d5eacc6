/**
 * What a simulated network is measured by, from above: who is really there is
 * compared with what look-ups find and what relays know.
 *
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { closestTo, type DhtKey } from "../dht/records/distance.ts";
import { nodeKey } from "../dht/table/node_key.ts";
import type { StoredRecord } from "../dht/records/stored_record.ts";
import type { Publication } from "./publication.ts";
import { rounded } from "./siege_row.ts";
import type { SimNode, SimWorld } from "./world/sim_world.ts";

/** Newcomers count when they have been there for so long, ms. */
const GROWN_UP_MS = 120_000;

/** Figures of a span of time. Shares are from 0 to 1, `null` of nothing. */
export interface SurveyRow {
  /** Virtual time at its end, minutes since the first relay started. */
  readonly minute: number;
  readonly relays: number;
  readonly hostile: number;
  /** Look-ups of random points, begun by honest relays. */
  readonly nodeLookups: LookupFigures & {
    /** Of the 20 honest relays that are closest in truth, how many were found. */
    readonly recall: number | null;
  };
  /** Look-ups of published values. */
  readonly valueLookups: LookupFigures & {
    /** Found at the first place that was tried. */
    readonly firstTry: number | null;
  };
  /** Requests of one relay in a minute, for any purpose. */
  readonly requestsPerRelayMinute: number;
  /** Links that one relay dialled in a minute. */
  readonly dialsPerRelayMinute: number;
  readonly linksPerRelay: number;
  /** Of honest relays: contacts, and how many of them are gone. */
  readonly contacts: number;
  readonly deadContacts: number | null;
  /** Of honest relays' lists: how many of all relays are in them, and how many in them are gone. */
  readonly listed: number | null;
  readonly deadListed: number | null;
  /** Honest holders of a published record. */
  readonly copies: number | null;
}

/** Figures of look-ups of one kind. */
export interface LookupFigures {
  readonly count: number;
  /** Share that found the closest honest relay, or the value. */
  readonly found: number | null;
  readonly hops: number | null;
  readonly asked: number | null;
  readonly ms: number | null;
}

/** Sums of one kind of look-ups. */
class Tally {
  count = 0;
  found = 0;
  hops = 0;
  asked = 0;
  ms = 0;
  extra = 0;

  figures(): LookupFigures {
    const { count, found, hops, asked, ms } = this;
    return {
      count,
      found: rounded(found / count, 5),
      hops: rounded(hops / count, 3),
      asked: rounded(asked / count, 2),
      ms: rounded(ms / count, 0),
    };
  }
}

/** Watches a world. */
export class Survey {
  readonly #world: SimWorld;
  #values: readonly Publication[] = [];
  #nodes = new Tally();
  #gets = new Tally();
  readonly #allNodes = new Tally();
  readonly #allGets = new Tally();
  readonly #rows: SurveyRow[] = [];
  #sinceMs = 0;
  #requests = 0;
  #dials = 0;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  /** Count from now on. */
  begin(values: readonly Publication[]): void {
    this.#values = values;
    this.#restart();
  }

  /** Look for a point, and see whether the answer is right. */
  findNode(asker: SimNode, target: DhtKey): void {
    const beganMs = this.#world.nowMs;
    asker.findNode(target, (found) => {
      if (!asker.isUp) return;
      const tally = this.#nodes;
      tally.count++;
      tally.ms += this.#world.nowMs - beganMs;
      if (found === undefined) return;
      tally.hops += found.hops;
      tally.asked += found.asked;
      const truth = this.#closestHonest(target, asker, beganMs);
      const keys = new Set(found.closest.map(nodeKey));
      const right = truth.filter((record) => keys.has(nodeKey(record)));
      const [closest] = truth;
      if (closest === undefined || keys.has(nodeKey(closest))) tally.found++;
      tally.extra += truth.length === 0 ? 1 : right.length / truth.length;
    });
  }

  /** Look for a value at one of its places, and at the next one until it is found. */
  get(reader: SimNode, places: readonly StoredRecord[]): void {
    const beganMs = this.#world.nowMs;
    let hops = 0;
    let asked = 0;
    const tryPlace = (index: number) => {
      const place = places[index];
      if (place === undefined) return end(index, { isFound: false });
      reader.get(place.key, place.publisher, (found) => {
        if (!reader.isUp) return;
        hops += found?.hops ?? 0;
        asked += found?.asked ?? 0;
        const isFound = found?.records.some(({ sequence }) =>
          sequence === place.sequence
        ) ?? false;
        if (isFound) end(index, { isFound });
        else tryPlace(index + 1);
      });
    };
    const end = (index: number, { isFound }: { isFound: boolean }) => {
      const tally = this.#gets;
      tally.count++;
      tally.ms += this.#world.nowMs - beganMs;
      tally.hops += hops;
      tally.asked += asked;
      if (isFound) tally.found++;
      if (isFound && index === 0) tally.extra++;
    };
    tryPlace(0);
  }

  /** What has been seen since the last row. */
  row(): SurveyRow {
    const row = this.#figures(this.#nodes, this.#gets);
    this.#rows.push(row);
    add(this.#allNodes, this.#nodes);
    add(this.#allGets, this.#gets);
    this.#nodes = new Tally();
    this.#gets = new Tally();
    this.#restart();
    return row;
  }

  /** Over all rows. */
  get total(): SurveyRow {
    const rows = this.#rows;
    const last = rows.at(-1);
    if (last === undefined) throw new RangeError("Cannot sum up no rows");
    const mean = (of: (row: SurveyRow) => number | null, digits: number) =>
      rounded(
        rows.reduce((sum, row) => sum + (of(row) ?? 0), 0) / rows.length,
        digits,
      ) ?? 0;
    return {
      ...last,
      ...this.#lookupFigures(this.#allNodes, this.#allGets),
      requestsPerRelayMinute: mean((row) => row.requestsPerRelayMinute, 2),
      dialsPerRelayMinute: mean((row) => row.dialsPerRelayMinute, 2),
      linksPerRelay: mean((row) => row.linksPerRelay, 1),
      contacts: mean((row) => row.contacts, 1),
      deadContacts: mean((row) => row.deadContacts, 4),
      listed: mean((row) => row.listed, 4),
      deadListed: mean((row) => row.deadListed, 4),
      copies: mean((row) => row.copies, 2),
    };
  }

  #restart(): void {
    this.#sinceMs = this.#world.nowMs;
    this.#requests = this.#world.requests;
    this.#dials = this.#world.dials;
  }

  #figures(nodes: Tally, gets: Tally): SurveyRow {
    const world = this.#world;
    const up = world.nodes.filter(({ isUp }) => isUp);
    const hostile = up.filter(({ behaviour }) => behaviour !== "honest");
    const minutes = (world.nowMs - this.#sinceMs) / 60_000;
    const perRelayMinute = (count: number) =>
      rounded(count / minutes / up.length, 2) ?? 0;
    return {
      minute: Math.round(world.nowMs / 60_000),
      relays: up.length,
      hostile: hostile.length,
      ...this.#lookupFigures(nodes, gets),
      requestsPerRelayMinute: perRelayMinute(world.requests - this.#requests),
      dialsPerRelayMinute: perRelayMinute(world.dials - this.#dials),
      linksPerRelay: rounded(2 * world.links / up.length, 1) ?? 0,
      ...this.#knowledge(up),
      copies: this.#copies(up),
    };
  }

  #lookupFigures(nodes: Tally, gets: Tally) {
    return {
      nodeLookups: {
        ...nodes.figures(),
        recall: rounded(nodes.extra / nodes.count, 4),
      },
      valueLookups: {
        ...gets.figures(),
        firstTry: rounded(gets.extra / gets.count, 5),
      },
    };
  }

  /** What honest relays know of who is there. */
  #knowledge(up: readonly SimNode[]) {
    const present = new Set(up.map(({ record }) => nodeKey(record)));
    const grownUp = up.filter((node) => this.#isGrownUp(node));
    const grownUpKeys = grownUp.map(({ record }) => nodeKey(record));
    let relays = 0;
    let contacts = 0;
    let dead = 0;
    let listed = 0;
    let right = 0;
    let missing = 0;
    for (const node of grownUp) {
      if (node.behaviour !== "honest") continue;
      relays++;
      for (const { record } of node.dht.table.contacts()) {
        contacts++;
        if (!present.has(nodeKey(record))) dead++;
      }
      const keys = new Set<string>();
      for (
        const record of node.dht.relays.listedRecords(
          this.#world.unixMs,
        )
      ) {
        keys.add(nodeKey(record));
      }
      listed += keys.size;
      for (const key of keys) if (present.has(key)) right++;
      for (const key of grownUpKeys) if (!keys.has(key)) missing++;
    }
    return {
      contacts: rounded(contacts / relays, 1) ?? 0,
      deadContacts: rounded(dead / contacts, 4),
      listed: rounded(1 - missing / (relays * grownUpKeys.length), 4),
      deadListed: rounded((listed - right) / listed, 4),
    };
  }

  #isGrownUp({ joinedMs }: SimNode, atMs = this.#world.nowMs): boolean {
    return joinedMs !== undefined && atMs - joinedMs >= GROWN_UP_MS;
  }

  #copies(up: readonly SimNode[]): number | null {
    let copies = 0;
    let records = 0;
    for (const value of this.#values) {
      for (const { key, publisher } of value.records) {
        records++;
        for (const { behaviour, dht } of up) {
          if (behaviour !== "honest") continue;
          copies += dht.store.get(key, this.#world.unixMs, publisher).length;
        }
      }
    }
    return rounded(copies / records, 2);
  }

  /** The honest relays that a look-up of `target` ought to find. */
  #closestHonest(
    target: DhtKey,
    asker: SimNode,
    beganMs: number,
  ): NodeRecord[] {
    const honest = this.#world.nodes.filter((node) =>
      node !== asker && node.isUp && node.behaviour === "honest" &&
      this.#isGrownUp(node, beganMs)
    );
    const { k } = this.#world.network;
    return closestTo(target, honest, k, ({ record }) => record.place)
      .map(({ record }) => record);
  }
}

function add(to: Tally, from: Tally): void {
  to.count += from.count;
  to.found += from.found;
  to.hops += from.hops;
  to.asked += from.asked;
  to.ms += from.ms;
  to.extra += from.extra;
}
