/**
 * What every transport does, said once and held against QUIC and its twin.
 *
 * @module
 */
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { ConfigError, errorCode } from "../../lib/base/errors.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  CLOSE_ENDPOINT,
  type Connection,
} from "../../lib/transport/transport.ts";
import type { ByteStream } from "../../lib/transport/transport.ts";
import { connect, newIdentity, type WithWorld, type World } from "./world.ts";

/** What QUIC takes on one stream before the peer reads, and some. */
const WINDOW_BYTES = 1_250_000;

/** Register the contract's tests for one transport. */
export function testContract(name: string, withWorld: WithWorld): void {
  const test = (sentence: string, body: (world: World) => Promise<void>) =>
    Deno.test(`${name} ${sentence}`, () => withWorld(body));

  test("carries bytes both ways and keeps their order", async (world) => {
    const [one, other] = await streams(world);
    const sent = seededRandom(7).bytes(100_000);
    for (let at = 0; at < sent.length; at += 7_001) {
      await one.write(sent.subarray(at, at + 7_001));
    }
    await one.closeWrite();
    assert.deepEqual(await readAll(other), sent);
    await other.write(sent.subarray(0, 5));
    await other.closeWrite();
    assert.deepEqual(await readAll(one), sent.subarray(0, 5));
  });

  test("tells each side where the other is", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const [dialled, accepted] = await connect(a, b);
    assert.deepEqual(dialled.remoteAddress, b.endpoint.localAddress);
    assert.deepEqual(accepted.remoteAddress, a.endpoint.localAddress);
    assert.notEqual(a.endpoint.localAddress.port, 0);
  });

  test("lets both sides open streams", async (world) => {
    const [dialled, accepted] = await connection(world);
    for (
      const [opener, acceptor] of [[dialled, accepted], [accepted, dialled]]
    ) {
      assert(opener !== undefined && acceptor !== undefined);
      const stream = await opener.openStream();
      await stream.write(Uint8Array.of(1, 2, 3));
      const seen = await acceptor.acceptStream();
      assert.deepEqual(await seen?.read(new Uint8Array(8)), bytes(1, 2, 3));
    }
  });

  test("shows a stream to the peer that is ended before any byte", async (world) => {
    const [dialled, accepted] = await connection(world);
    const stream = await dialled.openStream();
    await stream.closeWrite();
    const seen = await accepted.acceptStream();
    assert.equal(await seen?.read(new Uint8Array(8)), undefined);
    await seen?.write(bytes(9));
    assert.deepEqual(await stream.read(new Uint8Array(8)), bytes(9));
  });

  test("reads at most what the buffer holds, at its place in its array", async (world) => {
    const [one, other] = await streams(world);
    await one.write(bytes(1, 2, 3, 4, 5));
    const buffer = new Uint8Array(10);
    const first = await other.read(buffer.subarray(4, 7));
    assert.equal(buffer.length, 0, "the buffer is taken away");
    assert.deepEqual(first, bytes(1, 2, 3));
    assert.equal(first?.byteOffset, 4);
    assert.equal(first?.buffer.byteLength, 10);
    assert.deepEqual(await other.read(new Uint8Array(10)), bytes(4, 5));
  });

  test("refuses a buffer without room, and one that was taken away", async (world) => {
    const [one, other] = await streams(world);
    await assert.rejects(other.read(new Uint8Array(0)), TypeError);
    const buffer = new Uint8Array(8);
    const reading = other.read(buffer);
    await assert.rejects(other.read(buffer), TypeError);
    await one.write(bytes(1));
    assert.deepEqual(await reading, bytes(1));
  });

  test("keeps one direction when the other has ended", async (world) => {
    const [one, other] = await streams(world);
    await one.closeWrite();
    assert.equal(await other.read(new Uint8Array(8)), undefined);
    for (let i = 0; i < 3; i++) {
      await other.write(bytes(i));
      assert.deepEqual(await one.read(new Uint8Array(8)), bytes(i));
    }
    await other.closeWrite();
    assert.equal(await one.read(new Uint8Array(8)), undefined);
    assert.equal(await one.read(new Uint8Array(8)), undefined, "for good");
  });

  test("refuses writes after the end of our direction, and ends once", async (world) => {
    const [one, other] = await streams(world);
    await one.write(bytes(1));
    await Promise.all([one.closeWrite(), one.closeWrite()]);
    await assertCode(one.write(bytes(2)), "transport.lost");
    await one.closeWrite();
    assert.deepEqual(await readAll(other), bytes(1));
  });

  test("holds a writer back whose peer does not read", async (world) => {
    const [dialled, accepted] = await connection(world);
    const [bulk, sink] = await streamOf(dialled, accepted);
    const [ping, pong] = await streamOf(dialled, accepted);
    const sent = seededRandom(3).bytes(4_000_000);
    let taken = 0;
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 65_536) {
        const chunk = sent.subarray(at, at + 65_536);
        await bulk.write(chunk);
        taken += chunk.length;
      }
      await bulk.closeWrite();
    })();
    // Round trips on another stream: time in which the writer could go on.
    for (let i = 0; i < 50; i++) await roundTrip(ping, pong);
    assert(taken >= WINDOW_BYTES / 2 && taken <= WINDOW_BYTES, `took ${taken}`);
    const received = await readAll(sink);
    await writing;
    assert.deepEqual(received, sent);
  });

  test("takes one write larger than the window", async (world) => {
    const [one, other] = await streams(world);
    const sent = seededRandom(4).bytes(3 * WINDOW_BYTES);
    const [received] = await Promise.all([
      readAll(other),
      one.write(sent).then(() => one.closeWrite()),
    ]);
    assert.deepEqual(received, sent);
  });

  test("carries much both ways at once", async (world) => {
    const [one, other] = await streams(world);
    const sent = seededRandom(5).bytes(3_000_000);
    const send = async (stream: ByteStream) => {
      for (let at = 0; at < sent.length; at += 65_536) {
        await stream.write(sent.subarray(at, at + 65_536));
      }
      await stream.closeWrite();
    };
    const [a, b] = await Promise.all([
      readAll(one),
      readAll(other),
      send(one),
      send(other),
    ]);
    assert.deepEqual(a, sent);
    assert.deepEqual(b, sent);
  });

  test("lets the peer's writes fail after a cancel", async (world) => {
    const [one, other] = await streams(world);
    other.cancel();
    other.cancel();
    assert.equal(
      await one.read(new Uint8Array(8)),
      undefined,
      "an end, no reset",
    );
    await assertCode(writeUntilItFails(one), "transport.lost");
    await one.closeWrite();
  });

  test("ends a pending read with a cancel, and frees a blocked writer", async (world) => {
    const [one, other] = await streams(world);
    await one.write(bytes(1));
    assert.deepEqual(await other.read(new Uint8Array(8)), bytes(1));
    const reading = other.read(new Uint8Array(8));
    const blocked = one.read(new Uint8Array(8));
    other.cancel();
    assert.equal(await reading, undefined);
    assert.equal(await blocked, undefined);
    await assertCode(writeUntilItFails(one), "transport.lost");
    assert.equal(await other.read(new Uint8Array(8)), undefined, "nor later");
  });

  test("delivers what was taken before a cancel, and then the end", async (world) => {
    const [one, other] = await streams(world);
    await one.write(bytes(1, 2, 3));
    one.cancel();
    assert.deepEqual(await readAll(other), bytes(1, 2, 3));
    await assertCode(one.write(bytes(4)), "transport.lost");
  });

  test("goes on with its other streams after a cancel", async (world) => {
    const [dialled, accepted] = await connection(world);
    const [one, other] = await streamOf(dialled, accepted);
    const [ping, pong] = await streamOf(dialled, accepted);
    other.cancel();
    one.cancel();
    await roundTrip(ping, pong);
  });

  test("lets a stream wait while the peer grants no more", async (world) => {
    const b = await world.open({ limits: { maxStreams: 3 } });
    const [dialled, accepted] = await connect(await world.open(), b);
    const pairs: [ByteStream, ByteStream][] = [];
    for (let i = 0; i < 3; i++) pairs.push(await streamOf(dialled, accepted));
    let isOpen = false;
    const fourth = dialled.openStream().then((stream) => {
      isOpen = true;
      return stream;
    });
    const [first, second] = pairs;
    assert(first !== undefined && second !== undefined);
    for (let i = 0; i < 5; i++) await roundTrip(...first);
    assert.equal(isOpen, false);
    await finish(...second);
    const stream = await fourth;
    await stream.write(bytes(4));
    const seen = await accepted.acceptStream();
    assert.deepEqual(await seen?.read(new Uint8Array(8)), bytes(4));
  });

  test("opens any number of streams one after the other", async (world) => {
    const b = await world.open({ limits: { maxStreams: 2 } });
    const [dialled, accepted] = await connect(await world.open(), b);
    for (let i = 0; i < 40; i++) {
      await finish(...await streamOf(dialled, accepted));
    }
    const [one, other] = await streamOf(dialled, accepted);
    await roundTrip(one, other);
  });

  test("gives up opening a stream when told to", async (world) => {
    const b = await world.open({ limits: { maxStreams: 1 } });
    const [dialled, accepted] = await connect(await world.open(), b);
    const [one, other] = await streamOf(dialled, accepted);
    const reason = new Error("enough");
    const controller = new AbortController();
    const opening = dialled.openStream({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(opening, reason);
    await assert.rejects(
      dialled.openStream({ signal: AbortSignal.abort(reason) }),
      reason,
    );
    await finish(one, other);
    // The stream that was given up has taken the place, and frees it again.
    const abandoned = await accepted.acceptStream();
    assert.equal(await abandoned?.read(new Uint8Array(8)), undefined);
    abandoned?.cancel();
    await streamOf(dialled, accepted);
  });

  test("bounds the streams that wait to be opened", async (world) => {
    const limits = { maxStreams: 2 };
    const a = await world.open({ limits });
    const b = await world.open({ limits });
    const [dialled, accepted] = await connect(a, b);
    await streamOf(dialled, accepted);
    await streamOf(dialled, accepted);
    const waiting = [dialled.openStream(), dialled.openStream()];
    await assertCode(dialled.openStream(), "transport.busy");
    dialled.close(0);
    for (const opening of waiting) await assertCode(opening, "transport.lost");
  });

  test("tells both sides who closed, and with which code", async (world) => {
    const [dialled, accepted] = await connection(world);
    accepted.close(42);
    accepted.close(43);
    assert.deepEqual(await accepted.closed, { by: "local", code: 42 });
    assert.deepEqual(await dialled.closed, { by: "remote", code: 42 });
    dialled.close(44);
    assert.deepEqual(await dialled.closed, { by: "remote", code: 42 });
  });

  test("fails whatever waits when the connection is closed", async (world) => {
    const [dialled, accepted] = await connection(world);
    const [one, other] = await streamOf(dialled, accepted);
    const pending = [
      one.read(new Uint8Array(8)),
      other.read(new Uint8Array(8)),
      writeUntilItFails(one),
    ].map((work) => assertCode(work, "transport.lost"));
    const accepting = [dialled.acceptStream(), accepted.acceptStream()];
    dialled.close(5);
    await Promise.all(pending);
    assert.deepEqual(await Promise.all(accepting), [undefined, undefined]);
    for (const side of [dialled, accepted]) {
      await side.closed;
      await assertCode(side.openStream(), "transport.lost");
      assert.equal(await side.acceptStream(), undefined);
      assert(side.remoteAddress.port > 0, "is still known");
    }
    for (const stream of [one, other]) {
      await assertCode(stream.read(new Uint8Array(8)), "transport.lost");
      await assertCode(stream.write(bytes(1)), "transport.lost");
      await stream.closeWrite();
      stream.cancel();
    }
  });

  test("notices a peer that has fallen silent", async (world) => {
    const limits = { idleTimeoutMs: 1_000, keepAliveMs: 300 };
    const a = await world.open({ limits });
    const b = await world.open({ limits });
    const line = await world.line(a, b);
    const [dialled, accepted] = await connect(a, b, line.address);
    const [one, other] = await streamOf(dialled, accepted);
    line.cut();
    const reads = [one, other].map((stream) =>
      assertCode(stream.read(new Uint8Array(8)), "transport.lost")
    );
    for (const side of [dialled, accepted]) {
      assert.deepEqual(await side.closed, { by: "lost", code: 0 });
      assert.equal(await side.acceptStream(), undefined);
    }
    await Promise.all(reads);
  });

  test("keeps an idle connection", async (world) => {
    const limits = { idleTimeoutMs: 1_000, keepAliveMs: 250 };
    const a = await world.open({ limits });
    const b = await world.open({ limits });
    const [dialled, accepted] = await connect(a, b);
    // A dial that is not answered ends after three times the idle time-out.
    const deserted = { host: "127.0.0.1", port: 9 };
    await assertCode(
      a.endpoint.dial(deserted, newIdentity().publicKey),
      "transport.unreachable",
    );
    await roundTrip(...await streamOf(dialled, accepted));
  });

  test("serves many connections at once", async (world) => {
    const hub = await world.open();
    const others = await Promise.all(
      Array.from({ length: 20 }, () => world.open()),
    );
    const serving = (async () => {
      for (const _ of others) {
        const accepted = await hub.endpoint.accept();
        const stream = await accepted?.acceptStream();
        const request = await stream?.read(new Uint8Array(8));
        if (request !== undefined) await stream?.write(request);
      }
    })();
    await Promise.all(others.map(async (other, index) => {
      const dialled = await other.endpoint.dial(
        hub.endpoint.localAddress,
        hub.identity.publicKey,
      );
      const stream = await dialled.openStream();
      await stream.write(bytes(index));
      assert.deepEqual(await stream.read(new Uint8Array(8)), bytes(index));
    }));
    await serving;
  });

  test("connects two that dial each other at once, twice", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const pairs = await Promise.all([connect(a, b), connect(b, a)]);
    for (const [dialled] of pairs) {
      const stream = await dialled.openStream();
      await stream.write(bytes(1));
    }
    for (const [, accepted] of pairs) {
      const seen = await accepted.acceptStream();
      assert.deepEqual(await seen?.read(new Uint8Array(8)), bytes(1));
    }
  });

  test("connects to itself", async (world) => {
    const a = await world.open();
    const [dialled, accepted] = await connect(a, a);
    await roundTrip(...await streamOf(dialled, accepted));
  });

  test("does not connect to another node in the peer's place", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    await assertCode(
      a.endpoint.dial(b.endpoint.localAddress, newIdentity().publicKey),
      "transport.wrong_identity",
    );
    // And the answering side goes on as if nothing had been.
    const [dialled, accepted] = await connect(a, b);
    await roundTrip(...await streamOf(dialled, accepted));
  });

  test("does not connect to another protocol", async (world) => {
    const a = await world.open();
    const b = await world.open({ alpn: "other" });
    await assertCode(
      a.endpoint.dial(b.endpoint.localAddress, b.identity.publicKey),
      "transport.wrong_protocol",
    );
  });

  test("gives up where no node answers", async (world) => {
    const a = await world.open({ limits: { idleTimeoutMs: 1_000 } });
    await assertCode(
      a.endpoint.dial({ host: "127.0.0.1", port: 9 }, newIdentity().publicKey),
      "transport.unreachable",
    );
  });

  test("gives up a dial when told to", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const reason = new Error("enough");
    const { signal } = abortLater(reason);
    const address = { host: "127.0.0.1", port: 9 };
    const { publicKey } = newIdentity();
    await assert.rejects(
      a.endpoint.dial(address, publicKey, { signal }),
      reason,
    );
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(
      a.endpoint.dial(address, publicKey, { signal: aborted }),
      reason,
    );
    const [dialled, accepted] = await connect(a, b);
    await roundTrip(...await streamOf(dialled, accepted));
  });

  test("closes a connection that comes after its dial was given up", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const reason = new Error("enough");
    const { signal } = abortLater(reason);
    await assert.rejects(
      a.endpoint.dial(b.endpoint.localAddress, b.identity.publicKey, {
        signal,
      }),
      reason,
    );
    const dialled = await a.endpoint.dial(
      b.endpoint.localAddress,
      b.identity.publicKey,
    );
    const stream = await dialled.openStream();
    await stream.write(bytes(1));
    // The answering side may see the first one, but then only its end.
    let seen: ByteStream | undefined;
    while (seen === undefined) {
      const accepted = await b.endpoint.accept();
      seen = await accepted?.acceptStream();
      if (seen !== undefined) break;
      assert.deepEqual(await accepted?.closed, {
        by: "remote",
        code: CLOSE_ENDPOINT,
      });
    }
    assert.deepEqual(await seen.read(new Uint8Array(8)), bytes(1));
  });

  test("does not dial host names", async (world) => {
    const a = await world.open();
    await assert.rejects(
      a.endpoint.dial({ host: "localhost", port: 9 }, newIdentity().publicKey),
      TypeError,
    );
  });

  test("bounds the dials under way", async (world) => {
    const a = await world.open({ limits: { maxDials: 2 } });
    const deserted = { host: "127.0.0.1", port: 9 };
    const { publicKey } = newIdentity();
    const controller = new AbortController();
    const { signal } = controller;
    const dials = [1, 2].map(() =>
      assert.rejects(a.endpoint.dial(deserted, publicKey, { signal }))
    );
    await assertCode(a.endpoint.dial(deserted, publicKey), "transport.busy");
    controller.abort(new Error("enough"));
    await Promise.all(dials);
  });

  test("does not answer while it admits no peer", async (world) => {
    let asked = 0;
    const b = await world.open({ admit: () => ++asked > 1 });
    const a = await world.open();
    // The first packet is ignored, its repetition a second later is not.
    const [dialled, accepted] = await connect(a, b);
    assert.equal(asked, 2);
    await roundTrip(...await streamOf(dialled, accepted));
  });

  test("ignores callers while its program accepts none of those before them", async (world) => {
    const b = await world.open({ limits: { maxWaiting: 2 } });
    const a = await world.open({ limits: { idleTimeoutMs: 1_000 } });
    const dial = () =>
      a.endpoint.dial(b.endpoint.localAddress, b.identity.publicKey);
    await dial();
    await dial();
    const outcome = await dial().then(
      async (connection) => (await connection.closed).by,
      errorCode,
    );
    assert(["transport.unreachable", "remote"].includes(outcome), outcome);
  });

  test("ends everything when the endpoint is closed", async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const [dialled, accepted] = await connect(a, b);
    const [one, other] = await streamOf(dialled, accepted);
    const waiting = [b.endpoint.accept(), b.endpoint.accept()];
    const reads = [one, other].map((stream) =>
      assertCode(stream.read(new Uint8Array(8)), "transport.lost")
    );
    await b.endpoint.close();
    await b.endpoint.close();
    assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
    assert.equal(await b.endpoint.accept(), undefined);
    assert.deepEqual(await accepted.closed, {
      by: "local",
      code: CLOSE_ENDPOINT,
    });
    assert.deepEqual(await dialled.closed, {
      by: "remote",
      code: CLOSE_ENDPOINT,
    });
    await Promise.all(reads);
    await assertCode(
      b.endpoint.dial(a.endpoint.localAddress, a.identity.publicKey),
      "transport.closed",
    );
  });

  test("ends its dials when it is closed", async (world) => {
    const a = await world.open();
    const dial = a.endpoint.dial(
      { host: "127.0.0.1", port: 9 },
      newIdentity().publicKey,
    );
    const failed = assertCode(dial, "transport.closed");
    await a.endpoint.close();
    await failed;
  });

  test("refuses a port that is taken, and says so", async (world) => {
    const a = await world.open();
    const address = a.endpoint.localAddress;
    await assert.rejects(() => world.open({ address }), (error: unknown) => {
      assert(error instanceof ConfigError);
      assert.equal(error.code, "transport.port_in_use");
      assert.match(error.message, new RegExp(`${address.port}`));
      return true;
    });
  });
}

