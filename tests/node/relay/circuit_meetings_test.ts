/** What services and their visitors must not say to the relays where they meet. */
import assert from "node:assert/strict";
import type { OwnCircuit } from "../../../lib/node/circuit/own_circuit.ts";
import { SEALED_BYTES } from "../../../lib/service/meeting/introduction.ts";
import {
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
} from "../../../lib/service/meeting/introduction_messages.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import { MAX_ASKS } from "../../../lib/service/meeting/introduction_table.ts";
import {
  type Work,
  WorkSearch,
} from "../../../lib/service/meeting/introduction_work.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../../lib/service/meeting/rendezvous.ts";
import {
  allGone,
  build,
  CIRCUIT_CRYPTO,
  startClient,
  startRelay,
  startRelays,
  until,
  withCircuits,
} from "../circuit/circuit_world.ts";
import { codeOf, inMemory, type MemoryWorld } from "../link/link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);
const test = (sentence: string, body: (world: MemoryWorld) => Promise<void>) =>
  Deno.test(sentence, () => run(body));

test("a service that signs for another circuit does not listen", async (world) => {
  const relay = await startRelay(world);
  const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const client = await startClient(world);
  const [a, b] = [await build(client, [relay]), await build(client, [relay])];
  const body = encodeEstablishIntro(keys, a.binding);
  assert.equal(await codeOf(b.ask("establish_intro", body)), "circuit.ended");
  await a.ask("establish_intro", body);
  await a.ask("establish_intro", encodeEstablishIntro(keys, a.binding, 5));
  // Two services on one circuit are wrong, too.
  const others = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const second = encodeEstablishIntro(others, a.binding);
  assert.equal(await codeOf(a.ask("establish_intro", second)), "circuit.ended");
  await allGone(world, [relay]);
  assert.deepEqual(relay.server.stats.ends, { protocol: 2 });
});

test("a service that establishes anew ends its circuit before", async (world) => {
  const relay = await startRelay(world);
  const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const client = await startClient(world);
  const [a, b] = [await build(client, [relay]), await build(client, [relay])];
  await a.ask("establish_intro", encodeEstablishIntro(keys, a.binding));
  await b.ask("establish_intro", encodeEstablishIntro(keys, b.binding));
  assert.deepEqual(await a.closed, { code: "destroyed" });
  assert.equal(relay.server.stats.listening, 1);
  b.close();
  await allGone(world, [relay]);
});

test("a service that knows no cookie, or brings one twice, meets no client", async (world) => {
  const relay = await startRelay(world);
  const client = await startClient(world);
  const cookie = new Uint8Array(20).fill(3);
  const stranger = await build(client, [relay]);
  stranger.meet(encodeRendezvous1(cookie, new Uint8Array()));
  assert.deepEqual(await stranger.closed, { code: "destroyed" });

  const waiting = await build(client, [relay]);
  await waiting.ask("establish_rendezvous", encodeEstablishRendezvous(cookie));
  const second = await build(client, [relay]);
  const again = second.ask(
    "establish_rendezvous",
    encodeEstablishRendezvous(cookie),
  );
  assert.equal(await codeOf(again), "circuit.ended");
  // With oneself there is nothing to talk about.
  waiting.meet(encodeRendezvous1(cookie, new Uint8Array()));
  await waiting.closed;
  assert.equal(await codeOf(waiting.met()), "circuit.ended");
  await allGone(world, [relay]);
});

test("a client waits for a service for a minute", async (world) => {
  const relay = await startRelay(world);
  const circuit = await build(await startClient(world), [relay]);
  const body = encodeEstablishRendezvous(new Uint8Array(20));
  await circuit.ask("establish_rendezvous", body);
  const startMs = world.clock.nowMs();
  assert.deepEqual(await circuit.closed, { code: "destroyed" });
  const waitedMs = world.clock.nowMs() - startMs;
  assert.ok(waitedMs >= 59_900 && waitedMs <= 60_200, `${waitedMs}`);
  await allGone(world, [relay]);
});

