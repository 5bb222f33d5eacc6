import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { AnonNetError, UnreachableError } from "../../lib/base/errors.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import type {
  Gateway,
  GatewayStream,
  GatewayTarget,
} from "../../lib/http/gateway.ts";
import { HttpServer } from "../../lib/proxy/http_server.ts";
import { latin1Bytes, latin1Text } from "../../lib/http/latin1.ts";
import {
  SocksServer,
  type SocksServerOptions,
} from "../../lib/proxy/socks/socks_server.ts";
import type { ProxyOptions } from "../../lib/proxy/tcp_acceptor.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { type PairEnd, streamPair } from "./stream_pair.ts";

/** A host that the fake gateway serves. */
export const HOST = `${"a".repeat(56)}.anon`;

/** One stream that a proxy opened. */
export interface Opened {
  readonly target: GatewayTarget;
  readonly client: PairEnd;
  readonly service: PairEnd;
}

/** What a service does with a stream. */
export type Service = (stream: PairEnd, target: GatewayTarget) => unknown;

/** A gateway to services in this process. */
export class FakeGateway implements Gateway {
  /** All streams so far. */
  readonly opened: Opened[] = [];
  /** Targets asked for, also in vain. */
  readonly asked: GatewayTarget[] = [];
  /** What runs at the other end. Default: nothing; tests hold the ends. */
  service: Service = () => {};
  /** Rejects every `connect`. */
  error: Error | undefined;
  /** `connect` waits for its signal. */
  hangs = false;
  /** Whether targets accept by themselves. */
  accepts = true;
  /** Signals of all `connect`s. */
  readonly signals: AbortSignal[] = [];

  async connect(
    target: GatewayTarget,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<GatewayStream> {
    this.asked.push(target);
    this.signals.push(signal);
    if (this.error !== undefined) throw this.error;
    if (this.hangs) {
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    }
    const { client, service } = streamPair();
    if (this.accepts) client.open();
    this.opened.push({ target, client, service });
    Promise.resolve(this.service(service, target)).catch((error: unknown) => {
      if (!(error instanceof AnonNetError)) throw error;
    });
    return client;
  }

  /** The last stream opened. */
  get last(): Opened {
    const last = this.opened.at(-1);
    assert.ok(last !== undefined, "no stream was opened");
    return last;
  }
}

/** Sends back what comes, and its end. */
export async function echo(stream: PairEnd): Promise<void> {
  for (;;) {
    const chunk = await stream.read();
    if (chunk === undefined) break;
    await stream.write(chunk);
  }
  await stream.closeWrite();
}

/** Sends `count` bytes and its end; reads nothing. */
export async function pour(stream: PairEnd, count: number): Promise<void> {
  const piece = new Uint8Array(32 * 1024).fill(0x61);
  for (let left = count; left > 0; left -= piece.length) {
    await stream.write(piece.subarray(0, Math.min(left, piece.length)));
  }
  await stream.closeWrite();
}

/** Bytes until a text has come; and what came after it in the same chunks. */
export async function readUntil(
  stream: { read(): Promise<Uint8Array | undefined> },
  end: string,
): Promise<string> {
  let text = "";
  while (!text.includes(end)) {
    const chunk = await stream.read();
    if (chunk === undefined) break;
    text += latin1Text(chunk);
  }
  return text;
}

/** A proxy, its gateway and its time. */
export interface World<T> extends AsyncDisposable {
  readonly server: T;
  readonly gateway: FakeGateway;
  readonly clock: VirtualClock;
  /** Faults of our own: none are expected. */
  readonly faults: unknown[];
  connect(): Promise<RawClient>;
}

async function createWorld<
  T extends AsyncDisposable & { address: { host: string; port: number } },
>(
  create: (
    options: Pick<ProxyOptions, "clock" | "gateway" | "listen" | "onFault">,
  ) => Promise<T>,
): Promise<World<T>> {
  const gateway = new FakeGateway();
  const clock = new VirtualClock({ drain: createDrain() });
  const faults: unknown[] = [];
  const server = await create({
    clock,
    gateway,
    listen: { host: "127.0.0.1", port: 0 },
    onFault: (error) => faults.push(error),
  });
  return {
    server,
    gateway,
    clock,
    faults,
    connect: () => RawClient.connect(server.address.port),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      assert.deepEqual(faults, []);
    },
  };
}

