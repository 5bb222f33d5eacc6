import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { errorCode } from "../../lib/base/errors.ts";
import type { Identity } from "../../lib/auth/identity.ts";
import {
  createLeaf,
  SERVER_NAME,
  trustAnchor,
} from "../../lib/transport/certificate.ts";
import { CLOSE_REFUSED } from "../../lib/transport/transport.ts";
import {
  ALPN,
  connect,
  CRYPTO,
  newIdentity,
  type Party,
  withQuic,
} from "../transport/world.ts";
import { firstPackets, garbage } from "../support/hostile_datagrams.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0 } as const;

Deno.test("openQuicEndpoint() outlives 20,000 datagrams of garbage", () =>
  withQuic(async (world) => {
    const [a, b] = [await world.open(), await world.open()];
    const [dialled, accepted] = await connect(a, b);
    const stream = await dialled.openStream();
    await stream.write(Uint8Array.of(1));
    const seen = await accepted.acceptStream();
    assert(seen !== undefined);

    using socket = udpSocket();
    const random = seededRandom(99);
    for (let i = 0; i < 20_000; i++) {
      await socket.send(garbage(random), udpAddress(b));
    }
    assert.deepEqual(await seen.read(new Uint8Array(8)), Uint8Array.of(1));
    await seen.write(Uint8Array.of(2));
    assert.deepEqual(await stream.read(new Uint8Array(8)), Uint8Array.of(2));
    await connect(await world.open(), b);
  }));

Deno.test("openQuicEndpoint() lets a newcomer in after 500 half handshakes", () =>
  withQuic(async (world) => {
    let admitted = 0;
    const b = await world.open({
      limits: { maxHandshakes: 64 },
      admit: () => ++admitted > 0,
    });
    const [dialled, accepted] = await connect(await world.open(), b);
    const stream = await dialled.openStream();
    await stream.write(Uint8Array.of(0));
    const seen = await accepted.acceptStream();
    assert(seen !== undefined);

    using socket = udpSocket();
    const packets = await firstPackets(500, ALPN);
    for (const [index, packet] of packets.entries()) {
      await socket.send(packet, udpAddress(b));
      if (index % 20 !== 0) continue;
      // A byte after each few packets: none gets lost in a full socket.
      await stream.write(Uint8Array.of(0));
      await seen.read(new Uint8Array(1));
    }
    assert(admitted >= 400, `the packets arrive: ${admitted} of 500`);
    // At the latest the second repetition of the first packet gets a place.
    const signal = AbortSignal.timeout(5_000);
    const a = await world.open();
    const accepting = b.endpoint.accept();
    await a.endpoint.dial(b.endpoint.localAddress, b.identity.publicKey, {
      signal,
    });
    assert(await accepting !== undefined);
    await stream.write(Uint8Array.of(0));
    assert(await seen.read(new Uint8Array(1)) !== undefined);
  }));

Deno.test("openQuicEndpoint() goes on when dialled connections vanish at once", () =>
  withQuic(async (world) => {
    const b = await world.open();
    await using bare = bareClient();
    for (let i = 0; i < 100; i++) {
      const conn = await bare.dial(b, b.identity);
      conn.close({ closeCode: i, reason: "x".repeat(100) });
    }
    await connect(await world.open(), b);
  }));

Deno.test("openQuicEndpoint() closes a peer that sends datagrams", () =>
  withQuic(async (world) => {
    const b = await world.open();
    await using bare = bareClient();
    const accepting = b.endpoint.accept();
    const conn = await bare.dial(b, b.identity);
    await accepting;
    const closed = conn.closed;
    await conn.sendDatagram(Uint8Array.of(1));
    assert.equal((await closed).closeCode, CLOSE_REFUSED);
  }));

