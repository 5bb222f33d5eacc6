/**
 * The DHT among liars: short versions of what the simulator measures at length.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../../lib/dht/records/stored_record.ts";
import { testBytes } from "../support/nodes.ts";
import { crypto, DhtWorld, type WorldNode } from "./dht_world.ts";

const HOUR_MS = 3_600_000;
/** Replicas that a service puts its descriptor in. */
const REPLICAS = 4;

function honest(world: DhtWorld): WorldNode[] {
  return world.nodes.filter(({ behaviour }) => behaviour === "honest");
}

function pick(world: DhtWorld): WorldNode {
  const nodes = honest(world);
  const [a = 0, b = 0] = world.random.bytes(2);
  return nodes[(256 * a + b) % nodes.length] ?? assert.fail();
}

/** A world in which a share of the nodes is hostile from the start. */
function hostileWorld(seed: number, nodes: number, share: number): DhtWorld {
  const world = new DhtWorld({ seed, nodes });
  // By their ids, and so anywhere in the network; never the first, which others start with.
  const others = world.nodes.slice(8).sort((a, b) =>
    (a.record.nodeId[5] ?? 0) - (b.record.nodeId[5] ?? 0)
  );
  for (const [index, node] of others.slice(0, nodes * share).entries()) {
    node.behaviour = index % 2 === 0 ? "liar" : "dropper";
  }
  world.settle(100, 60_000);
  return world;
}

interface Service {
  readonly publisher: Bytes;
  readonly replicas: readonly StoredRecord[];
}

function publish(world: DhtWorld, name: string): Service {
  const signer = crypto.signer(testBytes(name, 32));
  const publisher = signer.publicKey;
  const replicas = Array.from(
    { length: REPLICAS },
    (_, replica) =>
      createStoredRecord(world.network, signer, {
        key: selfCertifyingKey(crypto, publisher, replica),
        sequence: 1,
        expiry: world.unixMs + 12 * HOUR_MS,
        value: testBytes(name, 200),
      }),
  );
  for (const record of replicas) {
    const node = pick(world);
    const taskId = world.begin(
      node,
      (machine, nowMs, unixMs) => machine.put(record, nowMs, unixMs),
    );
    world.await(node, taskId);
  }
  return { publisher, replicas };
}

/** Look for one replica, from anywhere. */
function isFound(world: DhtWorld, service: Service, replica: number): boolean {
  const node = pick(world);
  const key = service.replicas[replica]?.key ?? assert.fail();
  const taskId = world.begin(
    node,
    (machine, nowMs, unixMs) =>
      machine.findValue(key, service.publisher, nowMs, unixMs),
  );
  const result = world.await(node, taskId);
  return result.type === "values" && result.records.length > 0;
}

function countFound(world: DhtWorld, services: readonly Service[]): number {
  let found = 0;
  for (let count = 0; count < 100; count++) {
    const service = services[count % services.length] ?? assert.fail();
    if (isFound(world, service, count % REPLICAS)) found++;
  }
  return found;
}

Deno.test("look-ups succeed with a fifth of the nodes hostile, and after a fifth has been replaced", () => {
  const world = hostileWorld(1, 100, 0.2);
  const services = [1, 2, 3, 4, 5].map((number) =>
    publish(world, `service ${number}`)
  );
  const fresh = countFound(world, services);
  assert.ok(fresh >= 99, `${fresh} of 100`);
  for (let count = 0; count < 20; count++) {
    const victim = world.nodes[8 + 4 * count] ?? assert.fail();
    const newcomer = world.add(victim.behaviour);
    victim.behaviour = "dead";
    world.join(newcomer, world.nodes[count % 8]);
    world.advance(HOUR_MS / 20);
  }
  const churned = countFound(world, services);
  assert.ok(churned >= 99, `${churned} of 100 after churn`);
  const blamed = honest(world).filter((node) => node.blamed.length > 0);
  assert.deepEqual(blamed, [], "an honest node was blamed");
});

Deno.test("liars have no larger part of the tables than of the network", () => {
  const world = hostileWorld(2, 120, 0.2);
  let liars = 0;
  let all = 0;
  const records = new Set(
    world.nodes.filter(({ behaviour }) => behaviour === "liar")
      .map(({ record }) => record),
  );
  for (const { machine } of honest(world)) {
    for (const { record } of machine.table.contacts()) {
      all++;
      if (records.has(record)) liars++;
    }
  }
  // Droppers never answer a ping and are in no table: a ninth of the rest lies.
  assert.ok(liars / all < 0.15, `${liars} of ${all}`);
});

Deno.test("a service is found though the k closest to one of its replicas are hostile", () => {
  const world = new DhtWorld({ seed: 3, nodes: 120 });
  world.settle(100, 60_000);
  let services = 0;
  let found = 0;
  for (let number = 0; number < 5; number++) {
    for (const node of world.nodes) node.behaviour = "honest";
    const signer = crypto.signer(testBytes(`service ${number}`, 32));
    const key = selfCertifyingKey(crypto, signer.publicKey, 0);
    for (const node of world.trueClosest(key, world.network.k)) {
      node.behaviour = "liar";
    }
    const service = publish(world, `service ${number}`);
    for (let client = 0; client < 8; client++) {
      services++;
      const replicas = [0, 1, 2, 3];
      if (replicas.some((replica) => isFound(world, service, replica))) found++;
    }
  }
  assert.ok(found >= 0.95 * services, `${found} of ${services}`);
});
