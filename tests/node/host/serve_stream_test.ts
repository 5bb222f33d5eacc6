import assert from "node:assert/strict";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { SessionStreamHandle } from "../../../lib/node/session/session_stream.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  DISCARD_MS,
  serveStream,
  TOGETHER_MS,
} from "../../../lib/node/host/serve_stream.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import type { StreamTarget } from "../../../lib/node/host/stream_target.ts";
import type { TargetConnection } from "../../../lib/node/host/target_connection.ts";
import type { TargetDial } from "../../../lib/node/host/target_dial.ts";
import {
  exchange,
  inServiceWorld,
  MINUTE,
  NEVER,
  readAll,
  type ServiceChanges,
  type ServiceWorld,
} from "../session/service_world.ts";

const pattern = (length: number, seed = 1) => seededRandom(seed).bytes(length);
const TCP: StreamTarget = {
  type: "tcp",
  address: { host: "127.0.0.1", port: 8080 },
};

/** A target in memory. */
class FakeTarget implements TargetConnection {
  readonly received: number[] = [];
  readonly #toSend: Uint8Array[] = [];
  #wake = Promise.withResolvers<void>();
  isEnded = false;
  isClosed = false;
  /** Whether it was told that it has not got all. */
  isReset = false;
  #isSendEnded = false;

  send(bytes: Uint8Array): void {
    this.#toSend.push(bytes);
    this.#wake.resolve();
  }

  end(): void {
    this.#isSendEnded = true;
    this.#wake.resolve();
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.isClosed) throw new Deno.errors.BadResource("closed");
      const next = this.#toSend.shift();
      if (next !== undefined) {
        const part = next.subarray(0, into.length);
        if (part.length < next.length) {
          this.#toSend.unshift(next.subarray(part.length));
        }
        into.set(part);
        return part.length;
      }
      if (this.#isSendEnded) return null;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.isClosed) throw new Deno.errors.BadResource("closed");
    // Sockets do not take all at once.
    const part = bytes.subarray(0, 1 + bytes.length / 2);
    this.received.push(...part);
    return Promise.resolve(part.length);
  }

  closeWrite(): Promise<void> {
    this.isEnded = true;
    return Promise.resolve();
  }

  close(): void {
    if (this.isClosed) throw new Deno.errors.BadResource("closed twice");
    this.isClosed = true;
    this.#wake.resolve();
  }

  reset(): void {
    this.close();
    this.isReset = true;
  }
}

/** A stream to a service with this dial behind port 80. */
async function visit(
  world: ServiceWorld,
  changes: ServiceChanges,
): Promise<SessionStreamHandle> {
  const { publicKey } = await world.readyService({
    targets: new Map([[80, TCP]]),
    ...changes,
  });
  const { visits } = world.client();
  const target = { service: publicKey, port: 80, isolation: undefined };
  return await visits.connect(target, { signal: NEVER });
}

const dialling = (target: TargetConnection): TargetDial => () =>
  Promise.resolve(target);

Deno.test("serveStream() carries bytes both ways, and each end by itself", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    const stream = await visit(world, { dial: dialling(target) });
    await stream.opened;
    const up = pattern(20_000, 1);
    await stream.write(up);
    await stream.closeWrite();
    await sleep(world.clock, 2_000);
    assert.deepEqual(Uint8Array.from(target.received), new Uint8Array(up));
    assert.ok(target.isEnded && !target.isClosed, "half of it is open");
    const down = pattern(200_000, 2);
    target.send(down);
    target.end();
    assert.deepEqual(await readAll(stream), down);
    await sleep(world.clock, 2_000);
    assert.ok(target.isClosed && !target.isReset);
  }));

Deno.test("serveStream() keeps the client's direction open when the target ends first", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    const stream = await visit(world, { dial: dialling(target) });
    target.end();
    assert.equal(await stream.read(), undefined);
    await sleep(world.clock, MINUTE);
    await stream.write(pattern(10));
    await stream.closeWrite();
    await sleep(world.clock, 2_000);
    assert.equal(target.received.length, 10);
    assert.ok(target.isClosed);
  }));

Deno.test("serveStream() tells a client why its stream was not served", async () => {
  const failing = (code: string): TargetDial => () =>
    Promise.reject(new UnreachableError(code, "No"));
  const cases: [TargetDial, string][] = [
    [failing("service.target_refused"), "service.refused"],
    [failing("service.target_timeout"), "service.timeout"],
  ];
  for (const [dial, code] of cases) {
    await inServiceWorld(async (world) => {
      const stream = await visit(world, { dial });
      await assert.rejects(stream.opened, { code });
      await assert.rejects(readAll(stream), { code });
    });
  }
});

