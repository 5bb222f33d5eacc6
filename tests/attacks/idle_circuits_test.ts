/**
 * Hosts without an identity fill all places of a relay with circuits that do nothing, or have
 * it make circuits and ask the DHT without end.
 *
 * `ATTACK_SCALE=full` runs it with the places of a real relay.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import type { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import {
  type CircuitAccount,
  CircuitPlaces,
} from "../../lib/circuit/circuit_places.ts";
import { NeighbourBudgets } from "../../lib/circuit/neighbour_budgets.ts";
import { DEFAULT_CIRCUIT_LIMITS } from "../../lib/node/relay/circuit_server.ts";
import {
  build,
  startClient,
  startRelay,
  tryBuild,
  withCircuits,
} from "../node/circuit/circuit_world.ts";
import { inMemory, type MemoryWorld } from "../node/link/link_world.ts";

const FULL = Deno.env.get("ATTACK_SCALE") === "full";
const SHRUNK = FULL ? 1 : 16;
const LIMITS = {
  circuits: DEFAULT_CIRCUIT_LIMITS.circuits / SHRUNK,
  circuitsPerPeer: DEFAULT_CIRCUIT_LIMITS.circuitsPerPeer / SHRUNK,
  evictIdleMs: DEFAULT_CIRCUIT_LIMITS.evictIdleMs,
};
const LATER_MS = 2 * LIMITS.evictIdleMs;

interface Idle {
  usedMs: number;
}

const stranger = (host: number): CircuitAccount => ({
  name: `10.${host}.0.0/24`,
  kind: "stranger",
});
const relay = (number: number): CircuitAccount => ({
  name: `relay ${number}`,
  kind: "relay",
});

/** Create one. @returns It, where there was a place; and whom it displaced. */
function create(
  places: CircuitPlaces<Idle>,
  account: CircuitAccount,
  nowMs: number,
): { readonly circuit: Idle | undefined; readonly evicted: Idle | undefined } {
  const verdict = places.makeRoom(account, nowMs);
  if (verdict.type === "full") {
    return { circuit: undefined, evicted: undefined };
  }
  const circuit = { usedMs: nowMs };
  places.add(circuit, account);
  const evicted = verdict.type === "evict" ? verdict.circuit : undefined;
  return { circuit, evicted };
}

function besieged(hosts: number): CircuitPlaces<Idle> {
  const places = new CircuitPlaces<Idle>(LIMITS);
  for (let host = 0; host < hosts; host++) {
    for (let count = 0; count < LIMITS.circuits; count++) {
      create(places, stranger(host), 0);
    }
  }
  return places;
}

for (const hosts of [2, 16]) {
  Deno.test(`idle circuits of ${hosts} hosts leave half of the places to relays at once`, () => {
    const places = besieged(hosts);
    assert.ok(places.used <= LIMITS.circuits / 2, `${places.used} are taken`);
    for (let count = 0; count < LIMITS.circuits / 2; count++) {
      const { circuit, evicted } = create(places, relay(count % 64), 1);
      assert.ok(circuit !== undefined && evicted === undefined);
    }
  });

  Deno.test(`a client that comes while ${hosts} hosts hold idle circuits finds a place at once`, () => {
    const places = besieged(hosts);
    for (let count = 0; count < 4; count++) {
      assert.ok(create(places, stranger(200), 1).circuit !== undefined);
    }
  });
}

Deno.test("a circuit in use gives way to no equal, and no account's does to another that has more", () => {
  const places = new CircuitPlaces<Idle>(LIMITS);
  const old = create(places, relay(1), 0).circuit;
  assert.ok(old !== undefined);
  for (let peer = 2; places.used < LIMITS.circuits; peer++) {
    for (let count = 0; count < LIMITS.circuitsPerPeer / 2; count++) {
      create(places, relay(peer), 1);
    }
  }
  for (let count = 0; count < 50; count++) {
    const { evicted } = create(places, relay(2), LATER_MS);
    assert.ok(evicted !== undefined && evicted !== old);
  }
  const busy = new CircuitPlaces<Idle>({ ...LIMITS, circuits: 2 });
  const circuits = [1, 2].map((peer) => create(busy, relay(peer), 0).circuit);
  for (const circuit of circuits) if (circuit) circuit.usedMs = LATER_MS - 1;
  assert.equal(create(busy, relay(3), LATER_MS).circuit, undefined);
});

