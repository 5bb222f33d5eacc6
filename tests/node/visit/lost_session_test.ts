/**
 * Services that crash and come back, and visitors that had a session with them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { raceSignal, sleep } from "../../../lib/base/clock.ts";
import {
  exchange,
  inServiceWorld,
  NEVER,
  type ServiceWorld,
  type TestClient,
  type TestService,
} from "../session/service_world.ts";

/** Within this time a visitor knows that its session is lost, ms. */
const LOST_MS = 5_000;
/** And within this time after that it has another one, ms. */
const MET_MS = 1_000;

const BYTES = new Uint8Array(1000).fill(7);

const connect = (client: TestClient, { publicKey }: TestService) =>
  client.visits.connect(
    { service: publicKey, port: 80, isolation: undefined },
    { signal: NEVER },
  );

/** The process of a service is gone without a word. */
function crash({ circuits }: TestService): void {
  for (const circuit of circuits.open) circuit.isSilent = true;
  circuits.take = ({ signal }) =>
    raceSignal(new Promise<never>(() => {}), signal);
}

/** A visitor with a session, whose service crashes and is ready again at once. */
async function crashed(world: ServiceWorld) {
  const before = await world.readyService();
  const client = world.client();
  const held = await connect(client, before);
  await held.write(BYTES);
  assert.deepEqual(await held.read(), BYTES);
  await sleep(world.clock, 20_000);
  crash(before);
  const after = await world.readyService();
  return { client, held, before, after };
}

Deno.test("a visitor of a service that crashed hears within seconds that its session is lost", () =>
  inServiceWorld(async (world) => {
    const { client, held, after } = await crashed(world);
    const startMs = world.clock.nowMs();
    await held.write(BYTES);
    await assert.rejects(held.read(), { code: "service.session_lost" });
    const lostMs = world.clock.nowMs();
    await assert.rejects(held.write(BYTES), { code: "service.session_lost" });
    assert.ok(lostMs - startMs <= LOST_MS, `${lostMs - startMs} ms`);
    const stream = await connect(client, after);
    assert.deepEqual(await exchange(stream, BYTES), BYTES);
    const metMs = world.clock.nowMs() - lostMs;
    assert.ok(metMs <= MET_MS, `${metMs} ms`);
    assert.equal(client.visits.status.sessions, 1);
  }));

Deno.test("a visitor begins a new session for a new stream while no leg of the old one carries", () =>
  inServiceWorld(async (world) => {
    const { client, held, after } = await crashed(world);
    const startMs = world.clock.nowMs();
    await held.write(BYTES);
    const { legs } = client.visits.status;
    const suspect = () =>
      client.log.messages("debug")
        .filter((message) => message === "A leg is silent").length;
    while (suspect() < legs) await sleep(world.clock, 50);
    await sleep(world.clock, 1_000);
    assert.equal(client.visits.status.sessions, 1, "lost already");
    const stream = await connect(client, after);
    assert.deepEqual(await exchange(stream, BYTES), BYTES);
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs <= LOST_MS + MET_MS, `${tookMs} ms`);
  }));

Deno.test("a session goes on when it is no service that calls it unknown", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const held = await connect(client, service);
    await held.write(BYTES);
    await held.read();
    // For some seconds all relays answer tickets in the service's name.
    let lies = 0;
    const { take } = client.circuits;
    client.circuits.take = async (wish) => {
      const circuit = await take.call(client.circuits, wish);
      if (wish.purpose === "rendezvous" && lies < 3) {
        lies++;
        circuit.met = () => Promise.resolve(new Uint8Array(32).fill(lies));
      }
      return circuit;
    };
    for (const circuit of [...client.circuits.open]) circuit.end();
    assert.deepEqual(await exchange(held, BYTES), BYTES);
    assert.ok(lies > 0, "no relay lied");
  }));

Deno.test("a stream that was being opened on a session that turns out to be lost is opened in another", () =>
  inServiceWorld(async (world) => {
    const { client, held, after } = await crashed(world);
    const startMs = world.clock.nowMs();
    // Nothing is suspected yet.
    const [waiting, closed, early] = await Promise.all(
      [1, 2, 3].map(() => connect(client, after)),
    );
    assert.ok(waiting && closed && early);
    assert.equal(client.visits.status.sessions, 1);
    await early.write(BYTES);
    const answers = [held, early].map((stream) =>
      assert.rejects(stream.read(), { code: "service.session_lost" })
    );
    // One reads already, one has left: that one costs the service nothing.
    const reading = waiting.read();
    closed.abort();
    await waiting.opened;
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs <= LOST_MS + MET_MS, `${tookMs} ms`);
    await waiting.write(BYTES);
    assert.deepEqual(await reading, BYTES);
    await Promise.all(answers);
    assert.equal(after.driver.status.streams, 1);
    await waiting.closeWrite();
    assert.equal(await waiting.read(), undefined);
    assert.equal((await waiting.closed).how, "finished");
  }));

Deno.test("a stream that was being opened on a session without a service that comes back fails in the end", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const held = await connect(client, service);
    await held.write(BYTES);
    await held.read();
    crash(service);
    const stream = await connect(client, service);
    for (const circuit of [...client.circuits.open]) circuit.end();
    await assert.rejects(held.read(), { code: "session.reset_failed" });
    await assert.rejects(stream.opened, { code: "session.reset_failed" });
    await assert.rejects(stream.read(), { code: "session.reset_failed" });
    assert.deepEqual(client.visits.status, {
      sessions: 0,
      beginning: 0,
      streams: 0,
      legs: 0,
    });
  }));

Deno.test("a stream that was being opened on a lost session fails with an identity that is over", () =>
  inServiceWorld(async (world) => {
    const { client, held, after } = await crashed(world);
    const [gone] = await Promise.all([connect(client, after)]);
    assert.ok(gone);
    client.visits.newIdentity();
    await held.write(BYTES);
    await assert.rejects(gone.opened, { code: "service.session_lost" });
    await assert.rejects(gone.write(BYTES), { code: "service.session_lost" });
  }));
