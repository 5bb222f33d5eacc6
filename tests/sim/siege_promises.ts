/**
 * What a network promises that one party besieges, as experiments: small and once in
 * the tests, large and often in the long task:
 *
 *     SIEGE_SEEDS=1-200 SIEGE_RELAYS=200 deno task long:siege
 *
 * @module
 */
import type { Experiment } from "../../lib/sim/experiment.ts";
import type { SimulationReport } from "../../lib/sim/simulation.ts";

/** A figure, and what it is promised to be. */
export interface Bound {
  readonly figure: string;
  readonly least?: number;
  readonly most?: number;
}

/** One promise. */
export interface SiegePromise {
  readonly name: string;
  readonly siege: NonNullable<Experiment["siege"]>;
  /** Time that is watched, hours. */
  readonly hours: number;
  readonly bounds: readonly Bound[];
}

/** All promises. */
export const SIEGE_PROMISES: readonly SiegePromise[] = [
  {
    name: "a tenth declares any bandwidth",
    siege: { flood: 0, liars: 0.1, botnet: 0 },
    hours: 1 / 6,
    bounds: [
      { figure: "guard", most: 0.12 },
      { figure: "both ends", most: 0.015 },
      { figure: "look-ups", least: 0.99 },
    ],
  },
  {
    name: "a fifth declares any bandwidth",
    siege: { flood: 0, liars: 0.2, botnet: 0 },
    hours: 1 / 6,
    bounds: [
      { figure: "guard", most: 0.24 },
      { figure: "both ends", most: 0.06 },
      { figure: "look-ups", least: 0.99 },
    ],
  },
  {
    name: "35 invented relays for each one",
    siege: { flood: 35, liars: 0, botnet: 0 },
    // As long as telling of 7,000 takes, and a row more.
    hours: 1 / 3,
    bounds: [
      { figure: "relay lists: honest", least: 0.99 },
      { figure: "relay lists: real", least: 0.99 },
      { figure: "client lists: real", least: 0.99 },
      { figure: "look-ups", least: 0.99 },
      { figure: "values", least: 0.99 },
      { figure: "joined in 30 s", least: 1 },
      { figure: "not built", most: 0.001 },
    ],
  },
];

/** The experiment that shows a promise, of a network of this size. */
export function siegeExperiment(
  promise: SiegePromise,
  size: Pick<Experiment, "relays" | "seed"> & {
    readonly clients: number;
    readonly hours?: number;
  },
): Experiment {
  const { relays, seed, clients, hours = promise.hours } = size;
  return {
    world: "machines",
    relays,
    seed,
    evil: 0,
    evilKinds: [],
    churn: 0,
    hours,
    values: 20,
    loss: 0.001,
    lookupsPerMinute: 60,
    // Full of the flood, as longer ones are of a longer one: the less room, the harder for the rest.
    maxRelays: Math.max(50, 2 * relays),
    siege: { ...promise.siege, clients },
  };
}

/** What is promised of, by its name: from 0 to 1. */
export function siegeFigures({ total }: SimulationReport) {
  const { siege, nodeLookups, valueLookups } = total;
  if (siege === undefined) throw new TypeError("Cannot read figures: no siege");
  const { relayLists, clientLists, circuits, newcomers } = siege;
  const { built, failed } = circuits;
  return {
    "relay lists: honest": relayLists.honest ?? 0,
    "relay lists: real": relayLists.real ?? 0,
    "client lists: real": clientLists.real ?? 0,
    "look-ups": nodeLookups.found ?? 0,
    values: valueLookups.found ?? 0,
    "joined in 30 s": newcomers.joined / newcomers.count,
    guard: circuits.guard ?? 1,
    "both ends": circuits.ends ?? 1,
    "new: guard": siege.newClients.guard ?? 1,
    "new: both ends": siege.newClients.ends ?? 1,
    "not built": failed / (built + failed),
  };
}
