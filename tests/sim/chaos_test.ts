import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { chaos } from "./chaos.ts";
import { seeds } from "./seeds.ts";
import { inWholeWorld } from "./whole_world.ts";

/** Seeds beside the other tests; `deno task long:chaos-sim` takes a thousand. */
const FEW = 3;

for (const seed of seeds(FEW)) {
  Deno.test(`a transfer both ways is whole in the chaos of seed ${seed}`, async () => {
    const { bytes } = await chaos(seed);
    assert.ok(bytes > 0);
  });
}

Deno.test("CircuitPoolDriver.take() hands out no circuit that ended in the moment of asking", () =>
  inWholeWorld({ relays: 6 }, async (world) => {
    const client = await world.addClient();
    const { circuits } = client.role;
    const signal = new AbortController().signal;
    const take = () => circuits.take({ purpose: "rendezvous", signal });
    const taken = await Promise.all([take(), take(), take()]);
    await sleep(world.clock, 10_000); // new ones are ready
    // Their ends are heard of before those of the ready ones.
    const next = taken.map(({ closed }) => closed.then(take));
    const [endpoint] = client.machine.endpoints;
    assert.ok(endpoint !== undefined);
    world.network.kill(endpoint);
    for (const circuit of await Promise.all(next)) {
      assert.ok(await circuit.ping({ signal }) > 0);
      circuit.close();
    }
  }));
