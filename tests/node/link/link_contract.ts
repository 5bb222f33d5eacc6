/**
 * What links do over any transport, said once and held against QUIC and memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { CLOSE_CODE } from "../../../lib/link/close_code.ts";
import { encodeHandshake } from "../../../lib/link/handshake_message.ts";
import { encodeRequestStream, MAX_BODY_BYTES } from "../../../lib/link/rpc.ts";
import { codeOf, type LinkWorld, readAll } from "./link_world.ts";
import { type RawStream, rawStream, refused } from "./raw_link.ts";

/** Runs a test in a world of its own. */
type InWorld = (test: (world: LinkWorld) => Promise<void>) => Promise<void>;

/** Register the tests for one transport. */
export function testLinks(name: string, inWorld: InWorld): void {
  const test = (sentence: string, body: (world: LinkWorld) => Promise<void>) =>
    Deno.test(`links ${name} ${sentence}`, () => inWorld(body));

  test("prove both ends, and carry requests both ways", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const ab = await a.table.getOrDial(b.peer);
    assert.deepEqual(ab.nodeId, b.identity.nodeId);
    assert.equal(ab.isRelay, true);
    assert.equal(ab.direction, "outbound");
    assert.deepEqual(ab.remoteAddress, b.endpoint.localAddress);
    assert.deepEqual(ab.observedAddress, a.endpoint.localAddress);
    const body = Uint8Array.of(1, 2, 3);
    assert.deepEqual(await ab.request("test.echo", body), body);
    const ba = b.table.get(a.identity.publicKey);
    assert.ok(ba !== undefined && ba.direction === "inbound");
    assert.deepEqual(ba.record?.nodeId, a.identity.nodeId);
    assert.deepEqual(await ba.request("test.echo", body), body);
    assert.deepEqual(await ba.request("link.ping"), new Uint8Array());
    assert.equal(ab.stats.requestsOut, 1);
    assert.equal(ab.stats.openStreams, 0);
  });

  test("carry circuits both ways", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    const out = await link.openCircuit();
    await out.write(Uint8Array.of(9, 8));
    await link.request("test.echo"); // by then the circuit has arrived as well
    const [circuit] = b.circuits.items;
    assert.ok(circuit !== undefined);
    const seen = await circuit.read(new Uint8Array(8));
    assert.deepEqual(seen, Uint8Array.of(9, 8));
    await circuit.write(Uint8Array.of(7));
    await circuit.closeWrite();
    assert.deepEqual(await out.read(new Uint8Array(8)), Uint8Array.of(7));
    assert.equal(await out.read(new Uint8Array(8)), undefined);
    out.cancel();
    assert.equal(await readAll(circuit), 0);
    assert.equal(link.stats.circuitsOut, 1);
    assert.equal(link.stats.openStreams, 0);
    assert.equal(b.links.items[0]?.stats.circuitsIn, 1);
    assert.equal(b.links.items[0]?.stats.openStreams, 0);
  });

  test("do not name a client", async (world) => {
    const [client, relay] = [
      await world.node({ role: "client" }),
      await world.node(),
    ];
    const first = await client.table.getOrDial(relay.peer);
    await first.request("test.echo");
    first.close();
    await first.closed;
    const second = await client.table.getOrDial(relay.peer);
    await second.request("test.echo");
    const [one, other] = relay.links.items;
    assert.ok(one !== undefined && other !== undefined);
    assert.equal(one.record, undefined);
    assert.equal(one.isRelay, false);
    assert.notDeepEqual(one.peerKey, other.peerKey);
    assert.notDeepEqual(one.peerKey, client.identity.publicKey);
    assert.notDeepEqual(other.peerKey, client.identity.publicKey);
  });

  test("share one dial among those who want it", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const links = await Promise.all(
      Array.from({ length: 20 }, () => a.table.getOrDial(b.peer)),
    );
    assert.equal(new Set(links).size, 1);
    assert.equal(b.links.items.length, 1);
  });

  test("come to one when both sides dial, and lose no request", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const body = Uint8Array.of(5);
    const talk = async (from: typeof a, to: typeof b) => {
      const link = await from.table.getOrDial(to.peer);
      return await Promise.all(
        Array.from({ length: 5 }, () => link.request("test.echo", body)),
      );
    };
    const answers = await Promise.all([talk(a, b), talk(b, a)]);
    assert.deepEqual(answers.flat(), new Array(10).fill(body));
    const [ab, ba] = [
      await a.table.getOrDial(b.peer),
      await b.table.getOrDial(a.peer),
    ];
    assert.notEqual(ab.direction, ba.direction);
    assert.deepEqual(await ab.request("test.echo", body), body);
    assert.deepEqual(await ba.request("test.echo", body), body);
  });

  test("tell a caller with a mistyped key that another identity is there", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const publicKey = new Uint8Array(b.identity.publicKey);
    publicKey[3] = (publicKey[3] ?? 0) ^ 8;
    await assert.rejects(
      a.table.getOrDial({ publicKey, addresses: b.peer.addresses }),
      (error: unknown) => {
        assert.ok(error instanceof ProtocolError);
        assert.equal(error.code, "link.wrong_identity");
        assert.match(error.message, /another identity/);
        return true;
      },
    );
    assert.equal(b.links.items.length, 0);
  });

  test("do not cross protocols", async (world) => {
    const [a, b] = [
      await world.node(),
      await world.node({ alpn: "other" }),
    ];
    assert.equal(
      await codeOf(a.table.getOrDial(b.peer)),
      "link.wrong_protocol",
    );
  });

  test("refuse a hello of 4 GiB before it is there", async (world) => {
    const bob = await world.node();
    const raw = await rawStream(world, bob);
    await raw.stream.write(Uint8Array.of(255, 255, 255, 255, 1, 2, 3));
    await refused(raw);
    assert.deepEqual(await bob.refusals.reach(1), ["wire.frame_too_large"]);
    assert.equal(bob.links.items.length, 0);
  });

  test("end when a request announces 4 GiB", async (world) => {
    const bob = await world.node();
    const { connection } = await world.rawDial(bob);
    const stream = await connection.openStream();
    await stream.write(Uint8Array.of(1, 255, 255, 255, 255));
    await connection.closed;
    assert.equal(
      (await bob.links.items[0]?.closed)?.reason,
      "wire.frame_too_large",
    );
    assert.ok((bob.links.items[0]?.stats.bytesIn ?? 0) < 10);
  });

  test("end when a stream is of no known type", async (world) => {
    const bob = await world.node();
    for (const type of [0, 3, 255]) {
      const { connection } = await world.rawDial(bob);
      const stream = await connection.openStream();
      await stream.write(Uint8Array.of(type));
      assert.deepEqual(await connection.closed, { by: "remote", code: 1 });
    }
    for (const link of bob.links.items) {
      assert.equal((await link.closed).reason, "link.stream_type");
    }
  });

  test("end when a request is none", async (world) => {
    const bob = await world.node();
    for (
      const request of [
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 3, 1, 2, 3],
        [1, 0, 0, 0, 1, 0xa0],
      ]
    ) {
      const { connection } = await world.rawDial(bob);
      const stream = await connection.openStream();
      await stream.write(Uint8Array.from(request));
      assert.deepEqual(await connection.closed, { by: "remote", code: 1 });
    }
    assert.deepEqual(bob.errors, []);
  });

  test("survive streams that end before anything whole was said", async (world) => {
    const bob = await world.node();
    const { connection } = await world.rawDial(bob);
    for (const said of [[], [1], [1, 0, 0], [1, 0, 0, 0, 9, 1], [2]]) {
      const stream = await connection.openStream();
      if (said.length > 0) await stream.write(Uint8Array.from(said));
      await stream.closeWrite();
      if (said[0] === 2) stream.cancel();
      else assert.equal(await readAll(stream), 0);
    }
    const [link] = bob.links.items;
    assert.equal(link?.isOpen, true);
    connection.close(0);
  });

  test("tell a caller what became of its request", async (world) => {
    const a = await world.node();
    const b = await world.node({
      handlers: {
        onRequest: (_link, method) => {
          if (method === "test.none") return Promise.resolve(undefined);
          if (method === "test.throws") throw new Error("our own mistake");
          if (method === "test.long") {
            return Promise.resolve(new Uint8Array(100_000));
          }
          return Promise.reject(new ProtocolError("test.broke", "broken"));
        },
      },
    });
    const link = await a.table.getOrDial(b.peer);
    assert.equal(
      await codeOf(link.request("test.none")),
      "link.rpc_unknown_method",
    );
    assert.equal(await codeOf(link.request("test.throws")), "link.rpc_failed");
    assert.equal(await codeOf(link.request("test.long")), "link.rpc_failed");
    assert.equal(b.errors.length, 2);
    assert.match(
      String(await codeOf(link.request("test.breaks"))),
      /^link\.(lost|rpc_failed)$/,
    );
    assert.equal((await b.links.items[0]?.closed)?.reason, "test.broke");
    assert.deepEqual((await link.closed).by, "remote");
  });

  test("carry the longest bodies, and none that are longer", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    const body = world.random.bytes(MAX_BODY_BYTES);
    assert.deepEqual(await link.request("test.echo", body), body);
    const longer = world.random.bytes(MAX_BODY_BYTES + 1);
    await assert.rejects(link.request("test.echo", longer), RangeError);
  });

  test("reject what waits when they are closed", async (world) => {
    const never = Promise.withResolvers<Uint8Array>();
    const arrived = Promise.withResolvers<void>();
    const a = await world.node();
    const b = await world.node({
      handlers: {
        onRequest: () => {
          arrived.resolve();
          return never.promise;
        },
      },
    });
    const link = await a.table.getOrDial(b.peer);
    const answer = codeOf(link.request("test.never"));
    await arrived.promise;
    link.close();
    assert.equal(await answer, "link.lost");
    assert.equal(await codeOf(link.request("test.never")), "link.lost");
    assert.equal(await codeOf(link.openCircuit()), "link.lost");
    never.resolve(new Uint8Array());
    assert.equal((await b.links.items[0]?.closed)?.by, "remote");
    assert.equal(a.table.get(b.identity.publicKey), undefined);
  });

  test("give up a request when told to", async (world) => {
    const a = await world.node();
    const arrived = Promise.withResolvers<void>();
    const never = Promise.withResolvers<Uint8Array>();
    const b = await world.node({
      handlers: {
        onRequest: () => {
          arrived.resolve();
          return never.promise;
        },
      },
    });
    const link = await a.table.getOrDial(b.peer);
    const controller = new AbortController();
    const { signal } = controller;
    const answer = link.request("test.never", new Uint8Array(), { signal });
    const rejected = assert.rejects(answer, /enough/);
    await arrived.promise;
    controller.abort(new Error("enough"));
    await rejected;
    assert.equal(link.stats.openStreams, 0);
    assert.equal(link.isOpen, true);
    await assert.rejects(
      a.table.getOrDial(b.peer, { signal }).then(() => {
        throw new Error("a link that stands needs no dial");
      }),
      /needs no dial/,
    );
    never.resolve(new Uint8Array());
  });

  test("are closed when idle, although pings are answered", async (world) => {
    const linkLimits = { keepAliveMs: 20, silenceMs: 5000, idleMs: 300 };
    const a = await world.node({ linkLimits });
    const b = await world.node();
    const link = await a.table.getOrDial(b.peer);
    assert.deepEqual(await link.closed, { by: "local", reason: "link.idle" });
    assert.ok(link.stats.requestsOut >= 1);
    const [end] = await b.ends.reach(1);
    assert.deepEqual(end, { by: "remote", reason: "link.hung_up" });
  });

  test("are closed when a ping is not answered", async (world) => {
    const a = await world.node({
      linkLimits: { keepAliveMs: 20, silenceMs: 100 },
    });
    const identity = world.identity();
    const endpoint = await world.endpoint(identity);
    const answered = world.rawAnswer(endpoint, identity);
    const link = await a.table.getOrDial({
      publicKey: identity.publicKey,
      addresses: [endpoint.localAddress],
    });
    const { connection } = await answered;
    const end = await link.closed;
    assert.deepEqual(end, { by: "local", reason: "link.silent" });
    assert.deepEqual(await connection.closed, { by: "remote", code: 0 });
  });

  test("are refused while others hold all handshakes, and given once they let go", async (world) => {
    const b = await world.node({
      tableLimits: { handshakes: 8, handshakeGraceMs: 60_000 },
    });
    const silent = await Promise.all(
      Array.from({ length: 8 }, () => rawStream(world, b)),
    );
    const half = encodeHandshake({ type: "refused", code: "busy" });
    for (const { stream } of silent) {
      await stream.write(Uint8Array.of(0, 0, 0, half.length, ...half.slice(1)));
    }
    const a = await world.node();
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.busy");
    for (const { connection } of silent) connection.close(0);
    const codes = await b.refusals.reach(8);
    assert.deepEqual(new Set(codes), new Set(["link.cut"]));
    const c = await world.node();
    assert.ok(await c.table.getOrDial(b.peer));
    assert.equal(b.table.stats.answering, 0);
  });

  test("are given at the cost of the oldest handshake that is silent", async (world) => {
    const b = await world.node({
      tableLimits: { handshakes: 8, handshakeGraceMs: 0 },
    });
    const silent: RawStream[] = [];
    for (let n = 0; n < 8; n++) {
      const raw = await rawStream(world, b);
      await raw.stream.write(Uint8Array.of(0));
      silent.push(raw);
    }
    const a = await world.node();
    const link = await a.table.getOrDial(b.peer);
    assert.deepEqual(await silent[0]?.connection.closed, {
      by: "remote",
      code: CLOSE_CODE.busy,
    });
    assert.deepEqual(await link.request("test.echo"), new Uint8Array());
    assert.equal(b.table.stats.answering, 7);
    assert.equal(b.table.stats.turnedAway, 1);
    for (const { connection } of silent) connection.close(0);
  });

  test("end after a flood of requests, of which some are answered", async (world) => {
    const b = await world.node();
    const { connection } = await world.rawDial(b);
    const echo = encodeRequestStream("test.echo", Uint8Array.of(1));
    let answered = 0;
    const flood = async () => {
      for (let count = 0; count < 20; count++) {
        const stream = await connection.openStream();
        await stream.write(echo);
        if (await readAll(stream) > 0) answered++;
        stream.cancel();
      }
    };
    await Promise.allSettled(Array.from({ length: 200 }, flood));
    const [end] = await b.ends.reach(1);
    assert.deepEqual(end, { by: "local", reason: "link.flood" });
    assert.ok(answered > 0);
    const stats = b.links.items[0]?.stats;
    assert.ok(stats !== undefined && stats.requestsRefused >= 200);
    assert.deepEqual(b.errors, []);
    // Others do not notice.
    const a = await world.node();
    const link = await a.table.getOrDial(b.peer);
    await link.request("test.echo");
  });

  test("can be cut off", async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    link.cutOff("test.stalled");
    assert.deepEqual(await link.closed, {
      by: "local",
      reason: "test.stalled",
    });
    assert.deepEqual(await b.links.items[0]?.closed, {
      by: "remote",
      reason: "link.hung_up",
    });
  });

  test("end with their table, whatever is under way", async (world) => {
    const [a, b, c] = [
      await world.node(),
      await world.node(),
      await world.node(),
    ];
    const link = await a.table.getOrDial(b.peer);
    const dial = codeOf(a.table.getOrDial(c.peer));
    const request = codeOf(link.request("test.echo"));
    await a.table.close();
    await a.table.close();
    assert.ok(
      ["link.lost", "nothing was thrown"].includes(String(await request)),
    );
    assert.match(String(await dial), /^(link|transport)\.|nothing/);
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.stopping");
    assert.equal(a.table.stats.links, 0);
    await b.links.items[0]?.closed;
    assert.equal(b.table.stats.links, 0);
  });
}
