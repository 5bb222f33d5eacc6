/**
 * What stands behind the service of a benchmark, and what visits it: a target that
 * sends, swallows and echoes, and a SOCKS client that measures.
 *
 *     request: kind(1) ‖ length(6, big-endian)
 *     kind  1  the target sends so many bytes
 *           2  the target swallows so many, and sends one
 *           3  the target sends everything back
 *           4  as 1, at PACED_BYTES_PER_SECOND
 *           5  as 1, a byte at a time: 2 bytes of ms, which lie between two, come first
 *
 * @module
 */
import type { Bytes } from "../lib/base/bytes.ts";

/** Rate of a paced download. */
export const PACED_BYTES_PER_SECOND: number = 3 * 1024 * 1024;

const CHUNK_BYTES = 64 * 1024;
const REQUEST_BYTES = 7;
const KIND = { send: 1, swallow: 2, echo: 3, sendPaced: 4, drip: 5 } as const;

/** Serve requests until disposed of. */
export function startTarget(): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const conn of listener) {
      serve(conn).catch(() => {}).finally(() => conn.close());
    }
  })().catch(() => {});
  return listener;
}

async function serve(conn: Deno.TcpConn): Promise<void> {
  conn.setNoDelay(true);
  const request = await readExactly(conn, REQUEST_BYTES);
  const view = new DataView(request.buffer);
  const length = view.getUint16(1) * 2 ** 32 + view.getUint32(3);
  const chunk = new Uint8Array(CHUNK_BYTES).fill(0x61);
  switch (request[0]) {
    case KIND.send:
      for (let sent = 0; sent < length; sent += chunk.length) {
        await writeAll(conn, chunk.subarray(0, length - sent));
      }
      return conn.closeWrite();
    case KIND.sendPaced: {
      const startMs = performance.now();
      for (let sent = 0; sent < length; sent += chunk.length) {
        const dueMs = startMs + sent * 1000 / PACED_BYTES_PER_SECOND;
        await pause(dueMs - performance.now());
        await writeAll(conn, chunk.subarray(0, length - sent));
      }
      return conn.closeWrite();
    }
    case KIND.drip: {
      const every = new DataView((await readExactly(conn, 2)).buffer);
      for (let sent = 0; sent < length; sent++) {
        await writeAll(conn, chunk.subarray(0, 1));
        await pause(every.getUint16(0));
      }
      return conn.closeWrite();
    }
    case KIND.swallow:
      for (let taken = 0; taken < length;) {
        const count = await conn.read(chunk);
        if (count === null) return;
        taken += count;
      }
      await writeAll(conn, chunk.subarray(0, 1));
      return conn.closeWrite();
    case KIND.echo:
      for (;;) {
        const count = await conn.read(chunk);
        if (count === null) return conn.closeWrite();
        await writeAll(conn, chunk.subarray(0, count));
      }
  }
}

/** Wait, ms. */
export function pause(ms: number): Promise<void> {
  return ms <= 0
    ? Promise.resolve()
    : new Promise((resolve) => setTimeout(resolve, ms));
}

/** Where to go, and by what door. */
export interface Visit {
  /** `HOST:PORT` of a SOCKS proxy. */
  readonly socks: string;
  /** `….anon`. */
  readonly host: string;
  /** Isolation key. Default: none. */
  readonly isolation?: string;
}

/** Open a stream. */
async function open(
  visit: Visit,
  signal?: AbortSignal,
): Promise<Deno.TcpConn> {
  const [hostname = "", port = ""] = visit.socks.split(":");
  const conn = await Deno.connect({ hostname, port: Number(port) });
  signal?.addEventListener("abort", () => close(conn), { once: true });
  conn.setNoDelay(true);
  const text = new TextEncoder();
  const isolation = text.encode(visit.isolation ?? "");
  const host = text.encode(visit.host);
  const method = isolation.length === 0 ? 0 : 2;
  await writeAll(conn, Uint8Array.of(5, 1, method));
  await readExactly(conn, 2);
  if (method === 2) {
    const user = [isolation.length, ...isolation];
    await writeAll(conn, Uint8Array.of(1, ...user, 1, 0x78));
    await readExactly(conn, 2);
  }
  const request = [5, 1, 0, 3, host.length, ...host, 0, 80];
  await writeAll(conn, Uint8Array.from(request));
  const reply = await readExactly(conn, 10);
  if (reply[1] !== 0) throw new Error(`SOCKS reply ${reply[1]}`);
  return conn;
}

/** Close, unless it is closed. */
function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It has ended already.
  }
}

async function ask(
  conn: Deno.TcpConn,
  kind: keyof typeof KIND,
  length: number,
): Promise<void> {
  const request = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(request.buffer);
  view.setUint8(0, KIND[kind]);
  view.setUint16(1, Math.floor(length / 2 ** 32));
  view.setUint32(3, length >>> 0);
  await writeAll(conn, request);
}

/** What a download takes beside where from. */
export interface DownloadOptions {
  readonly bytes: number;
  /** A number of seconds lies between each byte and the next, 65 at most. */
  readonly pace?: "full" | "paced" | { readonly everySeconds: number };
  /** Hears of bytes as they come. */
  readonly onBytes?: (count: number) => void;
  readonly signal?: AbortSignal;
}

/** Download. @returns ms. */
export async function download(
  visit: Visit,
  { bytes, pace = "full", onBytes, signal }: DownloadOptions,
): Promise<number> {
  const startMs = performance.now();
  using conn = await open(visit, signal);
  if (typeof pace === "object") {
    await ask(conn, "drip", bytes);
    const every = new DataView(new ArrayBuffer(2));
    every.setUint16(0, pace.everySeconds * 1000);
    await writeAll(conn, new Uint8Array(every.buffer));
  } else await ask(conn, pace === "full" ? "send" : "sendPaced", bytes);
  const buffer = new Uint8Array(4 * CHUNK_BYTES);
  let received = 0;
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) break;
    received += count;
    onBytes?.(count);
  }
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes`);
  return performance.now() - startMs;
}

/** Upload. @returns ms. */
export async function upload(visit: Visit, bytes: number): Promise<number> {
  const startMs = performance.now();
  using conn = await open(visit);
  await ask(conn, "swallow", bytes);
  const chunk = new Uint8Array(CHUNK_BYTES).fill(0x61);
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    await writeAll(conn, chunk.subarray(0, bytes - sent));
  }
  await readExactly(conn, 1);
  return performance.now() - startMs;
}

/** From opening a stream to the first byte that the target sends back, ms. */
export async function firstByte(visit: Visit): Promise<number> {
  const startMs = performance.now();
  using conn = await open(visit);
  await ask(conn, "echo", 0);
  await writeAll(conn, Uint8Array.of(1));
  await readExactly(conn, 1);
  return performance.now() - startMs;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await conn.write(bytes.subarray(written));
  }
}

async function readExactly(conn: Deno.Conn, length: number): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = await conn.read(bytes.subarray(filled));
    if (count === null) throw new Error("The stream has ended");
    filled += count;
  }
  return bytes;
}
