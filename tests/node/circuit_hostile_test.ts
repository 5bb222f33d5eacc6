/** Relays and clients that play false, and what becomes of circuits then. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../lib/auth/network.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  encodeFirstCell,
} from "../../lib/circuit/cell.ts";
import { RING_CELLS } from "../../lib/circuit/cell_ring.ts";
import type { OwnCircuit } from "../../lib/node/own_circuit.ts";
import type { RelayedCircuit } from "../../lib/node/relayed_circuit.ts";
import { SEALED_BYTES } from "../../lib/service/introduction.ts";
import {
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
} from "../../lib/service/introduction_messages.ts";
import { IntroductionKeys } from "../../lib/service/introduction_keys.ts";
import { MAX_ASKS } from "../../lib/service/introduction_table.ts";
import { type Work, WorkSearch } from "../../lib/service/introduction_work.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../lib/service/rendezvous.ts";
import {
  allGone,
  build,
  CIRCUIT_CRYPTO,
  type FalseStream,
  type Hop,
  RawCircuit,
  readCell,
  startClient,
  startFalseRelay,
  startRelay,
  startRelays,
  TestPort,
  tryBuild,
  until,
  withCircuits,
} from "./circuit_world.ts";
import { codeOf, inMemory, type MemoryWorld } from "./link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);
const test = (sentence: string, body: (world: MemoryWorld) => Promise<void>) =>
  Deno.test(sentence, () => run(body));

const silence = () => new Promise<never>(() => {});

// ---- the next relay ----

/** Relays that fail a circuit as second hop, and what the client is told. */
const FALSE_RELAYS: readonly {
  readonly what: string;
  readonly reason: "timeout" | "closed";
  readonly behave: (circuit: FalseStream) => Promise<void>;
}[] = [
  {
    what: "never answers",
    reason: "timeout",
    behave: silence,
  },
  {
    what: "answers when it is too late",
    reason: "timeout",
    async behave({ first, answer, stream }) {
      const cell = await answer(await first);
      await readCell(stream); // until it is given up
      await stream.write(cell).catch(() => {});
    },
  },
  {
    what: "ends the stream at once",
    reason: "closed",
    async behave({ first, stream }) {
      await first;
      stream.cancel();
    },
  },
  {
    what: "ends the stream within its answer",
    reason: "closed",
    async behave({ first, answer, stream }) {
      const cell = await answer(await first);
      await stream.write(cell.subarray(0, 1000));
      await stream.closeWrite();
    },
  },
  {
    what: "sends noise for an answer",
    reason: "closed",
    async behave({ first, stream }) {
      await first;
      await stream.write(new Uint8Array(CELL_BYTES).fill(1));
      await readCell(stream);
      stream.cancel();
    },
  },
];

for (const { what, reason, behave } of FALSE_RELAYS) {
  test(`a relay says "${reason}" of one that ${what}, and goes on`, async (world) => {
    const [first, good] = await startRelays(world, 2);
    assert.ok(first && good);
    const bad = await startFalseRelay(world, behave);
    const client = await startClient(world);
    const circuit = await build(client, [first]);
    const startMs = world.clock.nowMs();
    const failed = { code: "not_extended", hop: 2, reason } as const;
    assert.deepEqual(await circuit.extend(bad.record), {
      ok: false,
      failure: failed,
    });
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs < 10_200, `took ${tookMs} ms`);
    assert.equal(first.server.stats.states.created, 1);
    await sleep(world.clock, 1000);
    // The circuit is as it was: another relay will do.
    assert.deepEqual(await circuit.extend(good.record), { ok: true });
    assert.ok(await circuit.ping() > 0);
    circuit.close();
    await allGone(world, [first, good]);
    assert.deepEqual(bad.node.errors, []);
    assert.deepEqual(
      await tryBuild(client, [first, bad]),
      { ok: false, failure: failed },
    );
    await allGone(world, [first, good]);
  });
}

test("a client finds out about a relay that answers twice", async (world) => {
  const [first] = await startRelays(world, 1);
  assert.ok(first);
  const twice = await startFalseRelay(world, async (circuit) => {
    const cell = await circuit.answer(await circuit.first);
    await circuit.stream.write(cell);
    await circuit.stream.write(cell);
    await readCell(circuit.stream);
  });
  const client = await startClient(world);
  const result = await tryBuild(client, [first, twice]);
  const end = result.ok
    ? await result.circuit.closed
    : result.failure.code === "ended"
    ? result.failure.end
    : undefined;
  assert.equal(end?.code, "bad_cell");
  await allGone(world, [first]);
});

