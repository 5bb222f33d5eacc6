import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { inNodeWorld } from "../node_world.ts";

const LOST = "Other relays do not reach this one at the address that it";

Deno.test("a relay that others reach hears so from all that it asks, and says it once", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await world.relays(3, stack);
    assert.ok(first !== undefined);
    const machine = world.machine();
    await using node = await machine.startRelay({
      bootstrap: [first.address],
    });
    assert.equal(node.relay.reach.status.state, "unknown");
    await sleep(world.clock, 15_000);
    assert.deepEqual(node.relay.reach.status, {
      state: "reached",
      reached: 3,
      silent: 0,
    });
    await sleep(world.clock, 2 * 3600_000);
    const told = machine.log.messages("info")
      .filter((line) => line === "Other relays reach this one");
    assert.equal(told.length, 1);
  }));

Deno.test("a relay that advertises where it is not is told so within 25 s, and that it is reached once it is", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await world.relays(3, stack);
    assert.ok(first !== undefined);
    const machine = world.machine();
    const bootstrap = [first.address];
    {
      const advertise = [{ host: "10.9.9.9", port: 4001 }];
      await using node = await machine.startRelay({ bootstrap, advertise });
      await sleep(world.clock, 24_000);
      const { state, reached, silent } = node.relay.reach.status;
      assert.deepEqual([state, reached], ["not_reached", 0]);
      assert.ok(silent >= 1);
      const told = machine.log.messages("warning")
        .filter((line) => line.startsWith(LOST));
      assert.equal(told.length, 1);
    }
    // The operator takes the wrong address back: what was said of it is of before.
    await using node = await machine.startRelay({ bootstrap });
    await sleep(world.clock, 24_000);
    assert.equal(node.relay.reach.status.state, "reached");
  }));

Deno.test("the first relay of a network asks no other, and knows nothing of it", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await using node = await machine.startRelay();
    await sleep(world.clock, 3600_000);
    assert.equal(node.relay.reach.status.state, "unknown");
    assert.deepEqual(machine.log.messages("warning"), []);
  }));
