import assert from "node:assert/strict";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { decodeStoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { DRAIN_MS, REST_MS } from "../../../lib/node/host/session_drain.ts";
import type { StreamHandler } from "../../../lib/node/host/stream_target.ts";
import { STALLED_MS } from "../../../lib/node/host/service_answers.ts";
import { INTRODUCTIONS_BURST } from "../../../lib/service/meeting/introduction_gate.ts";
import { LEGS } from "../../../lib/node/host/service_sessions.ts";
import {
  HALF_OPEN_MS,
  MAX_HALF_OPEN,
} from "../../../lib/service/session_registry.ts";
import { makeTicket } from "../../../lib/service/meeting/ticket.ts";
import { sendSlowly } from "../../support/stream_handlers.ts";
import { RawVisitor } from "../session/raw_visitor.ts";
import {
  exchange,
  inServiceWorld,
  MemoryRevisions,
  MINUTE,
  NEVER,
  type ServiceWorld,
  type TestService,
} from "../session/service_world.ts";

const HOUR = 60 * MINUTE;
const pattern = (length: number, seed = 1) => seededRandom(seed).bytes(length);

/** Visit a service as a client that never heard of it. @returns How long it took, ms. */
async function visit(
  world: ServiceWorld,
  { publicKey }: TestService,
  withinMs = MINUTE,
): Promise<number> {
  const startMs = world.clock.nowMs();
  let failed: unknown;
  while (world.clock.nowMs() - startMs < withinMs) {
    const client = world.client();
    try {
      const stream = await client.visits.connect({
        service: publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      assert.deepEqual(await exchange(stream, pattern(50)), pattern(50));
      return world.clock.nowMs() - startMs;
    } catch (error) {
      failed = error;
      await sleep(world.clock, 500);
    } finally {
      await client.visits[Symbol.asyncDispose]();
    }
  }
  throw failed;
}

/** The revisions of a service that storing nodes hold, by blinded key. */
function storedRevisions(world: ServiceWorld): Map<string, number[]> {
  const revisions = new Map<string, number[]>();
  for (const records of world.network.stored.values()) {
    for (const encoded of records.values()) {
      const { publisher, sequence } = decodeStoredRecord(encoded);
      const list = revisions.get(publisher.toHex()) ?? [];
      revisions.set(publisher.toHex(), [...list, sequence]);
    }
  }
  return revisions;
}

Deno.test("HostedService is ready within seconds, with three points and four places for each period", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    assert.ok(world.clock.nowMs() < 5_000, `${world.clock.nowMs()} ms`);
    assert.equal(service.driver.status.points, 3);
    assert.equal(service.driver.host.length, 61);
    const points = world.network.relays.filter(({ introductions }) =>
      introductions.size > 0
    );
    assert.equal(points.length, 3);
    await sleep(world.clock, 2 * MINUTE);
    const revisions = [...storedRevisions(world).values()];
    assert.equal(revisions.length, 2); // it was midnight
    for (const places of revisions) assert.equal(places.length, 4);
  }));

Deno.test("HostedService tells how each of its introduction points is, and not which", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    await visit(world, service);
    await sleep(world.clock, 5 * MINUTE);
    const { status } = service.driver;
    assert.equal(status.introductionPoints.length, 3);
    for (const point of status.introductionPoints) {
      assert.deepEqual([point.state, point.isNamed], ["open", true]);
      assert.ok((point.answeredSecondsAgo ?? Infinity) <= 8);
      assert.ok((point.roundTripMs ?? 0) > 0);
    }
    const came = status.introductionPoints.map((point) => point.introductions);
    assert.ok(Math.max(...came) > 0);
    for (const { record } of world.network.relays) {
      assert.ok(!JSON.stringify(status).includes(record.nodeId.toHex()));
    }
    world.network.isDown = true;
    for (const circuit of [...service.circuits.open]) circuit.end();
    await sleep(world.clock, MINUTE);
    for (const point of service.driver.status.introductionPoints) {
      assert.deepEqual([point.state, point.roundTripMs], ["building", null]);
    }
  }));