/** A SOCKS proxy on a port of its own. */
export function socksWorld(
  options: Partial<SocksServerOptions> = {},
): Promise<World<SocksServer>> {
  return createWorld((given) => SocksServer.open({ ...given, ...options }));
}

/** An HTTP proxy on a port of its own. */
export function httpWorld(
  options: Partial<ProxyOptions> = {},
): Promise<World<HttpServer>> {
  return createWorld((given) => HttpServer.open({ ...given, ...options }));
}

/** Let the event loop turn until a condition holds; at most 20 s. */
export async function until(condition: () => boolean): Promise<void> {
  const limit = AbortSignal.timeout(20_000);
  while (!condition()) {
    limit.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Wait until what was sent over loopback before has been read. Nothing tells from
 * outside that it has, but what is sent after it arrives after it.
 */
export async function settle(): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  using near = await Deno.connect({
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  using far = await accepting;
  const byte = new Uint8Array(1);
  for (let trip = 0; trip < 10; trip++) {
    await near.write(byte);
    await far.read(byte);
    await far.write(byte);
    await near.read(byte);
  }
}

/** A client that says what it is told to. */
export class RawClient implements Disposable {
  readonly conn: Deno.TcpConn;
  #left: Uint8Array = new Uint8Array(0);
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? latin1Bytes(data) : data;
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.conn.write(bytes.subarray(sent));
    }
  }

  /** Exactly so many bytes. */
  async read(count: number): Promise<Uint8Array> {
    while (this.#left.length < count) {
      const chunk = await this.#readChunk();
      assert.ok(chunk !== undefined, `ended after ${this.#left.length} bytes`);
      this.#left = concat(this.#left, chunk);
    }
    const bytes = this.#left.slice(0, count);
    this.#left = this.#left.slice(count);
    return bytes;
  }

  /** Text up to and with `end`. */
  async readUntil(end: string): Promise<string> {
    for (;;) {
      const text = latin1Text(this.#left);
      const index = text.indexOf(end);
      if (index >= 0) return latin1Text(await this.read(index + end.length));
      const chunk = await this.#readChunk();
      assert.ok(chunk !== undefined, `ended after ${JSON.stringify(text)}`);
      this.#left = concat(this.#left, chunk);
    }
  }

  /** Wait for a reset, whatever comes before it. Fails at an end. */
  async readReset(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    await assert.rejects(async () => {
      while (await this.conn.read(buffer) !== null);
    }, Deno.errors.ConnectionReset);
  }

  /** All that comes until the end; a reset counts as one. */
  async readAll(): Promise<string> {
    const chunks = [this.#left];
    for (;;) {
      const chunk = await this.#readChunk();
      if (chunk === undefined) break;
      chunks.push(chunk);
    }
    return latin1Text(concat(...chunks));
  }

  /** Head and body of one response with a length. */
  async readResponse(): Promise<{ head: string; body: string }> {
    const head = await this.readUntil("\r\n\r\n");
    const [, length = "0"] = /^content-length: (\d+)\r$/im.exec(head) ?? [];
    return { head, body: latin1Text(await this.read(Number(length))) };
  }

  async #readChunk(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      const count = await this.conn.read(buffer);
      return count === null ? undefined : buffer.subarray(0, count);
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return undefined;
      throw error;
    }
  }

  async end(): Promise<void> {
    await this.conn.closeWrite();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A service that answers each request in turn; bodies of requests must be empty. */
export function httpService(
  answer: (head: string) => string | undefined,
): Service {
  return async (stream) => {
    let text = "";
    for (;;) {
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) {
        const chunk = await stream.read();
        if (chunk === undefined) return await stream.closeWrite();
        text += latin1Text(chunk);
        continue;
      }
      const response = answer(text.slice(0, end + 4));
      text = text.slice(end + 4);
      if (response === undefined) return await stream.closeWrite();
      await stream.write(latin1Bytes(response));
    }
  };
}

/** A response with a length. */
export function ok(body: string, ...fields: string[]): string {
  const lines = [
    "HTTP/1.1 200 OK",
    `Content-Length: ${utf8(body).length}`,
    ...fields,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** The error of a target that refuses. */
export function refusal(): UnreachableError {
  return new UnreachableError("service.refused", "The target refused");
}
