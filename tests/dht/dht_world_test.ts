import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { nodeKey } from "../../lib/dht/table/node_key.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
} from "../../lib/dht/records/stored_record.ts";
import { testBytes } from "../support/nodes.ts";
import { crypto, DhtWorld, type WorldNode } from "./dht_world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function storedBy(world: DhtWorld, name: string, lifeMs: number) {
  const signer = crypto.signer(testBytes(name, 32));
  const key = selfCertifyingKey(crypto, signer.publicKey, 0);
  return createStoredRecord(world.network, signer, {
    key,
    sequence: 1,
    expiry: world.unixMs + lifeMs,
    value: testBytes(name, 500),
  });
}

function put(
  world: DhtWorld,
  node: WorldNode,
  record: ReturnType<typeof storedBy>,
) {
  const taskId = world.begin(
    node,
    (machine, nowMs, unixMs) => machine.put(record, nowMs, unixMs),
  );
  const result = world.await(node, taskId);
  return result.type === "stored" ? result : assert.fail();
}

function find(world: DhtWorld, node: WorldNode, key: Bytes) {
  const taskId = world.begin(
    node,
    (machine, nowMs, unixMs) =>
      machine.findValue(key, undefined, nowMs, unixMs),
  );
  const result = world.await(node, taskId);
  return result.type === "values" ? result : assert.fail();
}

function holders(world: DhtWorld, key: Bytes): WorldNode[] {
  return world.nodes.filter(({ behaviour, machine }) =>
    behaviour !== "dead" && machine.store.get(key, world.unixMs).length > 0
  );
}

function pick(world: DhtWorld): WorldNode {
  const alive = world.nodes.filter(({ behaviour }) => behaviour === "honest");
  const [a = 0, b = 0] = world.random.bytes(2);
  return alive[(256 * a + b) % alive.length] ?? assert.fail();
}

Deno.test("24 nodes that start one after the other each know all 24 within a minute", () => {
  const world = new DhtWorld({ seed: 1, nodes: 24 });
  for (const node of world.nodes) {
    world.join(node, node.index === 0 ? undefined : world.nodes[0]);
    world.advance(2000);
    if (node.index > 0) assert.ok(node.machine.hasJoined);
  }
  world.advance(MINUTE_MS);
  for (const { machine } of world.nodes) {
    assert.equal(machine.statistics().relays, 24);
    assert.equal(machine.statistics().contacts, 23);
  }
});

Deno.test("the dead leave all tables in minutes, and look-ups go on meanwhile", () => {
  const world = new DhtWorld({ seed: 2, nodes: 24 });
  world.settle(500, MINUTE_MS);
  const record = storedBy(world, "a value", HOUR_MS);
  put(world, pick(world), record);
  const dead = world.nodes.filter(({ index }) => index % 3 === 1);
  for (const node of dead) node.behaviour = "dead";
  for (let round = 0; round < 10; round++) {
    assert.equal(find(world, pick(world), record.key).records.length, 1);
    world.advance(5000);
  }
  // No node notices a silent contact sooner than its next question to it.
  world.advance(30 * MINUTE_MS);
  const keys = new Set(dead.map((node) => nodeKey(node.record)));
  for (const { behaviour, machine } of world.nodes) {
    if (behaviour === "dead") continue;
    const left = [...machine.table.contacts()]
      .filter((contact) => keys.has(nodeKey(contact.record)));
    assert.equal(left.length, 0);
    assert.equal(machine.table.size, 15);
  }
});

Deno.test("look-ups find exactly the true closest nodes, in few steps", () => {
  const world = new DhtWorld({ seed: 3, nodes: 120 });
  world.settle(100, MINUTE_MS);
  let asked = 0;
  for (let count = 0; count < 30; count++) {
    const target = world.random.bytes(32);
    const node = pick(world);
    const taskId = world.begin(
      node,
      (machine, nowMs, unixMs) => machine.findNode(target, nowMs, unixMs),
    );
    const result = world.await(node, taskId);
    if (result.type !== "nodes") assert.fail();
    const expected = world.trueClosest(
      target,
      world.network.k,
      (other) => other !== node,
    );
    assert.deepEqual(
      result.closest.map(nodeKey),
      expected.map(({ record }) => nodeKey(record)),
    );
    assert.ok(result.hops <= 3, `${result.hops} hops`);
    asked += result.asked;
  }
  assert.ok(asked / 30 < 32, `${asked / 30} asked on average`);
});

Deno.test("a record expires on all its holders at one moment", () => {
  const world = new DhtWorld({ seed: 4, nodes: 40 });
  world.settle(100, MINUTE_MS);
  const record = storedBy(world, "short", 10 * MINUTE_MS);
  const { copies, refused } = put(world, pick(world), record);
  assert.equal(copies, world.network.k);
  assert.equal(refused.size, 0);
  world.advance(record.expiry - 1 - world.unixMs);
  assert.ok(holders(world, record.key).length >= world.network.k);
  world.advance(1);
  assert.equal(holders(world, record.key).length, 0);
  assert.equal(find(world, pick(world), record.key).records.length, 0);
  world.advance(2 * MINUTE_MS);
  for (const { machine } of world.nodes) {
    assert.equal(machine.statistics().records, 0);
  }
});

Deno.test("a record outlives its holders", () => {
  const world = new DhtWorld({ seed: 5, nodes: 40 });
  world.settle(100, MINUTE_MS);
  const record = storedBy(world, "lasting", 8 * HOUR_MS);
  put(world, pick(world), record);
  const first = holders(world, record.key);
  for (const node of first) {
    world.advance(6 * MINUTE_MS);
    node.behaviour = "dead";
    world.join(world.add(), pick(world));
  }
  world.advance(2 * HOUR_MS);
  assert.ok(first.every(({ behaviour }) => behaviour === "dead"));
  const now = holders(world, record.key);
  assert.ok(now.length >= world.network.k / 2, `${now.length} holders`);
  const found = find(world, pick(world), record.key);
  assert.deepEqual(found.records, [record]);
});

Deno.test("one seed gives one run, and another gives another", () => {
  const run = (seed: number) => {
    const world = new DhtWorld({ seed, nodes: 20 });
    world.settle(300, 5 * MINUTE_MS);
    const record = storedBy(world, "value", HOUR_MS);
    put(world, pick(world), record);
    return JSON.stringify([
      world.sent,
      world.nowMs,
      holders(world, record.key).map(({ index }) => index),
      world.nodes.map(({ machine }) => machine.statistics()),
    ]);
  };
  assert.equal(run(6), run(6));
  assert.notEqual(run(6), run(7));
});