async function connection(world: World): Promise<[Connection, Connection]> {
  return await connect(await world.open(), await world.open());
}

/** Both sides of a new stream, the opener's first. */
async function streamOf(
  opener: Connection,
  acceptor: Connection,
): Promise<[ByteStream, ByteStream]> {
  const one = await opener.openStream();
  await one.write(bytes(0));
  const other = await acceptor.acceptStream();
  assert(other !== undefined);
  assert.deepEqual(await other.read(new Uint8Array(1)), bytes(0));
  return [one, other];
}

async function streams(world: World): Promise<[ByteStream, ByteStream]> {
  return await streamOf(...await connection(world));
}

async function roundTrip(ping: ByteStream, pong: ByteStream): Promise<void> {
  await ping.write(bytes(1));
  await pong.read(new Uint8Array(1));
  await pong.write(bytes(2));
  await ping.read(new Uint8Array(1));
}

/** End both directions in order. */
async function finish(one: ByteStream, other: ByteStream): Promise<void> {
  await one.closeWrite();
  assert.equal(await other.read(new Uint8Array(1)), undefined);
  await other.closeWrite();
  assert.equal(await one.read(new Uint8Array(1)), undefined);
}

async function readAll(stream: ByteStream): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (;;) {
    const part = await stream.read(new Uint8Array(65_536));
    if (part === undefined) break;
    parts.push(part.slice());
  }
  const whole = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** More than any window takes. */
async function writeUntilItFails(stream: ByteStream): Promise<void> {
  for (let i = 0; i < 1_000; i++) await stream.write(new Uint8Array(65_536));
}

/** A signal that aborts as soon as what was begun with it is under way. */
function abortLater(reason: Error): AbortController {
  const controller = new AbortController();
  queueMicrotask(() => controller.abort(reason));
  return controller;
}

async function assertCode(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.equal(errorCode(error), code);
    return true;
  });
}

function bytes(...values: number[]): Bytes {
  return Uint8Array.from(values);
}
