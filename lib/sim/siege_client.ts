/**
 * A client of a besieged network: the list, guards, tenure, belief in bandwidths and
 * choice of paths of a real one. Of its circuits only this is played: a relay that is
 * there is reached, one that is not fails; and what a circuit carries and how long its
 * round trip takes follow from the relays' lines and places.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeRecord } from "../auth/node_record.ts";
import { type Random, randomBetween } from "../base/random.ts";
import { BandwidthWeights } from "../path/bandwidth_weights.ts";
import { GuardSet } from "../path/guard_set.ts";
import { Layer2Set } from "../path/layer2.ts";
import { PathSelector } from "../path/path_selection.ts";
import { relayKey } from "../path/relay_key.ts";
import { Tenure } from "../path/tenure.ts";
import { latencyMs, type Place, randomPlace } from "./world/geography.ts";
import { ListFollower } from "./list_follower.ts";
import type { MachineWorld } from "./world/machine_world.ts";
import type { SimNode } from "./world/sim_world.ts";

/** Relays of a circuit to the middle of a connection. */
const HOPS = 3;
/** Paths that are tried for one circuit. */
const MAX_TRIES = 5;
/** What a circuit gets of the line of its slowest relay: others use it as well. */
const LEAST_SHARE = 0.2;

/** What became of circuits. */
export interface CircuitCounts {
  built: number;
  /** Circuits for which no path could be built in {@linkcode MAX_TRIES}. */
  failed: number;
  /** Built ones whose first hop is hostile, whose last one is, and of which both are. */
  guard: number;
  last: number;
  ends: number;
}

/** What it is made of. */
export interface SiegeClientOptions {
  readonly world: MachineWorld;
  readonly random: Random;
  readonly bootstrap: readonly SimNode[];
  /** Whose list it shares. Default: it asks for one of its own. */
  readonly sharing?: SiegeClient | undefined;
  /** What a relay's line carries, bytes per second, whatever it declares. */
  readonly lineOf: (node: SimNode) => number;
}

/** One client. */
export class SiegeClient {
  readonly list: ListFollower;
  readonly #options: SiegeClientOptions;
  readonly #place: Place;
  readonly #tenure = new Tenure();
  readonly #weights = new BandwidthWeights();
  readonly #selector: PathSelector;
  #hasBegun = false;

  constructor(options: SiegeClientOptions) {
    const { world, random, bootstrap, sharing } = options;
    this.#options = options;
    this.#place = randomPlace(random);
    this.list = sharing?.list ?? new ListFollower({
      world,
      random,
      place: this.#place,
      bootstrap,
      onRound: () => this.#hasBegun && this.refresh(),
    });
    const guards = GuardSet.create(random);
    this.#selector = new PathSelector({
      network: world.network,
      random,
      relays: this.list,
      guards,
      layer2: Layer2Set.create(random),
      tenure: this.#tenure,
      weights: this.#weights,
    });
    if (sharing !== undefined) return;
    this.list.useGuards(() => guards.inUse.map(({ record }) => record));
    this.list.start();
  }

  /** From now on it has guards. */
  begin(): void {
    this.#hasBegun = true;
    this.refresh();
  }

  /** The relays that it lists now have been on its list for so long, ms. */
  remember(forMs: number): void {
    const { unixMs } = this.#options.world;
    const listed = this.list.snapshot(unixMs)
      .map(({ nodeId }) => relayKey(nodeId));
    this.#tenure.note(listed, unixMs - forMs);
  }

  /** Look at the list and the calendar again. */
  refresh(): void {
    const { nowMs, unixMs } = this.#options.world;
    this.#selector.refresh(nowMs, unixMs);
  }

  /** Build a circuit, and use it. */
  build(counts: CircuitCounts): void {
    const { nowMs } = this.#options.world;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const found = this.#selector.select({ hops: HOPS }, nowMs);
      if (found.type === "no_path") break;
      const nodes = this.#reach(found.path);
      if (nodes === undefined) continue;
      this.#selector.onBuilt(found.path, nowMs);
      this.#use(found.path, nodes);
      counts.built++;
      const [guard, last] = [nodes.at(0), nodes.at(-1)].map(isHostile);
      if (guard) counts.guard++;
      if (last) counts.last++;
      if (guard && last) counts.ends++;
      return;
    }
    counts.failed++;
  }

  /** The relays of a path, reached one after the other. */
  #reach(path: readonly NodeRecord[]): readonly SimNode[] | undefined {
    const { world } = this.#options;
    const nodes: SimNode[] = [];
    for (const [hop, record] of path.entries()) {
      const node = world.nodeOf(record);
      if (node === undefined || !node.isUp) {
        this.#selector.onFailed(path, hop, world.nowMs);
        return undefined;
      }
      if (!this.#selector.onReached(path, hop + 1)) return undefined;
      nodes.push(node);
    }
    return nodes;
  }

  #use(path: readonly NodeRecord[], nodes: readonly SimNode[]): void {
    const { world, random, lineOf } = this.#options;
    const line = Math.min(...nodes.map(lineOf));
    let place = this.#place;
    let oneWayMs = 0;
    for (const node of nodes) {
      const next = world.placeOf(node);
      oneWayMs += latencyMs(place, next);
      place = next;
    }
    this.#weights.observe(path, {
      bytesPerSecond: line * randomBetween(random, LEAST_SHARE, 1),
      roundTripMs: 2 * oneWayMs,
    });
  }
}

function isHostile(node: SimNode | undefined): boolean {
  return node !== undefined && node.behaviour !== "honest";
}
