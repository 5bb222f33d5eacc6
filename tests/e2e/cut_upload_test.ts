/**
 * Uploads that are cut in the middle, which must not look whole to what stands
 * behind the service.
 *
 * @module
 */
import assert from "node:assert/strict";
import net from "node:net";
import { parseSocketAddress } from "../../lib/auth/socket_address.ts";
import { raceSignal } from "../../lib/base/clock.ts";
import { ProcessNetwork } from "../support/process_network.ts";

/** What is sent before an upload is cut. */
const PART = new Uint8Array(300_000).fill(0x61);

/** Until a session whose client is gone is given up, and some more, ms. */
const LOST_MS = 120_000;
/** A killed proxy is given up after a minute: that is waited for where nothing else runs. */
const IS_LONG = Deno.env.get("ALONE") !== undefined;

/** How an upload ended, as its target sees it. */
type UploadEnd = "end" | "ECONNRESET";

/** A server that takes one upload at a time, and says how each ends. */
class UploadTarget implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #arrived = Promise.withResolvers<void>();
  #ended = Promise.withResolvers<UploadEnd>();

  private constructor() {
    this.#server = net.createServer(
      { allowHalfOpen: true },
      (socket) => this.#take(socket),
    );
  }

  static async listen(): Promise<UploadTarget> {
    const target = new UploadTarget();
    await new Promise<void>((resolve) =>
      target.#server.listen(0, "127.0.0.1", () => resolve())
    );
    return target;
  }

  /** As `anonnet serve` takes it. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  /** Expect another upload. */
  renew(): void {
    this.#arrived = Promise.withResolvers();
    this.#ended = Promise.withResolvers();
  }

  /** Resolves when all of `PART` is there. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  get ended(): Promise<UploadEnd> {
    return this.#ended.promise;
  }

  #take(socket: net.Socket): void {
    this.#sockets.add(socket);
    const { resolve: arrive } = this.#arrived;
    const { resolve: end } = this.#ended;
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (bytes >= PART.length) arrive();
    });
    socket.on("end", () => {
      end("end");
      socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
    });
    socket.on("error", (error: Error & { readonly code?: string }) => {
      assert.equal(error.code, "ECONNRESET");
      end("ECONNRESET");
    });
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A program that sends what it likes to a proxy. */
class Uploader implements Disposable {
  readonly #socket: net.Socket;
  readonly #connected: Promise<void>;
  #heard = "";
  #wake = Promise.withResolvers<void>();

  constructor(proxy: string) {
    this.#socket = net.connect(parseSocketAddress(proxy));
    this.#connected = new Promise((resolve, reject) => {
      this.#socket.once("connect", () => resolve());
      this.#socket.once("error", reject);
    });
    this.#socket.on("data", (chunk) => {
      this.#heard += chunk.toString("latin1");
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
    this.#socket.on("error", () => {}); // a proxy that is killed
  }

  /** Send pieces, text or bytes. */
  async send(...pieces: readonly (string | Uint8Array)[]): Promise<void> {
    await this.#connected;
    for (const piece of pieces) {
      await new Promise((resolve) => this.#socket.write(piece, resolve));
    }
  }

  /** Ask a SOCKS proxy for port 80 of a service, and wait until it is there. */
  async connect(host: string): Promise<void> {
    await this.send(
      Uint8Array.of(5, 1, 0, 5, 1, 0, 3, host.length),
      host,
      Uint8Array.of(0, 80),
    );
    while (this.#heard.length < 12) await this.#wake.promise;
    assert.equal(this.#heard.slice(0, 4), "\x05\x00\x05\x00");
  }

  /** Say that this is all. */
  end(): void {
    this.#socket.end();
  }

  /** Break off. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

Deno.test("an upload that is cut reaches its target as a reset, and a whole one as an end, through each proxy", async () => {
  await using target = await UploadTarget.listen();
  await using network = await ProcessNetwork.start({ relays: 4 });
  const service = await network.serve([`80=${target.address}`]);
  const proxy = await network.proxy("proxy");
  const head = (framing: string) =>
    `POST http://${service.host}/ HTTP/1.1\r\nHost: ${service.host}\r\n` +
    `${framing}\r\n\r\n`;
  const bySocks = async () => {
    const uploader = new Uploader(proxy.socks);
    await uploader.connect(service.host);
    await uploader.send(PART);
    return uploader;
  };
  const byHttp = async (...pieces: (string | Uint8Array)[]) => {
    const uploader = new Uploader(proxy.http);
    await uploader.send(...pieces);
    return uploader;
  };
  const size = PART.length;
  const starts: Record<string, () => Promise<Uploader>> = {
    "SOCKS": bySocks,
    "HTTP, a length": () => byHttp(head(`Content-Length: ${size + 10}`), PART),
    "HTTP, chunks": () =>
      byHttp(
        head("Transfer-Encoding: chunked"),
        `${size.toString(16)}\r\n`,
        PART,
      ),
  };
  const seen: string[] = [];
  const upload = async (
    way: string,
    start: () => Promise<Uploader>,
    finish: (uploader: Uploader) => void | Promise<void>,
    limitMs = 30_000,
  ) => {
    target.renew();
    const limit = AbortSignal.timeout(limitMs);
    using uploader = await start();
    await raceSignal(target.arrived, limit);
    await finish(uploader);
    seen.push(`${way}: ${await raceSignal(target.ended, limit)}`);
  };
  await upload("SOCKS, whole", bySocks, (uploader) => uploader.end());
  for (const [way, start] of Object.entries(starts)) {
    await upload(way, start, (uploader) => uploader.reset());
  }
  const cut = Object.keys(starts);
  if (IS_LONG) {
    const killed = "SOCKS, the proxy killed";
    await upload(killed, bySocks, () => proxy.end("kill"), LOST_MS);
    cut.push(killed);
  }
  assert.deepEqual(seen, [
    "SOCKS, whole: end",
    ...cut.map((way) => `${way}: ECONNRESET`),
  ]);
});
