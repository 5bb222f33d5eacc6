/**
 * What circuits do over any transport, said once and held against QUIC and memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PublicKey } from "../../../lib/auth/identity.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { BODY_BYTES } from "../../../lib/circuit/cell.ts";
import type { OwnCircuit } from "../../../lib/node/circuit/own_circuit.ts";
import { SessionDriver } from "../../../lib/node/session/session_driver.ts";
import type { SessionStreamHandle } from "../../../lib/node/session/session_stream.ts";
import { sealIntroduction } from "../../../lib/service/meeting/introduction.ts";
import {
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
} from "../../../lib/service/meeting/introduction_messages.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../../lib/service/meeting/rendezvous.ts";
import { SessionQuota } from "../../../lib/session/quota.ts";
import { Session } from "../../../lib/session/session.ts";
import { AnsweringPort } from "../../support/joined_circuits.ts";
import {
  allGone,
  build,
  CIRCUIT_CRYPTO,
  type InWorld,
  joinAtLast,
  startClient,
  startRelay,
  startRelays,
  type TestClient,
  TestPort,
  type TestRelay,
  until,
  withCircuits,
} from "../circuit/circuit_world.ts";
import type { LinkWorld } from "../link/link_world.ts";

/** Register the tests for one transport. */
export function testCircuits(name: string, inWorld: InWorld<LinkWorld>): void {
  const run = withCircuits(inWorld);
  const test = (sentence: string, body: (world: LinkWorld) => Promise<void>) =>
    Deno.test(`circuits ${name} ${sentence}`, () => run(body));

  for (const hops of [1, 2, 3, 8]) {
    test(`carry cells both ways over ${hops} hops`, async (world) => {
      const relays = await startRelays(world, hops);
      const client = await startClient(world);
      const circuit = await build(client, relays);
      const far = await joinAtLast(world, circuit, relays);
      AnsweringPort.attach(far, "echo");
      assert.deepEqual(
        circuit.path.map(({ nodeId }) => nodeId),
        relays.map(({ record }) => record.nodeId),
      );
      const port = TestPort.on(circuit);
      const bodies = Array.from(
        { length: 100 },
        () => world.random.bytes(BODY_BYTES),
      );
      for (const body of bodies) port.send(body);
      assert.deepEqual(await port.reach(100), bodies);
      const [first] = relays;
      assert.equal(
        first?.server.stats.forwardCells ?? 0,
        // At the last both send data forward; others pass on what builds and joins.
        hops === 1 ? 200 : 100 + hops - 2 + 1,
      );
      circuit.close();
      assert.deepEqual(await circuit.closed, { code: "done" });
      await allGone(world, relays);
      assert.deepEqual(client.errors, []);
    });
  }

  test("measure their round trip", async (world) => {
    const relays = await startRelays(world, 2);
    const circuit = await build(await startClient(world), relays);
    assert.ok(await circuit.ping() > 0);
    circuit.close();
    await allGone(world, relays);
  });

  test("are gone everywhere when the client closes", async (world) => {
    const relays = await startRelays(world, 3);
    const client = await startClient(world);
    const circuits: OwnCircuit[] = [];
    while (circuits.length < 10) circuits.push(await build(client, relays));
    for (const { server } of relays) {
      const { created, extended } = server.stats.states;
      assert.equal(created + extended, 10);
    }
    for (const circuit of circuits) circuit.close();
    await allGone(world, relays);
    for (const { server } of relays) {
      assert.deepEqual(server.stats.ends, { hung_up: 10 });
    }
  });

  test("are gone everywhere when a relay in their middle ends", async (world) => {
    const relays = await startRelays(world, 3);
    const circuit = await build(await startClient(world), relays);
    const [first, middle, last] = relays;
    assert.ok(first && middle && last);
    await middle.server[Symbol.asyncDispose]();
    assert.deepEqual(await circuit.closed, { code: "destroyed" });
    await allGone(world, [first, last]);
  });

  test("carry what was sent before they are closed", async (world) => {
    const relays = await startRelays(world, 3);
    const circuit = await build(await startClient(world), relays);
    const far = TestPort.on(await joinAtLast(world, circuit, relays));
    const port = TestPort.on(circuit);
    port.send(...Array.from({ length: 300 }, () => new Uint8Array(9)));
    circuit.close();
    await circuit.closed;
    await until(world, "all has come", () => far.received.length === 300);
    await allGone(world, relays);
  });

  test("grow by a hop at a relay that another chose", async (world) => {
    const relays = await startRelays(world, 4);
    const [, , , fourth] = relays;
    assert.ok(fourth);
    const circuit = await build(await startClient(world), relays.slice(0, 3));
    // What is asked meanwhile waits for the hop.
    const [extended, roundTripMs] = await Promise.all([
      circuit.extend(fourth.record),
      circuit.ping(),
    ]);
    assert.deepEqual(extended, { ok: true });
    assert.ok(roundTripMs > 0);
    assert.equal(circuit.path.length, 4);
    const far = await joinAtLast(world, circuit, relays);
    AnsweringPort.attach(far, "echo");
    const port = TestPort.on(circuit);
    port.send(Uint8Array.of(1, 2, 3));
    assert.equal((await port.reach(1)).length, 1);
    circuit.close();
    await allGone(world, relays);
  });

  test("take one thing after the other while hops are being added", async (world) => {
    const relays = await startRelays(world, 4);
    const [first, second, third, fourth] = relays;
    assert.ok(first && second && third && fourth);
    const circuit = await build(await startClient(world), [first, second]);
    // The first hop under way holds up all of them; then each begins by itself.
    const [, ...rest] = await Promise.all([
      circuit.extend(third.record),
      circuit.extend(fourth.record),
      circuit.ping(),
      circuit.dhtGet(new Uint8Array(32)),
    ]);
    assert.deepEqual(rest[0], { ok: true });
    assert.equal(rest[2], undefined);
    assert.deepEqual(
      circuit.path.map(({ nodeId }) => nodeId),
      relays.map(({ record }) => record.nodeId),
    );
    circuit.close();
    await allGone(world, relays);
  });

  test("ask the DHT by their last hop", async (world) => {
    const key = new Uint8Array(32).fill(7);
    const record = world.random.bytes(17 * 1024);
    const relay = await startRelay(world, {
      answerDht: (_circuit, request) =>
        Promise.resolve(
          request.type === "dht_get"
            ? request.key[0] === 7
              ? { type: "dht_found", id: request.id, record }
              : { type: "dht_missing", id: request.id }
            : request.record.length === record.length
            ? { type: "dht_stored", id: request.id, copies: 20 }
            : { type: "dht_rejected", id: request.id, code: "invalid" },
        ),
    });
    const [first] = await startRelays(world, 1);
    assert.ok(first);
    const circuit = await build(await startClient(world), [first, relay]);
    assert.deepEqual(await circuit.dhtGet(key), record);
    assert.equal(await circuit.dhtGet(new Uint8Array(32)), undefined);
    assert.equal(await circuit.dhtPut(record), 20);
    assert.equal(await circuit.dhtPut(new Uint8Array(1)), 0);
    circuit.close();
    await allGone(world, [first, relay]);
  });

  test("bring introductions to the service that listens", async (world) => {
    const relays = await startRelays(world, 3);
    const [a, b, point] = relays;
    assert.ok(a && b && point);
    const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
    const service = await build(await startClient(world), [a, point]);
    const heard: Bytes[] = [];
    service.onIntroduction((sealed) => heard.push(sealed));
    await service.ask(
      "establish_intro",
      encodeEstablishIntro(keys, service.binding),
    );
    assert.equal(point.server.stats.listening, 1);
    const { sealed } = await sealIntroduction(
      CIRCUIT_CRYPTO,
      world.random,
      keys.public,
      keys.public.authentication,
      {
        cookie: new Uint8Array(20),
        rendezvous: new Uint8Array(100),
        handshake: new Uint8Array(1280),
      },
    );
    // A circuit is good for one introduction.
    const introduce = async (authentication: PublicKey) => {
      const client = await build(await startClient(world), [b, point]);
      const body = encodeIntroduce1({ authentication, sealed });
      const { status } = decodeIntroduceAck(
        await client.ask("introduce1", body),
      );
      client.close();
      return status;
    };
    assert.equal(await introduce(keys.public.authentication), "passed");
    await until(world, "the service hears of it", () => heard.length === 1);
    assert.deepEqual(heard, [sealed]);
    assert.equal(await introduce(a.record.publicKey), "unknown");
    service.close();
    await until(
      world,
      "no service listens",
      () => point.server.stats.listening === 0,
    );
    assert.equal(await introduce(keys.public.authentication), "unknown");
    await allGone(world, relays);
  });

  test("carry a whole session where two of them are joined", async (world) => {
    const relays = await startRelays(world, 3);
    const meeting = await meet(world, relays);
    const [client, service] = meeting.circuits;
    const secret = world.random.bytes(32);
    const streams: SessionStreamHandle[] = [];
    const open = (role: "client" | "service", circuit: OwnCircuit) => {
      const session = new Session(
        { crypto: CIRCUIT_CRYPTO, role, secret, quota: new SessionQuota() },
        world.clock.nowMs(),
      );
      const driver = new SessionDriver(session, world.clock, {
        onStream: (stream) => streams.push(stream),
      });
      driver.addLeg(0, circuit);
      return driver;
    };
    const near = open("client", client);
    const far = open("service", service);
    const stream = near.openStream(80);
    const sent = world.random.bytes(2_000_000);
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 50_000) {
        await stream.write(sent.subarray(at, at + 50_000));
      }
      await stream.closeWrite();
    })();
    await until(world, "the stream opens", () => streams.length === 1);
    const [other] = streams;
    assert.ok(other);
    const echoing = (async () => {
      for (;;) {
        const chunk = await other.read();
        if (chunk === undefined) break;
        await other.write(chunk);
      }
      await other.closeWrite();
    })();
    assert.deepEqual(await readAllOf(stream), sent);
    await Promise.all([writing, echoing]);
    near.close();
    assert.equal(await far.closed, 0);
    await allGone(world, relays);
    assert.deepEqual(meeting.errors(), []);
  });

  test("hold data until a port takes it", async (world) => {
    const relays = await startRelays(world, 3);
    const { circuits: [client, service] } = await meet(world, relays);
    const bodies = Array.from({ length: 1000 }, (_, i) => {
      const body = new Uint8Array(BODY_BYTES).fill(i);
      body[0] = i >> 8;
      return body;
    });
    TestPort.on(service).send(...bodies);
    const point = relays[2]?.server;
    await until(
      world,
      "all cells are past the rendezvous point",
      () => point?.stats.forwardCells === bodies.length,
    );
    const port = TestPort.on(client);
    assert.deepEqual(await port.reach(bodies.length), bodies);
    client.close();
    await service.closed;
    await allGone(world, relays);
  });
}

