/**
 * Guards that are gone for good: others stand in for them, those drawn with them,
 * and no more than it takes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldRelay,
} from "./whole_world.ts";

/** Until both count as gone, and another one has answered. */
const AGAIN_MS = 120_000;
/**
 * Until a client is back at its guards alone: what was built over others is closed
 * after 30 min at most, what came in its place for a while as well, and the links
 * end 5 min later.
 */
const BACK_MS = 75 * 60_000;

const NEVER = new AbortController().signal;

/** The relays that a client is linked to. */
function guardsOf(world: WholeWorld, { role }: WorldClient): WorldRelay[] {
  return role.links.links.flatMap(({ nodeId }) => world.relayOf(nodeId) ?? []);
}

/** Wait for a circuit that works. @returns How long that took, ms. */
async function workingMs(
  { clock }: WholeWorld,
  { role: { circuits } }: WorldClient,
): Promise<number> {
  const startMs = clock.nowMs();
  for (;;) {
    const circuit = await circuits.take({
      purpose: "rendezvous",
      signal: NEVER,
    })
      .catch(() => undefined);
    const isAlive = await circuit?.ping({ signal: NEVER })
      .then(() => true, () => false);
    circuit?.close();
    if (isAlive) return clock.nowMs() - startMs;
  }
}

Deno.test("a client whose guards both die for good goes on by the next in line, and returns when they do", () =>
  inWholeWorld({ relays: 10 }, async (world) => {
    const { clock, network } = world;
    const client = await world.addClient();
    const { host } = client.machine;
    await sleep(clock, 60_000);
    const guards = guardsOf(world, client);
    assert.equal(guards.length, 2);
    const met = new Set<string>();
    network.observe = ({ from, to }) => {
      if (from.host === host) met.add(to.host);
    };
    for (const guard of guards) world.crash(guard);
    const tookMs = await workingMs(world, client);
    assert.ok(tookMs < AGAIN_MS, `${tookMs} ms`);
    // All of it works: circuits, for as long as we watch.
    for (let minute = 0; minute < 10; minute++) {
      await workingMs(world, client);
      await sleep(clock, 60_000);
    }
    const hosts = guards.map(({ machine }) => machine.host);
    const strangers = () => [...met].filter((one) => !hosts.includes(one));
    assert.equal(strangers().length, 1);

    for (const guard of guards) await world.restart(guard);
    // Circuits that are there are used up; new ones lead over guards.
    for (let minute = 0; minute < 32; minute++) {
      await workingMs(world, client);
      await sleep(clock, 60_000);
    }
    met.clear();
    for (let round = 0; round < 10; round++) await workingMs(world, client);
    assert.deepEqual(strangers(), []);
  }));

Deno.test("a guard comes back into its place by a link that was made for another purpose than circuits", () =>
  inWholeWorld({ relays: 10 }, async (world) => {
    const client = await world.addClient();
    await sleep(world.clock, 60_000);
    const guards = guardsOf(world, client);
    const { circuits, links } = client.role;
    const first = circuits.guards;
    assert.equal(first.length, 2);
    for (const guard of guards) world.crash(guard);
    await workingMs(world, client);
    assert.equal(circuits.guards.length, 3);
    for (const guard of guards) await world.restart(guard);
    const isBuilding = () =>
      circuits.status.circuits.some(({ state }) => state === "building");
    while (isBuilding()) await sleep(world.clock, 1000);
    // As the client of the relay list does once an hour.
    const [again] = first;
    assert.ok(again !== undefined);
    await links.getOrDial(again);
    assert.deepEqual(circuits.guards, first);
  }));

/** Worlds in which the client comes back by its guards, and by another one. */
const OWN_NETWORK_SEEDS = [1, 3];

async function loseOwnNetwork(seed: number): Promise<void> {
  await inWholeWorld({ relays: 10, seed }, async (world) => {
    const { clock, network } = world;
    const client = await world.addClient();
    await sleep(clock, 60_000);
    const guards = guardsOf(world, client);
    const { host } = client.machine;
    const met = new Set<string>();
    network.observe = ({ from, to }) => {
      if (to.host === host) met.add(from.host);
    };
    for (const hasAddress of [false, true]) {
      client.machine.addresses = hasAddress ? [host] : [];
      const cut = network.cut(
        client.machine.endpoints.map(({ localAddress }) => localAddress),
        world.relays.map(({ address }) => address.address),
      );
      await sleep(clock, 600_000);
      met.clear();
      cut.heal();
      const tookMs = await workingMs(world, client);
      assert.ok(tookMs < 40_000, `${tookMs} ms`);
      await sleep(clock, 120_000);
      const most = hasAddress ? guards.length + 2 : guards.length;
      assert.ok(met.size <= most, `${met.size} met`);
    }
    await sleep(clock, BACK_MS);
    const last = guardsOf(world, client);
    assert.ok(last.length > 0);
    for (const guard of last) assert.ok(guards.includes(guard));
  });
}

for (const seed of OWN_NETWORK_SEEDS) {
  Deno.test(`a client whose own network is gone for ten minutes keeps to its guards, or meets two more at worst and returns (seed ${seed})`, () =>
    loseOwnNetwork(seed));
}
