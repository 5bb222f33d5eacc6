import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import type { NodeAddress } from "../../lib/auth/node_address.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import type { Node } from "../../lib/node/node.ts";
import { testIdentity } from "../support/nodes.ts";
import { inNodeWorld } from "./node_world.ts";

function addressOf(node: Node): NodeAddress {
  assert.ok(node.address !== undefined);
  return node.address;
}

Deno.test("Node.start() is ready at once without bootstrap, and with it once linked", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().start();
    assert.equal(first.links.links.length, 0);
    const machine = world.machine();
    await using second = await machine.start({ bootstrap: [addressOf(first)] });
    assert.ok(second.links.get(first.publicKey));
    assert.ok(machine.log.messages("info").includes("Peer known"));
  }));

Deno.test("Node keeps its identity and its onion key over a restart", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const keys: unknown[] = [];
    for (let start = 0; start < 2; start++) {
      await using node = await machine.start();
      keys.push([node.publicKey, node.record.onionKey]);
    }
    assert.deepEqual(keys[0], keys[1]);
    assert.deepEqual(
      machine.log.messages("info").filter((text) => /identity/.test(text)),
      ["Made a new identity; keep a copy of its key file"],
    );
  }));

Deno.test("Node.start() keeps trying a bootstrap node that is down, and says so", () =>
  inNodeWorld(async (world) => {
    const other = world.machine();
    let address: NodeAddress;
    {
      await using node = await other.start();
      address = addressOf(node);
    }
    const machine = world.machine();
    const starting = machine.start({ bootstrap: [address] });
    await sleep(world.clock, 5 * 60_000);
    const tries = machine.log.messages("warning").length;
    assert.ok(tries >= 4 && tries <= 20, `${tries} tries in 5 minutes`);
    await using back = await other.start();
    await using node = await starting;
    assert.ok(node.links.get(back.publicKey));
  }));

Deno.test("Node.start() joins by the one bootstrap node of many that is there", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().start();
    const { crypto } = world.machine().runtime;
    const dead = Array.from({ length: 20 }, (_, index) => ({
      publicKey: testIdentity(crypto, index).publicKey,
      address: { host: "10.9.9.9", port: 1 + index },
    }));
    await using node = await world.machine().start({
      bootstrap: [...dead.slice(10), addressOf(first), ...dead.slice(0, 10)],
    });
    assert.ok(node.links.get(first.publicKey));
  }));

Deno.test("Node.start() gives up where every bootstrap node is somebody else", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().start();
    const machine = world.machine();
    const { publicKey } = testIdentity(machine.runtime.crypto, 99);
    const { address } = addressOf(first);
    await assert.rejects(
      machine.start({ bootstrap: [{ publicKey, address }] }),
      { name: "ConfigError", code: "node.bootstrap" },
    );
    // What had been started has been stopped: the same machine starts again.
    await using _node = await machine.start({ bootstrap: [addressOf(first)] });
  }));

Deno.test("Node.start() ends when told to stop, in the middle of joining", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const { publicKey } = testIdentity(machine.runtime.crypto, 99);
    const stop = new AbortController();
    const starting = machine.start({
      bootstrap: [{ publicKey, address: { host: "10.9.9.9", port: 1 } }],
      signal: stop.signal,
    });
    const reason = new Error("stop");
    await sleep(world.clock, 30_000);
    stop.abort(reason);
    await assert.rejects(starting, reason);
    await using _node = await machine.start();
  }));

Deno.test("Node.start() refuses addresses that nobody could dial, before it does anything", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const network = networkParameters("main");
    for (
      const advertise of [
        [{ host: "10.0.0.1", port: 4001 }],
        [{ host: "127.0.0.1", port: 4001 }],
        [{ host: "fe80::1", port: 4001 }],
        [{ host: "8.8.8.8", port: 0 }],
        Array.from({ length: 5 }, (_, n) => ({ host: "8.8.8.8", port: 1 + n })),
      ]
    ) {
      await assert.rejects(machine.start({ network, advertise }), {
        code: "node.advertise",
      });
    }
    assert.deepEqual(await machine.files.list("state"), []);
  }));

Deno.test("Node goes on without a torn memory, reports it, and stops at a torn key", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    {
      await using _node = await machine.start();
    }
    machine.files.plant("state/onion-keys.blob", new Uint8Array(20));
    {
      await using _node = await machine.start();
    }
    assert.deepEqual(machine.log.messages("error"), [
      "A damaged file was set aside; going on without it",
    ]);
    machine.files.plant("state/identity.key", new Uint8Array(20));
    await assert.rejects(
      machine.start(),
      (error) =>
        error instanceof ConfigError && error.code === "storage.key_damaged",
    );
    await assert.rejects(machine.start(), { code: "storage.key_lost" });
  }));

Deno.test("Node announces a new onion key each week, and keeps the old one for a day", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const day = 24 * 3_600_000;
    {
      await using node = await machine.start();
      const first = node.record;
      await sleep(world.clock, 6 * day);
      assert.deepEqual(node.record.onionKey, first.onionKey);
      assert.ok(node.record.sequence > first.sequence + 5 * day);
      await sleep(world.clock, 1.5 * day);
      assert.notDeepEqual(node.record.onionKey, first.onionKey);
      assert.ok(node.onionKeys.find(first.onionKey) !== undefined);
      await sleep(world.clock, day);
      assert.equal(node.onionKeys.find(first.onionKey), undefined);
      assert.ok(node.onionKeys.find(node.record.onionKey) !== undefined);
    }
    // A restart after three weeks takes a new key as well.
    world.clock.jumpUnix(21 * day);
    await using node = await machine.start();
    assert.ok(node.record.sequence <= world.clock.unixMs());
    assert.ok(world.clock.unixMs() - node.onionKeys.current.madeMs < day);
  }));

Deno.test("Node signs a new record within minutes of waking from a long sleep, and of a clock set back", () =>
  inNodeWorld(async (world) => {
    await using node = await world.machine().start();
    for (const jumpMs of [3 * 24 * 3_600_000, -2 * 24 * 3_600_000]) {
      world.clock.jumpUnix(jumpMs);
      await sleep(world.clock, 11 * 60_000);
      const age = world.clock.unixMs() - node.record.sequence;
      assert.ok(age >= 0 && age < 3_600_000, `${age} ms after ${jumpMs}`);
    }
  }));
