/** Networks whose nodes remember each other at addresses that are gone. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { inNodeWorld, type Machine, type RelayNode } from "./node_world.ts";

/** Relays must be back by then, ms. */
const BACK_MS = 30_000;
/** A client must, whose guards have waits of up to 30 s behind them, ms. */
const CLIENT_BACK_MS = 45_000;
/** Relays must all know of each other by then, where they are now, ms. */
const MERGED_MS = 60_000;
/** Of relays that come back later than their first, and a client that waits for them. */
const WAITS = [
  { lateMs: 2_000, clientMs: 10_000 },
  { lateMs: 12_000, clientMs: 10_000 },
  { lateMs: 60_000, clientMs: BACK_MS },
];

/** Start a relay at another port than before, with its state. */
function moveRelay(
  machine: Machine,
  bootstrap: readonly RelayNode[],
): Promise<RelayNode> {
  const { host } = machine.client.dialFrom;
  return machine.startRelay({
    relay: { listen: { host, port: 5001 }, advertise: [] },
    bootstrap: bootstrap.map(({ address }) => address),
  });
}

for (const named of [0, 1]) {
  Deno.test(`relays that all moved, and a client that remembers them, are together again by the ${named === 0 ? "first" : "last"} one's address`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const machines = Array.from({ length: 8 }, () => world.machine());
      const visitor = world.machine();
      {
        await using old = new AsyncDisposableStack();
        const [first, ...others] = machines;
        assert.ok(first !== undefined);
        const start = old.use(await first.startRelay());
        const bootstrap = [start.address];
        for (const machine of others) {
          old.use(await machine.startRelay({ bootstrap }));
        }
        await sleep(world.clock, 60_000);
        const node = await visitor.start({ client: visitor.client, bootstrap });
        await node[Symbol.asyncDispose]();
      }
      const order = named === 0 ? machines : machines.toReversed();
      const [first, ...others] = order;
      assert.ok(first !== undefined);
      const startMs = world.clock.nowMs();
      const start = stack.use(await moveRelay(first, []));
      await Promise.all(
        others.map(async (machine) =>
          stack.use(await moveRelay(machine, [start]))
        ),
      );
      const relaysMs = world.clock.nowMs() - startMs;
      assert.ok(relaysMs <= BACK_MS, `relays are back after ${relaysMs} ms`);
      const visitMs = world.clock.nowMs();
      stack.use(
        await visitor.start({
          client: visitor.client,
          bootstrap: [start.address],
        }),
      );
      const tookMs = world.clock.nowMs() - visitMs;
      assert.ok(
        tookMs <= CLIENT_BACK_MS,
        `the client is back after ${tookMs} ms`,
      );
    }));
}

for (const { lateMs, clientMs } of WAITS) {
  Deno.test(`a client that waits for relays that all moved is ready soon after they are, ${lateMs / 1000} s later`, () =>
    inNodeWorld(async (world) => {
      await using stack = new AsyncDisposableStack();
      const machines = Array.from({ length: 8 }, () => world.machine());
      const visitor = world.machine();
      const [first, ...others] = machines;
      assert.ok(first !== undefined);
      {
        await using old = new AsyncDisposableStack();
        const start = old.use(await first.startRelay());
        const bootstrap = [start.address];
        for (const machine of others) {
          old.use(await machine.startRelay({ bootstrap }));
        }
        await sleep(world.clock, 60_000);
        const node = await visitor.start({ client: visitor.client, bootstrap });
        await node[Symbol.asyncDispose]();
      }
      const start = stack.use(await moveRelay(first, []));
      const starting = visitor.start({
        client: visitor.client,
        bootstrap: [start.address],
      });
      await sleep(world.clock, lateMs);
      await Promise.all(
        others.map(async (machine) =>
          stack.use(await moveRelay(machine, [start]))
        ),
      );
      const backMs = world.clock.nowMs();
      stack.use(await starting);
      const tookMs = world.clock.nowMs() - backMs;
      assert.ok(
        tookMs <= clientMs,
        `the client is ready ${tookMs} ms after the relays`,
      );
    }));
}

