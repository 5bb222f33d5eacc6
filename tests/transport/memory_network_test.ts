import assert from "node:assert/strict";
import fc from "fast-check";
import { errorCode } from "../../lib/base/errors.ts";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import type { TransportLimits } from "../../lib/transport/endpoint_options.ts";
import {
  type LinkProperties,
  MemoryNetwork,
  type MemoryNetworkOptions,
} from "../../lib/transport/memory_network.ts";
import type {
  ByteStream,
  Connection,
  Endpoint,
} from "../../lib/transport/transport.ts";
import { testContract } from "./contract.ts";
import { ALPN, CRYPTO, newIdentity, runOn, withMemory } from "./world.ts";

testContract("MemoryNetwork", withMemory);

/** Two nodes on a line, with a connection and a stream when asked. */
class Scene {
  readonly clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e6 });
  readonly network: MemoryNetwork;
  readonly identity = newIdentity();

  constructor(
    link: LinkProperties = { latencyMs: 10 },
    options: Partial<MemoryNetworkOptions> = {},
  ) {
    this.network = new MemoryNetwork({
      clock: this.clock,
      random: seededRandom(1),
      link: () => link,
      ...options,
    });
  }

  node(
    host: string,
    options: {
      limits?: Partial<TransportLimits>;
      uplinkBytesPerSecond?: number;
      port?: number;
    } = {},
  ): Endpoint {
    return this.network.endpoint({
      address: { host, port: options.port ?? 4001 },
      alpn: ALPN,
      crypto: CRYPTO,
      identity: this.identity,
      ...options,
    });
  }

  run<T>(work: Promise<T>): Promise<T> {
    return runOn(this.clock, work);
  }

  async connect(
    from: Endpoint,
    to: Endpoint,
  ): Promise<[Connection, Connection]> {
    const [dialled, accepted] = await this.run(Promise.all([
      from.dial(to.localAddress, this.identity.publicKey),
      to.accept(),
    ]));
    assert(accepted !== undefined);
    return [dialled, accepted];
  }

  async streamOf(
    opener: Connection,
    acceptor: Connection,
  ): Promise<[ByteStream, ByteStream]> {
    const one = await opener.openStream();
    await one.write(new Uint8Array(1));
    const other = await this.run(acceptor.acceptStream());
    assert(other !== undefined);
    await other.read(new Uint8Array(1));
    return [one, other];
  }

  /** What `work` takes, ms. */
  async elapsed(work: () => Promise<unknown>): Promise<number> {
    const startMs = this.clock.nowMs();
    await this.run(work());
    return this.clock.nowMs() - startMs;
  }
}

async function readBytes(stream: ByteStream, count: number): Promise<void> {
  for (let got = 0; got < count;) {
    const part = await stream.read(new Uint8Array(count - got));
    assert(part !== undefined);
    got += part.length;
  }
}

Deno.test("MemoryNetwork takes a round trip to dial and half of one to carry", async () => {
  const scene = new Scene({ latencyMs: 25 });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const dialMs = await scene.elapsed(() =>
    a.dial(b.localAddress, scene.identity.publicKey)
  );
  await scene.run(b.accept());
  assert.equal(dialMs, 50);
  const [dialled, accepted] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(dialled, accepted);
  const carryMs = await scene.elapsed(async () => {
    await one.write(new Uint8Array(100));
    await readBytes(other, 100);
  });
  assert.equal(carryMs, 25);
});

Deno.test("MemoryNetwork takes the line's rate into account", async () => {
  const scene = new Scene({ latencyMs: 10, bytesPerSecond: 1_000_000 });
  const [dialled, accepted] = await scene.connect(
    scene.node("10.0.0.1"),
    scene.node("10.0.0.2"),
  );
  const [one, other] = await scene.streamOf(dialled, accepted);
  const ms = await scene.elapsed(async () => {
    for (let i = 0; i < 10; i++) await one.write(new Uint8Array(50_000));
    await readBytes(other, 500_000);
  });
  assert(Math.abs(ms - 510) < 1e-6, `${ms} ms`);
});

