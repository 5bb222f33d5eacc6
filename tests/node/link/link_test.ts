import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import {
  codeOf,
  inMemory,
  type LinkWorld,
  readAll,
  type TestNode,
} from "./link_world.ts";

/** A link of a node to one who shook hands, and then does what the test wants. */
async function toRawPeer(world: LinkWorld, node: TestNode) {
  const identity = world.identity();
  const endpoint = await world.endpoint(identity);
  const answered = world.rawAnswer(endpoint, identity);
  const link = await node.table.getOrDial({
    publicKey: identity.publicKey,
    addresses: [endpoint.localAddress],
  });
  return { link, connection: (await answered).connection };
}

Deno.test("Link pings a peer that is silent, and closes when it stays so", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link, connection } = await toRawPeer(world, a);
    await sleep(world.clock, 21_000);
    const ping = await connection.acceptStream();
    assert.ok(ping !== undefined);
    assert.equal(link.isOpen, true);
    const end = await link.closed;
    assert.deepEqual(end, { by: "local", reason: "link.silent" });
    const aliveMs = world.clock.nowMs() - link.openedMs;
    assert.ok(aliveMs >= 30_000 && aliveMs < 31_000);
  }));

Deno.test("Link between honest nodes is kept by pings, and closed when idle for 300 s", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    await sleep(world.clock, 299_000);
    assert.equal(link.isOpen, true);
    const { reason } = await link.closed;
    assert.match(reason, /^link\.(idle|hung_up)$/);
    assert.ok(world.clock.nowMs() - link.openedMs < 302_000);
    assert.equal(a.table.stats.links + b.table.stats.links, 0);
  }));

Deno.test("Link with a circuit is never idle", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    const circuit = await link.openCircuit();
    const [other] = await b.circuits.reach(1);
    await sleep(world.clock, 3_600_000);
    assert.equal(link.isOpen, true);
    circuit.cancel();
    other?.cancel();
    await link.closed;
  }));

Deno.test("Link notices that the network is cut", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    const answer = codeOf(link.request("test.echo"));
    world.network.cut([a.endpoint.localAddress], [b.endpoint.localAddress]);
    assert.equal((await link.closed).reason, "link.lost");
    assert.match(String(await answer), /^link\.(lost|request_timeout)$/);
    assert.equal(a.table.get(b.identity.publicKey), undefined);
  }));

Deno.test("Link is closed when the peer takes no bytes for 10 s while some wait", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link, connection } = await toRawPeer(world, a);
    const circuit = await link.openCircuit();
    const startMs = world.clock.nowMs();
    // More than the transport buffers: the write waits for the peer to read.
    const write = codeOf(circuit.write(new Uint8Array(3_000_000)));
    assert.ok(await connection.acceptStream() !== undefined);
    assert.deepEqual(await link.closed, {
      by: "local",
      reason: "link.stalled",
    });
    assert.ok(world.clock.nowMs() - startMs <= 11_000);
    assert.equal(await write, "transport.lost");
  }));

Deno.test("Link bears a slow reader", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link, connection } = await toRawPeer(world, a);
    const circuit = await link.openCircuit();
    let total = 0;
    const writing = (async () => {
      for (let round = 0; round < 25; round++) {
        await circuit.write(new Uint8Array(100_000));
      }
      await circuit.closeWrite();
    })();
    const stream = await connection.acceptStream();
    assert.ok(stream !== undefined);
    for (;;) {
      const chunk = await stream.read(new Uint8Array(100_000));
      if (chunk === undefined) break;
      total += chunk.length;
      await sleep(world.clock, 1000);
    }
    await writing;
    assert.equal(total, 2_500_001);
    stream.cancel();
    circuit.cancel();
  }));

Deno.test("Link closes streams that say nothing, and keeps the link", () =>
  inMemory(async (world) => {
    const b = await world.node();
    const { connection } = await world.rawDial(b);
    const silent = [];
    for (const said of [[1], [1, 0, 0, 0, 50, 1, 2]]) {
      const stream = await connection.openStream();
      await stream.write(Uint8Array.from(said));
      silent.push(stream);
    }
    const startMs = world.clock.nowMs();
    for (const stream of silent) assert.equal(await readAll(stream), 0);
    const waitedMs = world.clock.nowMs() - startMs;
    assert.ok(waitedMs >= 9_900 && waitedMs < 11_000);
    const [link] = b.links.items;
    assert.equal(link?.isOpen, true);
    assert.equal(link?.stats.openStreams, 0);
    for (const stream of silent) stream.cancel();
    connection.close(0);
  }));

