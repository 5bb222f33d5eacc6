/**
 * Which relays a crowd goes over: half of it over one guard, and relays that take no
 * more circuits.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { BUILD_TIMEOUT_MS } from "../../lib/pool/build_time.ts";
import { Crowd, failuresOf, takenForSilent, WORD } from "./crowd.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldOptions,
  type WorldRelay,
} from "./whole_world.ts";

const CROWD = 16;
/** Nodes that the crowd is behind. */
const NODES = 2;
/** Circuits that the relay takes which is full: fewer than come its way. */
const FULL = 8;
/** Few streams a link: what a crowd of hundreds is to real ones. */
const SMALL: WorldOptions = {
  relays: 6,
  linkLimits: { openStreams: 22 },
  maxEvents: 2e8,
};
/** Nodes that are started at most until enough have the guard. */
const MOST_DRAWN = 40;

/** Relays that a node enters the network by. */
async function guardsOf(
  world: WholeWorld,
  { role }: WorldClient,
): Promise<(WorldRelay | undefined)[]> {
  await role.circuits.ready;
  return role.circuits.guards.map(({ nodeId }) => world.relayOf(nodeId));
}

/** Nodes that all drew one relay as a guard of theirs. */
async function withGuard(
  world: WholeWorld,
  guard: WorldRelay | undefined,
): Promise<WorldClient[]> {
  const drawn: WorldClient[] = [];
  for (let number = 0; drawn.length < NODES; number++) {
    assert.ok(number < MOST_DRAWN, "too few drew the guard");
    const client = await world.addClient(`drawn ${number}`);
    const guards = await guardsOf(world, client);
    if (guards.includes(guard)) drawn.push(client);
    else await client.node[Symbol.asyncDispose]();
  }
  return drawn;
}

/** Links that a node had and that have ended, by what for. */
function endsOfLinks({ machine }: WorldClient): unknown[] {
  return machine.log.lines
    .filter(({ message }) => message === "Link ended")
    .map(({ fields }) => fields?.["reason"]);
}

for (const whose of ["of the service's too", "of visitors alone"] as const) {
  Deno.test(`A crowd of which half comes by one guard, ${whose}, loses no link to it`, () =>
    inWholeWorld(SMALL, async (world) => {
      const service = await world.addService();
      const own = await guardsOf(world, service);
      const guard = whose === "of visitors alone"
        ? world.relays.find((relay) => !own.includes(relay))
        : own[0];
      const nodes = await withGuard(world, guard);
      const all = [service, ...nodes];
      const before = all.map(endsOfLinks);
      const crowd = new Crowd(world, nodes);
      const outcomes = await crowd.come(service, CROWD, 1_000);
      assert.deepEqual(failuresOf(outcomes), []);
      const legs = all.flatMap((node) => node.legs);
      const shared = legs.filter(({ circuit }) =>
        circuit.path[0]?.nodeId.toHex() === guard?.id
      );
      assert.ok(shared.length >= CROWD / 2, `${shared.length} over the guard`);
      for (const node of nodes) assert.ok(node.role.links.stats.further > 0);
      await sleep(world.clock, 60_000);
      // No link to a guard has ended, for silence or for anything else.
      assert.deepEqual(all.map(endsOfLinks), before);
    }));
}

for (
  const { name, place } of [
    { name: "relay-1", place: "a guard" },
    { name: "relay-5", place: "no guard" },
  ]
) {
  Deno.test(`Circuits go round a relay that refuses at its limit, ${place} of the service's`, () =>
    inWholeWorld({
      ...SMALL,
      circuitLimitsOf: (it) => it === name ? { circuits: FULL } : {},
    }, async (world) => {
      const service = await world.addService();
      const nodes = [
        await world.addClient("one"),
        await world.addClient("two"),
      ];
      const full = world.relays.find(({ machine }) => machine.name === name);
      assert.ok(full !== undefined);
      const guards = await guardsOf(world, service);
      assert.equal(guards.includes(full), place === "a guard");
      const crowd = new Crowd(world, nodes);
      const slow = await crowd.stream(service, 1_000_000);
      await slow.write(WORD);
      const outcomes = await crowd.come(service, CROWD, 4_000);
      assert.ok(full.role.circuits.stats.turnedAway > 0);
      assert.ok(full.role.circuits.size <= FULL);
      // It is no visitor's trouble, and nothing is waited for in vain.
      assert.deepEqual(failuresOf(outcomes), []);
      const slowest = Math.max(...outcomes.map(Number));
      assert.ok(slowest < BUILD_TIMEOUT_MS.least, `${slowest} ms`);
      for (const node of [service, ...nodes]) {
        assert.equal(takenForSilent(node), 0);
      }
      assert.deepEqual(await guardsOf(world, service), guards);
      // What ran before goes on.
      await slow.write(WORD);
      await slow.closeWrite();
      assert.ok((await slow.read())?.length);
      slow.abort();
    }));
}