test("a client finds out about a relay that cannot prove its onion key", async (world) => {
  const [first] = await startRelays(world, 1);
  assert.ok(first);
  const forger = await startFalseRelay(world, async (circuit) => {
    const cell = await circuit.answer(await circuit.first);
    cell[40] = (cell[40] ?? 0) ^ 1;
    await circuit.stream.write(cell);
    await readCell(circuit.stream);
  });
  const client = await startClient(world);
  const result = await tryBuild(client, [first, forger]);
  assert.deepEqual(result, {
    ok: false,
    failure: {
      code: "ended",
      hop: 2,
      end: { code: "handshake", hop: 2, failure: "auth" },
    },
  });
  await allGone(world, [first]);
});

test("a relay says that a relay is not there when somebody else or nobody answers", async (world) => {
  const [first, other] = await startRelays(world, 2);
  assert.ok(first && other);
  const client = await startClient(world);
  const gone = await startRelay(world);
  await gone.node.table.close();
  const failed = (reason: string) => ({
    ok: false,
    failure: { code: "not_extended", hop: 2, reason },
  });
  const liar: Hop = {
    node: gone.node,
    record: { ...gone.record, addresses: other.record.addresses },
  };
  assert.deepEqual(
    await tryBuild(client, [first, liar]),
    failed("unreachable"),
  );
  // A dead address takes longer than a client can be made to wait.
  assert.deepEqual(await tryBuild(client, [other, gone]), failed("timeout"));
  // For a moment from then on, it is known.
  assert.deepEqual(
    await tryBuild(client, [other, gone]),
    failed("unreachable"),
  );
  await allGone(world, [first, other]);
});

test("a client names its first hop when that cannot be reached or does not answer", async (world) => {
  const client = await startClient(world);
  const gone = await startRelay(world);
  await gone.node.table.close();
  const result = await tryBuild(client, [gone]);
  assert.ok(!result.ok && result.failure.code === "unlinked");
  assert.equal(result.failure.hop, 1);
  const silent = await startFalseRelay(world, silence);
  assert.deepEqual(await tryBuild(client, [silent], { hopTimeoutMs: 3000 }), {
    ok: false,
    failure: { code: "ended", hop: 1, end: { code: "timeout", hop: 1 } },
  });
  const old = await startRelay(world);
  const stale: Hop = {
    node: old.node,
    record: { ...old.record, onionKey: new Uint8Array(32).fill(9) },
  };
  assert.deepEqual(await tryBuild(client, [stale]), {
    ok: false,
    failure: { code: "ended", hop: 1, end: { code: "destroyed" } },
  });
  assert.deepEqual(old.server.stats.ends, { handshake: 1 });
});

test("a relay of network main extends to no private address", async (world) => {
  const [next] = await startRelays(world, 1);
  assert.ok(next);
  const main = await startRelay(world, { network: networkParameters("main") });
  const client = await startClient(world);
  assert.deepEqual(await tryBuild(client, [main, next]), {
    ok: false,
    failure: { code: "not_extended", hop: 2, reason: "refused" },
  });
  assert.equal(main.node.table.stats.links, 1);
});

test("a fifth relay is not tried", async (world) => {
  const relay = await startRelay(world);
  const bad = await startFalseRelay(world, ({ stream }) => {
    stream.cancel();
    return Promise.resolve();
  });
  const circuit = await build(await startClient(world), [relay]);
  for (let attempt = 0; attempt < 4; attempt++) {
    const result = await circuit.extend(bad.record);
    assert.ok(!result.ok && result.failure.code === "not_extended");
  }
  const result = await circuit.extend(bad.record);
  assert.ok(!result.ok && result.failure.code === "ended");
  await allGone(world, [relay]);
});

test("a client that speaks while its circuit is extended loses it, everywhere", async (world) => {
  const first = await startRelay(world);
  const silent = await startFalseRelay(world, silence);
  const client = await startClient(world);
  const circuit = await RawCircuit.build(world, client, [first]);
  const extend = await circuit.machine.extend(
    silent.record,
    world.clock.nowMs(),
  );
  assert.ok(extend);
  await circuit.stream.write(extend);
  await until(
    world,
    "it is being extended",
    () => first.server.stats.states.extending === 1,
  );
  await circuit.stream.write(new Uint8Array(CELL_BYTES));
  assert.equal(await circuit.receive(), undefined);
  assert.deepEqual(first.server.stats.ends, { protocol: 1 });
  circuit.stream.cancel();
  await allGone(world, [first]);
});