Deno.test("MemoryNetwork lets the connections of a node share its uplink", async () => {
  const scene = new Scene({ latencyMs: 10 });
  const hub = scene.node("10.0.0.1", { uplinkBytesPerSecond: 1_000_000 });
  const streams: [ByteStream, ByteStream][] = [];
  for (const host of ["10.0.0.2", "10.0.0.3"]) {
    const [dialled, accepted] = await scene.connect(hub, scene.node(host));
    streams.push(await scene.streamOf(dialled, accepted));
  }
  const ms = await scene.elapsed(() =>
    Promise.all(streams.map(async ([one, other]) => {
      await one.write(new Uint8Array(200_000));
      await readBytes(other, 200_000);
    }))
  );
  assert(Math.abs(ms - 410) < 1e-6, `${ms} ms`);
  const backMs = await scene.elapsed(() =>
    Promise.all(streams.map(async ([one, other]) => {
      await other.write(new Uint8Array(200_000));
      await readBytes(one, 200_000);
    }))
  );
  assert.equal(backMs, 10, "the way to the hub is free");
});

Deno.test("MemoryNetwork delivers at its moments only, and never early", async () => {
  const scene = new Scene({ latencyMs: 10.3, jitterMs: 5 }, {
    granularityMs: 4,
  });
  const [dialled, accepted] = await scene.connect(
    scene.node("10.0.0.1"),
    scene.node("10.0.0.2"),
  );
  const [one, other] = await scene.streamOf(dialled, accepted);
  for (let i = 0; i < 20; i++) {
    const ms = await scene.elapsed(async () => {
      await one.write(new Uint8Array(1));
      await readBytes(other, 1);
    });
    assert.equal(scene.clock.nowMs() % 4, 0);
    assert(ms >= 10.3 && ms < 20, `${ms} ms`);
  }
});

Deno.test("MemoryNetwork keeps the order of writes under any jitter", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 30 }),
      async (seed, sizes) => {
        const scene = new Scene({ latencyMs: 5, jitterMs: 50 }, {
          random: seededRandom(seed),
        });
        const [dialled, accepted] = await scene.connect(
          scene.node("10.0.0.1"),
          scene.node("10.0.0.2"),
        );
        const [one, other] = await scene.streamOf(dialled, accepted);
        const sent: number[] = [];
        const received: number[] = [];
        await scene.run(Promise.all([
          (async () => {
            for (const [index, size] of sizes.entries()) {
              await one.write(new Uint8Array(size).fill(index));
              for (let i = 0; i < size; i++) sent.push(index);
            }
            await one.closeWrite();
          })(),
          (async () => {
            for (;;) {
              const part = await other.read(new Uint8Array(64));
              if (part === undefined) break;
              received.push(...part);
            }
          })(),
        ]));
        assert.deepEqual(received, sent);
      },
    ),
    { numRuns: 40 },
  ));

Deno.test("MemoryNetwork goes on after a cut that heals in time", async () => {
  const scene = new Scene({ latencyMs: 10 });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const [dialled, accepted] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(dialled, accepted);
  await one.write(Uint8Array.of(1));
  const cut = scene.network.cut([a.localAddress], [b.localAddress]);
  await one.write(Uint8Array.of(2));
  await scene.clock.advance(9_000);
  const reading = readBytes(other, 2);
  await scene.clock.advance(100);
  cut.heal();
  cut.heal();
  await scene.run(reading);
  await scene.clock.advance(60_000);
  await other.write(Uint8Array.of(3));
  assert.deepEqual(
    await scene.run(one.read(new Uint8Array(8))),
    Uint8Array.of(3),
  );
});

