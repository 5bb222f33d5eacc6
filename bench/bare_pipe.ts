/**
 * A process that carries QUIC streams on to the next such process, both ways, and
 * does nothing else: what the runtime can do at best.
 *
 *     bare_pipe.ts PORT|end
 *
 * The end of a chain looks at the first byte of a stream: 0 asks it to swallow
 * what follows and to send one byte when it has; 1 to send as many MiB as the
 * second byte says; anything else is sent back.
 *
 * @module
 */
import { createLeaf } from "../lib/transport/certificate.ts";
import { Identity } from "../lib/auth/identity.ts";
import { seededRandom } from "../lib/base/random.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { BARE_ALPN, BARE_TRANSPORT, dialBare } from "./bare_quic.ts";

const CHUNK_BYTES = 64 * 1024;
const MIB = 1024 * 1024;

const next = Deno.args[0] === "end" ? undefined : Number(Deno.args[0]);
const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
const identity = Identity.generate(nativeSuite(), seededRandom(1));
const leaf = await createLeaf(nativeSuite(), identity);
const listener = endpoint.listen({
  cert: leaf.certificate,
  key: leaf.privateKey,
  alpnProtocols: [BARE_ALPN],
  ...BARE_TRANSPORT,
});
const onward = next === undefined ? undefined : await dialBare(next);
Deno.stdout.writeSync(new TextEncoder().encode(`${endpoint.addr.port}\n`));
serve();
for await (const _ of Deno.stdin.readable);
Deno.exit(0);

async function serve(): Promise<void> {
  for await (const incoming of listener) {
    incoming.accept<false>().then(async (conn) => {
      conn.closed.catch(() => {});
      for await (const stream of conn.incomingBidirectionalStreams) {
        (onward === undefined ? end(stream) : carry(stream)).catch(() => {});
      }
    }).catch(() => {});
  }
}

async function carry(stream: Deno.QuicBidirectionalStream): Promise<void> {
  const out = await onward?.createBidirectionalStream({
    waitUntilAvailable: true,
  });
  if (out === undefined) return;
  await Promise.all([
    pump(stream.readable, out.writable),
    pump(out.readable, stream.writable),
  ]);
}

async function pump(
  readable: ReadableStream<Uint8Array<ArrayBuffer>>,
  writable: WritableStream<Uint8Array>,
): Promise<void> {
  const reader = readable.getReader({ mode: "byob" });
  const writer = writable.getWriter();
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) break;
    await writer.write(value);
    buffer = new Uint8Array(value.buffer);
  }
  await writer.close();
}

async function end(stream: Deno.QuicBidirectionalStream): Promise<void> {
  const reader = stream.readable.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(2), { min: 2 });
  reader.releaseLock();
  const writer = stream.writable.getWriter();
  if (value?.[0] === 0) {
    await swallow(stream.readable);
    await writer.write(Uint8Array.of(1));
    await writer.close();
  } else if (value?.[0] === 1) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const bytes = (value[1] ?? 0) * MIB;
    for (let sent = 0; sent < bytes; sent += CHUNK_BYTES) {
      await writer.write(chunk);
    }
    await writer.close();
  } else {
    writer.releaseLock();
    await pump(stream.readable, stream.writable);
  }
}

async function swallow(
  readable: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) return;
    buffer = new Uint8Array(value.buffer);
  }
}
