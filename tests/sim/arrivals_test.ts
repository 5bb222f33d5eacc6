/**
 * Visitors who come to a service one after the other, each once, and rest: what runs
 * at a time is those of the last minutes, however many there have been.
 *
 *     ARRIVALS=2000 deno task test tests/sim/arrivals_test.ts      that many, 20 a second
 *     … --filter relays                                            while relays die
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { PARK_MS } from "../../lib/service/leg_plan.ts";
import { MAX_SESSIONS } from "../../lib/service/session_registry.ts";
import { Crowd, failuresOf, takenForSilent, tell } from "./crowd.ts";
import { inWholeWorld, type WholeWorld } from "./whole_world.ts";

const IS_LONG = Deno.env.has("ARRIVALS");
const ARRIVALS = Number(Deno.env.get("ARRIVALS") ?? 60);
const PER_SECOND = IS_LONG ? 20 : 0.25;
/** Nodes that they are behind. */
const NODES = IS_LONG ? 4 : 2;
/** A circuit of a session is gone so long after its last stream, ms. */
const GONE_MS = PARK_MS + 15_000;
/** One of ten relays dies each minute, and is back so long after, ms. */
const DEATH_EVERY_MS = 60_000;
const AWAY_MS = 30_000;

Deno.test("Visitors who come one after the other and rest leave circuits to those who come", () =>
  inWholeWorld({
    relays: IS_LONG ? 10 : 6,
    ...IS_LONG ? {} : { linkLimits: { openStreams: 24 } },
    maxEvents: Infinity,
  }, async (world) => {
    const service = await world.addService();
    const nodes = [];
    for (let number = 0; number < NODES; number++) {
      nodes.push(await world.addClient(`node ${number}`));
    }
    const crowd = new Crowd(world, nodes);
    const overMs = 1000 * ARRIVALS / PER_SECOND;
    let mostLegs = 0;
    let isOver = false;
    const watch = async () => {
      while (!isOver) {
        await sleep(world.clock, 5_000);
        mostLegs = Math.max(mostLegs, service.legs.length);
      }
    };
    const watching = watch();
    const outcomes = await crowd.come(service, ARRIVALS, overMs);
    isOver = true;
    await watching;
    assert.deepEqual(failuresOf(outcomes), []);
    const took = outcomes.map(Number).sort((one, other) => one - other);
    const at = (share: number) => took[Math.floor(share * took.length)] ?? 0;
    if (IS_LONG) {
      const { rss } = Deno.memoryUsage();
      tell({
        median: at(0.5),
        most99: at(0.99),
        longest: took.at(-1),
        mostLegs,
        sessions: service.driver.status.sessions,
        rssMiB: Math.round(rss / 2 ** 20),
      });
    }
    assert.ok(at(0.99) < 3_000, `${at(0.99)} ms`);
    // Those of the last two minutes, and some whose second leg is not gone yet.
    const resting = PER_SECOND * GONE_MS / 1000;
    assert.ok(mostLegs < 1.3 * resting + 4, `${mostLegs} legs at once`);
    assert.ok(resting < ARRIVALS || IS_LONG);
    const { sessions } = service.driver.status;
    assert.equal(sessions, Math.min(ARRIVALS, MAX_SESSIONS));
    assert.equal(takenForSilent(service), 0);
    // The first one is known yet, and met again.
    const again = await crowd.visit(service, 0);
    assert.ok(Number(again) < 3_000, `${again}`);
  }));

/** Have a tenth of the relays die each minute, in turn, until aborted. */
async function killInTurn(world: WholeWorld, signal: AbortSignal) {
  const many = world.relays.length / 10;
  for (let minute = 0;; minute++) {
    await sleep(world.clock, DEATH_EVERY_MS - AWAY_MS, { signal });
    const victims = world.relays.filter((_, index) =>
      Math.floor(index / many) === minute % 10
    );
    for (const victim of victims) world.crash(victim);
    await sleep(world.clock, AWAY_MS, { signal });
    for (const victim of victims) await world.restart(victim);
  }
}

Deno.test({
  name: "Visitors reach a service while a tenth of the relays dies each minute",
  ignore: !IS_LONG,
  fn: () =>
    inWholeWorld({ relays: 20, maxEvents: Infinity }, async (world) => {
      const service = await world.addService();
      const nodes = [];
      for (let number = 0; number < NODES; number++) {
        nodes.push(await world.addClient(`node ${number}`));
      }
      const crowd = new Crowd(world, nodes);
      const over = new AbortController();
      const killing = killInTurn(world, over.signal).catch((error) => {
        if (error !== over.signal.reason) throw error;
      });
      const overMs = 1000 * ARRIVALS / PER_SECOND;
      const outcomes = await crowd.come(service, ARRIVALS, overMs);
      over.abort();
      await killing;
      const failures = failuresOf(outcomes);
      const took = outcomes.filter((outcome) => typeof outcome === "number")
        .sort((one, other) => one - other);
      if (IS_LONG) {
        tell({
          failures,
          median: took[Math.floor(took.length / 2)],
          most99: took[Math.floor(0.99 * took.length)],
          longest: took.at(-1),
          sessions: service.driver.status.sessions,
          rssMiB: Math.round(Deno.memoryUsage().rss / 2 ** 20),
        });
      }
      assert.ok(failures.length <= ARRIVALS / 1000, failures.join());
    }),
});
