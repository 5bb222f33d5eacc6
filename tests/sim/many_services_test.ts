/**
 * Many services of one node over a simulated network: all are begun and visited, one
 * that fails touches no other, and the death of a guard takes none of them away for long.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import type { NodeServices } from "../../lib/node/host/node_services.ts";
import { parseServiceHost } from "../../lib/service/address.ts";
import { echo } from "../support/stream_handlers.ts";
import { runOn } from "../transport/world.ts";
import { WholeWorld, type WorldClient } from "./whole_world.ts";

const SERVICES = 40;
/** What one service of several takes to be reached by all that it needs, ms. */
const EACH_MS = 1_000;
const NEVER = new AbortController().signal;

/** Run a test with a node that hosts many services, all of them just started. */
async function inWorld(
  test: (
    world: WholeWorld,
    host: WorldClient,
    services: NodeServices,
  ) => Promise<void>,
): Promise<void> {
  const world = new WholeWorld({ relays: 10, maxEvents: 1e8 });
  await runOn(
    world.clock,
    (async () => {
      await using _world = world;
      await world.start();
      const host = await world.addClient("host");
      const { services } = host.role;
      for (let n = 0; n < SERVICES; n++) {
        await services.start({
          name: `s${n}`,
          targets: new Map([[80, { type: "handler", handle: echo }]]),
        });
      }
      await test(world, host, services);
    })(),
  );
}

/** Wait until so many services can be reached. @returns How long that took, ms. */
async function untilReachable(
  { clock }: WholeWorld,
  services: NodeServices,
  count: number,
  mostMs: number,
): Promise<number> {
  const startMs = clock.nowMs();
  for (;;) {
    const now = services.status.filter(({ reachable }) => reachable).length;
    const tookMs = clock.nowMs() - startMs;
    if (now >= count) return tookMs;
    assert.ok(tookMs <= mostMs, `${now} of ${count} after ${tookMs} ms`);
    await sleep(clock, 250);
  }
}

/** Visit all services of a node, one after the other. */
async function visitAll(
  { crypto }: WholeWorld,
  visitor: WorldClient,
  services: NodeServices,
): Promise<void> {
  for (const { host } of services.status) {
    const stream = await visitor.role.visits.connect({
      service: parseServiceHost(crypto, host),
      port: 80,
      isolation: host,
    }, { signal: NEVER });
    await stream.opened;
    stream.abort();
  }
}

Deno.test("many services of one node can all be reached, in the time of each and no more, and visited", () =>
  inWorld(async (world, host, services) => {
    const mostMs = SERVICES * EACH_MS;
    await untilReachable(world, services, SERVICES, mostMs);
    const { counts } = host.role.circuits.status;
    assert.equal(counts.unserved, 0, "no service waited for a circuit in vain");
    await visitAll(world, await world.addClient("visitor"), services);
  }));

Deno.test("many services of one node outlive the death of a guard: all are reached again within a minute", () =>
  inWorld(async (world, host, services) => {
    await untilReachable(world, services, SERVICES, SERVICES * EACH_MS);
    const points = () =>
      services.status.reduce((sum, { points }) => sum + points, 0);
    await sleep(world.clock, 30_000);
    assert.equal(points(), 3 * SERVICES);
    const [guard] = host.role.links.links;
    const relay = guard && world.relayOf(guard.nodeId);
    assert.ok(relay !== undefined);
    world.crash(relay);
    await sleep(world.clock, 60_000);
    assert.equal(
      services.status.filter(({ reachable }) => reachable).length,
      SERVICES,
    );
    assert.ok(points() >= 2.9 * SERVICES, `${points()} points`);
    await visitAll(world, await world.addClient("visitor"), services);
  }));
