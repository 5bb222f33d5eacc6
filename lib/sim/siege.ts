/**
 * A network under siege by one party, and what its relays and clients make of it:
 *
 *     liars    relays that are there from the beginning and declare any bandwidth
 *     flood    relays that are not there, of which one that is tells all others
 *     botnet   relays that are there, and come one after the other within a day
 *
 * Clients have known the relays of the beginning for a month. Beside them others begin
 * at the start of each row: to those, whatever is listed has always been there.
 *
 * @see docs/threat-model.md
 * @module
 */
import { customNetwork, type NetworkParameters } from "../auth/network.ts";
import type { NodeRecord } from "../auth/node_record.ts";
import {
  type Random,
  randomChoice,
  randomFloat,
  seededRandom,
} from "../base/random.ts";
import type { Behaviour, Conspiracy, SiegeKind } from "./world/behaviour.ts";
import { Announcements } from "./announcements.ts";
import type { MachineWorld } from "./world/machine_world.ts";
import { seedFrom, type SimNode } from "./world/sim_world.ts";
import { type CircuitCounts, SiegeClient } from "./siege_client.ts";
import {
  addCounts,
  circuitFigures,
  ListCounts,
  NO_CIRCUITS,
  rounded,
  type SiegeRow,
} from "./siege_row.ts";

const DAY_MS = 24 * 3600 * 1000;
/** For how long clients have known the relays that were there before the siege. */
const KNOWN_MS = 30 * DAY_MS;
/** A newcomer has joined in time, and is known, after so long. */
const JOIN_MS = 30_000;
/** Relays count as listed or not once they have been there for so long. */
const GROWN_UP_MS = 120_000;
/** Circuits that each client builds in a row. */
const CIRCUITS = 4;
/** Clients that share a list, of which the guards of one keep it fresh: lists take most of the time. */
const SHARING = 5;
/** Clients that begin with each row. */
const NEW_CLIENTS = 100;

/** One relay that tells of invented ones for so many that are there: each is listened to at its own pace. */
const RELAYS_PER_INVENTOR = 200;

/** What honest relays' lines carry is spread over two powers of ten around this, bytes per second. */
const MIDDLE_LINE = 10_000_000;
/** What boasters, bots and inventions declare. */
const BOAST = Number.MAX_SAFE_INTEGER;

/** A siege in numbers. */
export interface SiegeStrength {
  /** Invented relays for each honest one. */
  readonly flood: number;
  /** Share of the relays that declare any bandwidth, 0 to 0.9. */
  readonly liars: number;
  /** Relays of a botnet for each honest one. */
  readonly botnet: number;
  /** Clients that were there before. Default 500. */
  readonly clients?: number;
}

/** Where subnets count: with the addresses of simulated relays, each has one of its own. */
export function besiegedNetwork(): NetworkParameters {
  return customNetwork({
    name: "besieged",
    powDifficulty: 0,
    allowPrivateAddresses: false,
  });
}

/** Draws what relays declare. */
export function drawBandwidth(
  random: Random,
): (behaviour: Behaviour) => number {
  return (behaviour) =>
    behaviour === "boaster" || behaviour === "bot" || behaviour === "inventor"
      ? BOAST
      : drawLine(random);
}

/** A siege under way. */
export class Siege {
  readonly #world: MachineWorld;
  readonly #conspiracy: Conspiracy;
  readonly #strength: SiegeStrength;
  readonly #random: Random;
  readonly #announcements: Announcements;
  readonly #lines = new Map<SimNode, number>();
  readonly #clients: SiegeClient[] = [];
  #newClients: SiegeClient[] = [];
  #bootstrap: readonly SimNode[] = [];
  #newcomers = { count: 0, joined: 0, known: 0 };
  #bots = 0;
  readonly #rows: SiegeRow[] = [];
  #total = NO_CIRCUITS();
  #newTotal = NO_CIRCUITS();

  constructor(
    world: MachineWorld,
    conspiracy: Conspiracy,
    strength: SiegeStrength,
    random: Random,
  ) {
    this.#world = world;
    this.#conspiracy = conspiracy;
    this.#strength = strength;
    this.#random = random;
    this.#announcements = new Announcements(world, conspiracy.inventions);
  }

  /** The party's relays that are there from the beginning, of so many in all. */
  behaviours(relays: number): SiegeKind[] {
    const { flood, liars } = this.#strength;
    const boasters = Math.round(liars * relays);
    const kinds: SiegeKind[] = Array.from(
      { length: boasters },
      () => "boaster",
    );
    const inventors = flood > 0 ? Math.ceil(relays / RELAYS_PER_INVENTOR) : 0;
    for (let n = 0; n < inventors; n++) kinds.push("inventor");
    return kinds;
  }

  /** Clients come, and have two minutes to fill their lists. */
  settle(bootstrap: readonly SimNode[]): void {
    this.#bootstrap = bootstrap;
    const { clients = 500 } = this.#strength;
    this.#clients.push(...this.#someClients(clients));
  }