// ---- the client ----

test("a stream that brings no whole cell in time is ended", async (world) => {
  const relay = await startRelay(world);
  const client = await startClient(world);
  const mute = await RawCircuit.open(world, client, relay);
  const slow = await RawCircuit.open(world, client, relay);
  await slow.stream.write(new Uint8Array(CELL_BYTES - 1));
  const startMs = world.clock.nowMs();
  assert.equal(await mute.receive(), undefined);
  assert.equal(await slow.receive(), undefined);
  assert.ok(world.clock.nowMs() - startMs < 10_100);
  assert.deepEqual(relay.server.stats.ends, { silent: 2 });
  mute.stream.cancel();
  slow.stream.cancel();
  await allGone(world, [relay]);
});

/** First things that a client says, and must not. */
const FALSE_FIRSTS: Readonly<Record<string, (request: Bytes) => Bytes>> = {
  "zeros": () => new Uint8Array(CELL_BYTES),
  "something behind its request": (request) => {
    request[CELL_BYTES - 1] = 1;
    return request;
  },
  "a second cell before the answer": (request) => {
    const cells = new Uint8Array(2 * CELL_BYTES);
    cells.set(request);
    return cells;
  },
  "a request for another relay": (request) => {
    request[0] = (request[0] ?? 0) ^ 1;
    return request;
  },
};

for (const [what, twist] of Object.entries(FALSE_FIRSTS)) {
  test(`a client that begins with ${what} gets no circuit`, async (world) => {
    const relay = await startRelay(world);
    const client = await startClient(world);
    const circuit = await RawCircuit.open(world, client, relay);
    const request = await circuit.machine.create(
      relay.record,
      world.clock.nowMs(),
    );
    assert.ok(request);
    await circuit.stream.write(twist(request));
    assert.equal(await readCell(circuit.stream), undefined);
    circuit.stream.cancel();
    assert.equal(relay.server.stats.created, 0);
    assert.deepEqual(relay.server.stats.ends, { handshake: 1 });
    assert.equal(client.node.table.links.length, 1); // the link is not to blame
    await allGone(world, [relay]);
  });
}

/** What a client may send over a circuit of two hops, and what ends it. */
const FALSE_CELLS: Readonly<
  Record<string, (circuit: RawCircuit) => Promise<void>>
> = {
  "noise": ({ stream }) => stream.write(new Uint8Array(CELL_BYTES).fill(7)),
  "a cell with a flipped bit": ({ stream, machine }) => {
    const cell = machine.sendData(new Uint8Array(10));
    cell[2000] = (cell[2000] ?? 0) ^ 1;
    return stream.write(cell);
  },
  "a cell twice": async ({ stream, machine }) => {
    const ping = machine.ping(0);
    assert.ok(ping);
    await stream.write(ping);
    await stream.write(ping);
  },
  "cells in another order": async ({ stream, machine }) => {
    const [a, b] = [machine.ping(0), machine.ping(0)];
    assert.ok(a && b);
    await stream.write(b);
    await stream.write(a);
  },
  "data that ends nowhere": ({ stream, machine }) =>
    stream.write(machine.sendData(new Uint8Array(10))),
};

for (const [what, send] of Object.entries(FALSE_CELLS)) {
  test(`a client that sends ${what} loses its circuit, everywhere`, async (world) => {
    const relays = await startRelays(world, 2);
    const client = await startClient(world);
    const circuit = await RawCircuit.build(world, client, relays);
    await send(circuit);
    for (let event = await circuit.receive(); event !== undefined;) {
      assert.equal(event.type, "pong");
      event = await circuit.receive();
    }
    circuit.stream.cancel();
    await allGone(world, relays);
    assert.equal(client.node.table.links.length, 1);
  });
}

test("a stream that ends inside a cell is a circuit destroyed", async (world) => {
  const relays = await startRelays(world, 2);
  const client = await startClient(world);
  const circuit = await RawCircuit.build(world, client, relays);
  const ping = circuit.machine.ping(0);
  assert.ok(ping);
  await circuit.stream.write(ping.subarray(0, 100));
  await circuit.stream.closeWrite();
  assert.equal(await circuit.receive(), undefined);
  circuit.stream.cancel();
  await allGone(world, relays);
});

// ---- what services must not say ----

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

