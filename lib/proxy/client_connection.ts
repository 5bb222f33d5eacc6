/**
 * The TCP connection of one client, with both halves apart: reading to the end
 * leaves writing open, and the other way round. (`conn.readable` and
 * `conn.writable` would close the whole connection with either.)
 *
 * @module
 */
import { type Clock, deadline, raceSignal } from "../base/clock.ts";
import { UnreachableError } from "../base/errors.ts";
import {
  formatIp,
  parseIp,
  type SocketAddress,
} from "../auth/socket_address.ts";
import { ByteSource } from "../http/byte_source.ts";

/** How long a client that was refused may take to hear it, ms. */
export const LINGER_MS = 2_000;
/** What it may go on sending meanwhile, bytes. */
const MAX_LINGER_BYTES = 256 * 1024;

/** One client, from accepting it to closing. */
export class ClientConnection implements Disposable {
  /** What the client sends. Rejects with `proxy.client_gone` when it vanishes. */
  readonly source: ByteSource;
  readonly #conn: Deno.TcpConn;
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    tune(conn);
    this.source = new ByteSource((into) =>
      this.#guard(() => this.#conn.read(into))
    );
  }

  /** Our side of the connection: where the client found us. */
  get localAddress(): SocketAddress {
    const { hostname, port } = this.#conn.localAddr;
    const ip = parseIp(hostname);
    return { host: ip === undefined ? hostname : formatIp(ip), port };
  }

  /**
   * Send all of it.
   *
   * @throws {UnreachableError} `proxy.client_gone`.
   */
  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#guard(() => this.#conn.write(bytes.subarray(sent)));
    }
  }

  /** Send the end; the client may go on sending. */
  async closeWrite(): Promise<void> {
    await this.#guard(() => this.#conn.closeWrite());
  }

  /**
   * End after a last answer. Closing with bytes unread would make the system send
   * a reset, and the answer would be lost on its way: so read what still comes,
   * for a moment, and drop it.
   */
  async linger(clock: Clock): Promise<void> {
    using limit = deadline(clock, LINGER_MS, () => gone());
    try {
      await this.closeWrite();
      let dropped = 0;
      do {
        dropped += this.source.bytes.length;
        this.source.take(this.source.bytes.length);
      } while (
        dropped <= MAX_LINGER_BYTES &&
        await raceSignal(this.source.more(), limit.signal)
      );
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
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #guard<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw gone();
    try {
      return await operation();
    } catch (cause) {
      throw gone(cause);
    }
  }
}

function tune(conn: Deno.TcpConn): void {
  try {
    // A keystroke must not wait for the acknowledgement of the one before.
    conn.setNoDelay(true);
    // A client on another machine may vanish without a word.
    conn.setKeepAlive(true);
  } catch {
    // Some systems refuse when the client has left already: the first read says so.
  }
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
 * Look out for the end of a client while nobody reads from it. What it sends early
 * stays in its source; when that is full, nothing is noticed any more.
 *
 * @param onEnd Hears of it once: `half` when the client has sent its end, and may
 * be waiting for an answer; `closed` when it is gone.
 * @returns Dispose of it before somebody else reads.
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
