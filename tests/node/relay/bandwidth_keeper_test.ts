import assert from "node:assert/strict";
import { LEAST_DECLARED } from "../../../lib/auth/observed_bandwidth.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { BandwidthKeeper } from "../../../lib/node/relay/bandwidth_keeper.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { inNodeWorld, type NodeWorld } from "../node_world.ts";

/** A machine with a state directory, and a count of bytes carried. */
async function relayIn(world: NodeWorld) {
  const { runtime } = world.machine();
  const { crypto, files } = runtime;
  const { blobs } = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
  return { runtime, blobs, carried: 0 };
}

Deno.test("BandwidthKeeper declares what the relay carried, also after a restart", () =>
  inNodeWorld(async (world) => {
    const relay = await relayIn(world);
    const keeper = await BandwidthKeeper.load(relay);
    assert.equal(keeper.declared, LEAST_DECLARED);
    keeper.watch(() => relay.carried);
    for (let second = 0; second < 120; second++) {
      relay.carried += 6_000_000;
      await sleep(world.clock, 1000);
    }
    assert.equal(keeper.declared, 6_000_000);
    await keeper[Symbol.asyncDispose]();
    await using again = await BandwidthKeeper.load(relay);
    assert.equal(again.declared, 6_000_000);
  }));

Deno.test("BandwidthKeeper declares what the operator says, whatever was carried", () =>
  inNodeWorld(async (world) => {
    const relay = await relayIn(world);
    await using keeper = await BandwidthKeeper.load({ ...relay, told: 2000 });
    keeper.watch(() => relay.carried += 1e9);
    await sleep(world.clock, 600_000);
    assert.equal(keeper.declared, 2000);
  }));

Deno.test("BandwidthKeeper sets aside what is damaged, and measures anew", () =>
  inNodeWorld(async (world) => {
    const relay = await relayIn(world);
    await relay.blobs.write("bandwidth", new Uint8Array([1, 2, 3]));
    await using keeper = await BandwidthKeeper.load(relay);
    assert.equal(keeper.declared, LEAST_DECLARED);
    assert.equal(await relay.blobs.read("bandwidth"), undefined);
  }));

Deno.test("a relay that has carried nothing declares the least, and one that was told says that", () =>
  inNodeWorld(async (world) => {
    await using idle = await world.machine().startRelay({});
    assert.equal(idle.relay.record.current.bandwidth, LEAST_DECLARED);
    await using told = await world.machine().startRelay({ bandwidth: 7e6 });
    assert.equal(told.relay.record.current.bandwidth, 7e6);
    await assert.rejects(world.machine().startRelay({ bandwidth: 0.5 }), {
      code: "node.bandwidth",
    });
  }));