Deno.test("HostedService can be reached again within 30 s when all its introduction points die", async () => {
  for (const how of ["killed", "silent"] as const) {
    await inServiceWorld(async (world) => {
      const service = await world.readyService();
      await sleep(world.clock, 5 * MINUTE);
      const points = world.network.relays.filter(({ introductions }) =>
        introductions.size > 0
      );
      for (const point of points) {
        if (how === "killed") point.kill();
        else for (const circuit of point.circuits) circuit.isSilent = true;
      }
      const tookMs = await visit(world, service);
      assert.ok(tookMs < 30_000, `${how}: ${tookMs} ms`);
    });
  }
});

Deno.test("HostedService can be reached within 30 s after its network was away", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    for (const awayMs of [5_000, 10 * MINUTE, 3 * HOUR]) {
      world.network.isDown = true;
      for (const circuit of [...service.circuits.open]) circuit.end();
      await sleep(world.clock, awayMs);
      assert.ok(!service.driver.isReachable);
      world.network.isDown = false;
      const tookMs = await visit(world, service);
      assert.ok(tookMs < 30_000, `${tookMs} ms after ${awayMs}`);
      await sleep(world.clock, MINUTE);
      assert.equal(service.driver.status.points, 3);
    }
  }));

Deno.test("HostedService can be reached within 30 s after the machine slept", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    for (const sleptMs of [10 * MINUTE, 5 * HOUR, 3 * 24 * HOUR]) {
      await sleep(world.clock, 2 * MINUTE);
      world.clock.jumpUnix(sleptMs);
      for (const circuit of service.circuits.open) circuit.isSilent = true;
      world.network.renewRecords();
      const tookMs = await visit(world, service);
      assert.ok(tookMs < 30_000, `${tookMs} ms after ${sleptMs}`);
    }
  }));

Deno.test("HostedService keeps its revisions rising, over restarts and clocks set back", () =>
  inServiceWorld(async (world) => {
    const revisions = new MemoryRevisions();
    for (const jump of [0, -30 * 24 * HOUR, HOUR, -2 * HOUR]) {
      world.clock.jumpUnix(jump);
      const service = await world.service({ revisions });
      await service.driver.ready;
      await sleep(world.clock, 2 * HOUR);
      await service.driver[Symbol.asyncDispose]();
    }
    const { all } = revisions;
    assert.ok(all.size >= 4);
    assert.ok([...all.values()].flat().length >= 8);
    for (const revisions of all.values()) {
      assert.deepEqual(
        revisions,
        [...new Set(revisions)].sort((a, b) => a - b),
      );
    }
  }));

Deno.test("HostedService is found at the same address after a restart, within 30 s", () =>
  inServiceWorld(async (world) => {
    const revisions = new MemoryRevisions();
    const first = await world.readyService({ revisions });
    const { host } = first.driver;
    await first.driver[Symbol.asyncDispose]();
    assert.equal(first.circuits.open.size, 0);
    const second = await world.service({ revisions });
    assert.equal(second.driver.host, host);
    assert.ok(await visit(world, second) < 30_000);
  }));

Deno.test("HostedService replaces its points day by day, and can be reached all the time", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const seen = new Set<string>();
    for (let hour = 0; hour < 50; hour++) {
      for (const { record, introductions } of world.network.relays) {
        if (introductions.size > 0) seen.add(record.nodeId.toHex());
      }
      assert.equal(service.driver.status.points, 3);
      if (hour % 5 === 0) await visit(world, service, 1);
      await sleep(world.clock, HOUR);
      if (hour % 6 === 5) world.network.renewRecords();
    }
    assert.ok(seen.size >= 6, `${seen.size} relays in two days`);
    const points = world.network.relays.reduce(
      (sum, { introductions }) => sum + introductions.size,
      0,
    );
    assert.ok(points <= 5, `${points} points`);
  }));

Deno.test("HostedService notices a point that listens and passes nothing on, by visiting itself", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const points = world.network.relays.filter(({ introductions }) =>
      introductions.size > 0
    );
    const [deaf] = points;
    assert.ok(deaf !== undefined);
    deaf.isDeaf = true;
    await sleep(world.clock, 2 * HOUR);
    assert.equal(deaf.introductions.size, 0);
    assert.equal(service.driver.status.points, 3);
  }));

