/** Next relays and last hops that play false, and what becomes of circuits then. */
import assert from "node:assert/strict";
import { customNetwork } from "../../../lib/auth/network.ts";
import { createNodeRecord } from "../../../lib/auth/node_record.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { CELL_BYTES } from "../../../lib/circuit/cell.ts";
import { RelayedCircuit } from "../../../lib/node/relay/relayed_circuit.ts";
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
import {
  codeOf,
  inMemory,
  type MemoryWorld,
  NETWORK,
} from "../link/link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);
const test = (sentence: string, body: (world: MemoryWorld) => Promise<void>) =>
  Deno.test(sentence, () => run(body));
const silence = () => new Promise<never>(() => {});

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

test("a relay says that a relay is not there when another or none answers", async (world) => {
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
    record: createNodeRecord(
      CIRCUIT_CRYPTO,
      gone.node.identity,
      NETWORK,
      { ...gone.record, addresses: other.record.addresses },
    ),
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

test("a relay extends to no private address where its network forbids them", async (world) => {
  const [next] = await startRelays(world, 1);
  assert.ok(next);
  const main = await startRelay(world, {
    network: customNetwork({ ...NETWORK, allowPrivateAddresses: false }),
  });
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

// ---- the last hop ----

/** What a last hop may do out of turn, and that the client ends for it. */
const FALSE_LAST_HOPS: Readonly<
  Record<string, (circuit: RelayedCircuit) => void>
> = {
  "introduces a peer to a client": (circuit) =>
    void circuit.send({ type: "introduce2", body: new Uint8Array(10) }),
  "joins what the client did not want joined": (circuit) =>
    void circuit.send({ type: "rendezvous2", body: new Uint8Array(10) }),
  "answers what was not asked": (circuit) =>
    void circuit.send({ type: "introduce_ack", body: new Uint8Array(10) }),
  "sends a pong for nothing": (circuit) =>
    void circuit.send({ type: "pong", id: 7 }),
  "says that it has extended": (circuit) =>
    void circuit.send({ type: "extended", reply: new Uint8Array(1152) }),
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

test("a client ends a circuit whose last hop joins it to another, unasked", async (world) => {
  const relays = await startRelays(world, 1);
  const asked: RelayedCircuit[] = [];
  const last = await startRelay(world, {
    answerDht: (circuit, { id }) => {
      asked.push(circuit);
      const [other] = asked;
      if (other !== undefined) RelayedCircuit.join(circuit, other);
      return Promise.resolve({ type: "dht_missing", id });
    },
  });
  const key = new Uint8Array(32);
  const other = await build(await startClient(world), [last]);
  await other.dhtGet(key);
  const circuit = await build(await startClient(world), [...relays, last]);
  const answer = codeOf(circuit.dhtGet(key));
  await until(world, "they are joined", () => asked.length === 2);
  TestPort.on(other).send(new Uint8Array(10));
  assert.equal(await answer, "circuit.ended");
  assert.deepEqual(await circuit.closed, { code: "protocol", hop: 2 });
  await allGone(world, [...relays, last]);
});

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