test("whoever knows no cookie, or brings one twice, meets nobody", async (world) => {
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

test("introductions beyond what a service can take are held up until somebody works for them", async (world) => {
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

// ---- the last hop ----

/** What a last hop may do out of turn, and that the client ends for it. */
const FALSE_LAST_HOPS: Readonly<
  Record<string, (circuit: RelayedCircuit) => void>
> = {
  "introduces somebody to a client": (circuit) =>
    void circuit.send({ type: "introduce2", body: new Uint8Array(10) }),
  "joins what nobody wanted joined": (circuit) =>
    void circuit.send({ type: "rendezvous2", body: new Uint8Array(10) }),
  "answers what nobody asked": (circuit) =>
    void circuit.send({ type: "introduce_ack", body: new Uint8Array(10) }),
  "sends a pong for nothing": (circuit) =>
    void circuit.send({ type: "pong", id: 7 }),
  "says that it has extended": (circuit) =>
    void circuit.send({ type: "extended", reply: new Uint8Array(1152) }),
  "sends data": (circuit) => void circuit.sendData(new Uint8Array(10)),
};

for (const [what, act] of Object.entries(FALSE_LAST_HOPS)) {
  test(`a client ends a circuit whose last hop ${what}`, async (world) => {
    const [first] = await startRelays(world, 1);
    assert.ok(first);
    const last = await startRelay(world, {
      answerDht: (circuit, request) => {
        act(circuit);
        return Promise.resolve({ type: "dht_missing", id: request.id });
      },
    });
    const circuit = await build(await startClient(world), [first, last]);
    const code = await codeOf(circuit.dhtGet(new Uint8Array(32)));
    assert.equal(code, "circuit.ended");
    assert.deepEqual(await circuit.closed, { code: "protocol", hop: 2 });
    await allGone(world, [first, last]);
  });
}

test("a last hop that does not answer costs a question, and not the circuit", async (world) => {
  const answers: PromiseWithResolvers<void>[] = [];
  const relay = await startRelay(world, {
    answerDht: async (_circuit, request) => {
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      await answer.promise;
      return { type: "dht_missing", id: request.id };
    },
  });
  const circuit = await build(await startClient(world), [relay]);
  const key = new Uint8Array(32);
  const codes = await Promise.all(
    Array.from({ length: 5 }, () => codeOf(circuit.dhtGet(key))),
  );
  const timeout = "circuit.request_timeout";
  assert.deepEqual(codes, [timeout, timeout, timeout, timeout, "circuit.busy"]);
  // The places are taken until the answers come, late as they are.
  assert.equal(await codeOf(circuit.dhtGet(key)), "circuit.busy");
  for (const answer of answers) answer.resolve();
  assert.ok(await circuit.ping() > 0);
  const last = circuit.dhtGet(key);
  await until(world, "it is asked", () => answers.length === 5);
  answers[4]?.resolve();
  assert.equal(await last, undefined);
  circuit.close();
  await allGone(world, [relay]);
});

test("a relay whose own part fails answers, and reports the failure", async (world) => {
  const relay = await startRelay(world, {
    answerDht: () => Promise.reject(new TypeError("a bug")),
  });
  const circuit = await build(await startClient(world), [relay]);
  assert.equal(await circuit.dhtGet(new Uint8Array(32)), undefined);
  assert.equal(await circuit.dhtPut(new Uint8Array(32)), 0);
  assert.equal(relay.errors.length, 2);
  circuit.close();
  await circuit.closed;
});

test("a ping without an answer ends the circuit", async (world) => {
  const [first] = await startRelays(world, 1);
  assert.ok(first);
  const dead = await startFalseRelay(world, async (circuit) => {
    await circuit.stream.write(await circuit.answer(await circuit.first));
  });
  const circuit = await build(await startClient(world), [first, dead]);
  assert.equal(await codeOf(circuit.ping()), "circuit.ended");
  assert.deepEqual(await circuit.closed, { code: "timeout", hop: 2 });
  await allGone(world, [first]);
});

// ---- floods, and readers that do not read ----

test("a circuit whose client does not read is destroyed; others go on", async (world) => {
  const burst = (circuit: RelayedCircuit) => {
    for (let i = 0; i < 3000; i++) circuit.sendData(new Uint8Array(1));
  };
  const [first] = await startRelays(world, 1);
  assert.ok(first);
  const last = await startRelay(world, { onData: burst });
  const lazy = await startClient(world);
  const circuit = await RawCircuit.build(world, lazy, [first, last]);
  const good = await build(await startClient(world), [first]);
  await circuit.stream.write(circuit.machine.sendData(new Uint8Array(1)));
  await until(
    world,
    "it is destroyed",
    () =>
      first.server.stats.ends.overflow === 1 ||
      last.server.stats.ends.overflow === 1,
  );
  for (const { server } of [first, last]) {
    assert.ok(server.stats.waitingBytes <= (RING_CELLS + 16) * CELL_BYTES);
  }
  assert.ok(await good.ping() > 0);
  // What is being written to one that does not read ends with its link.
  await sleep(world.clock, 20_000);
  assert.equal(first.server.stats.waitingBytes, 0);
  assert.ok(await good.ping() > 0);
  good.close();
  circuit.stream.cancel();
  await allGone(world, [first, last]);
});

test("over the quota, the circuits go whose cells have waited longest", async (world) => {
  const bursts: RelayedCircuit[] = [];
  const relay = await startRelay(world, {
    limits: { quotaBytes: 8 * 1024 * 1024 },
    onData: (circuit) => {
      bursts.push(circuit);
      for (let i = 0; i < 1000; i++) circuit.sendData(new Uint8Array(1));
    },
  });
  const good = await build(await startClient(world), [relay]);
  const client = await startClient(world);
  const stalled: RawCircuit[] = [];
  for (let i = 0; i < 6; i++) {
    const circuit = await RawCircuit.build(world, client, [relay]);
    stalled.push(circuit);
    await circuit.stream.write(circuit.machine.sendData(new Uint8Array(1)));
    await sleep(world.clock, 100);
    const { waitingBytes, quotaBytes } = relay.server.stats;
    assert.ok(waitingBytes <= quotaBytes + 64 * 1024, `${waitingBytes}`);
  }
  const destroyed = bursts.map(({ state }) => state === "closing");
  assert.ok((relay.server.stats.ends.quota ?? 0) >= 1);
  // Oldest first, the newest never.
  assert.deepEqual(destroyed, [...destroyed].sort().reverse());
  assert.equal(destroyed.at(-1), false);
  assert.ok(await good.ping() > 0);
  good.close();
  for (const { stream } of stalled) stream.cancel();
  await sleep(world.clock, 20_000);
  await allGone(world, [relay]);
});

test("10,000 circuits from one link leave room for the others", async (world) => {
  const relay = await startRelay(world, {
    limits: { circuitsPerPeer: 500, circuits: 1000 },
    node: {
      transport: { maxStreams: 20_000 },
      linkLimits: {
        openStreams: 20_000,
        circuits: { perSecond: 20_000, burst: 20_000 },
      },
    },
  });
  const flooder = await startClient(world);
  const link = await flooder.node.table.getOrDial(relay.record);
  const streams = [];
  for (let i = 0; i < 10_000; i++) {
    const stream = await link.openCircuit();
    await stream.write(encodeFirstCell(new Uint8Array(1)).subarray(0, 100));
    streams.push(stream);
  }
  await until(
    world,
    "all have come",
    () => relay.server.stats.turnedAway === 9500,
  );
  assert.equal(relay.server.stats.states.creating, 500);
  const circuit = await build(await startClient(world), [relay]);
  assert.ok(await circuit.ping() > 0);
  circuit.close();
  for (const stream of streams) stream.cancel();
  await allGone(world, [relay]);
});

test("handshakes beyond what a relay does at once are turned away", async (world) => {
  const relay = await startRelay(world, { limits: { handshakes: 1 } });
  const client = await startClient(world);
  const results = await Promise.all(
    Array.from({ length: 20 }, () => tryBuild(client, [relay])),
  );
  const built = results.filter((result) => result.ok);
  assert.ok(built.length >= 1 && built.length < 20);
  assert.equal(relay.server.stats.ends.overloaded, 20 - built.length);
  for (const result of built) if (result.ok) result.circuit.close();
  await allGone(world, [relay]);
});

// ---- any bytes at all ----

/** Pieces of noise, and whether the stream ends behind them. */
const NOISE = fc.record({
  pieces: fc.array(fc.integer({ min: 1, max: 3 * CELL_BYTES }), {
    maxLength: 6,
  }),
  end: fc.constantFrom("closeWrite", "cancel"),
});

test("a relay outlives whatever bytes come, before and after its answer", async (world) => {
  const relays = await startRelays(world, 2);
  const client = await startClient(world);
  await fc.assert(
    fc.asyncProperty(
      NOISE,
      fc.constantFrom(0, 1, 2),
      async ({ pieces, end }, hops) => {
        const [first] = relays;
        assert.ok(first);
        const circuit = hops === 0
          ? await RawCircuit.open(world, client, first)
          : await RawCircuit.build(world, client, relays.slice(0, hops));
        for (const piece of pieces) {
          await circuit.stream.write(world.random.bytes(piece)).catch(() => {});
          await sleep(world.clock, piece % 7);
        }
        circuit.stream[end as "closeWrite" | "cancel"]();
        await sleep(world.clock, 100);
        circuit.stream.cancel();
        await allGone(world, relays);
      },
    ),
    { numRuns: 60 },
  );
  assert.equal(client.node.table.links.length, 1);
});

test("a client outlives whatever bytes come, before and after an answer", async (world) => {
  const client = await startClient(world);
  await fc.assert(
    fc.asyncProperty(NOISE, fc.boolean(), async ({ pieces, end }, answers) => {
      const noisy = await startFalseRelay(world, async (circuit) => {
        const { stream } = circuit;
        if (answers) {
          await stream.write(await circuit.answer(await circuit.first));
        }
        for (const piece of pieces) {
          await stream.write(world.random.bytes(piece)).catch(() => {});
          await sleep(world.clock, piece % 7);
        }
        stream[end as "closeWrite" | "cancel"]();
      });
      const result = await tryBuild(client, [noisy], { hopTimeoutMs: 500 });
      if (result.ok) {
        const { circuit } = result;
        const open = TestPort.on(circuit);
        open.send(new Uint8Array(1));
        await sleep(world.clock, 500);
        circuit.close();
        await circuit.closed;
      }
      assert.deepEqual([client.errors, noisy.node.errors], [[], []]);
    }),
    { numRuns: 60 },
  );
});

// ---- ends ----

test("a relay that vanishes without a word ends its circuits within the keep-alive time", async (world) => {
  const relays = await startRelays(world, 3);
  const [first, middle, last] = relays;
  assert.ok(first && middle && last);
  const circuit = await build(await startClient(world), relays);
  const port = TestPort.on(circuit);
  port.send(new Uint8Array(BODY_BYTES));
  const startMs = world.clock.nowMs();
  world.network.crash(middle.node.endpoint);
  assert.deepEqual(await circuit.closed, { code: "destroyed" });
  assert.ok(world.clock.nowMs() - startMs < 15_000);
  await allGone(world, [first, last]);
});

test("a build that is given up leaves nothing behind", async (world) => {
  const [first] = await startRelays(world, 1);
  assert.ok(first);
  const silent = await startFalseRelay(world, silence);
  const client = await startClient(world);
  const giveUp = new AbortController();
  const result = tryBuild(client, [first, silent], { signal: giveUp.signal });
  await until(
    world,
    "it is being extended",
    () => first.server.stats.states.extending === 1,
  );
  giveUp.abort(new Error("enough"));
  await assert.rejects(result, /enough/);
  await allGone(world, [first]);
  await assert.rejects(
    tryBuild(client, [first], { signal: AbortSignal.abort(new Error("no")) }),
    /no/,
  );
});

test("a circuit that has ended says so to all who still want something", async (world) => {
  const relay = await startRelay(world);
  const circuit = await build(await startClient(world), [relay]);
  const waiting = circuit.met();
  circuit.close();
  await circuit.closed;
  const codes = await Promise.all([
    waiting,
    circuit.ping(),
    circuit.dhtGet(new Uint8Array(32)),
    circuit.ask("introduce1", new Uint8Array(10)),
    circuit.extend(relay.record),
  ].map(codeOf));
  assert.deepEqual(codes, Array(5).fill("circuit.ended"));
  assert.equal(circuit.isOpen, false);
  circuit.wake();
  circuit.close();
  await allGone(world, [relay]);
});

test("a server that stops ends its circuits and takes no more", async (world) => {
  const relays = await startRelays(world, 2);
  const [first, last] = relays;
  assert.ok(first && last);
  const client = await startClient(world);
  const circuit = await build(client, relays);
  await first.server[Symbol.asyncDispose]();
  assert.deepEqual(await circuit.closed, { code: "destroyed" });
  assert.equal(first.server.stats.ends.stopping, 1);
  const result = await tryBuild(client, [first]);
  assert.ok(!result.ok && result.failure.code === "ended");
  assert.equal(first.server.stats.turnedAway, 1);
  await allGone(world, relays);
});