Deno.test("MemoryNetwork ends both sides of a cut line after the shorter time-out", async () => {
  const scene = new Scene();
  const a = scene.node("10.0.0.1", { limits: { idleTimeoutMs: 4_000 } });
  const b = scene.node("10.0.0.2");
  const [dialled, accepted] = await scene.connect(a, b);
  const [one] = await scene.streamOf(dialled, accepted);
  scene.network.cut([b.localAddress], [a.localAddress]);
  const ms = await scene.elapsed(async () => {
    await assert.rejects(one.read(new Uint8Array(8)));
    for (const side of [dialled, accepted]) {
      assert.deepEqual(await side.closed, { by: "lost", code: 0 });
    }
  });
  assert.equal(ms, 4_000);
  assert.equal(scene.network.connections, 0);
});

Deno.test("MemoryNetwork cuts only between the sets, and lines under several cuts twice", async () => {
  const scene = new Scene();
  const [a, b, c] = [1, 2, 3].map((i) => scene.node(`10.0.0.${i}`)) as [
    Endpoint,
    Endpoint,
    Endpoint,
  ];
  const [ab] = await scene.connect(a, b);
  const [ac] = await scene.connect(a, c);
  const first = scene.network.cut([a.localAddress], [b.localAddress]);
  const second = scene.network.cut(
    [b.localAddress],
    [a.localAddress, c.localAddress],
  );
  first.heal();
  await scene.clock.advance(11_000);
  assert.deepEqual(await ab.closed, { by: "lost", code: 0 });
  second[Symbol.dispose]();
  await scene.connect(a, b);
  ac.close(3);
  assert.deepEqual(await ac.closed, { by: "local", code: 3 });
});

Deno.test("MemoryNetwork repeats a dial's first packet until the cut is healed", async () => {
  const scene = new Scene({ latencyMs: 10 });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const cut = scene.network.cut([a.localAddress], [b.localAddress]);
  const dialling = a.dial(b.localAddress, scene.identity.publicKey);
  await scene.clock.advance(500);
  cut.heal();
  const ms = await scene.elapsed(() => dialling);
  assert.equal(ms, 500 + 20, "the repetition after 1 s gets through");
});

Deno.test("MemoryNetwork fails a dial whose handshake is cut off", async () => {
  const scene = new Scene({ latencyMs: 100 });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const dialling = a.dial(b.localAddress, scene.identity.publicKey);
  const failed = assert.rejects(dialling, { code: "transport.unreachable" });
  await scene.clock.advance(150); // the answer is on its way
  scene.network.cut([a.localAddress], [b.localAddress]);
  await scene.run(failed);
  await scene.clock.advance(30_000);
  assert.equal(scene.network.connections, 0);
});

Deno.test("MemoryNetwork tells no peer of a crash: peers notice by silence", async () => {
  const scene = new Scene();
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const [dialled, accepted] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(dialled, accepted);
  await other.write(Uint8Array.of(7)); // leaves before the crash, and arrives
  const accepting = b.accept();
  scene.network.crash(b);
  assert.equal(await accepting, undefined);
  assert.deepEqual(await accepted.closed, { by: "lost", code: 0 });
  await assert.rejects(other.write(Uint8Array.of(8)));
  assert.deepEqual(
    await scene.run(one.read(new Uint8Array(8))),
    Uint8Array.of(7),
  );
  const ms = await scene.elapsed(() => dialled.closed);
  assert(ms > 9_000 && ms <= 10_000, `${ms} ms`);
  assert.deepEqual(await dialled.closed, { by: "lost", code: 0 });
});