Deno.test("HostedService publishes anew when storing nodes have lost its descriptor", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    await sleep(world.clock, MINUTE);
    world.network.stored.clear();
    await sleep(world.clock, 30 * MINUTE);
    assert.ok(world.network.stored.size >= 4);
    await visit(world, service, 1);
  }));

Deno.test("HostedService keeps its points, and its descriptor, when their circuits alone die", async () => {
  for (const how of ["killed", "silent"] as const) {
    await inServiceWorld(async (world) => {
      const service = await world.readyService();
      await sleep(world.clock, 5 * MINUTE);
      const relays = () =>
        world.network.relays.filter(({ introductions }) =>
          introductions.size > 0
        );
      const [before, revisions] = [
        relays(),
        structuredClone(service.revisions.all),
      ];
      for (const circuit of [...service.circuits.open]) {
        if (how === "killed") circuit.end();
        else circuit.isSilent = true;
      }
      await sleep(world.clock, 10_000);
      assert.deepEqual(relays(), before);
      assert.deepEqual(service.revisions.all, revisions);
      await visit(world, service);
    });
  }
});

Deno.test("HostedService builds points at a bounded rate while an attacker kills every circuit", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const before = service.circuits.wishes.length;
    const untilMs = world.clock.nowMs() + HOUR;
    while (world.clock.nowMs() < untilMs) {
      for (const circuit of [...service.circuits.open]) circuit.end();
      await sleep(world.clock, 1000);
    }
    const wishes = service.circuits.wishes.slice(before);
    const points = wishes.filter(({ purpose, endAt }) =>
      purpose === "introduction" && endAt === undefined
    );
    assert.ok(points.length < 400, `${points.length} points in an hour`);
    assert.ok(wishes.length < 2_000, `${wishes.length} circuits in an hour`);
  }));

Deno.test("HostedService ends a stream to a port that it does not have", () =>
  inServiceWorld(async (world) => {
    const { publicKey } = await world.readyService();
    const stream = await world.client().visits.connect({
      service: publicKey,
      port: 443,
      isolation: undefined,
    }, { signal: NEVER });
    await assert.rejects(stream.opened, { code: "service.no_port" });
  }));

// ---- stopping ----

const targets = (handle: StreamHandler) =>
  new Map([[80, { type: "handler", handle } as const]]);

Deno.test("HostedService lets streams under way end when it is stopped, and no new client in", () =>
  inServiceWorld(async (world) => {
    const bytes = pattern(200_000);
    const service = await world.readyService({
      targets: targets(
        sendSlowly(world.clock, bytes, { pieceBytes: 20_000, restMs: 200 }),
      ),
    });
    const { publicKey, driver } = service;
    const client = world.client();
    const connect = () =>
      client.visits.connect({
        service: publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
    const stream = await connect();
    await stream.opened;
    const stopMs = world.clock.nowMs();
    const stopping = driver[Symbol.asyncDispose]();
    assert.ok(
      world.network.relays.every(({ introductions }) =>
        introductions.size === 0
      ),
    );
    const second = await connect();
    await assert.rejects(second.opened, { code: "session.reset_failed" });
    assert.deepEqual(await exchange(stream, pattern(1)), bytes);
    await stopping;
    const tookMs = world.clock.nowMs() - stopMs;
    assert.ok(tookMs >= 1_500 && tookMs < DRAIN_MS, `${tookMs} ms`);
    assert.equal(service.circuits.open.size, 0);
    assert.equal(driver.status.sessions, 0);
  }));

/** How long a service takes to stop while a client reads one stream of it, ms. */
async function timeToStop(
  world: ServiceWorld,
  service: TestService,
): Promise<number> {
  const stream = await world.client().visits.connect({
    service: service.publicKey,
    port: 80,
    isolation: undefined,
  }, { signal: NEVER });
  await stream.opened;
  const reading = exchange(stream, pattern(1));
  reading.catch(() => {});
  await sleep(world.clock, 2_000);
  const stopMs = world.clock.nowMs();
  await service.driver[Symbol.asyncDispose]();
  const tookMs = world.clock.nowMs() - stopMs;
  await assert.rejects(reading, { code: "session.reset_failed" });
  return tookMs;
}

Deno.test("HostedService waits for no stream for ever when it is stopped", () =>
  inServiceWorld(async (world) => {
    const endless: StreamHandler = async (stream) => {
      stream.accept();
      for (;;) {
        await stream.write(pattern(10_000));
        await sleep(world.clock, 50);
      }
    };
    const service = await world.readyService({ targets: targets(endless) });
    const tookMs = await timeToStop(world, service);
    assert.ok(tookMs >= DRAIN_MS && tookMs < DRAIN_MS + 1_000, `${tookMs} ms`);
  }));

Deno.test("HostedService waits hardly for streams that rest when it is stopped", () =>
  inServiceWorld(async (world) => {
    const resting: StreamHandler = async (stream, signal) => {
      stream.accept();
      await new Promise((resolve) =>
        signal.addEventListener("abort", resolve, { once: true })
      );
    };
    const service = await world.readyService({ targets: targets(resting) });
    const tookMs = await timeToStop(world, service);
    assert.ok(tookMs < 2 * REST_MS, `${tookMs} ms`);
  }));

Deno.test("HostedService stops at once when no client is being served", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    await visit(world, service, 1);
    const stopMs = world.clock.nowMs();
    await service.driver[Symbol.asyncDispose]();
    assert.ok(world.clock.nowMs() - stopMs < 500);
  }));