  /** Now it begins. */
  begin(): void {
    for (const client of this.#clients) {
      client.remember(KNOWN_MS);
      client.begin();
    }
    const { flood, botnet } = this.#strength;
    const honest = this.#honest().length;
    const inventions = this.#world.invent(Math.round(flood * honest));
    this.#conspiracy.inventions.records = inventions;
    this.#announcements.start();
    this.#bots = Math.round(botnet * honest);
    if (this.#bots > 0) this.#sendBot(DAY_MS / this.#bots, this.#bots);
  }

  /** The time of a row begins: another honest relay joins, and clients that knew nothing. */
  beginRow(): void {
    for (const client of this.#newClients) client.list.stop();
    this.#newClients = this.#someClients(NEW_CLIENTS);
    const newcomer = this.#add("honest");
    this.#world.schedule(JOIN_MS, () => this.#judge(newcomer));
  }

  /** What has been seen since. */
  row(): SiegeRow {
    const counts = this.#count(this.#clients);
    for (const client of this.#newClients) client.begin();
    const newCounts = this.#count(this.#newClients);
    addCounts(this.#total, counts);
    addCounts(this.#newTotal, newCounts);
    const { unixMs, nodes } = this.#world;
    const grownUp = this.#honest().filter(({ joinedMs = Infinity }) =>
      this.#world.nowMs - joinedMs >= GROWN_UP_MS
    );
    const listsOf = (lists: Iterable<Iterable<NodeRecord>>) =>
      new ListCounts(this.#world, grownUp).countAll(lists);
    const row: SiegeRow = {
      told: this.#announcements.told,
      bots: nodes.filter(({ behaviour, isUp }) => behaviour === "bot" && isUp)
        .length,
      relayLists: listsOf(
        grownUp.map(({ dht }) => dht.relays.listedRecords(unixMs)),
      ),
      clientLists: listsOf(
        new Set([...this.#clients, ...this.#newClients].map(({ list }) => list))
          .values().map((list) => list.snapshot(unixMs)),
      ),
      newcomers: { ...this.#newcomers },
      circuits: circuitFigures(counts),
      newClients: circuitFigures(newCounts),
    };
    this.#newcomers = { count: 0, joined: 0, known: 0 };
    this.#rows.push(row);
    return row;
  }

  /** Over all rows: sums and means, and the worst of lists. */
  get total(): SiegeRow {
    const rows = this.#rows;
    const last = rows.at(-1);
    if (last === undefined) throw new RangeError("Cannot sum up no rows");
    const sum = (of: (row: SiegeRow) => number) =>
      rows.reduce((sum, row) => sum + of(row), 0);
    const lists = (of: (row: SiegeRow) => SiegeRow["relayLists"]) => ({
      honest: rounded(
        sum((row) => of(row).honest ?? 0) / rows.length,
        4,
      ),
      real: Math.min(...rows.map((row) => of(row).real ?? 1)),
    });
    const count = sum(({ newcomers }) => newcomers.count);
    const mean = (of: (row: SiegeRow) => number) =>
      sum((row) => of(row)) / rows.length;
    return {
      ...last,
      relayLists: lists(({ relayLists }) => relayLists),
      clientLists: lists(({ clientLists }) => clientLists),
      newcomers: {
        count,
        joined: sum(({ newcomers }) => newcomers.joined),
        known: rounded(mean(({ newcomers }) => newcomers.known), 4) ?? 0,
      },
      circuits: circuitFigures(this.#total),
      newClients: circuitFigures(this.#newTotal),
    };
  }

  #honest(): SimNode[] {
    return this.#world.nodes.filter(({ behaviour, isUp }) =>
      behaviour === "honest" && isUp
    );
  }

  #add(behaviour: "honest" | "bot"): SimNode {
    const via = randomChoice(this.#random, this.#bootstrap);
    return this.#world.add({ behaviour, via });
  }

  #sendBot(gapMs: number, left: number): void {
    this.#add("bot");
    if (left === 1) return;
    this.#world.schedule(gapMs, () => this.#sendBot(gapMs, left - 1));
  }

  #judge(newcomer: SimNode): void {
    const others = this.#honest().filter((node) => node !== newcomer);
    const { nodeId } = newcomer.record;
    const aware = others.filter(({ dht }) => dht.relays.isListed(nodeId));
    const { count, joined, known } = this.#newcomers;
    this.#newcomers = {
      count: count + 1,
      joined: joined + (newcomer.joinedMs === undefined ? 0 : 1),
      known: known + aware.length / others.length,
    };
  }

  #someClients(count: number): SiegeClient[] {
    const clients: SiegeClient[] = [];
    for (let n = 0; n < count; n++) {
      const sharing = n % SHARING === 0 ? undefined : clients[n - n % SHARING];
      clients.push(
        new SiegeClient({
          world: this.#world,
          random: seededRandom(seedFrom(this.#random)),
          bootstrap: this.#bootstrap,
          sharing,
          lineOf: (node) => this.#lineOf(node),
        }),
      );
    }
    return clients;
  }

  #count(clients: readonly SiegeClient[]): CircuitCounts {
    const counts = NO_CIRCUITS();
    for (const client of clients) {
      client.refresh();
      for (let n = 0; n < CIRCUITS; n++) client.build(counts);
    }
    return counts;
  }

  /** What a relay's line carries: what it declares if it is honest. */
  #lineOf(node: SimNode): number {
    if (node.record.bandwidth < BOAST) return node.record.bandwidth;
    let line = this.#lines.get(node);
    if (line === undefined) {
      line = drawLine(this.#random);
      this.#lines.set(node, line);
    }
    return line;
  }
}

/** From a tenth of the middle to ten times as much, most of them in between. */
function drawLine(random: Random): number {
  const spread = randomFloat(random) + randomFloat(random) - 1;
  return Math.round(MIDDLE_LINE * 10 ** spread);
}