Deno.test("Link never floods an honest peer: its own requests wait for their turn", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    let failed = 0;
    // Not more at once than the peer serves at once.
    const ask = async () => {
      for (let count = 0; count < 50; count++) {
        await link.request("test.echo").catch(() => failed++);
      }
    };
    await Promise.all(Array.from({ length: 40 }, ask));
    assert.equal(failed, 0);
    assert.equal(link.stats.requestsOut, 2000);
    // 200 at once, then 200 per second.
    assert.ok(world.clock.nowMs() - link.openedMs >= 8_900);
    assert.equal(link.isOpen, true);
  }));

Deno.test("Link refuses circuits over the rate, and lives on", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({
      linkLimits: { circuits: { perSecond: 1, burst: 3 } },
    });
    const link = await a.table.getOrDial(b.peer);
    const circuits = [];
    for (let count = 0; count < 10; count++) {
      circuits.push(await link.openCircuit());
    }
    await link.request("test.echo");
    const served = await b.circuits.reach(3);
    assert.equal(served.length, 3);
    for (const circuit of circuits.slice(3)) {
      assert.equal(await readAll(circuit), 0);
    }
    assert.equal(b.links.items[0]?.stats.circuitsRefused, 7);
    assert.equal(link.isOpen, true);
  }));

Deno.test("Link refuses circuits under overload, and still answers requests", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    const before = await link.openCircuit();
    const [kept] = await b.circuits.reach(1);
    b.table.load = "overloaded";
    const refused = await link.openCircuit();
    assert.equal(await readAll(refused), 0);
    await link.request("test.echo");
    await before.write(Uint8Array.of(1));
    assert.deepEqual(await kept?.read(new Uint8Array(1)), Uint8Array.of(1));
    b.table.load = "normal";
    await link.openCircuit();
    assert.equal((await b.circuits.reach(2)).length, 2);
  }));

Deno.test("Link closes streams over the peer's cap unread", () =>
  inMemory(async (world) => {
    const b = await world.node({ linkLimits: { openStreams: 3 } });
    const { connection } = await world.rawDial(b);
    const streams = [];
    for (let count = 0; count < 5; count++) {
      const stream = await connection.openStream();
      await stream.write(Uint8Array.of(2));
      streams.push(stream);
    }
    for (const stream of streams.slice(3)) {
      assert.equal(await readAll(stream), 0);
    }
    assert.equal((await b.circuits.reach(3)).length, 3);
    assert.equal(b.links.items[0]?.stats.openStreams, 3);
    connection.close(0);
  }));

Deno.test("Link reads slowly from a peer over its byte rate", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({
      linkLimits: { bytes: { perSecond: 100_000, burst: 100_000 } },
    });
    const link = await a.table.getOrDial(b.peer);
    const circuit = await link.openCircuit();
    const startMs = world.clock.nowMs();
    await circuit.write(new Uint8Array(1_000_000));
    await circuit.closeWrite();
    const [seen] = await b.circuits.reach(1);
    assert.ok(seen !== undefined);
    assert.equal(await readAll(seen), 1_000_000);
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs > 8_900 && tookMs < 9_500, `${tookMs} ms`);
  }));

Deno.test("Link.request() gives up after its time, whether the peer reads or not", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link } = await toRawPeer(world, a);
    const startMs = world.clock.nowMs();
    assert.equal(
      await codeOf(link.request("test.echo")),
      "link.request_timeout",
    );
    assert.equal(world.clock.nowMs() - startMs, 10_000);
    const quick = link.request("test.echo", undefined, { timeoutMs: 50 });
    assert.equal(await codeOf(quick), "link.request_timeout");
    assert.equal(world.clock.nowMs() - startMs, 10_050);
    assert.equal(link.stats.openStreams, 0);
  }));

Deno.test("Link answers failed when its own node takes more than 10 s", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const seen: AbortSignal[] = [];
    const b = await world.node({
      handlers: {
        onRequest: (_link, _method, _body, signal) => {
          seen.push(signal);
          return new Promise(() => {});
        },
      },
    });
    const link = await a.table.getOrDial(b.peer);
    const answer = link.request("test.hang", undefined, { timeoutMs: 20_000 });
    assert.equal(await codeOf(answer), "link.rpc_failed");
    assert.equal(seen[0]?.aborted, true);
    assert.equal(b.links.items[0]?.stats.openStreams, 0);
  }));

Deno.test("Link tells its node when no caller waits for an answer any more", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const asked = Promise.withResolvers<AbortSignal>();
    const b = await world.node({
      handlers: {
        onRequest: (_link, _method, _body, signal) => {
          asked.resolve(signal);
          return new Promise(() => {});
        },
      },
    });
    const link = await a.table.getOrDial(b.peer);
    const answer = codeOf(link.request("test.hang"));
    const signal = await asked.promise;
    assert.equal(signal.aborted, false);
    link.close();
    assert.equal(await answer, "link.lost");
    await b.ends.reach(1);
    assert.equal(signal.aborted, true);
    assert.deepEqual(b.errors, []);
  }));

