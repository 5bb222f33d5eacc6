import assert from "node:assert/strict";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { inNodeWorld } from "../node_world.ts";

const OTHER = customNetwork({
  name: "other",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});

Deno.test("Node.start() refuses a state directory of another network, and says of which it is", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    {
      await using _node = await machine.startRelay();
    }
    const before = await machine.files.list("state");
    for (const options of [{}, { client: machine.client }]) {
      await assert.rejects(machine.startRelay({ network: OTHER, ...options }), {
        name: "ConfigError",
        code: "storage.network",
        message:
          'Cannot use state directory "state": it is of network "local", and ' +
          'not of "other"; add --network local, or name another with --state',
      });
    }
    assert.deepEqual(await machine.files.list("state"), before);
    await using _again = await machine.startRelay();
  }));

Deno.test("Node.start() takes a state directory that does not say its network for one of its own", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    for (const damage of ["none", "torn"] as const) {
      {
        await using _node = await machine.startRelay();
      }
      if (damage === "none") await machine.files.remove("state/network.blob");
      else machine.files.plant("state/network.blob", new Uint8Array(20));
    }
    {
      await using _node = await machine.startRelay({ network: OTHER });
    }
    await assert.rejects(
      machine.startRelay({ network: networkParameters("local") }),
      { code: "storage.network" },
    );
  }));