async function readAllOf(stream: SessionStreamHandle): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await stream.read();
    if (chunk === undefined) return concat(...chunks);
    chunks.push(chunk);
  }
}

/** Two circuits, joined at the third relay: the client's and the service's. */
export async function meet(
  world: LinkWorld,
  relays: readonly TestRelay[],
): Promise<{
  readonly circuits: readonly [OwnCircuit, OwnCircuit];
  readonly clients: readonly [TestClient, TestClient];
  errors(): unknown[];
}> {
  const [a, b, point] = relays;
  assert.ok(a && b && point);
  const clients = [await startClient(world), await startClient(world)] as const;
  const client = await build(clients[0], [a, point]);
  const service = await build(clients[1], [b, point]);
  const cookie = world.random.bytes(20);
  await client.ask("establish_rendezvous", encodeEstablishRendezvous(cookie));
  assert.equal(point.server.stats.waiting, 1);
  service.meet(encodeRendezvous1(cookie, Uint8Array.of(1, 2, 3)));
  assert.deepEqual(await client.met(), Uint8Array.of(1, 2, 3));
  assert.equal(point.server.stats.waiting, 0);
  assert.equal(point.server.stats.states.joined, 2);
  const errors = () => clients.flatMap((client) => client.errors);
  return { circuits: [client, service], clients, errors };
}