Deno.test("openQuicEndpoint() grants no unidirectional streams and few others", () =>
  withQuic(async (world) => {
    const b = await world.open({ limits: { maxStreams: 4 } });
    await using bare = bareClient();
    const conn = await bare.dial(b, b.identity);
    await assert.rejects(conn.createUnidirectionalStream(), RangeError);
    for (let i = 0; i < 4; i++) await conn.createBidirectionalStream();
    await assert.rejects(conn.createBidirectionalStream(), RangeError);
  }));

Deno.test("dial() grants as little to the side that it dials", () =>
  withQuic(async (world) => {
    const a = await world.open({ limits: { maxStreams: 4 } });
    const identity = newIdentity();
    await using server = await bareServer(identity);
    const [conn] = await Promise.all([
      server.conn,
      a.endpoint.dial(server.address, identity.publicKey),
    ]);
    await assert.rejects(conn.createUnidirectionalStream(), RangeError);
    for (let i = 0; i < 4; i++) await conn.createBidirectionalStream();
    await assert.rejects(conn.createBidirectionalStream(), RangeError);
  }));

Deno.test("dial() refuses a certificate that another identity has signed", () =>
  withQuic(async (world) => {
    const a = await world.open();
    const [expected, impostor] = [newIdentity(), newIdentity()];
    await using server = await bareServer(impostor);
    await assertCode(
      a.endpoint.dial(server.address, expected.publicKey),
      "transport.wrong_identity",
    );
  }));

Deno.test("dial() refuses a peer's anchor in place of a leaf", () =>
  withQuic(async (world) => {
    // An impostor knows the anchor as well as we do, but has no key for it.
    const a = await world.open();
    const [expected, impostor] = [newIdentity(), newIdentity()];
    const { certificate, privateKey } = await createLeaf(CRYPTO, impostor);
    const chain = certificate + trustAnchor(expected.publicKey);
    await using server = await bareServer(impostor, {
      cert: chain,
      key: privateKey,
    });
    await assertCode(
      a.endpoint.dial(server.address, expected.publicKey),
      "transport.wrong_identity",
    );
  }));

Deno.test("dial() refuses a server of another protocol", () =>
  withQuic(async (world) => {
    const a = await world.open();
    const identity = newIdentity();
    await using server = await bareServer(identity, { alpnProtocols: ["h2"] });
    await assertCode(
      a.endpoint.dial(server.address, identity.publicKey),
      "transport.wrong_protocol",
    );
  }));

Deno.test("dial() reports a refusal as no node there", () =>
  withQuic(async (world) => {
    const a = await world.open();
    const identity = newIdentity();
    await using server = await bareServer(identity, {}, (incoming) => {
      incoming.refuse();
      return Promise.reject(new Error("refused"));
    });
    await assertCode(
      a.endpoint.dial(server.address, identity.publicKey),
      "transport.unreachable",
    );
  }));

Deno.test("dial() survives a peer that answers with garbage", () =>
  withQuic(async (world) => {
    const a = await world.open({ limits: { idleTimeoutMs: 1_000 } });
    const socket = Deno.listenDatagram({ ...LOCAL, transport: "udp" });
    const { hostname, port } = socket.addr as Deno.NetAddr;
    const answering = (async () => {
      const random = seededRandom(5);
      for await (const [, sender] of socket) {
        for (let i = 0; i < 20; i++) await socket.send(garbage(random), sender);
      }
    })();
    await assertCode(
      a.endpoint.dial({ host: hostname, port }, newIdentity().publicKey),
      "transport.unreachable",
    );
    socket.close();
    await answering;
  }));

