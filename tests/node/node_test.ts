import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import type { NodeAddress } from "../../lib/auth/node_address.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { ServiceMemory } from "../../lib/node/host/service_keys.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { testIdentity } from "../support/nodes.ts";
import { inNodeWorld } from "./node_world.ts";

Deno.test("Node.start() is ready at once without bootstrap, and with it once linked", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay();
    assert.equal(first.relay.links.links.length, 0);
    const machine = world.machine();
    await using second = await machine.startRelay({
      bootstrap: [first.address],
    });
    assert.ok(second.relay.links.get(first.address.publicKey));
    assert.ok(machine.log.messages("info").includes("Peer known"));
  }));

Deno.test("Node.start() says that no node can join by a first relay that does not know its address", () =>
  inNodeWorld(async (world) => {
    const listen = { host: "0.0.0.0", port: 4001 };
    const alone = /no node can join the network by it yet/;
    await using first = await world.machine().startRelay();
    for (
      const [bootstrap, advertise, isAlone] of [
        [[], [], true],
        [[], [{ host: "10.9.9.9", port: 4001 }], false],
        [[first.address], [], false],
      ] as const
    ) {
      const machine = world.machine();
      const told: unknown[] = [];
      await using _node = await machine.start({
        relay: { listen, advertise },
        bootstrap,
        onRelay: ({ knowsOthers }) => told.push(knowsOthers),
      });
      const warnings = machine.log.messages("warning");
      assert.equal(warnings.some((text) => alone.test(text)), isAlone);
      assert.deepEqual(told, [bootstrap.length > 0]);
    }
  }));

Deno.test("Node.start() opens no service to all that only some clients could find, before it does anything", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const { files, crypto } = machine.runtime;
    {
      using state = await StateDirectory.open("state", {
        files,
        crypto,
        holder: "test",
        onSetAside: () => {},
      });
      const memory = await ServiceMemory.load(state, "web");
      await memory.take({ name: "web", clients: [new Uint8Array(32).fill(9)] });
    }
    const start = machine.start({
      client: machine.client,
      services: [{ name: "web", targets: new Map() }],
    });
    await assert.rejects(start, { code: "service.restricted" });
    assert.equal(world.clock.nowMs(), 0);
  }));

Deno.test("Node keeps its identity and its onion key over a restart", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const keys: unknown[] = [];
    for (let start = 0; start < 2; start++) {
      await using node = await machine.startRelay();
      keys.push([node.address.publicKey, node.relay.record.current.onionKey]);
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
      await using node = await other.startRelay();
      address = node.address;
    }
    const machine = world.machine();
    const starting = machine.startRelay({ bootstrap: [address] });
    await sleep(world.clock, 5 * 60_000);
    const tries = machine.log.messages("warning").length;
    assert.ok(tries >= 4 && tries <= 20, `${tries} tries in 5 minutes`);
    await using back = await other.startRelay();
    await using node = await starting;
    assert.ok(node.relay.links.get(back.address.publicKey));
  }));

Deno.test("Node.start() joins by the one bootstrap node of many that is there", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay();
    const { crypto } = world.machine().runtime;
    const dead = Array.from({ length: 20 }, (_, index) => ({
      publicKey: testIdentity(crypto, index).publicKey,
      address: { host: "10.9.9.9", port: 1 + index },
    }));
    await using node = await world.machine().startRelay({
      bootstrap: [...dead.slice(10), first.address, ...dead.slice(0, 10)],
    });
    assert.ok(node.relay.links.get(first.address.publicKey));
  }));

Deno.test("Node.start() gives up where every bootstrap node is another one than told", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay();
    const machine = world.machine();
    const { publicKey } = testIdentity(machine.runtime.crypto, 99);
    const { address } = first.address;
    await assert.rejects(
      machine.startRelay({ bootstrap: [{ publicKey, address }] }),
      { name: "ConfigError", code: "node.bootstrap" },
    );
    // What had been started has been stopped: the same machine starts again.
    await using _node = await machine.startRelay({
      bootstrap: [first.address],
    });
  }));

