/** What both worlds have in common: relays join, find each other, and go away. */
import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nodeKey } from "../../../lib/dht/table/node_key.ts";
import { RECORD_STORE_LIMITS } from "../../../lib/dht/records/record_store.ts";
import type { StoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { Conspiracy } from "../../../lib/sim/world/behaviour.ts";
import { Flood } from "../../../lib/sim/flood.ts";
import {
  MachineWorld,
  type MachineWorldOptions,
} from "../../../lib/sim/world/machine_world.ts";
import { NodeWorld } from "../../../lib/sim/world/node_world.ts";
import { Publication } from "../../../lib/sim/publication.ts";
import { rememberingSuite } from "../../../lib/sim/world/remembering_suite.ts";
import type {
  SimNode,
  SimNodesFound,
  SimWorld,
} from "../../../lib/sim/world/sim_world.ts";
import { TEST_UNIX_MS } from "../../support/nodes.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function makeWorld(
  kind: "nodes" | "machines",
  more: Pick<MachineWorldOptions, "loss" | "storeLimits"> = {},
): SimWorld {
  const network = networkParameters("local");
  const options = {
    crypto: rememberingSuite(),
    network,
    random: seededRandom(1),
    startUnixMs: TEST_UNIX_MS,
    conspiracy: new Conspiracy(network),
    ...more,
  };
  return kind === "nodes" ? new NodeWorld(options) : new MachineWorld(options);
}

async function grow(world: SimWorld, count: number): Promise<SimNode> {
  const first = world.add();
  for (let index = 1; index < count; index++) {
    await world.advance(1000);
    world.add({ via: first });
  }
  await world.advance(2 * MINUTE_MS);
  return first;
}

/** A look-up by a node, run to its end. */
async function find(
  world: SimWorld,
  node: SimNode,
  target: Uint8Array<ArrayBuffer>,
): Promise<SimNodesFound> {
  let result: SimNodesFound | undefined;
  node.findNode(target, (found) => result = found);
  await world.advance(MINUTE_MS);
  return result ?? assert.fail("the look-up did not end");
}

async function publish(
  world: SimWorld,
  node: SimNode,
  lifeMs: number,
): Promise<Publication> {
  const value = Publication.draw(world, seededRandom(5));
  const expiry = world.unixMs + lifeMs;
  for (const record of value.publish(world, { replicas: 1, expiry })) {
    let copies: number | undefined;
    node.put(record, (count) => copies = count);
    await world.advance(MINUTE_MS);
    assert.ok(copies !== undefined && copies > 0);
  }
  return value;
}

function holders(world: SimWorld, { records }: Publication): SimNode[] {
  const [{ key, publisher } = assert.fail()] = records;
  return world.nodes.filter((node) =>
    node.isUp && node.dht.store.get(key, world.unixMs, publisher).length > 0
  );
}