Deno.test("trustAnchor() keeps the runtime from resuming TLS sessions", () =>
  withQuic(async (world) => {
    const b = await world.open();
    await using bare = bareClient();
    const accepted: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const [conn, seen] = await Promise.all([
        bare.dial(b, b.identity, { zeroRtt: true }),
        b.endpoint.accept(),
      ]);
      accepted.push(seen);
      // A round trip: by now the ticket for the next one has arrived.
      const { readable, writable } = await conn.createBidirectionalStream();
      const writer = writable.getWriter();
      await writer.write(Uint8Array.of(1));
      const stream = await seen?.acceptStream();
      await stream?.write(Uint8Array.of(2));
      const reader = readable.getReader();
      assert.deepEqual((await reader.read()).value, Uint8Array.of(2));
      assert.equal(bare.resumed, 0, `at connection ${i}`);
    }
  }));

Deno.test("close() tells the peers before the program exits", () =>
  withQuic(async (world) => {
    const b = await world.open();
    const { host, port } = b.endpoint.localAddress;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-net",
        new URL("./transport_exit.ts", import.meta.url).pathname,
        host,
        `${port}`,
        b.identity.publicKey.toHex(),
      ],
      env: { NO_COLOR: "1" },
      stdout: "null",
    }).spawn();
    const accepted = await b.endpoint.accept();
    const stream = await accepted?.acceptStream();
    await stream?.write(Uint8Array.of(1));
    assert.deepEqual(await accepted?.closed, { by: "remote", code: 0 });
    assert.equal((await child.status).code, 0);
  }));

/** A client that keeps none of our rules. */
function bareClient() {
  const endpoint = new Deno.QuicEndpoint(LOCAL);
  const conns: Deno.QuicConn[] = [];
  return {
    /** Connections that began with a ticket of an earlier one. */
    resumed: 0,
    async dial(
      to: Party,
      identity: Identity,
      options: { zeroRtt?: boolean } = {},
    ): Promise<Deno.QuicConn> {
      const dial = Deno.connectQuic<boolean>({
        endpoint,
        hostname: to.endpoint.localAddress.host,
        port: to.endpoint.localAddress.port,
        serverName: SERVER_NAME,
        alpnProtocols: [ALPN],
        caCerts: [trustAnchor(identity.publicKey)],
        ...options,
      });
      if (!(dial instanceof Promise)) this.resumed++;
      const conn = await dial;
      conns.push(conn);
      return conn;
    },
    async [Symbol.asyncDispose]() {
      endpoint.close();
      await Promise.allSettled(conns.map((conn) => conn.closed));
    },
  };
}

/** A server that keeps none of our rules. */
async function bareServer(
  identity: Identity,
  options: Partial<Deno.QuicListenOptions> = {},
  answer = (incoming: Deno.QuicIncoming) => incoming.accept<false>(),
) {
  const leaf = await createLeaf(CRYPTO, identity);
  const endpoint = new Deno.QuicEndpoint(LOCAL);
  const listener = endpoint.listen({
    cert: leaf.certificate,
    key: leaf.privateKey,
    alpnProtocols: [ALPN],
    ...options,
  });
  const first = Promise.withResolvers<Deno.QuicConn>();
  const conns: Deno.QuicConn[] = [];
  const serving = (async () => {
    for await (const incoming of listener) {
      await answer(incoming).then((conn) => {
        conns.push(conn);
        first.resolve(conn);
      }, () => {});
    }
  })();
  return {
    address: { host: endpoint.addr.hostname, port: endpoint.addr.port },
    /** The first connection. */
    conn: first.promise,
    async [Symbol.asyncDispose]() {
      endpoint.close();
      await serving;
      await Promise.allSettled(conns.map((conn) => conn.closed));
    },
  };
}

function udpSocket() {
  const socket = Deno.listenDatagram({ ...LOCAL, transport: "udp" });
  return {
    send: (packet: Uint8Array, to: Deno.NetAddr) => socket.send(packet, to),
    [Symbol.dispose]: () => socket.close(),
  };
}

function udpAddress({ endpoint }: Party): Deno.NetAddr {
  const { host, port } = endpoint.localAddress;
  return { transport: "udp", hostname: host, port };
}

async function assertCode(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.equal(errorCode(error), code);
    return true;
  });
}
