/**
 * Links beside the runtime's bare QUIC and beside our own streams, in one process
 * over loopback.
 *
 *     deno bench --allow-net bench/link_bench.ts
 *
 * Memory has a program of its own, `link_memory.ts`. Figures are kept in
 * docs/performance.md.
 *
 * @module
 */
import { Identity } from "../lib/auth/identity.ts";
import { networkParameters } from "../lib/auth/network.ts";
import { createNodeRecord } from "../lib/auth/node_record.ts";
import { RecordVerifier } from "../lib/auth/record_verifier.ts";
import { seededRandom } from "../lib/base/random.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { AnswererHandshake } from "../lib/link/answerer_handshake.ts";
import { DiallerHandshake } from "../lib/link/dialler_handshake.ts";
import { NonceCache } from "../lib/link/nonce_cache.ts";
import { FrameStream } from "../lib/node/link/frame_stream.ts";
import { LinkTable } from "../lib/node/link/link_table.ts";
import { SystemClock } from "../lib/machine/system_clock.ts";
import {
  createLeaf,
  SERVER_NAME,
  trustAnchor,
} from "../lib/transport/certificate.ts";
import { openQuicEndpoint } from "../lib/transport/quic_endpoint.ts";
import type { ByteStream } from "../lib/transport/transport.ts";

const FRAME_BYTES = 65_536;
const TRANSFER_FRAMES = 256; // 16 MiB
const UNLIMITED = { perSecond: Infinity, burst: 1 };

const crypto = nativeSuite();
const random = seededRandom(1);
const clock = new SystemClock();
const network = networkParameters("local");
const address = { host: "127.0.0.1", port: 0 };

async function openTable() {
  const identity = Identity.generate(crypto, random);
  const endpoint = await openQuicEndpoint({
    address,
    alpn: network.alpn,
    identity,
    crypto,
  });
  const unixMs = clock.unixMs();
  const { encoded } = createNodeRecord(crypto, identity, network, {
    onionKey: random.bytes(32),
    addresses: [{ ...endpoint.localAddress }],
    flags: ["relay"],
    bandwidth: 1_000_000,
    sequence: unixMs,
    expiry: unixMs + 3_600_000,
    workNonce: random.bytes(16),
  });
  const table = new LinkTable({
    endpoint,
    crypto,
    network,
    clock,
    random,
    verifier: new RecordVerifier(crypto, network),
    identity,
    record: () => encoded,
    handlers: {
      onRequest: (_link, _method, body) => Promise.resolve(body),
      onCircuit: (_link, stream) => void sink(stream),
    },
    linkLimits: { requests: UNLIMITED, circuits: UNLIMITED },
  });
  table.start();
  const peer = {
    publicKey: identity.publicKey,
    addresses: [endpoint.localAddress],
  };
  return { identity, endpoint, table, peer, record: encoded };
}

const relay = await openTable();
const node = await openTable();

// Bare, with the same certificate and settings.
const leaf = await createLeaf(crypto, relay.identity);
const transport = {
  maxIdleTimeout: 10_000,
  keepAliveInterval: 3_000,
  congestionControl: "low-latency",
} as const;
const bareServer = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const listener = bareServer.listen({
  cert: leaf.certificate,
  key: leaf.privateKey,
  alpnProtocols: [network.alpn],
  ...transport,
});
serveBare(listener);
const bareClient = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const anchor = trustAnchor(relay.identity.publicKey);
const bareDial = () =>
  Deno.connectQuic<false>({
    endpoint: bareClient,
    hostname: "127.0.0.1",
    port: bareServer.addr.port,
    serverName: SERVER_NAME,
    alpnProtocols: [network.alpn],
    caCerts: [anchor],
    ...transport,
  });

Deno.bench("handshake alone, both sides, no network", () => {
  const options = { crypto, random, network };
  const dialler = new DiallerHandshake({
    ...options,
    identity: node.identity,
    record: node.record,
    peerKey: relay.identity.publicKey,
  });
  const answerer = new AnswererHandshake({
    ...options,
    identity: relay.identity,
    record: relay.record,
    nonces: new NonceCache(),
  });
  answerer.start(0);
  let actions = dialler.start(0);
  for (const machine of [answerer, dialler, answerer]) {
    const [action] = actions;
    if (action?.type !== "send") throw new Error("The handshake failed");
    actions = machine.onMessage(action.message, 0);
  }
});