Deno.test("MemoryNetwork lets a node stand still: peers notice by silence, and it does when it goes on", async () => {
  for (const noticeMs of [0, 300]) {
    const scene = new Scene();
    const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
    const [ours, theirs] = await scene.connect(a, b);
    const still = scene.network.suspend(b);
    const startMs = scene.clock.nowMs();
    let heardMs: number | undefined;
    theirs.closed.then(() => heardMs = scene.clock.nowMs());
    await scene.run(ours.closed);
    assert.deepEqual(await ours.closed, { by: "lost", code: 0 });
    assert.equal(scene.clock.nowMs() - startMs, 10_000);
    await scene.clock.advance(50_000);
    assert.equal(heardMs, undefined);
    still.resume(noticeMs);
    await scene.run(theirs.closed);
    assert.equal(heardMs, startMs + 60_000 + noticeMs);
  }
});

Deno.test("MemoryNetwork carries on after a short standstill", async () => {
  const scene = new Scene();
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const [ours, theirs] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(ours, theirs);
  const still = scene.network.suspend(b);
  await one.write(Uint8Array.of(7));
  const reading = other.read(new Uint8Array(8));
  await scene.clock.advance(5_000);
  const ms = await scene.elapsed(() => {
    still.resume(0);
    return reading;
  });
  assert.deepEqual(await reading, Uint8Array.of(7));
  assert.ok(ms <= 20, `${ms} ms`);
  await scene.clock.advance(20_000);
  assert.equal(scene.network.connections, 1);
});

Deno.test("MemoryNetwork lets a node come back where one has crashed", async () => {
  const scene = new Scene();
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const [old] = await scene.connect(a, b);
  scene.network.crash(b);
  const again = scene.node("10.0.0.2");
  const [fresh] = await scene.connect(a, again);
  // The old connection is not the new node's.
  assert.deepEqual(await scene.run(old.closed), { by: "lost", code: 0 });
  fresh.close(1);
  assert.throws(() => scene.network.crash(b), TypeError);
});

Deno.test("MemoryNetwork kills connections on both sides at once", async () => {
  const scene = new Scene();
  const [a, b, c] = [1, 2, 3].map((i) => scene.node(`10.0.0.${i}`)) as [
    Endpoint,
    Endpoint,
    Endpoint,
  ];
  const [ab, ba] = await scene.connect(a, b);
  const [ac] = await scene.connect(a, c);
  scene.network.kill(a, b);
  for (const side of [ab, ba]) {
    assert.deepEqual(await side.closed, { by: "lost", code: 0 });
  }
  assert.equal(scene.network.connections, 1);
  scene.network.kill(c);
  assert.deepEqual(await ac.closed, { by: "lost", code: 0 });
  await scene.connect(a, b);
});

Deno.test("MemoryNetwork moves a node, and its connections go on", async () => {
  const scene = new Scene({ latencyMs: 10 }, {
    link: (from) => ({ latencyMs: from.host === "10.9.9.9" ? 70 : 10 }),
  });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const [dialled, accepted] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(dialled, accepted);
  const old = a.localAddress;
  scene.network.move(a, { host: "10.9.9.9", port: 5 });
  assert.deepEqual(accepted.remoteAddress, { host: "10.9.9.9", port: 5 });
  const ms = await scene.elapsed(async () => {
    await one.write(new Uint8Array(1));
    await readBytes(other, 1);
  });
  assert.equal(ms, 70);
  await assert.rejects(
    scene.run(b.dial(old, scene.identity.publicKey)),
    { code: "transport.unreachable" },
  );
  assert.throws(() => scene.network.move(a, b.localAddress), {
    code: "transport.port_in_use",
  });
});

Deno.test("MemoryNetwork shows every write with its ends", async () => {
  const scene = new Scene();
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const seen: [SocketAddress, SocketAddress, number, number, string][] = [];
  scene.network.observe = ({ from, to, connection, stream, bytes }) =>
    seen.push([from, to, connection, stream, bytes.toHex()]);
  const [dialled, accepted] = await scene.connect(a, b);
  const [one, other] = await scene.streamOf(dialled, accepted);
  await one.write(Uint8Array.of(1, 2));
  await other.write(Uint8Array.of(3));
  await one.write(new Uint8Array(0));
  assert.deepEqual(seen, [
    [a.localAddress, b.localAddress, 1, 1, "00"],
    [a.localAddress, b.localAddress, 1, 1, "0102"],
    [b.localAddress, a.localAddress, 1, 1, "03"],
  ]);
});