Deno.test("Node.start() ends when told to stop, in the middle of joining", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const { publicKey } = testIdentity(machine.runtime.crypto, 99);
    const stop = new AbortController();
    const starting = machine.startRelay({
      bootstrap: [{ publicKey, address: { host: "10.9.9.9", port: 1 } }],
      signal: stop.signal,
    });
    const reason = new Error("stop");
    await sleep(world.clock, 30_000);
    stop.abort(reason);
    await assert.rejects(starting, reason);
    await using _node = await machine.startRelay();
  }));

Deno.test("Node.start() refuses addresses that no peer could dial, before it does anything", () =>
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
      await assert.rejects(machine.startRelay({ network, advertise }), {
        code: "node.advertise",
      });
    }
    assert.deepEqual(await machine.files.list("state"), []);
  }));

Deno.test("Node goes on without a torn memory, reports it, and stops at a torn key", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    {
      await using _node = await machine.startRelay();
    }
    machine.files.plant("state/onion-keys.blob", new Uint8Array(20));
    {
      await using _node = await machine.startRelay();
    }
    assert.deepEqual(machine.log.messages("error"), [
      "A damaged file was set aside; going on without it",
    ]);
    machine.files.plant("state/identity.key", new Uint8Array(20));
    await assert.rejects(
      machine.startRelay(),
      (error) =>
        error instanceof ConfigError && error.code === "storage.key_damaged",
    );
    await assert.rejects(machine.startRelay(), { code: "storage.key_lost" });
  }));

Deno.test("Node announces a new onion key each week, and keeps the old one for a day", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const day = 24 * 3_600_000;
    {
      await using node = await machine.startRelay();
      const first = node.relay.record.current;
      await sleep(world.clock, 6 * day);
      assert.deepEqual(node.relay.record.current.onionKey, first.onionKey);
      assert.ok(node.relay.record.current.sequence > first.sequence + 5 * day);
      await sleep(world.clock, 1.5 * day);
      assert.notDeepEqual(node.relay.record.current.onionKey, first.onionKey);
      assert.ok(node.relay.record.onionKeys.find(first.onionKey) !== undefined);
      await sleep(world.clock, day);
      assert.equal(node.relay.record.onionKeys.find(first.onionKey), undefined);
      assert.ok(
        node.relay.record.onionKeys.find(node.relay.record.current.onionKey) !==
          undefined,
      );
    }
    // A restart after three weeks takes a new key as well.
    world.clock.jumpUnix(21 * day);
    await using node = await machine.startRelay();
    assert.ok(node.relay.record.current.sequence <= world.clock.unixMs());
    assert.ok(
      world.clock.unixMs() - node.relay.record.onionKeys.current.madeMs < day,
    );
  }));

Deno.test("Node signs a new record within minutes of waking from a long sleep, and of a clock set back", () =>
  inNodeWorld(async (world) => {
    await using node = await world.machine().startRelay();
    for (const jumpMs of [3 * 24 * 3_600_000, -2 * 24 * 3_600_000]) {
      world.clock.jumpUnix(jumpMs);
      await sleep(world.clock, 11 * 60_000);
      const age = world.clock.unixMs() - node.relay.record.current.sequence;
      assert.ok(age >= 0 && age < 2 * 3_600_000, `${age} ms after ${jumpMs}`);
    }
  }));

Deno.test("Node.start() waits for a process that stops on the same state directory", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const first = await machine.startRelay();
    await assert.rejects(machine.startRelay(), { code: "storage.locked" });
    // A stop that takes its time, such as one with open transfers.
    const state = machine.files;
    const text = new TextDecoder().decode(await state.read("state/lock"));
    assert.match(text, /^anonnet state directory\ntest\n$/);
    const stopping = first[Symbol.asyncDispose]();
    const second = machine.startRelay();
    await stopping;
    await using _second = await second;
    assert.deepEqual(
      machine.log.messages("info").filter((message) =>
        message.includes("is stopping on the state directory")
      ).length,
      1,
    );
  }));
