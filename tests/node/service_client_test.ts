import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { exchange, inServiceWorld, NEVER } from "./service_world.ts";

Deno.test("ServiceClientDriver reaches a service, and bytes come back from it", () =>
  inServiceWorld(async (world) => {
    const { publicKey } = await world.readyService();
    const client = world.client();
    const stream = await client.driver.connect({
      service: publicKey,
      port: 80,
      isolation: undefined,
    }, { signal: NEVER });
    await stream.opened;
    const bytes = seededRandom(1).bytes(300_000);
    assert.deepEqual(await exchange(stream, bytes), bytes);
  }));
