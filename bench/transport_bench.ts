/**
 * The transport beside the runtime's bare QUIC, in one process over loopback.
 *
 *     deno bench --allow-net bench/transport_bench.ts
 *
 * Bare QUIC has the same certificate, reads the same way, and nothing else of
 * ours. The in-memory twin runs on a virtual clock: its figures are what one
 * simulated event costs. Figures are kept in docs/performance.md.
 *
 * @module
 */
import { seededRandom } from "../lib/base/random.ts";
import { VirtualClock } from "../lib/base/virtual_clock.ts";
import { Identity } from "../lib/auth/identity.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { createDrain } from "../lib/sim/world/drain.ts";
import {
  createLeaf,
  SERVER_NAME,
  trustAnchor,
} from "../lib/transport/certificate.ts";
import { MemoryNetwork } from "../lib/transport/memory_network.ts";
import { openQuicEndpoint } from "../lib/transport/quic_endpoint.ts";
import type {
  ByteStream,
  Connection,
  Endpoint,
} from "../lib/transport/transport.ts";

const ALPN = "h3";
const CHUNK_BYTES = 65_536;
const TRANSFER_BYTES = 256 * CHUNK_BYTES; // 16 MiB
const ECHO_BYTES = 512;

const suite = nativeSuite();
const random = seededRandom(1);
const [identity, other] = [
  Identity.generate(suite, random),
  Identity.generate(suite, random),
];
const chunk = random.bytes(CHUNK_BYTES);

const options = (who: Identity) => ({
  address: { host: "127.0.0.1", port: 0 },
  alpn: ALPN,
  identity: who,
  crypto: suite,
});

// Ours.
const server = await openQuicEndpoint(options(identity));
const client = await openQuicEndpoint(options(other));
serve(server);
const dial = (from: Endpoint, to: Endpoint) =>
  from.dial(to.localAddress, identity.publicKey);

// The twin.
const clock = new VirtualClock({ drain: createDrain() });
const network = new MemoryNetwork({ clock, random });
const memoryServer = network.endpoint(options(identity));
const memoryClient = network.endpoint(options(other));
serve(memoryServer);

// Bare.
const leaf = await createLeaf(suite, identity);
const transport = {
  maxIdleTimeout: 10_000,
  keepAliveInterval: 3_000,
  congestionControl: "low-latency",
} as const;
const bareServer = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const listener = bareServer.listen({
  cert: leaf.certificate,
  key: leaf.privateKey,
  alpnProtocols: [ALPN],
  ...transport,
});
serveBare(listener);
const bareClient = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const anchor = trustAnchor(identity.publicKey);
const bareDial = () =>
  Deno.connectQuic<false>({
    endpoint: bareClient,
    hostname: "127.0.0.1",
    port: bareServer.addr.port,
    serverName: SERVER_NAME,
    alpnProtocols: [ALPN],
    caCerts: [anchor],
    ...transport,
  });

Deno.bench("anchor from a public key", () => void trustAnchor(other.publicKey));

Deno.bench("leaf for an identity", async () => {
  await createLeaf(suite, identity);
});

Deno.bench(
  "bare QUIC connect",
  { group: "connect", baseline: true },
  async () => {
    (await bareDial()).close();
  },
);

Deno.bench("QuicEndpoint dial", { group: "connect" }, async () => {
  (await dial(client, server)).close(0);
});

const bareConn = await bareDial();
const bareEcho = await bareConn.createBidirectionalStream();
const bareReader = bareEcho.readable.getReader({ mode: "byob" });
const bareWriter = bareEcho.writable.getWriter();

Deno.bench(
  "bare QUIC echo, 512 B",
  { group: "echo", baseline: true },
  async () => {
    await bareWriter.write(chunk.subarray(0, ECHO_BYTES));
    for (let got = 0; got < ECHO_BYTES;) {
      const { value } = await bareReader.read(new Uint8Array(ECHO_BYTES));
      got += value?.length ?? 0;
    }
  },
);