Deno.test("places are given back with the circuits that had them", () => {
  const places = besieged(2);
  const mine = create(places, relay(1), 1).circuit;
  assert.ok(mine !== undefined);
  const before = places.used;
  places.remove(mine);
  places.remove(mine);
  assert.equal(places.used, before - 1);
});

Deno.test("64 links of one host have one budget, and no other neighbour pays for them", () => {
  const budgets = new NeighbourBudgets();
  const spent = { create: 0, dht_get: 0, dht_put: 0 };
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
    for (const expense of ["create", "dht_get", "dht_put"] as const) {
      for (let link = 0; link < 64; link++) {
        if (budgets.spend(stranger(1), expense, nowMs)) spent[expense]++;
      }
    }
  }
  // A third of a millisecond each: 2 % of the thread.
  assert.ok(spent.create <= 1000, `${spent.create} creations`);
  assert.ok(spent.dht_get <= 150, `${spent.dht_get} look-ups`);
  assert.ok(spent.dht_put <= 50, `${spent.dht_put} records`);
  for (const account of [stranger(2), relay(1)]) {
    assert.ok(budgets.spend(account, "create", 10_000));
    assert.ok(budgets.spend(account, "dht_put", 10_000));
  }
});

Deno.test("clients, at once and through another relay, find a place at a relay that idle circuits of four identities fill", () =>
  withCircuits<MemoryWorld>(inMemory)(async (world) => {
    const relay = await startRelay(world, {
      limits: { circuits: 64, circuitsPerPeer: 16 },
    });
    const guard = await startRelay(world);
    for (let identity = 0; identity < 4; identity++) {
      const hostile = await startClient(world);
      for (let count = 0; count < 16; count++) await tryBuild(hostile, [relay]);
    }
    const honest = [
      await build(await startClient(world), [relay]),
      await build(await startClient(world), [guard, relay]),
    ];
    // Those who have most go on, and end none of who has few.
    const hostile = await startClient(world);
    for (let count = 0; count < 16; count++) await tryBuild(hostile, [relay]);
    for (const circuit of honest) assert.ok(await circuit.ping({}) >= 0);
    assert.deepEqual(relay.errors, []);
  }));

Deno.test("idle circuits between two relays keep no other client from going that way", () =>
  withCircuits<MemoryWorld>(inMemory)(async (world) => {
    const guard = await startRelay(world);
    // 16 of these stay free for requests, and it takes no further link.
    const next = await startRelay(world, {
      node: { linkLimits: { openStreams: 24 }, tableLimits: { links: 1 } },
    });
    const path = [guard, next];
    const hostile = await startClient(world);
    const idle: OwnCircuit[] = [];
    for (let count = 0; count < 8; count++) {
      idle.push(await build(hostile, path));
    }
    const full = await tryBuild(hostile, path);
    assert.deepEqual(full, {
      ok: false,
      failure: { code: "not_extended", hop: 2, reason: "overloaded" },
    });
    const circuit = await build(await startClient(world), path);
    assert.equal(idle.filter(({ isOpen }) => isOpen).length, 7);
    for (let count = 0; count < 8; count++) await tryBuild(hostile, path);
    assert.ok(await circuit.ping({}) >= 0);
    // What lies idle for long gives way to any.
    await sleep(world.clock, LATER_MS);
    await circuit.ping({});
    const other = await build(hostile, path);
    for (const used of [circuit, other]) assert.ok(await used.ping({}) >= 0);
    assert.equal(guard.server.stats.ends.evicted, 2);
    assert.deepEqual([...guard.errors, ...next.errors], []);
  }));

Deno.test("no circuit between two relays gives way while a further link can be had", () =>
  withCircuits<MemoryWorld>(inMemory)(async (world) => {
    const guard = await startRelay(world);
    const next = await startRelay(world, {
      node: { linkLimits: { openStreams: 24 } },
    });
    const hostile = await startClient(world);
    const idle: OwnCircuit[] = [];
    for (let count = 0; count < 20; count++) {
      idle.push(await build(hostile, [guard, next]));
    }
    // They would give way to any by now, and to who has fewer at once.
    await sleep(world.clock, LATER_MS);
    for (const client of [hostile, await startClient(world)]) {
      const circuit = await build(client, [guard, next]);
      assert.ok(await circuit.ping({}) >= 0);
    }
    assert.ok(idle.every(({ isOpen }) => isOpen));
    assert.equal(guard.server.stats.ends.evicted, undefined);
    assert.deepEqual([...guard.errors, ...next.errors], []);
  }));