test("a circuit that is extended is no meeting point any more", async (world) => {
  const [relay, next] = await startRelays(world, 2);
  assert.ok(relay && next);
  const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const client = await startClient(world);
  const circuit = await build(client, [relay]);
  await circuit.ask(
    "establish_intro",
    encodeEstablishIntro(keys, circuit.binding),
  );
  await circuit.ask(
    "establish_rendezvous",
    encodeEstablishRendezvous(new Uint8Array(20)),
  );
  const { listening, waiting } = relay.server.stats;
  assert.deepEqual([listening, waiting], [1, 1]);
  await circuit.extend(next.record);
  assert.deepEqual(
    [relay.server.stats.listening, relay.server.stats.waiting],
    [0, 0],
  );
  circuit.close();
  await allGone(world, [relay, next]);
});

test("a malformed message of the services ends the circuit", async (world) => {
  const relay = await startRelay(world);
  const client = await startClient(world);
  for (
    const type of [
      "establish_intro",
      "introduce1",
      "establish_rendezvous",
    ] as const
  ) {
    const circuit = await build(client, [relay]);
    assert.equal(
      await codeOf(circuit.ask(type, Uint8Array.of(0xa0))),
      "circuit.ended",
    );
  }
  const circuit = await build(client, [relay]);
  circuit.meet(Uint8Array.of(0xff));
  await circuit.closed;
  assert.deepEqual(relay.server.stats.ends, { protocol: 4 });
  await allGone(world, [relay]);
});

test("introductions beyond what a service can take are held up until their clients work for them", async (world) => {
  const relay = await startRelay(world);
  const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const client = await startClient(world);
  const service = await build(client, [relay]);
  let heard = 0;
  service.onIntroduction(() => heard++);
  await service.ask(
    "establish_intro",
    encodeEstablishIntro(keys, service.binding),
  );
  const sealed = new Uint8Array(SEALED_BYTES);
  const subject = { authentication: keys.public.authentication, sealed };
  const introduce = async (circuit: OwnCircuit, work?: Work) =>
    decodeIntroduceAck(
      await circuit.ask("introduce1", encodeIntroduce1({ ...subject, work })),
    );
  const circuits = await Promise.all(
    Array.from({ length: 50 }, () => build(client, [relay])),
  );
  const answers = await Promise.all(
    circuits.map((circuit) => introduce(circuit)),
  );
  const passed = answers.filter(({ status }) => status === "passed").length;
  assert.ok(passed >= 32 && passed < 50, `${passed} passed`);
  const index = answers.findIndex(({ status }) => status === "work");
  const [told, last] = [answers[index], circuits[index]];
  assert.ok(told?.status === "work" && last !== undefined);
  const search = new WorkSearch(
    CIRCUIT_CRYPTO,
    world.random,
    told.demand,
    subject,
  );
  const work = search.run(1e6);
  assert.deepEqual(await introduce(last, work), { status: "passed" });
  for (const circuit of circuits) circuit.close();
  await until(world, "the service hears of all", () => heard === passed + 1);
  service.close();
  await allGone(world, [relay]);
});

test("a circuit is good for one introduction, and for some attempts at it", async (world) => {
  const relay = await startRelay(world);
  const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
  const client = await startClient(world);
  const service = await build(client, [relay]);
  service.onIntroduction(() => {});
  await service.ask(
    "establish_intro",
    encodeEstablishIntro(keys, service.binding),
  );
  const sealed = new Uint8Array(SEALED_BYTES);
  const known = encodeIntroduce1({ ...keys.public, sealed });
  const authentication = relay.record.publicKey;
  const unknown = encodeIntroduce1({ authentication, sealed });
  const once = await build(client, [relay]);
  await once.ask("introduce1", known);
  assert.equal(await codeOf(once.ask("introduce1", known)), "circuit.ended");
  const often = await build(client, [relay]);
  for (let i = 0; i < MAX_ASKS; i++) await often.ask("introduce1", unknown);
  assert.equal(await codeOf(often.ask("introduce1", known)), "circuit.ended");
  service.close();
  await allGone(world, [relay]);
});