// ---- visitors that keep to no rule ----

Deno.test("HostedService takes an introduction once, however often it is sent", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { circuit, cookie, rendezvous } = await visitor.wait();
    const handshake = await visitor.handshake(cookie);
    const { request } = handshake;
    const sealed = await visitor.seal({
      cookie,
      rendezvous,
      handshake: request,
    });
    for (let n = 0; n < 20; n++) {
      assert.equal(await visitor.send(sealed), "passed");
    }
    await circuit.met({ signal: NEVER });
    await sleep(world.clock, 5_000);
    const met = service.circuits.wishes.filter(({ purpose }) =>
      purpose === "rendezvous"
    );
    assert.equal(met.length, 1);
    assert.equal(service.driver.status.sessions, 1);
  }));

Deno.test("HostedService meets no client twice by one cookie", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { circuit, cookie, rendezvous } = await visitor.wait();
    for (const index of [0, 1, 2]) {
      const { request } = await visitor.handshake(cookie, index);
      await visitor.send(
        await visitor.seal({ cookie, rendezvous, handshake: request }, index),
        index,
      );
    }
    await circuit.met({ signal: NEVER });
    await sleep(world.clock, 5_000);
    const joined = [...service.circuits.open].filter(({ path }) =>
      path.length === 4
    );
    assert.equal(joined.length, 1);
  }));

Deno.test("HostedService does nothing for introductions that are forged", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { cookie, rendezvous } = await visitor.wait();
    const { request } = await visitor.handshake(cookie);
    const honest = await visitor.seal({
      cookie,
      rendezvous,
      handshake: request,
    });
    const altered = new Uint8Array(honest);
    altered[1500] = (altered[1500] ?? 0) ^ 1;
    const noRelay = pattern(700);
    const forged: Bytes[] = [
      pattern(honest.length),
      new Uint8Array(honest.length),
      altered,
      // Of another point's keys.
      await visitor.seal({ cookie, rendezvous, handshake: request }, 1),
      // A handshake that is none, and a rendezvous point that is none.
      await visitor.seal({ cookie, rendezvous, handshake: pattern(1280) }),
      await visitor.seal({ cookie, rendezvous: noRelay, handshake: request }),
    ];
    for (const sealed of forged) await visitor.send(sealed);
    await sleep(world.clock, 20_000);
    assert.equal(service.driver.status.sessions, 0);
    const met = service.circuits.wishes.filter(({ purpose }) =>
      purpose === "rendezvous"
    );
    assert.equal(met.length, 0);
    await visit(world, service, 1);
  }));

