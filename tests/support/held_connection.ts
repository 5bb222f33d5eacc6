/**
 * A connection that a program holds through a SOCKS proxy, to a service that says
 * back what it is told: whether it still carries, and when it is told that it does not.
 *
 * @module
 */
import assert from "node:assert/strict";

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USER_NAME = 2;
const CONNECT = 1;
const HOST_NAME = 3;
/** Bytes of an answer to a request: the proxy names an IPv4 address. */
const ANSWER_BYTES = 10;

/** What became of words. */
export interface Said {
  /** Whether they came back, or the connection ended: `reset`, or `end` as if all were well. */
  readonly how: "echoed" | "reset" | "end";
  /** How long it took, ms. */
  readonly ms: number;
}

/** A server on this machine that says back what it is told. */
export class EchoTarget implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  readonly #serving: Promise<void>;
  #empty = Promise.withResolvers<void>();

  constructor() {
    this.#serving = this.#serve();
  }

  /** `HOST:PORT`. */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open.size;
  }

  /** Resolves when one was closed, and none is left. */
  get allClosed(): Promise<void> {
    return this.#empty.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) conn.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const echoing: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) echoing.push(this.#echo(conn));
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await Promise.all(echoing);
  }

  async #echo(conn: Deno.TcpConn): Promise<void> {
    if (this.#open.size === 0) this.#empty = Promise.withResolvers();
    this.#open.add(conn);
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const count = await conn.read(buffer);
        if (count === null) break;
        await conn.write(buffer.slice(0, count));
      }
    } catch {
      // It was broken off.
    }
    if (this.#open.delete(conn)) close(conn);
    if (this.#open.size === 0) this.#empty.resolve();
  }
}

/** One connection. */
export class HeldConnection implements Disposable {
  readonly #conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /**
   * Connect to port 80 of a service.
   *
   * @param socks `HOST:PORT` of the proxy.
   * @param isolation Connections with another one share no session with it.
   */
  static async open(
    socks: string,
    host: string,
    isolation: string,
  ): Promise<HeldConnection> {
    const [hostname = "", port] = socks.split(":");
    const conn = await Deno.connect({ hostname, port: Number(port) });
    try {
      await conn.write(Uint8Array.of(VERSION, 1, USER_NAME));
      const [, method] = await readExactly(conn, 2);
      assert.notEqual(method, NO_AUTHENTICATION);
      const name = new TextEncoder().encode(isolation);
      await conn.write(Uint8Array.of(1, name.length, ...name, 1, 0x78));
      await readExactly(conn, 2);
      const target = new TextEncoder().encode(host);
      const request = [VERSION, CONNECT, 0, HOST_NAME, target.length];
      await conn.write(Uint8Array.of(...request, ...target, 0, 80));
      const [, reply] = await readExactly(conn, ANSWER_BYTES);
      assert.equal(reply, 0, "the proxy refuses");
      return new HeldConnection(conn);
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  /** Say words, and wait until they are back or the connection is over. */
  async say(words: string): Promise<Said> {
    const startMs = performance.now();
    try {
      await write(this.#conn, words);
    } catch {
      return { how: "reset", ms: performance.now() - startMs };
    }
    return await this.#heard(startMs, words.length);
  }

  /** Wait for the end without a word. */
  async listen(): Promise<Said> {
    return await this.#heard(performance.now(), Infinity);
  }

  [Symbol.dispose](): void {
    close(this.#conn);
  }

  async #heard(startMs: number, bytes: number): Promise<Said> {
    const buffer = new Uint8Array(4096);
    const since = () => performance.now() - startMs;
    try {
      for (let left = bytes; left > 0;) {
        const count = await this.#conn.read(buffer);
        if (count === null) return { how: "end", ms: since() };
        left -= count;
      }
      return { how: "echoed", ms: since() };
    } catch {
      return { how: "reset", ms: since() };
    }
  }
}

async function readExactly(
  conn: Deno.TcpConn,
  count: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const more = await conn.read(bytes.subarray(filled));
    assert.ok(more !== null, "the proxy has closed the connection");
    filled += more;
  }
  return bytes;
}

async function write(conn: Deno.TcpConn, words: string): Promise<void> {
  const bytes = new TextEncoder().encode(words);
  for (let at = 0; at < bytes.length;) {
    at += await conn.write(bytes.subarray(at));
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It is closed already.
  }
}