const SET_UP = { group: "set-up" };
Deno.bench("bare QUIC connect", { ...SET_UP, baseline: true }, async () => {
  (await bareDial()).close();
});
Deno.bench("bare QUIC connect, 32 at once", SET_UP, async () => {
  await Promise.all(Array.from({ length: 32 }, async () => {
    (await bareDial()).close();
  }));
});
Deno.bench("link", SET_UP, async () => {
  const link = await node.table.getOrDial(relay.peer);
  link.close();
  await link.closed;
});
const many = await Promise.all(Array.from({ length: 32 }, openTable));
Deno.bench("link, 32 at once, of 32 nodes", SET_UP, async () => {
  await Promise.all(many.map(async ({ table }) => {
    const link = await table.getOrDial(relay.peer);
    link.close();
    await link.closed;
  }));
});

const talker = await openTable();
const link = await talker.table.getOrDial(relay.peer);
const body = random.bytes(100);
const bareConn = await bareDial();
const RPC = { group: "round trip" };
Deno.bench(
  "bare QUIC: open, 100 B there and back, close",
  { ...RPC, baseline: true },
  async () => await bareRoundTrip(),
);
Deno.bench("request of 100 B", RPC, async () => {
  await link.request("bench.echo", body);
});
Deno.bench("request of 100 B, 32 at once", RPC, async () => {
  await Promise.all(
    Array.from({ length: 32 }, () => link.request("bench.echo", body)),
  );
});
const longBody = random.bytes(60_000);
Deno.bench("request of 60 kB", RPC, async () => {
  await link.request("bench.echo", longBody);
});

const frame = random.bytes(FRAME_BYTES);
const STREAM = { group: "framing" };
Deno.bench(
  "16 MiB one way, writes of 64 KiB",
  { ...STREAM, baseline: true },
  async () => {
    const [one, other] = await streams();
    const reading = sink(other);
    for (let count = 0; count < TRANSFER_FRAMES; count++) {
      await one.write(frame);
    }
    await one.closeWrite();
    await reading;
    one.cancel();
  },
);
Deno.bench("16 MiB one way, frames of 64 KiB", STREAM, async () => {
  const [one, other] = await streams();
  const reading = (async () => {
    const frames = new FrameStream(other, FRAME_BYTES);
    while (await frames.read() !== undefined);
    other.cancel();
  })();
  const frames = new FrameStream(one, FRAME_BYTES);
  for (let count = 0; count < TRANSFER_FRAMES; count++) {
    await frames.write(frame);
  }
  await one.closeWrite();
  await reading;
  one.cancel();
});
Deno.bench("16 MiB one way, over a link's circuit", STREAM, async () => {
  const stream = await link.openCircuit();
  for (let count = 0; count < TRANSFER_FRAMES; count++) {
    await stream.write(frame);
  }
  await stream.closeWrite();
  // The far end closes when it has read all.
  await stream.read(new Uint8Array(1));
  stream.cancel();
});

const pair = await rawPair();

/** Two endpoints with none of our code above the transport. */
async function rawPair() {
  const [a, b] = [node.identity, relay.identity];
  const options = { address, alpn: network.alpn, crypto };
  const one = await openQuicEndpoint({ ...options, identity: a });
  const other = await openQuicEndpoint({ ...options, identity: b });
  const [dialled, accepted] = await Promise.all([
    one.dial(other.localAddress, b.publicKey),
    other.accept(),
  ]);
  if (accepted === undefined) throw new Error("The endpoint has closed");
  return { dialled, accepted };
}

async function streams(): Promise<[ByteStream, ByteStream]> {
  const one = await pair.dialled.openStream();
  // A stream is seen with its first byte.
  await one.write(Uint8Array.of(0));
  const other = await pair.accepted.acceptStream();
  if (other === undefined) throw new Error("The connection has ended");
  await other.read(new Uint8Array(1));
  return [one, other];
}

async function sink(stream: ByteStream): Promise<void> {
  let buffer = new Uint8Array(FRAME_BYTES);
  for (;;) {
    const got = await stream.read(buffer);
    if (got === undefined) break;
    buffer = new Uint8Array(got.buffer);
  }
  stream.cancel();
}

async function bareRoundTrip(): Promise<void> {
  const stream = await bareConn.createBidirectionalStream({
    waitUntilAvailable: true,
  });
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  await writer.write(body);
  await writer.close();
  for (;;) {
    const { done } = await reader.read(new Uint8Array(2048));
    if (done) return;
  }
}

async function serveBare(incoming: Deno.QuicListener): Promise<void> {
  for await (const each of incoming) {
    each.accept<false>().then(async (conn) => {
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
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(2048));
    if (done) break;
    await writer.write(value);
  }
  await writer.close();
}
