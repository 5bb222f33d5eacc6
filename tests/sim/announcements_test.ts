import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { ANNOUNCE_WINDOW_MS, MAX_ANNOUNCED } from "../../lib/dht/gossip.ts";
import { Announcements } from "../../lib/sim/announcements.ts";
import { besiegedNetwork } from "../../lib/sim/siege.ts";
import { Conspiracy } from "../../lib/sim/world/behaviour.ts";
import { MachineWorld } from "../../lib/sim/world/machine_world.ts";
import { quickSuite } from "../../lib/sim/world/quick_suite.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

const INVENTED = 5 * MAX_ANNOUNCED;

for (const inventors of [1, 2]) {
  Deno.test(`${inventors} inventors tell each of others, as fast as each is listened to`, async () => {
    const network = besiegedNetwork();
    const conspiracy = new Conspiracy(network);
    const world = new MachineWorld({
      crypto: quickSuite(),
      network,
      random: seededRandom(1),
      startUnixMs: TEST_UNIX_MS,
      conspiracy,
    });
    const first = world.add();
    for (let n = 0; n < inventors; n++) {
      world.add({ behaviour: "inventor", via: first });
    }
    await world.advance(60_000);
    const heard = () => first.dht.relays.size - 1 - inventors;
    assert.equal(heard(), 0);
    conspiracy.inventions.records = world.invent(INVENTED);
    const announcements = new Announcements(world, conspiracy.inventions);
    announcements.start();
    for (let windows = 1; windows <= 6; windows++) {
      const told = Math.min(INVENTED, windows * inventors * MAX_ANNOUNCED);
      assert.equal(announcements.told, told);
      await world.advance(ANNOUNCE_WINDOW_MS - 1);
      // Later it asks for their lists as well, and hears of all.
      if (windows === 1) assert.equal(heard(), told);
      assert.ok(heard() >= told, `${heard()} of ${told}`);
      await world.advance(1);
    }
  });
}