Deno.test("HostedService gives a leg for a ticket that is right, and for no other", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { secret } = await visitor.beginSilently();
    const met = () =>
      service.circuits.wishes.filter(({ purpose }) => purpose === "rendezvous")
        .length;
    const present = async (
      change: (cookie: Bytes) => ReturnType<typeof makeTicket>,
    ) => {
      const { circuit, cookie, rendezvous } = await visitor.wait();
      await visitor.send(
        await visitor.seal({ cookie, rendezvous, ticket: change(cookie) }),
      );
      await sleep(world.clock, 2_000);
      return circuit;
    };
    const { crypto } = world;
    assert.equal(met(), 1);
    const right = await present((cookie) =>
      makeTicket(crypto, secret, 1, cookie)
    );
    assert.equal(met(), 2);
    assert.equal((await right.met({ signal: NEVER })).length, 0);
    // Used: a leg number counts once.
    await present((cookie) => makeTicket(crypto, secret, 1, cookie));
    await present((cookie) => makeTicket(crypto, secret, 0, cookie));
    assert.equal(met(), 2);
    const wrong: ((cookie: Bytes) => ReturnType<typeof makeTicket>)[] = [
      // Forged.
      (cookie) => ({
        ...makeTicket(crypto, secret, 2, cookie),
        proof: pattern(32),
      }),
      (cookie) => ({ ...makeTicket(crypto, secret, 2, cookie), leg: 3 }),
      // Foreign: made for another rendezvous.
      () => makeTicket(crypto, secret, 2, pattern(20)),
      // Of a session that never was; of a secret that no session has.
      (cookie) => makeTicket(crypto, pattern(32), 2, cookie),
      (cookie) => makeTicket(crypto, new Uint8Array(32), 2, cookie),
    ];
    // Their session is unknown, whatever is wrong with them, and the session goes on.
    const unknown = async (ticket: (typeof wrong)[number]) => {
      const answer = await (await present(ticket)).met({ signal: NEVER });
      assert.equal(answer.length, 32);
      return answer.toHex();
    };
    const answers = new Set<string>();
    for (const ticket of wrong) answers.add(await unknown(ticket));
    assert.equal(answers.size, wrong.length);
    assert.equal(service.driver.status.sessions, 1);
    // Expired: the session is over, for want of a word from its client.
    await sleep(world.clock, HALF_OPEN_MS);
    assert.equal(service.driver.status.sessions, 0);
    await unknown((cookie) => makeTicket(crypto, secret, 4, cookie));
  }));

Deno.test("HostedService keeps no more than three legs, and a client that resumes without end is bounded", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { secret } = await visitor.beginSilently();
    const met = () =>
      service.circuits.wishes.filter(({ purpose }) => purpose === "rendezvous")
        .length;
    const startMs = world.clock.nowMs();
    for (let leg = 1; leg < 80; leg++) {
      const { cookie, rendezvous } = await visitor.wait();
      const ticket = makeTicket(world.crypto, secret, leg, cookie);
      await visitor.send(await visitor.seal({ cookie, rendezvous, ticket }));
      const legs = [...service.circuits.open].filter(({ path }) =>
        path.length === 4
      );
      assert.ok(legs.length <= 4, `${legs.length} circuits`);
    }
    const tookMs = world.clock.nowMs() - startMs;
    const most = 2 + LEGS.burst + LEGS.perSecond * tookMs / 1000;
    assert.ok(met() <= most, `${met()}`);
    await sleep(world.clock, HALF_OPEN_MS + 1000);
    assert.equal(service.driver.status.sessions, 0);
    assert.equal(service.circuits.open.size, 3);
  }));

Deno.test("HostedService bounds sessions that never send, and forgets them", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    let most = 0;
    for (let n = 0; n < MAX_HALF_OPEN + 40; n++) {
      await visitor.beginSilently();
      most = Math.max(most, service.driver.status.sessions);
      await sleep(world.clock, 50);
    }
    assert.ok(most <= MAX_HALF_OPEN, `${most} sessions`);
    await visit(world, service, 1);
    await sleep(world.clock, HALF_OPEN_MS + 1000);
    assert.ok(service.driver.status.sessions <= 1);
  }));

