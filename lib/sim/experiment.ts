/**
 * An experiment from its numbers alone: makes the world, runs the simulation in
 * it, and gives the report.
 *
 * @module
 */
import { type NetworkParameters, networkParameters } from "../auth/network.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { sharedPrefixBits } from "../dht/records/distance.ts";
import type { NodeId } from "../auth/identity.ts";
import { type Behaviour, Conspiracy } from "./world/behaviour.ts";
import { Flood } from "./flood.ts";
import {
  MachineWorld,
  type MachineWorldOptions,
} from "./world/machine_world.ts";
import { NodeWorld, type NodeWorldOptions } from "./world/node_world.ts";
import { Publication } from "./publication.ts";
import { quickSuite } from "./world/quick_suite.ts";
import { rememberingSuite } from "./world/remembering_suite.ts";
import {
  besiegedNetwork,
  drawBandwidth,
  Siege,
  type SiegeStrength,
} from "./siege.ts";
import { seedFrom, type SimWorld } from "./world/sim_world.ts";
import {
  simulate,
  type SimulationOptions,
  type SimulationReport,
} from "./simulation.ts";

/** How much of a relay is simulated. */
export const WORLD_KINDS = ["nodes", "machines"] as const;

/** One of {@linkcode WORLD_KINDS}. */
export type WorldKind = typeof WORLD_KINDS[number];

/** What is done, in numbers. */
export interface Experiment extends
  Pick<
    SimulationOptions,
    | "relays"
    | "evil"
    | "evilKinds"
    | "churn"
    | "hours"
    | "values"
    | "replicas"
    | "lookupsPerMinute"
    | "splitMinutes"
    | "rowMinutes"
  > {
  readonly world: WorldKind;
  /** Share of messages that are lost, and repeated. */
  readonly loss: number;
  /**
   * Relays in each one's list, at most: what a network of thousands takes most
   * memory for. Machines alone. Default: as real ones.
   */
  readonly maxRelays?: number | undefined;
  /** A siege; machines alone, in {@linkcode networkOf}. Default: none. */
  readonly siege?: SiegeStrength | undefined;
  readonly seed: number;
}

/** Wall-clock time at which all of them begin. */
const START_UNIX_MS = Date.UTC(2026, 0, 1);

/** The network that an experiment is usually run in: subnets count in a siege. */
export function networkOf({ siege }: Experiment): NetworkParameters {
  return siege === undefined ? networkParameters("local") : besiegedNetwork();
}

/**
 * Run an experiment. The same one gives the same report.
 *
 * @param onProgress Hears of virtual time, ms.
 * @param onRow Hears of each row.
 */
export async function runExperiment(
  network: NetworkParameters,
  experiment: Experiment,
  onProgress: SimulationOptions["onProgress"] = () => {},
  onRow?: SimulationOptions["onRow"],
): Promise<SimulationReport> {
  const { relays, evilKinds, loss, seed } = experiment;
  const random = seededRandom(seed);
  const crypto = experiment.world === "machines"
    ? quickSuite()
    : rememberingSuite();
  const isEclipse = evilKinds.includes("eclipser");
  const target = isEclipse ? Publication.draw({ crypto }, random) : undefined;
  const region = target?.key(0);
  const conspiracy = new Conspiracy(network, region);
  /** Eclipsers sit closer to the region's centre than any other node can hope to. */
  const bits = Math.ceil(Math.log2(relays)) + 1;
  const isWanted = (nodeId: NodeId, behaviour: Behaviour) =>
    behaviour !== "eclipser" || region === undefined ||
    sharedPrefixBits(region, nodeId) >= bits;
  const shared = {
    crypto,
    network,
    random: seededRandom(seedFrom(random)),
    startUnixMs: START_UNIX_MS,
    conspiracy,
    loss,
    isWanted,
  };
  const { world, siege } = makeWorld(experiment, shared, random);
  if (evilKinds.includes("flooder")) {
    new Flood(world, seededRandom(seedFrom(random))).start();
  }
  return await simulate(world, {
    ...experiment,
    target,
    siege,
    onProgress,
    onRow,
  }, random);
}

/** @throws {RangeError} for a siege of whole nodes. */
function makeWorld(
  { world: kind, maxRelays, siege: strength }: Experiment,
  shared: NodeWorldOptions & MachineWorldOptions,
  random: Random,
): { readonly world: SimWorld; readonly siege?: Siege } {
  if (strength === undefined) {
    return {
      world: kind === "nodes"
        ? new NodeWorld(shared)
        : new MachineWorld({ ...shared, maxRelays }),
    };
  }
  if (kind === "nodes") throw new RangeError("Cannot besiege whole nodes");
  const bandwidthOf = drawBandwidth(seededRandom(seedFrom(random)));
  const world = new MachineWorld({ ...shared, maxRelays, bandwidthOf });
  const { conspiracy } = shared;
  const ours = seededRandom(seedFrom(random));
  return { world, siege: new Siege(world, conspiracy, strength, ours) };
}