Deno.test("a relay with none but dead acquaintances is ready as soon as another joins by it", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [gone, machine] = [world.machine(), world.machine()];
    const dead = await gone.startRelay();
    const { address } = dead;
    await dead[Symbol.asyncDispose]();
    const own = await machine.startRelay();
    await own[Symbol.asyncDispose]();
    const starting = machine.startRelay({ bootstrap: [address] });
    let isReady = false;
    starting.then(() => isReady = true);
    await sleep(world.clock, 5 * 60_000);
    assert.equal(isReady, false);
    assert.ok(
      machine.log.messages("warning").some((message) =>
        message.startsWith("No bootstrap node answers")
      ),
    );
    const other = world.machine();
    stack.use(await other.startRelay({ bootstrap: [own.address] }));
    await sleep(world.clock, BACK_MS);
    assert.equal(isReady, true);
    stack.use(await starting);
  }));

Deno.test("relays that moved without an address of another say what they wait for, and are together once they are given one", () =>
  inNodeWorld(async (world) => {
    const machines = [world.machine(), world.machine(), world.machine()];
    const [first, second, third] = machines;
    assert.ok(first && second && third);
    {
      await using old = new AsyncDisposableStack();
      const start = old.use(await first.startRelay());
      for (const machine of [second, third]) {
        old.use(await machine.startRelay({ bootstrap: [start.address] }));
      }
      await sleep(world.clock, 60_000);
    }
    await using stack = new AsyncDisposableStack();
    const told = (machine: Machine) =>
      machine.log.messages("warning").filter((message) =>
        /remembers answers.*--bootstrap/.test(message)
      ).length;
    const start = stack.use(await moveRelay(first, []));
    for (const machine of [second, third]) {
      await using _island = await moveRelay(machine, []);
      await sleep(world.clock, BACK_MS);
      assert.equal(told(machine), 1);
    }
    assert.equal(told(first), 1);
    const startMs = world.clock.nowMs();
    for (const machine of [second, third]) {
      stack.use(await moveRelay(machine, [start]));
    }
    assert.ok(world.clock.nowMs() - startMs <= BACK_MS);
    // Those that are together have nothing to say of it.
    await sleep(world.clock, 60_000);
    assert.deepEqual(machines.map(told), [1, 1, 1]);
  }));

Deno.test("islands, each of which remembers the other where it is no longer, are one network once a relay joins by both", () =>
  inNodeWorld(async (world) => {
    const machines = Array.from({ length: 6 }, () => world.machine());
    {
      await using old = new AsyncDisposableStack();
      const [first, ...others] = machines;
      assert.ok(first !== undefined);
      const start = old.use(await first.startRelay());
      for (const machine of others) {
        old.use(await machine.startRelay({ bootstrap: [start.address] }));
      }
      await sleep(world.clock, 60_000);
    }
    await using stack = new AsyncDisposableStack();
    const island = async ([first, ...others]: readonly Machine[]) => {
      assert.ok(first !== undefined);
      const start = stack.use(await moveRelay(first, []));
      const joined = await Promise.all(
        others.map((machine) => moveRelay(machine, [start])),
      );
      return [start, ...joined.map((relay) => stack.use(relay))];
    };
    const [near, far] = await Promise.all([
      island(machines.slice(0, 3)),
      island(machines.slice(3)),
    ]);
    /** Whom a relay lists where it is now. */
    const listed = ({ relay }: RelayNode) =>
      relay.dht.relays.snapshot().filter(({ addresses: [address] }) =>
        address?.port === 5001
      ).length;
    await sleep(world.clock, MERGED_MS);
    assert.deepEqual([...near, ...far].map(listed), Array(6).fill(3));
    const [nearFirst, farFirst] = [near[0], far[0]];
    assert.ok(nearFirst !== undefined && farFirst !== undefined);
    const bridge = stack.use(
      await moveRelay(world.machine(), [nearFirst, farFirst]),
    );
    await sleep(world.clock, MERGED_MS);
    assert.deepEqual([...near, ...far, bridge].map(listed), Array(7).fill(7));
  }));
