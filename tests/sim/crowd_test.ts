/**
 * Many visitors at one service in a whole network: they come in one second, leave
 * in one second, meet and never speak, and all come back when it is restarted.
 * Links are small here, so that a dozen visitors do what thousands would.
 *
 *     CROWD=200 deno task test tests/sim/crowd_test.ts      that many
 *     deno task long:visitors-sim                           90
 *
 * Those who leave in one second, and those who never speak, come in these runs alone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { PARK_MS } from "../../lib/service/leg_plan.ts";
import { MAX_HALF_OPEN } from "../../lib/service/session_registry.ts";
import { Crowd, failuresOf, takenForSilent, WORD } from "./crowd.ts";
import {
  inWholeWorld,
  type WorldClient,
  type WorldOptions,
} from "./whole_world.ts";

const CROWD = Number(Deno.env.get("CROWD") ?? 12);
/** Whether this is a run of its own, with as many visitors as wanted. */
const IS_LONG = Deno.env.has("CROWD");
/**
 * Two guards bear 16 circuits of this many streams a link, without further links:
 * fewer than such a crowd takes of a service. In a long run they bear 48.
 */
const SMALL: WorldOptions = {
  relays: IS_LONG ? 9 : 6,
  linkLimits: { openStreams: IS_LONG ? 40 : 24 },
  maxEvents: 2e8,
};
/** A test of long runs alone. */
const LONG = { ignore: !IS_LONG };
/** Visitors that never speak: more than a service bears of them. */
const MUTE = MAX_HALF_OPEN + 40;
/** Those who come after another crowd. */
const NEXT = Math.ceil(CROWD / 3);
/** By then a session that rests has let go of its circuits, ms. */
const RESTED_MS = PARK_MS + 10_000;

Deno.test("A crowd that comes in one second, and rests, takes no guard from the service", () =>
  inWholeWorld(SMALL, async (world) => {
    const service = await world.addService();
    const crowd = await Crowd.gather(world);
    const slow = await crowd.stream(service, 1_000_000);
    await slow.write(WORD);
    const outcomes = await crowd.come(service, CROWD, 1_000);
    assert.deepEqual(failuresOf(outcomes), []);
    assert.equal(service.driver.status.sessions, CROWD + 1);
    assert.ok(service.role.links.stats.further > 0);
    // They leave in one second: what they held costs no rebuild.
    await sleep(world.clock, RESTED_MS);
    assert.equal(service.legs.length, 1);
    const late = await crowd.visit(service, 2_000_000);
    assert.ok(Number(late) < 3_000, `${late} ms`);
    // A connection from before lives through all of it.
    await slow.write(WORD);
    await slow.closeWrite();
    assert.equal((await slow.read())?.length, WORD.length);
    slow.abort();
    assert.equal(takenForSilent(service), 0);
  }));

Deno.test(
  "A crowd that leaves in one second uses up no rebuilds of the service",
  LONG,
  () =>
    inWholeWorld(SMALL, async (world) => {
      const service = await world.addService();
      const clients: WorldClient[] = [];
      for (const name of ["one", "two", "three"]) {
        clients.push(await world.addClient(name));
      }
      const { publicKey } = service;
      const signal = new AbortController().signal;
      await Promise.all(
        clients.flatMap(({ role }) =>
          Array.from({ length: CROWD / 3 }, async (_, visitor) => {
            const isolation = `${visitor}`;
            const target = { service: publicKey, port: 80, isolation };
            const stream = await role.visits.connect(target, { signal });
            await stream.write(WORD);
          })
        ),
      );
      assert.equal(service.driver.status.sessions, CROWD);
      // Not a word: the power goes off.
      for (const { machine } of clients) {
        for (const endpoint of machine.endpoints) world.network.crash(endpoint);
      }
      await sleep(world.clock, 12_000);
      const crowd = await Crowd.gather(world);
      const outcomes = await crowd.come(service, NEXT, 1_000);
      assert.deepEqual(failuresOf(outcomes), []);
      const slowest = Math.max(...outcomes.map(Number));
      assert.ok(slowest < 4_000, `${slowest} ms`);
    }),
);

Deno.test(
  "Visitors that meet and never speak leave room for those that do",
  LONG,
  () =>
    inWholeWorld(SMALL, async (world) => {
      const service = await world.addService();
      const mute = await world.addClient("mute");
      const { circuits } = mute.role;
      const take = circuits.take.bind(circuits);
      circuits.take = async (wish) => {
        const circuit = await take(wish);
        const attach = circuit.attach.bind(circuit);
        circuit.attach = (port) =>
          attach({ onCell: (body) => port.onCell(body), fill: () => false });
        return circuit;
      };
      const { publicKey } = service;
      const signal = new AbortController().signal;
      const dumb = Array.from(
        { length: MUTE },
        (_, visitor) =>
          mute.role.visits.connect(
            { service: publicKey, port: 80, isolation: `${visitor}` },
            { signal },
          ).catch(() => undefined),
      );
      await sleep(world.clock, 10_000);
      const crowd = await Crowd.gather(world);
      const outcomes = await crowd.come(service, NEXT, 3_000);
      assert.deepEqual(failuresOf(outcomes), []);
      await Promise.all(dumb);
      await sleep(world.clock, 120_000);
      assert.ok(service.driver.status.sessions <= NEXT);
      assert.equal(takenForSilent(service), 0);
    }),
);

Deno.test("A service that is restarted under load has all visitors back within half a minute", () =>
  inWholeWorld(SMALL, async (world) => {
    const before = await world.addService();
    const crowd = await Crowd.gather(world);
    assert.deepEqual(failuresOf(await crowd.come(before, CROWD, 5_000)), []);
    await before.node[Symbol.asyncDispose]();
    const service = await world.addService(undefined, {}, before.machine);
    assert.deepEqual(service.publicKey, before.publicKey);
    const startMs = world.clock.nowMs();
    const back = await crowd.come(service, CROWD, 1_000);
    assert.deepEqual(failuresOf(back), []);
    assert.ok(world.clock.nowMs() - startMs < 30_000);
  }));

Deno.test("Relays that refuse at their limit turn newcomers away, and keep what runs", () =>
  inWholeWorld(
    { ...SMALL, circuitLimits: { circuits: IS_LONG ? 150 : 40 } },
    async (world) => {
      const service = await world.addService();
      const crowd = await Crowd.gather(world);
      const slow = await crowd.stream(service, 1_000_000);
      await slow.write(WORD);
      const outcomes = await crowd.come(service, CROWD, 10_000);
      const refused = failuresOf(outcomes);
      // A refusal is told, and soon enough.
      assert.ok(refused.length < CROWD / 2, `${refused.length} refused`);
      assert.equal(takenForSilent(service), 0);
      await slow.write(WORD);
      await slow.closeWrite();
      assert.ok((await slow.read())?.length);
      slow.abort();
      // The crowd has gone: there is room again.
      await sleep(world.clock, RESTED_MS);
      const late = await crowd.visit(service, 2_000_000);
      assert.ok(Number(late) < 5_000, `${late}`);
    },
  ));