Deno.test("MemoryNetwork changes, swallows and delays writes when told to", async () => {
  const scene = new Scene({ latencyMs: 10 });
  const [dialled, accepted] = await scene.connect(
    scene.node("10.0.0.1"),
    scene.node("10.0.0.2"),
  );
  const [one, other] = await scene.streamOf(dialled, accepted);
  const observed: string[] = [];
  scene.network.observe = ({ bytes }) => observed.push(bytes.toHex());
  scene.network.intercept = ({ bytes }) => {
    if (bytes[0] === 1) return { bytes: Uint8Array.of(9, 9) };
    if (bytes[0] === 2) return { bytes: new Uint8Array(0) };
    if (bytes[0] === 3) return { delayMs: 500 };
    return undefined;
  };
  const ms = await scene.elapsed(async () => {
    for (const value of [1, 2, 3, 4]) await one.write(Uint8Array.of(value));
    await readBytes(other, 4);
  });
  assert.equal(ms, 510, "what follows a delayed write waits for it");
  assert.deepEqual(observed, ["0909", "", "03", "04"]);
});

Deno.test("MemoryNetwork drops with a close what has not arrived", async () => {
  const scene = new Scene();
  const [dialled, accepted] = await scene.connect(
    scene.node("10.0.0.1"),
    scene.node("10.0.0.2"),
  );
  const [one, other] = await scene.streamOf(dialled, accepted);
  await one.write(Uint8Array.of(1));
  await one.closeWrite();
  dialled.close(0);
  await assert.rejects(scene.run(other.read(new Uint8Array(8))), {
    code: "transport.lost",
  });
});

Deno.test("MemoryNetwork keeps a write that has begun through a cancel, as QUIC does", async () => {
  const scene = new Scene({ latencyMs: 10 }, { windowBytes: 100 });
  const [dialled, accepted] = await scene.connect(
    scene.node("10.0.0.1"),
    scene.node("10.0.0.2"),
  );
  const [one, other] = await scene.streamOf(dialled, accepted);
  let isWritten = false;
  const begun = one.write(new Uint8Array(250)).then(() => isWritten = true);
  const queued = assert.rejects(one.write(new Uint8Array(10)));
  one.cancel();
  await queued;
  await scene.clock.advance(60_000);
  assert.equal(isWritten, false, "only the peer can free it");
  await scene.run(readBytes(other, 250));
  await scene.run(begun);
  assert.equal(await scene.run(other.read(new Uint8Array(1))), undefined);
});

Deno.test("MemoryNetwork holds no more than a window per direction", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5_000 }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 20 }),
      async (windowBytes, sizes) => {
        const scene = new Scene({ latencyMs: 3 }, { windowBytes });
        const [dialled, accepted] = await scene.connect(
          scene.node("10.0.0.1"),
          scene.node("10.0.0.2"),
        );
        const [one, other] = await scene.streamOf(dialled, accepted);
        let taken = 0;
        const writing = (async () => {
          for (const size of sizes) {
            await one.write(new Uint8Array(size));
            taken += size;
          }
          await one.closeWrite();
        })();
        await scene.clock.advance(10_000);
        assert(taken <= windowBytes);
        let received = 0;
        const reading = (async () => {
          for (;;) {
            const part = await other.read(new Uint8Array(777));
            if (part === undefined) return;
            received += part.length;
          }
        })();
        await scene.run(Promise.all([writing, reading]));
        assert.equal(received, sizes.reduce((sum, size) => sum + size, 0));
      },
    ),
    { numRuns: 60 },
  ));

