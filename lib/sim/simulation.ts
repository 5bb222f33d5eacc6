/**
 * An experiment: a network grows, publishes values, and is watched while relays
 * come and go.
 *
 *     grow 10 min ─ settle 2 min ─ publish 1 min ─ settle 1 min ─ watch, an hour or more
 *                                                                   │ churn: one leaves, one comes
 *                                                                   │ look-ups of nodes and values
 *                                                                   └ a row every ten minutes
 *
 * Everything is drawn from one seed: the same options give the same report.
 *
 * @module
 */
import { randomBetween, shuffled } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { randomChoice, randomFloat } from "../base/random.ts";
import type { Behaviour, HostileKind } from "./world/behaviour.ts";
import { Publication } from "./publication.ts";
import type { Siege } from "./siege.ts";
import type { SiegeRow } from "./siege_row.ts";
import type { SimNode, SimWorld } from "./world/sim_world.ts";
import { Survey, type SurveyRow } from "./survey.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Time in which the relays of the beginning join. */
const GROW_MS = 10 * MINUTE_MS;
/** Least time between two of them. */
const MIN_GAP_MS = 100;
const SETTLE_MS = 2 * MINUTE_MS;
const PUBLISH_MS = MINUTE_MS;
/** Time between two rows of the report: of one of hours, and of one of days. */
const ROW_MS = 10 * MINUTE_MS;
const LONG_ROW_MS = HOUR_MS;
/** A besieged network is watched in long rows from here on: in short ones a day has too many. */
const MAX_SHORT_MS = 6 * HOUR_MS;
/** Relays that every joining relay is told of; they stay, and are honest. */
const MAX_BOOTSTRAP_NODES = 8;
/** Share of the departures without a goodbye. */
const CRASHES = 0.5;

/** What is simulated. */
export interface SimulationOptions {
  /** Relays at any time, from 10. */
  readonly relays: number;
  /** Share of them that is hostile, 0 to 0.9. */
  readonly evil: number;
  /** Ways in which these are hostile, in equal parts. */
  readonly evilKinds: readonly HostileKind[];
  /** Share of the relays that is replaced in an hour. */
  readonly churn: number;
  /** Time that is watched, in hours. */
  readonly hours: number;
  /** Values that are published. Default 100. */
  readonly values?: number;
  /** Places of each value. Default 1. */
  readonly replicas?: number;
  /** Look-ups a minute: so many of nodes, and as many of values. Default 30. */
  readonly lookupsPerMinute?: number;
  /** Minutes in the middle for which a third of the relays is cut off. Default 0. */
  readonly splitMinutes?: number;
  /** The value that eclipsers gather around. Default: drawn like the others. */
  readonly target?: Publication | undefined;
  /** What the network is besieged by while it is watched. Default: nothing. */
  readonly siege?: Siege | undefined;
  /** Time between two rows, minutes. Default 10, of days 60. */
  readonly rowMinutes?: number | undefined;
  /** Hears of the time that has passed, virtual ms. */
  readonly onProgress?: (nowMs: number, totalMs: number) => void;
  /** Hears of each row. */
  readonly onRow?: ((row: ReportRow) => void) | undefined;
}

/** What came out. */
export interface SimulationReport {
  readonly rows: readonly ReportRow[];
  /** Over all rows; counts are sums, shares and sizes are means. */
  readonly total: ReportRow;
}

/** Figures of a span of time. */
export interface ReportRow extends SurveyRow {
  /** Where the network is besieged. */
  readonly siege?: SiegeRow;
}

/** Run an experiment in `world`, whose time is at its beginning. */
export async function simulate(
  world: SimWorld,
  options: SimulationOptions,
  random: Random,
): Promise<SimulationReport> {
  return await new Simulation(world, options, random).run();
}

/** An experiment under way. */
class Simulation {
  readonly #world: SimWorld;
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #survey: Survey;
  readonly #values: Publication[] = [];
  readonly #bootstrap: SimNode[] = [];
  readonly #hours: number;
  #isOver = false;

  constructor(world: SimWorld, options: SimulationOptions, random: Random) {
    this.#world = world;
    this.#options = options;
    this.#random = random;
    this.#survey = new Survey(world);
    this.#hours = options.hours;
  }

