/** Clients that play false, floods and noise, and what becomes of circuits then. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  encodeFirstCell,
} from "../../../lib/circuit/cell.ts";
import { RING_CELLS } from "../../../lib/circuit/cell_ring.ts";
import type { OwnCircuit } from "../../../lib/node/circuit/own_circuit.ts";
import { dataCell } from "../../support/joined_circuits.ts";
import {
  allGone,
  build,
  joinAtLast,
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
} from "../circuit/circuit_world.ts";
import { codeOf, inMemory, type MemoryWorld } from "../link/link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);
const test = (sentence: string, body: (world: MemoryWorld) => Promise<void>) =>
  Deno.test(sentence, () => run(body));
const bodies = (count: number) =>
  Array.from({ length: count }, () => new Uint8Array(1));
const silence = () => new Promise<never>(() => {});

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
    const cell = dataCell(machine, new Uint8Array(10));
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
    stream.write(dataCell(machine, new Uint8Array(10))),
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

// ---- floods, and readers that do not read ----

test("a circuit whose client does not read is destroyed; others go on", async (world) => {
  const relays = await startRelays(world, 2);
  const [first, last] = relays;
  assert.ok(first && last);
  // No port takes what comes, so that it reads no further.
  const lazy = await build(await startClient(world), relays);
  const far = await joinAtLast(world, lazy, relays);
  const good = await build(await startClient(world), [first]);
  TestPort.on(far).send(...bodies(3000));
  await until(
    world,
    "it is destroyed",
    () =>
      first.server.stats.ends.overflow === 1 ||
      last.server.stats.ends.overflow === 1,
  );
  for (const { server } of relays) {
    assert.ok(server.stats.waitingBytes <= (RING_CELLS + 16) * CELL_BYTES);
  }
  assert.deepEqual(await far.closed, { code: "destroyed" });
  assert.ok(await good.ping() > 0);
  // What is being written to one that does not read ends with its link.
  await sleep(world.clock, 20_000);
  assert.equal(first.server.stats.waitingBytes, 0);
  assert.ok(await good.ping() > 0);
  good.close();
  lazy.close();
  await allGone(world, relays);
});

test("over the quota, the circuits go whose cells have waited longest", async (world) => {
  const relay = await startRelay(world, {
    limits: { quotaBytes: 8 * 1024 * 1024 },
  });
  const good = await build(await startClient(world), [relay]);
  const client = await startClient(world);
  const stalled: OwnCircuit[] = [];
  const senders: OwnCircuit[] = [];
  for (let i = 0; i < 6; i++) {
    const circuit = await build(client, [relay]);
    const sender = await joinAtLast(world, circuit, [relay]);
    stalled.push(circuit);
    senders.push(sender);
    TestPort.on(sender).send(...bodies(1000));
    await sleep(world.clock, 100);
    const { waitingBytes, quotaBytes } = relay.server.stats;
    assert.ok(waitingBytes <= quotaBytes + 64 * 1024, `${waitingBytes}`);
  }
  const destroyed = senders.map(({ isOpen }) => !isOpen);
  assert.ok((relay.server.stats.ends.quota ?? 0) >= 1);
  // Oldest first, the newest never.
  assert.deepEqual(destroyed, [...destroyed].sort().reverse());
  assert.equal(destroyed[0], true);
  assert.equal(destroyed.at(-1), false);
  assert.ok(await good.ping() > 0);
  good.close();
  for (const circuit of stalled) circuit.close();
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
  const { pace, full } = relay.server.stats.refusals;
  assert.equal(pace + full, 9500);
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
  assert.equal(first.server.stats.refusals.stopping, 1);
  await allGone(world, relays);
});