Deno.test("serveStream() holds back a target that sends for ever to a client that does not read", () =>
  inServiceWorld(async (world) => {
    let taken = 0;
    const endless: TargetConnection = {
      read: (into) => {
        taken += into.length;
        return Promise.resolve(into.length);
      },
      write: (bytes) => Promise.resolve(bytes.length),
      closeWrite: () => Promise.resolve(),
      close: () => {},
      reset: () => {},
    };
    const stream = await visit(world, { dial: dialling(endless) });
    await stream.opened;
    await sleep(world.clock, MINUTE);
    assert.ok(taken < 2_000_000, `${taken} bytes`);
    stream.abort();
    const atEnd = taken;
    await sleep(world.clock, MINUTE);
    assert.ok(taken - atEnd < 200_000, `${taken - atEnd} bytes afterwards`);
  }));

Deno.test("serveStream() resets the target when the client gives up before its end, and closes it after", async () => {
  for (const isWhole of [false, true]) {
    await inServiceWorld(async (world) => {
      const target = new FakeTarget();
      const stream = await visit(world, { dial: dialling(target) });
      await stream.write(pattern(20_000));
      if (isWhole) await stream.closeWrite();
      await sleep(world.clock, 2_000);
      assert.equal(target.received.length, 20_000);
      assert.ok(!target.isClosed);
      stream.abort();
      await sleep(world.clock, 2_000);
      assert.ok(target.isClosed);
      assert.deepEqual([target.isEnded, target.isReset], [isWhole, !isWhole]);
    });
  }
});

Deno.test("serveStream() closes the target when the client has said all and leaves, and forgets the stream", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    const service = await world.readyService({
      targets: new Map([[80, TCP]]),
      dial: dialling(target),
    });
    const { visits } = world.client();
    const stream = await visits.connect({
      service: service.publicKey,
      port: 80,
      isolation: undefined,
    }, { signal: NEVER });
    const up = pattern(100_000);
    await stream.write(up);
    stream.leave();
    await sleep(world.clock, 5_000);
    assert.deepEqual(Uint8Array.from(target.received), new Uint8Array(up));
    assert.ok(target.isEnded && target.isClosed && !target.isReset);
    assert.equal(service.driver.status.streams, 0);
    assert.equal((await stream.closed).how, "reset");
  }));

Deno.test("serveStream() resets the target when the session is lost, or the service stops", async () => {
  for (const how of ["lost", "stops"]) {
    await inServiceWorld(async (world) => {
      const target = new FakeTarget();
      const service = await world.readyService({
        targets: new Map([[80, TCP]]),
        dial: dialling(target),
      });
      const { visits, circuits } = world.client();
      const stream = await visits.connect({
        service: service.publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      await stream.write(pattern(10));
      await sleep(world.clock, 2_000);
      assert.equal(target.received.length, 10);
      if (how === "stops") await service.driver[Symbol.asyncDispose]();
      else {
        world.network.isDown = true;
        for (const circuit of [...circuits.open]) circuit.end();
        await sleep(world.clock, 3 * MINUTE);
      }
      assert.ok(target.isReset && !target.isEnded, how);
    });
  }
});

Deno.test("serveStream() brings the answer of a target that takes no more, however much the client sends", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    target.write = () => Promise.reject(new Deno.errors.BrokenPipe("closed"));
    const stream = await visit(world, { dial: dialling(target) });
    const up = stream.write(pattern(2_000_000)).then(() => stream.closeWrite());
    await sleep(world.clock, 2_000);
    const answer = pattern(100_000, 2);
    target.send(answer);
    target.end();
    assert.deepEqual(await readAll(stream), answer);
    await up;
    await sleep(world.clock, 2_000);
    assert.ok(target.isClosed);
    assert.deepEqual(await stream.closed, { how: "finished", code: 0 });
  }));

Deno.test("serveStream() resets the stream of a client that has its answer, and sends on for long to a target that takes no more", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    target.write = () => Promise.reject(new Deno.errors.BrokenPipe("closed"));
    const stream = await visit(world, { dial: dialling(target) });
    await stream.write(pattern(10));
    target.end();
    assert.equal(await stream.read(), undefined);
    await sleep(world.clock, DISCARD_MS - 2_000);
    assert.ok(!target.isClosed, "the client may still send its end");
    await sleep(world.clock, 4_000);
    assert.ok(target.isClosed);
    await assert.rejects(stream.write(pattern(10)), {
      code: "session.reset_failed",
    });
  }));

