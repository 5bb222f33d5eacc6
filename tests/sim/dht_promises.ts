/**
 * What the DHT promises, as experiments: so many of the look-ups succeed whatever
 * happens. Small and once in the tests, large and often in the long task:
 *
 *     DHT_SIM_SEEDS=1-200 DHT_SIM_RELAYS=500 deno task long:dht-sim
 *
 * @module
 */
import type { Experiment } from "../../lib/sim/experiment.ts";
import type { SimulationReport } from "../../lib/sim/simulation.ts";

/** Look-ups of one kind, summed over experiments. */
export interface Found {
  readonly count: number;
  readonly found: number;
}

/** One promise. */
export interface DhtPromise {
  readonly name: string;
  /** Least share of the look-ups that must succeed, nodes and values alike. */
  readonly least: number;
  /** What goes wrong. */
  readonly faults: Pick<
    Experiment,
    "evil" | "evilKinds" | "churn" | "replicas"
  >;
  /** Time that is watched, hours. */
  readonly hours: number;
  /** Kinds of look-ups that it is about. */
  readonly about: readonly ("nodes" | "values")[];
}

/** All promises. */
export const DHT_PROMISES: readonly DhtPromise[] = [
  {
    name: "without faults",
    least: 0.999,
    faults: { evil: 0, evilKinds: [], churn: 0 },
    hours: 1 / 3,
    about: ["nodes", "values"],
  },
  {
    name: "a fifth drop or lie, and half of the nodes are replaced in an hour",
    least: 0.99,
    faults: { evil: 0.2, evilKinds: ["dropper", "liar"], churn: 0.5 },
    hours: 1,
    about: ["nodes", "values"],
  },
  {
    // Four replicas, as descriptors have: one of their regions is taken over.
    name: "an eclipse of one replica's region",
    least: 0.95,
    faults: { evil: 0.2, evilKinds: ["eclipser"], churn: 0, replicas: 4 },
    hours: 1 / 3,
    about: ["values"],
  },
];

/** The experiment that shows a promise, of a network of this size. */
export function experimentOf(
  { faults, hours }: DhtPromise,
  size: Pick<Experiment, "relays" | "seed">,
): Experiment {
  return {
    world: "machines",
    ...faults,
    ...size,
    hours,
    values: 50,
    loss: 0.001,
    lookupsPerMinute: hours < 1 ? 60 : 30,
  };
}

/** How many look-ups an experiment made, and how many succeeded, by kind. */
export function foundIn(
  { total: { nodeLookups, valueLookups } }: SimulationReport,
): Record<"nodes" | "values", Found> {
  const of = ({ count, found }: { count: number; found: number | null }) => ({
    count,
    found: Math.round(count * (found ?? 0)),
  });
  return { nodes: of(nodeLookups), values: of(valueLookups) };
}
