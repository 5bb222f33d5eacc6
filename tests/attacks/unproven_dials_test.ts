/**
 * The attack: introductions by which no client can ever hold a session's secret,
 * each of which has the service open a connection to its target.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { UNHEARD_TARGETS } from "../../lib/node/host/service_sessions.ts";
import type { StreamHandler } from "../../lib/node/host/stream_target.ts";
import { HALF_OPEN_MS } from "../../lib/service/session_registry.ts";
import { RawVisitor } from "../node/session/raw_visitor.ts";
import {
  exchange,
  inServiceWorld,
  NEVER,
  type ServiceWorld,
  type TestService,
} from "../node/session/service_world.ts";
import { echo } from "../support/stream_handlers.ts";

/** A service whose target counts how often it was asked. */
async function countingService(
  world: ServiceWorld,
): Promise<{ service: TestService; asked: () => number }> {
  let asked = 0;
  const handle: StreamHandler = (stream, signal) => {
    asked++;
    return echo(stream, signal);
  };
  const service = await world.readyService({
    targets: new Map([[80, { type: "handler", handle }]]),
  });
  return { service, asked: () => asked };
}

/** An honest client that says nothing before its target has answered. */
async function visit(
  world: ServiceWorld,
  { publicKey }: TestService,
): Promise<void> {
  const client = world.client();
  const target = { service: publicKey, port: 80, isolation: undefined };
  const stream = await client.visits.connect(target, { signal: NEVER });
  await stream.opened;
  const bytes = seededRandom(7).bytes(50);
  assert.deepEqual(await exchange(stream, bytes), bytes);
  await client.visits[Symbol.asyncDispose]();
}

Deno.test("Introductions that are replayed or forged have no target asked", () =>
  inServiceWorld(async (world) => {
    const { service, asked } = await countingService(world);
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { cookie, rendezvous } = await visitor.wait();
    const { request } = await visitor.handshake(cookie);
    const wish = { cookie, rendezvous, handshake: request, port: 80 };
    const sealed = await visitor.seal(wish);
    const forged = sealed.map((byte, index) => index === 2000 ? ~byte : byte);
    await visitor.send(forged);
    await visitor.send(sealed, 1); // made for point 0
    await sleep(world.clock, 5_000);
    assert.equal(asked(), 0);
    for (let n = 0; n < 5; n++) await visitor.send(sealed);
    await sleep(world.clock, 5_000);
    assert.ok(asked() <= 1, `${asked()} times, for one introduction`);
  }));

Deno.test("Clients that never show a session's secret have the target asked a few times, and keep none from it", () =>
  inServiceWorld(async (world) => {
    const { service, asked } = await countingService(world);
    const visitor = await RawVisitor.of(world, service.publicKey);
    const startMs = world.clock.nowMs();
    for (let n = 0; n < 3 * UNHEARD_TARGETS; n++) {
      await visitor.beginSilently(80);
    }
    await sleep(world.clock, 1_000);
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs < HALF_OPEN_MS, `${tookMs} ms`);
    assert.ok(asked() <= UNHEARD_TARGETS, `${asked()} times`);
    await visit(world, service);
    await sleep(world.clock, 2 * HALF_OPEN_MS);
    const before = asked();
    await visit(world, service);
    assert.equal(asked(), before + 1);
  }));