Deno.test("serveStream() brings all that a target sent before it broke off, and then says so", async () => {
  const breaks: Record<string, (target: FakeTarget) => void> = {
    "the read is told": (target) => {
      const { read } = target;
      target.read = async (into) => {
        const count = await read.call(target, into);
        if (count !== null) return count;
        throw new Deno.errors.ConnectionReset("gone");
      };
    },
    "the write is told": (target) => {
      target.write = () =>
        Promise.reject(new Deno.errors.ConnectionReset("gone"));
    },
  };
  for (const [how, prepare] of Object.entries(breaks)) {
    await inServiceWorld(async (world) => {
      const target = new FakeTarget();
      prepare(target);
      const stream = await visit(world, { dial: dialling(target) });
      await stream.write(pattern(10));
      await sleep(world.clock, 2_000);
      const part = pattern(200_000, 2);
      target.send(part);
      target.end();
      await sleep(world.clock, 10_000);
      let read = new Uint8Array();
      while (read.length < part.length) {
        const chunk = await stream.read();
        assert.ok(chunk !== undefined, `${how}: ended as if it were whole`);
        read = concat(read, chunk);
      }
      assert.deepEqual(read, part, how);
      await assert.rejects(stream.read(), { code: "session.reset_failed" });
      assert.ok(target.isClosed);
    });
  }
});

Deno.test("serveStream() breaks off what a target breaks off", () =>
  inServiceWorld(async (world) => {
    const target = new FakeTarget();
    target.read = () => Promise.reject(new Deno.errors.ConnectionReset("gone"));
    const stream = await visit(world, { dial: dialling(target) });
    await assert.rejects(readAll(stream), { code: "session.reset_failed" });
    assert.ok(target.isClosed);
  }));

Deno.test("serveStream() lets a handler do as it likes, and ends what it leaves open", async () => {
  const cases: Record<
    string,
    [(stream: SessionStreamHandle) => Promise<void>, Bytes | string]
  > = {
    "ends": [async (stream) => {
      stream.accept();
      await stream.write(pattern(5));
      await stream.closeWrite();
    }, pattern(5)],
    "forgets to end": [async (stream) => {
      stream.accept();
      await stream.write(pattern(5));
    }, "session.reset_failed"],
    "aborts": [(stream) => {
      stream.abort(3);
      return Promise.resolve();
    }, "service.refused"],
  };
  for (const [what, [handle, expected]] of Object.entries(cases)) {
    await inServiceWorld(async (world) => {
      const targets = new Map([[80, { type: "handler", handle } as const]]);
      const stream = await visit(world, { targets });
      const reading = exchange(stream, pattern(100));
      if (typeof expected === "string") {
        await assert.rejects(reading, { code: expected }, what);
      } else assert.deepEqual(await reading, expected, what);
      await sleep(world.clock, 5_000);
    });
  }
});

Deno.test("serveStream() serves a thousand streams of one session at once, and says when it is too many", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const { visits } = world.client();
    const target = {
      service: service.publicKey,
      port: 80,
      isolation: undefined,
    };
    const first = await visits.connect(target, { signal: NEVER });
    const others = await Promise.all(
      Array.from(
        { length: 1_100 },
        () => visits.connect(target, { signal: NEVER }),
      ),
    );
    const all = [first, ...others];
    const opened = await Promise.allSettled(all.map(({ opened }) => opened));
    const refused = opened.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 1_101 - 1_024);
    await first.write(pattern(10));
    assert.deepEqual(await first.read(), pattern(10));
    for (const stream of all) stream.abort();
    await sleep(world.clock, 2_000);
    assert.equal(service.driver.status.streams, 0);
    const again = await visits.connect(target, { signal: NEVER });
    await again.opened;
    again.abort();
  }));