const connection = await dial(client, server);
const echo = await connection.openStream();
Deno.bench("QuicStream echo, 512 B", { group: "echo" }, async () => {
  await roundTrip(echo);
});
Deno.bench(
  "QuicStream transfer, 16 MiB each way, 64 KiB writes",
  { group: "transfer" },
  async () => await transfer(connection),
);

const memoryConnection = await run(dial(memoryClient, memoryServer));
const memoryEcho = await memoryConnection.openStream();
Deno.bench("MemoryNetwork, 100 dials one by one", async () => {
  for (let i = 0; i < 100; i++) {
    (await run(dial(memoryClient, memoryServer))).close(0);
  }
});
Deno.bench("MemoryStream, 100 echoes one by one, 512 B", async () => {
  for (let i = 0; i < 100; i++) await run(roundTrip(memoryEcho));
});
Deno.bench(
  "MemoryStream transfer, 16 MiB each way, 64 KiB writes",
  async () => await run(transfer(memoryConnection)),
);

Deno.bench(
  "bare QUIC transfer, 16 MiB each way, 64 KiB writes",
  { group: "transfer", baseline: true },
  async () => {
    const { readable, writable } = await bareConn.createBidirectionalStream({
      waitUntilAvailable: true,
    });
    const reader = readable.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    const sending = (async () => {
      for (let sent = 0; sent < TRANSFER_BYTES; sent += CHUNK_BYTES) {
        await writer.write(chunk);
      }
      await writer.close();
    })();
    let buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const { value, done } = await reader.read(buffer);
      if (done) break;
      buffer = new Uint8Array(value.buffer);
    }
    await sending;
  },
);

/** Let virtual time pass until `work` is done. */
async function run<T>(work: Promise<T>): Promise<T> {
  let isDone = false;
  work.then(() => isDone = true);
  await clock.runUntil(() => isDone);
  return await work;
}

async function roundTrip(stream: ByteStream): Promise<void> {
  await stream.write(chunk.subarray(0, ECHO_BYTES));
  for (let got = 0; got < ECHO_BYTES;) {
    got += (await stream.read(new Uint8Array(ECHO_BYTES)))?.length ?? 0;
  }
}

async function transfer(connection: Connection): Promise<void> {
  const stream = await connection.openStream();
  await Promise.all([send(stream), receive(stream)]);
}

async function send(stream: ByteStream): Promise<void> {
  for (let sent = 0; sent < TRANSFER_BYTES; sent += CHUNK_BYTES) {
    await stream.write(chunk);
  }
  await stream.closeWrite();
}

async function receive(stream: ByteStream): Promise<void> {
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const got = await stream.read(buffer);
    if (got === undefined) return;
    buffer = new Uint8Array(got.buffer);
  }
}

/** Echo every stream of every connection. */
async function serve(endpoint: Endpoint): Promise<void> {
  for (;;) {
    const connection = await endpoint.accept();
    if (connection === undefined) return;
    (async () => {
      for (;;) {
        const stream = await connection.acceptStream();
        if (stream === undefined) return;
        echoStream(stream).catch(() => {});
      }
    })();
  }
}

async function echoStream(stream: ByteStream): Promise<void> {
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const got = await stream.read(buffer);
    if (got === undefined) break;
    await stream.write(got);
    buffer = new Uint8Array(got.buffer);
  }
  await stream.closeWrite();
}

async function serveBare(listener: Deno.QuicListener): Promise<void> {
  for await (const incoming of listener) {
    incoming.accept<false>().then(async (conn) => {
      conn.closed.catch(() => {});
      for await (const stream of conn.incomingBidirectionalStreams) {
        echoBare(stream).catch(() => {});
      }
    }).catch(() => {});
  }
}

async function echoBare(stream: Deno.QuicBidirectionalStream): Promise<void> {
  const reader = stream.readable.getReader({ mode: "byob" });
  const writer = stream.writable.getWriter();
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) break;
    await writer.write(value);
    buffer = new Uint8Array(value.buffer);
  }
  await writer.close();
}