for (const kind of ["nodes", "machines"] as const) {
  Deno.test(`${kind}: 24 relays that start one after the other join within 5 s, and all know all within a minute`, async () => {
    const world = makeWorld(kind);
    const first = world.add();
    for (let index = 1; index < 24; index++) {
      await world.advance(1000);
      const beganMs = world.nowMs;
      const node = world.add({ via: first });
      await world.advance(5000);
      assert.ok(node.joinedMs !== undefined && node.joinedMs > beganMs);
    }
    await world.advance(55_000);
    for (const { dht } of world.nodes) {
      assert.equal(dht.relays.size, 24);
      assert.equal(dht.table.size, 23);
    }
  });

  Deno.test(`${kind}: when a third of the relays crash, look-ups go on, and the dead leave all tables`, async () => {
    const world = makeWorld(kind);
    const first = await grow(world, 24);
    const value = await publish(world, first, HOUR_MS);
    const dead = world.nodes.filter(({ index }) => index % 3 === 1);
    const keys = new Set(dead.map(({ record }) => nodeKey(record)));
    for (const node of dead) world.remove(node, "crash");
    const [{ key, publisher } = assert.fail()] = value.records;
    for (const reader of world.nodes.filter(({ isUp }) => isUp)) {
      let found = 0;
      reader.get(key, publisher, (end) => found = end?.records.length ?? 0);
      await world.advance(10_000);
      assert.equal(found, 1, `relay ${reader.index}`);
    }
    await world.advance(30 * MINUTE_MS);
    for (const { dht } of world.nodes.filter(({ isUp }) => isUp)) {
      for (const { record } of dht.table.contacts()) {
        assert.ok(!keys.has(nodeKey(record)));
      }
      assert.equal(dht.table.size, 15);
    }
  });

  Deno.test(`${kind}: a look-up finds exactly the closest, also where messages are lost`, async () => {
    const world = makeWorld(kind, { loss: 0.05 });
    const first = await grow(world, 30);
    const random = seededRandom(9);
    for (let count = 0; count < 5; count++) {
      const target = random.bytes(32);
      const { closest, asked } = await find(world, first, target);
      assert.equal(closest.length, world.network.k);
      assert.ok(asked <= 30);
    }
    assert.ok(world.requests > 100);
    assert.ok(world.dials > 29 && world.links > 0);
  });

  Deno.test(`${kind}: a network that was cut in two is one again after`, async () => {
    const world = makeWorld(kind);
    const first = await grow(world, 16);
    const value = await publish(world, first, 5 * HOUR_MS);
    const island = world.nodes.filter(({ index }) => index % 4 === 3);
    const cut = world.cut(island);
    await world.advance(20 * MINUTE_MS);
    const reader = island[0] ?? assert.fail();
    const [{ key, publisher } = assert.fail()] = value.records;
    const isolated = await find(world, reader, key);
    assert.ok(isolated.closest.length <= island.length - 1);
    cut[Symbol.dispose]();
    await world.advance(30 * MINUTE_MS);
    let found = 0;
    reader.get(key, publisher, (end) => found = end?.records.length ?? 0);
    await world.advance(MINUTE_MS);
    assert.equal(found, 1);
    const whole = await find(world, reader, key);
    assert.ok(whole.closest.length > island.length);
  });

  Deno.test(`${kind}: a value expires on all its holders at one moment`, async () => {
    const world = makeWorld(kind);
    const first = await grow(world, 24);
    const short = await publish(world, first, 10 * MINUTE_MS);
    assert.ok(holders(world, short).length >= world.network.k);
    const [{ expiry } = assert.fail()] = short.records;
    await world.advance(expiry - 1 - world.unixMs);
    assert.ok(holders(world, short).length >= world.network.k);
    await world.advance(1);
    assert.equal(holders(world, short).length, 0);
  });

  Deno.test(`${kind}: a flood of records fills no store beyond its share, and look-ups go on`, async () => {
    const world = makeWorld(kind);
    const first = await grow(world, 12);
    const value = await publish(world, first, 5 * HOUR_MS);
    const flooder = world.add({ via: first, behaviour: "flooder" });
    new Flood(world, seededRandom(3)).start();
    await world.advance(12 * MINUTE_MS);
    let flooded = 0;
    for (const node of world.nodes) {
      if (node === flooder) continue;
      flooded += node.dht.store.records;
      assert.ok(node.dht.store.records <= 2_000 + 1);
    }
    assert.ok(flooded > 1000, `${flooded} records of the flood`);
    const [{ key, publisher } = assert.fail()] = value.records;
    let found = 0;
    first.get(key, publisher, (end) => found = end?.records.length ?? 0);
    await world.advance(MINUTE_MS);
    assert.equal(found, 1);
  });

  Deno.test(`${kind}: tasks of a relay that goes away end with nothing`, async () => {
    const world = makeWorld(kind);
    const first = await grow(world, 12);
    const [, second = assert.fail()] = world.nodes;
    let ends = 0;
    second.findNode(first.record.place, (found) => {
      assert.equal(found, undefined);
      ends++;
    });
    world.remove(second, "stop");
    await world.advance(MINUTE_MS);
    second.findNode(first.record.place, (found) => {
      assert.equal(found, undefined);
      ends++;
    });
    assert.equal(ends, 2);
    world.remove(second, "stop");
    assert.equal(second.isUp, false);
  });
}

Deno.test("machines: where more is published than stores hold, each is full, and all are found", async () => {
  const maxRecords = 100;
  const world = makeWorld("machines", {
    storeLimits: { ...RECORD_STORE_LIMITS, maxRecords },
  });
  const first = await grow(world, 12);
  const random = seededRandom(6);
  const expiry = world.unixMs + 5 * HOUR_MS;
  const values: StoredRecord[] = [];
  for (let count = 0; count < maxRecords + 30; count++) {
    const value = Publication.draw(world, random);
    values.push(...value.publish(world, { replicas: 1, expiry }));
    const publisher = world.nodes[count % 12] ?? first;
    for (const record of value.records) publisher.put(record, () => {});
    await world.advance(1000);
  }
  await world.advance(MINUTE_MS);
  for (const { dht } of world.nodes) {
    assert.equal(dht.store.records, maxRecords);
  }
  let found = 0;
  for (const { key, publisher } of values) {
    first.get(key, publisher, (end) => found += end?.records.length ?? 0);
    await world.advance(5000);
  }
  assert.equal(found, values.length);
});

Deno.test("machines: a value outlives its holders", async () => {
  const world = makeWorld("machines");
  const first = await grow(world, 30);
  const lasting = await publish(world, first, 8 * HOUR_MS);
  const before = holders(world, lasting);
  for (const node of before) {
    if (node === first) continue;
    await world.advance(5 * MINUTE_MS);
    world.remove(node, "stop");
    world.add({ via: first });
  }
  await world.advance(90 * MINUTE_MS);
  const after = holders(world, lasting)
    .filter((node) => !before.includes(node));
  assert.ok(after.length >= world.network.k / 2, `${after.length} holders`);
});

Deno.test("machines: relays are listed for as long as a run may take, though no record is renewed", () => {
  const world = makeWorld("machines");
  const { dht, record } = world.add();
  const weekLater = world.unixMs + 7 * 24 * HOUR_MS;
  assert.deepEqual([...dht.relays.listedRecords(weekLater)], [record]);
});
