/**
 * How long a service stays away when all its introduction points die at once, as
 * a client sees it that knew nothing before: it joins the network, and visits.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { echo } from "../support/stream_handlers.ts";
import { seeds } from "./seeds.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldMachine,
  type WorldRelay,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
/** A service must be back by then, ms. */
const BACK_MS = 30_000;
const RELAYS = 14;

/** The relays where the service listens. */
function pointsOf(world: WholeWorld): WorldRelay[] {
  return world.relays.filter(({ isUp, role }) =>
    isUp && role.circuits.stats.listening > 0
  );
}

/**
 * A service that keeps a guard when its points go. Guards are not spared when points
 * are drawn: an observer of enough points would learn them. Where both die, others
 * stand in for them after half a minute at the earliest, whatever became of the
 * points: that is for the test of their succession.
 */
async function startService(
  world: WholeWorld,
): Promise<{ service: WorldService; points: readonly WorldRelay[] }> {
  for (let number = 1;; number++) {
    const service = await world.addService(echo, { name: `service-${number}` });
    await sleep(world.clock, 30_000);
    const points = pointsOf(world);
    const { links } = service.role.links;
    const isGuardLeft = links.some(({ nodeId }) =>
      !points.some(({ id }) => id === nodeId.toHex())
    );
    if (isGuardLeft) return { service, points };
    await service.node[Symbol.asyncDispose]();
  }
}

/** Visit a service as a client that has just come. @returns How long it took, ms. */
async function visit(
  world: WholeWorld,
  { publicKey }: WorldService,
  name: string,
): Promise<number> {
  const startMs = world.clock.nowMs();
  const client = await world.addClient(name);
  for (;;) {
    try {
      const stream = await client.role.visits.connect({
        service: publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      await stream.opened;
      stream.abort();
      return world.clock.nowMs() - startMs;
    } catch (error) {
      // A person presses reload; after a while the test fails anyway.
      if (world.clock.nowMs() - startMs > 2 * BACK_MS) throw error;
      await sleep(world.clock, 500);
    }
  }
}

/** How all introduction points of a service go at once. */
const ENDS: Record<
  string,
  (world: WholeWorld, points: readonly WorldRelay[]) => Promise<void>
> = {
  "lose their power": (world, points) => {
    for (const point of points) world.crash(point);
    return Promise.resolve();
  },
  "are stopped": async (world, points) => {
    await Promise.all(points.map((point) => world.stop(point)));
  },
  "are restarted": async (world, points) => {
    await Promise.all(points.map((point) => world.stop(point)));
    await Promise.all(points.map((point) => world.restart(point)));
  },
};

for (const [how, end] of Object.entries(ENDS)) {
  Deno.test(`a service is back within 30 s when all its introduction points ${how}, seen by a client that has just come`, async () => {
    for (const seed of seeds(1)) {
      await inWholeWorld({ seed, relays: RELAYS }, async (world) => {
        const { service, points } = await startService(world);
        assert.ok(points.length >= 3, `${points.length} points`);
        await end(world, points);
        const tookMs = await visit(world, service, "newcomer");
        assert.ok(tookMs <= BACK_MS, `back after ${tookMs} ms`);
      });
    }
  });
}

const addressesOf = (machines: readonly WorldMachine[]) =>
  machines.flatMap(({ endpoints }) =>
    endpoints.map(({ localAddress }) => localAddress)
  );

/** How the machine of a service is away for a while. */
const ABSENCES = {
  "was without a network for ten minutes": { awayMs: 600_000, sleptMs: 0 },
  "slept for an hour": { awayMs: 20_000, sleptMs: 3_600_000 },
  "lost its network for some seconds": { awayMs: 7_000, sleptMs: 0 },
} as const;

for (const [how, { awayMs, sleptMs }] of Object.entries(ABSENCES)) {
  Deno.test(`a service is back within 30 s when its machine ${how}, seen by a client that has just come`, async () => {
    for (const seed of seeds(1)) {
      await inWholeWorld({ seed, relays: RELAYS }, async (world) => {
        const service = await world.addService();
        await sleep(world.clock, 30_000);
        const cut = world.network.cut(
          addressesOf([service.machine]),
          addressesOf(world.relays.map(({ machine }) => machine)),
        );
        await sleep(world.clock, awayMs);
        service.machine.clock.setAhead(sleptMs);
        cut.heal();
        const tookMs = await visit(world, service, "newcomer");
        assert.ok(tookMs <= BACK_MS, `seed ${seed}: back after ${tookMs} ms`);
      });
    }
  });
}
