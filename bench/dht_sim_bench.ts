/**
 * How fast simulated networks live: a minute of all their relays, some of which
 * come and go, with look-ups.
 *
 *     deno bench bench/dht_sim_bench.ts
 *
 * Node-seconds per second = relays · 60 / seconds of an iteration. Figures are
 * kept in docs/performance.md.
 *
 * @module
 */
import { networkParameters } from "../lib/auth/network.ts";
import { seededRandom } from "../lib/base/random.ts";
import { Conspiracy } from "../lib/sim/world/behaviour.ts";
import { MachineWorld } from "../lib/sim/world/machine_world.ts";
import { NodeWorld } from "../lib/sim/world/node_world.ts";
import { rememberingSuite } from "../lib/sim/world/remembering_suite.ts";
import type { SimWorld } from "../lib/sim/world/sim_world.ts";

const MINUTE_MS = 60_000;
const network = networkParameters("local");
const random = seededRandom(1);

function options() {
  return {
    crypto: rememberingSuite(),
    network,
    random: seededRandom(1),
    startUnixMs: Date.UTC(2026, 0, 1),
    conspiracy: new Conspiracy(network),
  };
}

async function grow(world: SimWorld, relays: number): Promise<SimWorld> {
  const first = world.add();
  for (let index = 1; index < relays; index++) {
    await world.advance(500);
    world.add({ via: first });
  }
  await world.advance(5 * MINUTE_MS);
  return world;
}

/** A minute: one relay of a hundred leaves, another comes, and ten look for something. */
async function minute(world: SimWorld): Promise<void> {
  const up = world.nodes.filter(({ isUp }) => isUp);
  const [first] = up;
  for (let count = 0; count < Math.ceil(up.length / 100); count++) {
    const leaving = up[1 + count];
    if (leaving === undefined) continue;
    world.remove(leaving, "crash");
    world.add({ via: first });
  }
  const joined = up.filter(({ isUp, joinedMs }) =>
    isUp && joinedMs !== undefined
  );
  for (const node of joined.slice(-10)) {
    node.findNode(random.bytes(32), () => {});
  }
  await world.advance(MINUTE_MS);
}

const machines = await grow(new MachineWorld(options()), 300);
const nodes = await grow(new NodeWorld(options()), 40);

// Async functions: the runner awaits no others.
Deno.bench("a minute of 300 relays, the machines of the DHT alone", {
  n: 20,
  warmup: 2,
}, async () => await minute(machines));
Deno.bench("a minute of 40 relays, whole nodes", {
  n: 10,
  warmup: 2,
}, async () => await minute(nodes));
