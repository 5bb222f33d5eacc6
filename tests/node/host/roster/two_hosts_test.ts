import assert from "node:assert/strict";
import { sleep } from "../../../../lib/base/clock.ts";
import { seededRandom } from "../../../../lib/base/random.ts";
import { nextIssue } from "../../../../lib/service/delegation/issue.ts";
import { delegated } from "../../../service/delegation/delegations.ts";
import {
  exchange,
  inServiceWorld,
  MINUTE,
  NEVER,
  type ServiceWorld,
  type TestService,
} from "../../session/service_world.ts";

const bytes = seededRandom(9).bytes(100_000);

async function twoHosts(world: ServiceWorld): Promise<TestService[]> {
  const files = delegated(world.crypto, world.clock.unixMs());
  const hosts = await Promise.all(files.map((file) => world.host(file)));
  await Promise.all(hosts.map(({ driver }) => driver.ready));
  return hosts;
}

/** Visit as a client that was never seen before. */
async function visit(world: ServiceWorld, { publicKey: service }: TestService) {
  const { visits } = world.client();
  const startMs = world.clock.nowMs();
  const stream = await visits.connect(
    { service, port: 80, isolation: undefined },
    { signal: NEVER },
  );
  await stream.opened;
  return { visits, stream, tookMs: world.clock.nowMs() - startMs };
}

Deno.test("clients find both hosts of a service, and share them out", () =>
  inServiceWorld(async (world) => {
    const hosts = await twoHosts(world);
    const [one] = hosts;
    assert.ok(one !== undefined);
    for (let n = 0; n < 24; n++) {
      const { stream } = await visit(world, one);
      assert.deepEqual(await exchange(stream, bytes), bytes);
    }
    const sessions = hosts.map(({ driver }) => driver.status.sessions);
    assert.ok(sessions.every((count) => count >= 5), sessions.join(" and "));
  }));

/** How many sessions each host has. */
const sessionsOf = (hosts: readonly TestService[]) =>
  hosts.map(({ driver }) => driver.status.sessions);

Deno.test("a session stays with its host: its legs and its return from rest lead there", () =>
  inServiceWorld(async (world) => {
    const hosts = await twoHosts(world);
    const [one] = hosts;
    assert.ok(one !== undefined);
    for (let n = 0; n < 4; n++) {
      const { visits, stream } = await visit(world, one);
      await exchange(stream, bytes);
      const before = sessionsOf(hosts);
      // Parked, and met again by ticket.
      await sleep(world.clock, 4 * MINUTE);
      assert.equal(visits.status.legs, 0);
      const again = await visits.connect(
        { service: one.publicKey, port: 80, isolation: undefined },
        { signal: NEVER },
      );
      assert.deepEqual(await exchange(again, bytes), bytes);
      assert.equal(visits.status.sessions, 1);
      assert.deepEqual(sessionsOf(hosts), before);
      await visits[Symbol.asyncDispose]();
    }
  }));

Deno.test("when a host is gone, the next stream goes by a session with the other", () =>
  inServiceWorld(async (world) => {
    const hosts = await twoHosts(world);
    const [one] = hosts;
    assert.ok(one !== undefined);
    const { visits, stream } = await visit(world, one);
    await stream.write(bytes);
    const [mine, other] = sessionsOf([one])[0] === 1 ? hosts : hosts.reverse();
    assert.ok(mine !== undefined && other !== undefined);
    // Its power is gone: no word, and nothing answers.
    for (const circuit of [...mine.circuits.open]) circuit.end();
    const closing = mine.driver[Symbol.asyncDispose]();
    await sleep(world.clock, 2_000);
    const startMs = world.clock.nowMs();
    const next = await visits.connect(
      { service: one.publicKey, port: 80, isolation: undefined },
      { signal: NEVER },
    );
    await next.opened;
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs <= 5_000, `after ${tookMs} ms`);
    assert.equal(other.driver.status.sessions, 1);
    assert.deepEqual(await exchange(next, bytes), bytes);
    await closing;
  }));

Deno.test("a host is not reachable before the roster names it, and tells when it is taken back", () =>
  inServiceWorld(async (world) => {
    const { crypto, clock } = world;
    const unixMs = clock.unixMs();
    const [old] = delegated(crypto, unixMs, { hosts: [{ slot: 1, born: 1 }] });
    assert.ok(old !== undefined);
    const host = await world.host(old);
    await host.driver.ready;
    assert.equal(host.driver.isReachable, true);
    // The host has moved to another machine, with another key.
    const issue = old.issue + 1;
    const [next] = delegated(crypto, unixMs, {
      issue,
      hosts: [{ slot: 1, born: issue }],
    });
    assert.ok(next !== undefined);
    const moved = await world.host(next);
    await moved.driver.ready;
    for (let n = 0; n < 6; n++) {
      const { stream } = await visit(world, host);
      assert.deepEqual(await exchange(stream, bytes), bytes);
    }
    assert.deepEqual(sessionsOf([host, moved]), [0, 6]);
    await sleep(clock, 20 * MINUTE);
    assert.equal(host.driver.isReachable, false);
    assert.ok(
      host.log.lines.some(({ message }) => message.includes("taken back")),
    );
    assert.equal(moved.driver.isReachable, true);
  }));

Deno.test("the service's own key takes the name back from all hosts", () =>
  inServiceWorld(async (world) => {
    const { clock } = world;
    const hosts = await twoHosts(world);
    const [one] = hosts;
    assert.ok(one !== undefined);
    const issue = nextIssue(nextIssue(0, clock.unixMs()), clock.unixMs());
    const own = await world.readyService({}, 5, issue);
    assert.deepEqual(own.publicKey, one.publicKey);
    for (let n = 0; n < 6; n++) await visit(world, one);
    assert.deepEqual(sessionsOf([own, ...hosts]), [6, 0, 0]);
  }));