Deno.test("HostedService lets targets go whose client met it and never came", () =>
  inServiceWorld(async (world) => {
    const ends: unknown[] = [];
    const service = await world.readyService({
      targets: targets(async (stream) => {
        stream.accept();
        ends.push(await stream.closed);
      }),
    });
    const visitor = await RawVisitor.of(world, service.publicKey);
    // Silent for ever, and gone: by another introduction it was quicker.
    await visitor.beginSilently(80);
    const { circuit } = await visitor.beginSilently(80);
    await sleep(world.clock, 500);
    assert.equal(service.driver.status.streams, 2);
    circuit.close();
    await sleep(world.clock, HALF_OPEN_MS + 1000);
    assert.equal(service.driver.status.sessions, 0);
    assert.equal(ends.length, 2);
  }));

Deno.test("HostedService is there for those who come by other points while one is flooded", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    let isOver = false;
    const flood = async () => {
      const { cookie, rendezvous } = await visitor.wait();
      const { request } = await visitor.handshake(cookie);
      while (!isOver) {
        const sealed = await visitor.seal({
          cookie,
          rendezvous,
          handshake: request,
        });
        visitor.send(sealed).catch(() => {});
        await sleep(world.clock, 10);
      }
    };
    const flooding = flood();
    let took = 0;
    for (let n = 0; n < 10; n++) {
      await sleep(world.clock, 1_500);
      took = Math.max(took, await visit(world, service, 20_000));
    }
    isOver = true;
    await flooding;
    assert.ok(took < 10_000, `${took} ms`);
    assert.ok(service.driver.status.sessions <= MAX_HALF_OPEN + 20);
  }));

Deno.test("HostedService is there for visitors while others name rendezvous points that never answer", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    // A relay that every node knows.
    const tarpit = world.network.relays.find(({ introductions }) =>
      introductions.size === 0
    );
    assert.ok(tarpit !== undefined);
    tarpit.isTarpit = true;
    const rendezvous = tarpit.record.encoded;
    const [points, each] = [3, 25];
    for (let n = 0; n < points * each; n++) {
      const cookie = pattern(20, n);
      const { request } = await visitor.handshake(cookie, n % points);
      const handshake = request;
      const sealed = await visitor.seal(
        { cookie, rendezvous, handshake },
        n % points,
      );
      assert.equal(await visitor.send(sealed, n % points), "passed");
    }
    const tookMs = await visit(world, service, 20_000);
    assert.ok(tookMs < 2 * STALLED_MS, `${tookMs} ms`);
    await sleep(world.clock, MINUTE);
    assert.equal(service.driver.status.sessions, 0);
  }));

Deno.test("HostedService is reached by visitors who work while its points are flooded by others who do not", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const visitor = await RawVisitor.of(world, service.publicKey);
    const { cookie, rendezvous } = await visitor.wait();
    const { request } = await visitor.handshake(cookie);
    const handshake = request;
    const points = [0, 1, 2];
    const sealed = await Promise.all(
      points.map((n) => visitor.seal({ cookie, rendezvous, handshake }, n)),
    );
    let isOver = false;
    const answers = new Map<string, number>();
    const flood = async () => {
      while (!isOver) {
        for (const n of points) {
          const bytes = sealed[n] ?? pattern(1);
          visitor.send(bytes, n).then((status) =>
            answers.set(status, (answers.get(status) ?? 0) + 1)
          );
        }
        await sleep(world.clock, 10); // 300 per second
      }
    };
    const flooding = flood();
    await sleep(world.clock, 3_000);
    for (let n = 0; n < 10; n++) {
      const tookMs = await visit(world, service, 20_000);
      assert.ok(tookMs < 3_000, `${tookMs} ms`);
    }
    isOver = true;
    await flooding;
    const passed = answers.get("passed") ?? 0;
    assert.ok(passed < 3 * INTRODUCTIONS_BURST, `${passed} passed`);
    assert.ok((answers.get("work") ?? 0) > 10 * passed);
    assert.equal(answers.get("busy"), undefined);
  }));