  async run(): Promise<SimulationReport> {
    await this.#grow();
    await this.#pass(SETTLE_MS);
    await this.#publish();
    await this.#pass(SETTLE_MS - PUBLISH_MS);
    const { siege } = this.#options;
    if (siege !== undefined) {
      siege.settle(this.#bootstrap);
      await this.#pass(SETTLE_MS);
      siege.begin();
    }
    const rows = await this.#watch();
    const { total } = this.#survey;
    return {
      rows,
      total: siege === undefined ? total : { ...total, siege: siege.total },
    };
  }

  async #grow(): Promise<void> {
    const { relays } = this.#options;
    const count = Math.min(MAX_BOOTSTRAP_NODES, Math.ceil(relays / 10));
    const behaviours = this.#behaviours(relays - count);
    for (let index = 0; index < relays; index++) {
      const via = randomChoice(this.#random, this.#bootstrap);
      const behaviour = behaviours[index - count] ?? "honest";
      const node = this.#world.add({ behaviour, via });
      if (index < count) this.#bootstrap.push(node);
      await this.#pass(gapMs(relays));
    }
  }

  /** Of those that are no bootstrap nodes, in random order. */
  #behaviours(count: number): Behaviour[] {
    const { relays, evil, evilKinds, siege } = this.#options;
    const hostile = evilKinds.length === 0 ? 0 : Math.round(relays * evil);
    const besiegers = siege?.behaviours(relays) ?? [];
    const kinds = Array.from(
      { length: count },
      (_, index) =>
        index < hostile
          ? evilKinds[index % evilKinds.length] ?? "honest"
          : besiegers[index - hostile] ?? "honest",
    );
    return shuffled(this.#random, kinds);
  }

  async #publish(): Promise<void> {
    const { values = 100, replicas = 1, target } = this.#options;
    const expiry = this.#world.unixMs +
      Math.min(24, 2 + this.#hours) * HOUR_MS;
    for (let index = 0; index < values; index++) {
      const value = index === 0 && target !== undefined
        ? target
        : Publication.draw(this.#world, this.#random);
      const records = value.publish(this.#world, { replicas, expiry });
      for (const record of records) {
        // What was not stored shows when it is looked for.
        this.#pickHonest()?.put(record, () => {});
      }
      this.#values.push(value);
      await this.#pass(PUBLISH_MS / values);
    }
  }

  async #watch(): Promise<ReportRow[]> {
    const rows: ReportRow[] = [];
    const { splitMinutes = 0, siege, rowMinutes, onRow } = this.#options;
    const watchMs = this.#hours * HOUR_MS;
    const splitMs = splitMinutes * MINUTE_MS;
    if (splitMs > 0) {
      const beginMs = Math.max(0, (watchMs - splitMs) / 2);
      this.#world.schedule(beginMs, () => this.#split(splitMs));
    }
    this.#survey.begin(this.#values);
    this.#scheduleLookup();
    this.#scheduleDeparture();
    const isLong = siege !== undefined && watchMs > MAX_SHORT_MS;
    const usualMs = isLong ? LONG_ROW_MS : ROW_MS;
    const rowMs = rowMinutes === undefined ? usualMs : rowMinutes * MINUTE_MS;
    for (let leftMs = watchMs; leftMs > 0; leftMs -= rowMs) {
      siege?.beginRow();
      await this.#pass(Math.min(rowMs, leftMs));
      const seen = this.#survey.row();
      const row = siege === undefined ? seen : { ...seen, siege: siege.row() };
      rows.push(row);
      onRow?.(row);
    }
    this.#isOver = true;
    return rows;
  }

  #scheduleLookup(): void {
    const { lookupsPerMinute = 30 } = this.#options;
    if (lookupsPerMinute === 0) return;
    this.#world.schedule(MINUTE_MS / lookupsPerMinute, () => {
      if (this.#isOver) return;
      this.#lookUp();
      this.#scheduleLookup();
    });
  }

  #lookUp(): void {
    const asker = this.#pickHonest();
    if (asker !== undefined) {
      this.#survey.findNode(asker, this.#random.bytes(32));
    }
    const reader = this.#pickHonest();
    const { target } = this.#options;
    const value = target ?? randomChoice(this.#random, this.#values);
    if (reader === undefined || value === undefined) return;
    this.#survey.get(reader, shuffled(this.#random, value.records));
  }

  /** The next one leaves after a time without memory, and another comes in its place. */
  #scheduleDeparture(): void {
    const { churn, relays } = this.#options;
    const perMs = churn * relays / HOUR_MS;
    if (perMs === 0) return;
    const waitMs = -Math.log(1 - randomFloat(this.#random)) / perMs;
    this.#world.schedule(Math.round(waitMs), () => {
      if (this.#isOver) return;
      const leaving = this.#pickLeaving();
      if (leaving !== undefined) {
        const isCrash = randomFloat(this.#random) < CRASHES;
        this.#world.remove(leaving, isCrash ? "crash" : "stop");
        this.#world.add({
          behaviour: leaving.behaviour,
          via: randomChoice(this.#random, this.#bootstrap),
        });
      }
      this.#scheduleDeparture();
    });
  }

  #split(splitMs: number): void {
    const up = this.#world.nodes.filter(({ isUp }) => isUp);
    const third = shuffled(this.#random, up).slice(
      0,
      Math.floor(up.length / 3),
    );
    const cut = this.#world.cut(third);
    this.#world.schedule(splitMs, () => cut[Symbol.dispose]());
  }

  /** An honest relay that has joined, drawn at random. */
  #pickHonest(): SimNode | undefined {
    return this.#pick(({ behaviour, isUp, joinedMs }) =>
      behaviour === "honest" && isUp && joinedMs !== undefined
    );
  }

  #pickLeaving(): SimNode | undefined {
    return this.#pick((node) => node.isUp && !this.#bootstrap.includes(node));
  }

  /** Most nodes of a world are gone after some hours: draw until one fits. */
  #pick(fits: (node: SimNode) => boolean): SimNode | undefined {
    const { nodes } = this.#world;
    for (let tries = 0; tries < 100 * nodes.length; tries++) {
      const at = Math.floor(randomBetween(this.#random, 0, nodes.length));
      const node = nodes[at];
      if (node !== undefined && fits(node)) return node;
    }
    return undefined;
  }

  async #pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= MINUTE_MS) {
      await this.#world.advance(Math.min(MINUTE_MS, leftMs));
      this.#options.onProgress?.(this.#world.nowMs, this.#totalMs);
    }
  }

  get #totalMs(): number {
    const { relays, hours, siege } = this.#options;
    const settleMs = (siege === undefined ? 2 : 3) * SETTLE_MS;
    return relays * gapMs(relays) + settleMs + hours * HOUR_MS;
  }
}

/** Time between two relays of the beginning, ms. */
function gapMs(relays: number): number {
  return Math.max(MIN_GAP_MS, Math.round(GROW_MS / relays));
}