Deno.test("Link closes when an answer is none, and says so", () =>
  inMemory(async (world) => {
    const cases: [number[], string][] = [
      [[255, 255, 255, 255], "wire.frame_too_large"],
      [[0, 1, 0, 1], "wire.frame_too_large"],
      [[0, 0, 0, 1, 0xa0], "wire.field"],
      [[0, 0, 0, 2, 0xa1, 0x61], "wire.cbor"],
    ];
    for (const [answer, code] of cases) {
      const a = await world.node();
      const { link, connection } = await toRawPeer(world, a);
      const request = codeOf(link.request("test.echo"));
      const stream = await connection.acceptStream();
      await stream?.write(Uint8Array.from(answer));
      assert.equal(await request, code);
      assert.equal((await link.closed).reason, code);
    }
  }));

Deno.test("Link bears answers that are cut, late or never asked for", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link, connection } = await toRawPeer(world, a);
    const cut = codeOf(link.request("test.echo"));
    const stream = await connection.acceptStream();
    await stream?.write(Uint8Array.of(0, 0, 0, 9, 1));
    await stream?.closeWrite();
    assert.equal(await cut, "link.rpc_failed");
    const late = codeOf(
      link.request("test.echo", undefined, { timeoutMs: 100 }),
    );
    const lateStream = await connection.acceptStream();
    assert.equal(await late, "link.request_timeout");
    await lateStream?.write(Uint8Array.of(0, 0, 0, 1, 0xa0)).catch(() => {});
    assert.equal(link.isOpen, true);
    assert.equal(link.stats.openStreams, 0);
  }));

Deno.test("Link hears busy although the peer reads nothing of the request", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({ tableLimits: { requests: 1 } });
    const gate = Promise.withResolvers<Uint8Array>();
    const c = await world.node({
      tableLimits: { requests: 1 },
      handlers: { onRequest: () => gate.promise },
    });
    const toB = await a.table.getOrDial(b.peer);
    await toB.request("test.echo");
    const toC = await a.table.getOrDial(c.peer);
    const first = toC.request("test.echo");
    const second = codeOf(toC.request("test.echo", new Uint8Array(60_000)));
    assert.equal(await second, "link.rpc_busy");
    gate.resolve(Uint8Array.of(4));
    assert.deepEqual(await first, Uint8Array.of(4));
  }));

Deno.test("Link.openCircuit() leaves room for requests and pings", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({ linkLimits: { openStreams: 20 } });
    const link = await a.table.getOrDial(b.peer);
    const circuits = [];
    for (let count = 0; count < 4; count++) {
      circuits.push(await link.openCircuit());
    }
    assert.equal(await codeOf(link.openCircuit()), "link.streams");
    await b.circuits.reach(4);
    // Nothing but pings for an hour: the link stays.
    await sleep(world.clock, 3_600_000);
    await link.request("test.echo");
    circuits[0]?.cancel();
    b.circuits.items[0]?.cancel();
    assert.ok(await link.openCircuit());
  }));

Deno.test("Link.openCircuit() rejects with the reason when told to give up", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({ transport: { maxStreams: 1 } });
    const link = await a.table.getOrDial(b.peer);
    const only = await link.openCircuit();
    const controller = new AbortController();
    const waiting = link.openCircuit({ signal: controller.signal });
    const error = new UnreachableError("test.enough", "Enough");
    controller.abort(error);
    assert.equal(await codeOf(waiting), "test.enough");
    assert.equal(link.stats.openStreams, 1);
    only.cancel();
  }));

Deno.test("Link takes a peer for full, not for silent, when no stream is left for a ping", () =>
  inMemory(async (world) => {
    const a = await world.node();
    // It promises more than its transport grants, as one does that ends streams late.
    const b = await world.node({ transport: { maxStreams: 4 } });
    const link = await a.table.getOrDial(b.peer);
    for (let count = 0; count < 4; count++) await link.openCircuit();
    await link.probe(2_000);
    assert.equal(link.isOpen, true);
    await sleep(world.clock, 3_600_000);
    assert.equal(link.isOpen, true);
  }));

Deno.test("Link.probe() takes any byte of the peer for a sign of life", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const { link, connection } = await toRawPeer(world, a);
    const circuit = await link.openCircuit();
    const theirs = await connection.acceptStream();
    assert.ok(theirs !== undefined);
    const reading = readAll(circuit);
    const probing = link.probe(2_000);
    await sleep(world.clock, 1_000);
    await theirs.write(Uint8Array.of(1));
    await probing;
    assert.equal(link.isOpen, true);
    // One that then says nothing at all is silent.
    await link.probe(2_000);
    assert.equal((await link.closed).reason, "link.silent");
    await reading.catch(() => {});
  }));
