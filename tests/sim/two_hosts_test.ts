/**
 * One name, two machines, in a whole network: what becomes of downloads and of new
 * visits when one of them loses its power; and what a service with one host pays.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { sendSlowly } from "../support/stream_handlers.ts";
import { delegated } from "../service/delegation/delegations.ts";
import { readAll } from "../node/session/service_world.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
const RELAYS = 20;
const SEEDS = [1, 2, 3];
/** A new visit works within this, ms. */
const VISIT_MS = 5_000;

async function startHosts(
  world: WholeWorld,
  bytes: Uint8Array,
): Promise<WorldService[]> {
  const pace = { pieceBytes: 20_000, restMs: 500 };
  const hosts: WorldService[] = [];
  for (const delegation of delegated(world.crypto, world.clock.unixMs())) {
    const handle = sendSlowly(world.clock, bytes, pace);
    hosts.push(await world.addService(handle, { delegation }));
  }
  return hosts;
}

async function visit(
  world: WholeWorld,
  client: WorldClient,
  { publicKey: service }: WorldService,
) {
  const startMs = world.clock.nowMs();
  const stream = await client.role.visits.connect(
    { service, port: 80, isolation: undefined },
    { signal: NEVER },
  );
  await stream.opened;
  await stream.read();
  return { stream, tookMs: world.clock.nowMs() - startMs };
}

for (const seed of SEEDS) {
  Deno.test(`of two hosts one loses its power: a download of the other goes on, and a new visit works within 5 s (seed ${seed})`, () =>
    inWholeWorld({ seed, relays: RELAYS }, async (world) => {
      const bytes = seededRandom(seed).bytes(1_200_000); // 30 s
      const hosts = await startHosts(world, bytes);
      const [one, two] = hosts;
      assert.ok(one !== undefined && two !== undefined);
      const countOf = ({ driver }: WorldService) => driver.status.sessions;
      const downloads: { host: WorldService; whole: Promise<Uint8Array> }[] =
        [];
      while (!hosts.every((host) => countOf(host) > 0)) {
        assert.ok(downloads.length < 12, "both hosts are visited");
        const client = await world.addClient();
        const before = countOf(one);
        const stream = await client.role.visits.connect(
          { service: one.publicKey, port: 80, isolation: undefined },
          { signal: NEVER },
        );
        await stream.opened;
        const host = countOf(one) > before ? one : two;
        const whole = readAll(stream);
        whole.catch(() => {});
        downloads.push({ host, whole });
      }
      const visitors = await Promise.all(
        Array.from({ length: 4 }, () => world.addClient()),
      );
      await sleep(world.clock, 5_000);
      for (const endpoint of one.machine.endpoints.splice(0)) {
        world.network.crash(endpoint);
      }
      // At once, and again while relays still wait for what is dead.
      const afterMs = [0, 2_000, 4_000, 15_000];
      const startMs = world.clock.nowMs();
      for (const [index, client] of visitors.entries()) {
        const atMs = startMs + (afterMs[index] ?? 0);
        await sleep(world.clock, Math.max(0, atMs - world.clock.nowMs()));
        const { stream, tookMs } = await visit(world, client, one);
        assert.ok(tookMs <= VISIT_MS, `visit ${index} after ${tookMs} ms`);
        stream.abort();
      }
      for (const { host, whole } of downloads) {
        if (host === two) assert.deepEqual(await whole, bytes);
      }
    }));
}

Deno.test("a service with one host is found by one look-up, and one with two by three over circuits of their own", () =>
  inWholeWorld({ relays: RELAYS }, async (world) => {
    const bytes = seededRandom(1).bytes(1_000);
    const single = await world.addService(
      sendSlowly(world.clock, bytes, { pieceBytes: 1_000, restMs: 0 }),
      { name: "single" },
    );
    const [host] = await startHosts(world, bytes);
    assert.ok(host !== undefined);
    const directories = async (service: WorldService) => {
      const client = await world.addClient();
      const before = client.everTaken.length;
      const { stream } = await visit(world, client, service);
      stream.abort();
      return client.everTaken.slice(before).filter(({ purpose }) =>
        purpose === "directory"
      ).length;
    };
    assert.equal(await directories(single), 1);
    assert.ok(await directories(host) <= 3);
  }));
