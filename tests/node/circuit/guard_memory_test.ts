import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import type { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { systemError } from "../../support/failing_files.ts";
import { inNodeWorld } from "../node_world.ts";

/** Lets no kept relays be written, from now on until it is called off. */
function fill(files: MemoryFiles): Disposable {
  const create = files.create.bind(files);
  files.create = (path) =>
    /guards|layer2/.test(path)
      ? Promise.reject(systemError("ENOSPC", "No space left on device"))
      : create(path);
  return { [Symbol.dispose]: () => void (files.create = create) };
}

Deno.test("a client whose guards cannot be stored meets none, says so once, and goes on when they can", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(8, stack);
    const machine = world.machine();
    const bootstrap = relays.slice(0, 2).map(({ address }) => address);
    // What a first start must store before: its list of relays is none of it.
    const first = await machine.start({ client: machine.client, bootstrap });
    await first[Symbol.asyncDispose]();
    for (const name of ["guards.blob", "layer2.blob", "dht-contacts.blob"]) {
      await machine.files.remove(`state/${name}`);
    }
    const full = fill(machine.files);
    // A stop that is asked for is the only end of this start.
    const starting = machine.start({
      client: machine.client,
      bootstrap,
      control: "off",
    });
    let isReady = false;
    starting.then(() => isReady = true);
    await sleep(world.clock, 60_000);
    assert.equal(isReady, false);
    // Those to join by know it already; no other is met that would be forgotten.
    const linked = relays.slice(2).filter(({ relay }) =>
      relay.links.links.some(({ isRelay }) => !isRelay)
    );
    assert.equal(linked.length, 0);
    const said = machine.log.lines.filter(({ message }) =>
      message.startsWith("Cannot store who our guards are")
    );
    assert.equal(said.length, 1);

    full[Symbol.dispose]();
    await sleep(world.clock, 10_000);
    await using _node = await starting;
    const stored = await machine.files.list("state");
    assert.ok(stored.includes("guards.blob"));
  }));

Deno.test("a client goes on over guards that are stored while the disk is full", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(8, stack);
    const machine = world.machine();
    await using node = await machine.start({
      client: machine.client,
      bootstrap: relays.slice(0, 2).map(({ address }) => address),
    });
    const { circuits } = node.client ?? assert.fail();
    using _full = fill(machine.files);
    const { signal } = new AbortController();
    for (let n = 0; n < 5; n++) {
      (await circuits.take({ purpose: "rendezvous", signal })).close();
    }
  }));

Deno.test("a client remembers since when relays are known, and begins anew where that file is torn", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(8, stack);
    const machine = world.machine();
    const bootstrap = relays.slice(0, 2).map(({ address }) => address);
    const run = async () => {
      await using _node = await machine.start({
        client: machine.client,
        bootstrap,
      });
      await sleep(world.clock, 1000);
    };
    await run();
    const first = await machine.files.read("state/tenure.blob");
    await sleep(world.clock, 3_600_000);
    await run();
    const second = await machine.files.read("state/tenure.blob");
    assert.deepEqual(second, first);
    assert.ok(first !== undefined && first.length > 8 * 36);

    await machine.files.remove("state/tenure.blob");
    const torn = await machine.files.create("state/tenure.blob");
    await torn.write(first.subarray(0, 50));
    torn[Symbol.dispose]();
    await run();
    const third = await machine.files.read("state/tenure.blob");
    assert.equal(third?.length, first.length);
    assert.notDeepEqual(third, first);
  }));

Deno.test("the list of a relay keeps those that its own client depends on", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(16, stack);
    const machine = world.machine();
    const node = stack.use(
      await machine.start({
        relay: {
          listen: { ...machine.client.dialFrom, port: 4001 },
          advertise: [],
        },
        client: machine.client,
        bootstrap: [relays[0]?.address ?? assert.fail()],
      }),
    );
    await sleep(world.clock, 60_000);
    const { relay, client } = node;
    const list = relay?.dht.machine.relays ?? assert.fail();
    assert.ok(list.listed >= 16);
    // As if none had answered for a day.
    list.unlistOld(world.clock.nowMs() + 24 * 3_600_000);
    const guards = client?.circuits.guards ?? [];
    assert.equal(guards.length, 2);
    for (const { nodeId } of guards) assert.ok(list.isListed(nodeId));
    // Ten guards in a line, four layer-2 guards, and the relay itself at most.
    assert.ok(list.listed <= 15, `${list.listed} listed`);
  }));