Deno.test("MemoryNetwork gives out free ports, and refuses taken ones", () => {
  const scene = new Scene();
  const [a, b] = [
    scene.node("10.0.0.1", { port: 0 }),
    scene.node("10.0.0.1", { port: 0 }),
  ];
  assert.notEqual(a.localAddress.port, b.localAddress.port);
  assert.throws(() => scene.node("10.0.0.1", a.localAddress), {
    code: "transport.port_in_use",
  });
});

Deno.test("MemoryNetwork repeats itself for the same seed", async () => {
  const trace = async (seed: number): Promise<string[]> => {
    const random = seededRandom(seed);
    const scene = new Scene({ latencyMs: 20, jitterMs: 30 }, { random });
    const nodes = Array.from(
      { length: 8 },
      (_, i) => scene.node(`10.0.1.${i}`),
    );
    const lines: string[] = [];
    const note = (text: string) =>
      lines.push(`${scene.clock.nowMs().toFixed(3)} ${text}`);
    const serving = nodes.map(async (node, index) => {
      for (;;) {
        const connection = await node.accept();
        if (connection === undefined) return;
        const stream = await connection.acceptStream();
        for (;;) {
          const part = await stream?.read(new Uint8Array(64)).catch(() =>
            undefined
          );
          if (part === undefined) break;
          note(`${index} reads ${part.length}`);
        }
      }
    });
    const dialling = nodes.map(async (node, index) => {
      for (let i = 0; i < 5; i++) {
        const other = nodes[randomBelow(random, nodes.length)] as Endpoint;
        const connection = await node.dial(
          other.localAddress,
          scene.identity.publicKey,
        );
        note(`${index} connects`);
        const stream = await connection.openStream();
        for (let j = 0; j < 10; j++) {
          await stream.write(random.bytes(1 + randomBelow(random, 100)));
        }
        await stream.closeWrite();
      }
    });
    await scene.run(Promise.all(dialling));
    await scene.clock.advance(1_000);
    for (const node of nodes) await node.close();
    await scene.run(Promise.all(serving));
    return lines;
  };
  const first = await trace(1);
  assert(first.length > 100);
  assert.deepEqual(await trace(1), first);
  assert.notDeepEqual(await trace(2), first);
});

Deno.test("MemoryNetwork spends no timers on idle connections", async () => {
  const scene = new Scene();
  const hub = scene.node("10.0.0.1");
  for (let i = 0; i < 50; i++) {
    await scene.connect(scene.node(`10.0.2.${i}`), hub);
  }
  assert.equal(scene.clock.pending, 0);
  await hub.close();
  await scene.clock.advance(1_000);
  assert.equal(scene.clock.pending, 0);
  assert.equal(scene.network.connections, 0);
});

Deno.test("MemoryNetwork takes only so many handshakes at once", async () => {
  const scene = new Scene({ latencyMs: 50 });
  const hub = scene.node("10.0.0.1", { limits: { maxHandshakes: 3 } });
  const nodes = Array.from({ length: 5 }, (_, i) => scene.node(`10.0.3.${i}`));
  const times = await scene.run(Promise.all(nodes.map(async (node) => {
    await node.dial(hub.localAddress, scene.identity.publicKey);
    return scene.clock.nowMs();
  })));
  // The others come again after a second.
  assert.deepEqual(times, [100, 100, 100, 1_100, 1_100]);
});

Deno.test("MemoryNetwork answers a dialler that is gone with nothing", async () => {
  const scene = new Scene({ latencyMs: 50 });
  const [a, b] = [scene.node("10.0.0.1"), scene.node("10.0.0.2")];
  const dial = a.dial(b.localAddress, scene.identity.publicKey)
    .catch(errorCode);
  await scene.clock.advance(20);
  scene.network.crash(a);
  assert.equal(await dial, "transport.closed");
  await scene.clock.advance(60_000);
  assert.equal(scene.network.connections, 0);
});
