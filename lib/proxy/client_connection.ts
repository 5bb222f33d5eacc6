/**
 * The TCP connection of one client, with both halves apart: reading to the end
 * leaves writing open, and the other way round.
 *
 *     close    FIN: the client has all of it
 *     reset    RST: it must not take what it has for all of it
 *
 * Over `node:net`, since the platform's own connections cannot send a reset.
 *
 * @see docs/decisions/0036-a-cut-is-a-reset.md
 * @module
 */
import type { Socket } from "node:net";
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import {
  formatIp,
  parseIp,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { ByteSource } from "../http/byte_source.ts";

/** How long a client that has its last answer may be silent before it is left, ms. */
export const LINGER_MS = 2_000;
/** How long it may go on sending meanwhile, ms. What it sends is dropped. */
const MAX_LINGER_MS = 30_000;

/** One client, from accepting it to closing. */
export class ClientConnection implements Disposable {
  /** What the client sends. Rejects with `proxy.client_gone` when it vanishes. */
  readonly source: ByteSource;
  /** Our side of the connection: where the client found us. */
  readonly localAddress: SocketAddress;
  readonly #socket: Socket;
  readonly #closed = Promise.withResolvers<void>();
  /** What was read of the socket and not taken. */
  #left: Uint8Array = new Uint8Array(0);
  #movedBytes = 0;
  #isEnded = false;
  #hasSentEnd = false;
  #isClosed = false;
  #error: unknown;
  /** End what is being sent, when the connection has closed. */
  readonly #sending = new Set<() => void>();
  #wake = () => {};

  /** @param socket With `allowHalfOpen`, fresh from its listener. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.localAddress = localAddressOf(socket);
    this.source = new ByteSource((into) => this.#read(into));
    // A keystroke must not wait for the acknowledgement of the one before.
    socket.setNoDelay(true);
    // A client on another machine may vanish without a word.
    socket.setKeepAlive(true);
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#isEnded = true;
      this.#wake();
    });
    socket.on("error", (error) => this.#error ??= error);
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
      for (const fail of this.#sending) fail();
      this.#closed.resolve();
    });
  }

  /** Resolves when the system has let go of it. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Bytes that went either way. */
  get movedBytes(): number {
    return this.#movedBytes;
  }

  /**
   * Send all of it.
   *
   * @throws {UnreachableError} `proxy.client_gone`.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    await this.#send((done) => this.#socket.write(bytes, done));
    this.#movedBytes += bytes.length;
  }

  /** Send the end; the client may go on sending. Once is enough. */
  async closeWrite(): Promise<void> {
    if (this.#hasSentEnd && !this.#isClosed) return;
    this.#hasSentEnd = true;
    await this.#send((done) => this.#socket.end(done));
  }

  /**
   * End after a last answer. Closing with bytes unread would make the system send
   * a reset, and the answer would be lost on its way: so read what still comes,
   * for a while, and drop it.
   */
  async linger(clock: Clock): Promise<void> {
    const endMs = clock.nowMs() + MAX_LINGER_MS;
    try {
      await this.closeWrite();
      for (;;) {
        this.source.take(this.source.bytes.length);
        const leftMs = endMs - clock.nowMs();
        if (leftMs <= 0) return;
        const waitMs = Math.min(LINGER_MS, leftMs);
        using limit = deadline(clock, waitMs, () => gone());
        if (!await raceSignal(this.source.more(), limit.signal)) return;
      }
    } catch (error) {
      if (!isClientGone(error)) throw error;
    } finally {
      this.close();
    }
  }

  /** Close both halves; reads and writes under way reject. Harmless when closed. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#wake();
  }

  /**
   * Close with a reset: the client learns that it has not got all of it. Harmless
   * when closed.
   */
  reset(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.resetAndDestroy();
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #read(into: Uint8Array): Promise<number | null> {
    while (this.#left.length === 0) {
      if (this.#isClosed) {
        // What closed by itself, both ends sent, has been read to its end.
        if (this.#isEnded && this.#error === undefined) return null;
        throw gone(this.#error);
      }
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) {
        this.#left = chunk;
        continue;
      }
      if (this.#isEnded) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const count = Math.min(this.#left.length, into.length);
    into.set(this.#left.subarray(0, count));
    this.#left = this.#left.subarray(count);
    this.#movedBytes += count;
    return count;
  }

  async #send(
    operation: (done: (error?: Error | null) => void) => void,
  ): Promise<void> {
    if (this.#isClosed) throw gone(this.#error);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A socket that is destroyed need not call back.
    const fail = () => reject(gone(this.#error));
    this.#sending.add(fail);
    operation((error) => error ? reject(gone(error)) : resolve());
    try {
      await promise;
    } finally {
      this.#sending.delete(fail);
    }
  }
}

function localAddressOf(socket: Socket): SocketAddress {
  const { localAddress = "", localPort = 0 } = socket;
  const ip = parseIp(localAddress);
  return {
    host: ip === undefined ? localAddress : formatIp(ip),
    port: localPort,
  };
}

function gone(cause?: unknown): UnreachableError {
  return new UnreachableError("proxy.client_gone", "The client is gone", {
    cause,
  });
}

/** Whether an error says that the client is no longer there to be told. */
export function isClientGone(error: unknown): boolean {
  return error instanceof UnreachableError &&
    error.code === "proxy.client_gone";
}

/** How a client's side of a connection came to its end. */
export type ClientEnd = "half" | "closed";

/**
 * Look out for the end of a client while nothing else reads from it. What it sends early
 * stays in its source; when that is full, nothing is noticed any more.
 *
 * @param onEnd Hears of it once: `half` when the client has sent its end, and may
 * be waiting for an answer; `closed` when it is gone.
 * @returns Dispose of it before another reader begins.
 */
export function watchClient(
  client: ClientConnection,
  onEnd: (end: ClientEnd, cause: unknown) => void,
): Disposable {
  let isWatching = true;
  const watch = async () => {
    try {
      while (isWatching && !client.source.isFull) {
        if (await client.source.more()) continue;
        if (isWatching) onEnd("half", gone());
        return;
      }
    } catch (error) {
      if (isWatching) onEnd("closed", error);
    }
  };
  watch();
  return {
    [Symbol.dispose]() {
      isWatching = false;
    },
  };
}