Deno.test("serveStream() tells a target first which session a stream is of, where its operator wishes so", () =>
  inServiceWorld(async (world) => {
    const targets = [new FakeTarget(), new FakeTarget()];
    let dialled = 0;
    const { publicKey, driver } = await world.readyService({
      targets: new Map([[80, TCP]]),
      proxyProtocol: true,
      dial: () => Promise.resolve(targets[dialled++] as FakeTarget),
    });
    const { visits } = world.client();
    const target = { service: publicKey, port: 80, isolation: undefined };
    for (let number = 1; number <= 2; number++) {
      const stream = await visits.connect(target, { signal: NEVER });
      await stream.write(new TextEncoder().encode("hello"));
      await sleep(world.clock, 2_000);
    }
    const [session] = driver.sessions;
    const end = session?.id.match(/.{4}/g)
      ?.map((group) => parseInt(group, 16).toString(16)).join(":");
    for (const [index, { received }] of targets.entries()) {
      assert.equal(
        String.fromCharCode(...received),
        `PROXY TCP6 fd61:6e6f:6e6e:6574::${end} ::1 ${index + 1} 80\r\nhello`,
      );
    }
    assert.equal(session?.streams, 2);
    assert.ok(driver.closeSession(session?.id ?? ""));
    await sleep(world.clock, 2_000);
    assert.deepEqual(driver.sessions, []);
    assert.ok(targets.every(({ isClosed }) => isClosed));
    assert.equal(driver.closeSession(session?.id ?? ""), false);
  }));

Deno.test("serveStream() refuses a stream whose target takes no byte of the PROXY protocol", () =>
  inServiceWorld(async (world) => {
    const { publicKey } = await world.readyService({
      targets: new Map([[80, TCP]]),
      proxyProtocol: true,
      dial: () =>
        Promise.resolve({
          read: () => Promise.resolve(null),
          closeWrite: () => Promise.resolve(),
          close: () => {},
          reset: () => {},
          write: () => Promise.reject(new Error("reset")),
        }),
    });
    const { visits } = world.client();
    const stream = await visits.connect({
      service: publicKey,
      port: 80,
      isolation: undefined,
    }, { signal: NEVER });
    await assert.rejects(stream.opened, { code: "service.refused" });
  }));

/** A stream that is served with `target` behind it, and what is said on it. */
function served(target: TargetConnection) {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 10_000 });
  const said: string[] = [];
  const stream: SessionStreamHandle = new SessionStreamHandle({
    accept: () => void said.push("accept"),
    write(bytes) {
      said.push(`${bytes.length}`);
      return "taken";
    },
    read: () => undefined,
    unconfirmed: () => 0,
    finish(bytes) {
      said.push(`${bytes.length}, end`);
      stream.onFinished();
    },
    breakOff(code) {
      said.push("break");
      stream.onReset(code);
    },
    reset() {},
  });
  const { signal } = new AbortController();
  const options = { clock, dial: dialling(target), signal };
  const over = serveStream(stream, TCP, options);
  return { clock, said, stream, over };
}

Deno.test("serveStream() sends the end of a target that answers and closes with the last bytes", async () => {
  const target = new FakeTarget();
  const { clock, said, over } = served(target);
  await clock.advance(10);
  target.send(pattern(9_000));
  await clock.advance(TOGETHER_MS / 2);
  target.end();
  await clock.advance(TOGETHER_MS);
  await over;
  assert.deepEqual(said, ["accept", "9000, end"]);
});

Deno.test("serveStream() sends what was read before a target breaks off", async () => {
  const target = new FakeTarget();
  const { clock, said, over } = served(target);
  await clock.advance(10);
  target.send(pattern(100));
  await clock.advance(1);
  target.reset();
  await clock.advance(TOGETHER_MS);
  await over;
  assert.deepEqual(said, ["accept", "100", "break"]);
});

Deno.test("serveStream() lets few bytes wait a moment for others, twice in vain, and many not at all", async () => {
  const target = new FakeTarget();
  const { clock, said, stream } = served(target);
  await clock.advance(10);
  said.length = 0;
  target.send(pattern(20_000));
  await clock.advance(0);
  assert.deepEqual(said, ["20000"]);
  for (const waitMs of [TOGETHER_MS, TOGETHER_MS, 0, 0]) {
    said.length = 0;
    target.send(pattern(10));
    if (waitMs > 0) {
      await clock.advance(waitMs - 1);
      assert.deepEqual(said, []);
    }
    await clock.advance(waitMs === 0 ? 0 : 1);
    assert.deepEqual(said, ["10"]);
  }
  stream.abort();
  await clock.advance(10);
});

Deno.test("serveStream() bounds how long bytes wait for others that keep coming", async () => {
  const target = new FakeTarget();
  const { clock, said, stream } = served(target);
  await clock.advance(10);
  said.length = 0;
  for (let ms = 0; ms < 20; ms++) {
    target.send(pattern(10));
    await clock.advance(1);
  }
  const bytes = said.map(Number);
  assert.ok(bytes.length >= 4, said.join());
  assert.ok(Math.max(...bytes) <= (TOGETHER_MS + 1) * 10, said.join());
  stream.abort();
  await clock.advance(10);
});
