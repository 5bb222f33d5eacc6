/**
 * A QUIC connection of the runtime as a {@linkcode Connection}. Every promise of
 * the runtime is handled here: an unhandled one would let a peer end the process.
 *
 * @module
 */
import { raceSignal } from "../base/clock.ts";
import { CLOSE_REFUSED } from "./transport.ts";
import type {
  ByteStream,
  CloseInfo,
  Connection,
  OpenOptions,
} from "./transport.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { busy, lost } from "./_failures.ts";
import { SendOrder } from "./_send_order.ts";
import { QuicStream } from "./quic_stream.ts";

/** A connection, dialled by us or to us. */
export class QuicConnection implements Connection {
  readonly closed: Promise<CloseInfo>;
  readonly #conn: Deno.QuicConn;
  readonly #incoming: ReadableStreamDefaultReader<Deno.QuicBidirectionalStream>;
  readonly #maxOpening: number;
  readonly #order = new SendOrder(() => performance.now());
  #remoteAddress: SocketAddress;
  #opening = 0;
  #localCode: number | undefined;
  #ended = false;

  /**
   * @param conn Taken over.
   * @param maxOpening Most streams that wait to be opened: a peer that grants
   * none must not collect our attempts.
   */
  constructor(conn: Deno.QuicConn, maxOpening: number) {
    this.#conn = conn;
    this.#maxOpening = maxOpening;
    this.#remoteAddress = addressOf(conn);
    this.#incoming = conn.incomingBidirectionalStreams.getReader();
    this.closed = conn.closed.then(
      ({ closeCode }) => this.#end({ by: "remote", code: closeCode }),
      () => this.#end({ by: "lost", code: 0 }),
    );
    // We send no datagrams, and the runtime keeps 1.25 MB of them per
    // connection for a possible reader: the first one ends it.
    conn.readDatagram().then(() => this.close(CLOSE_REFUSED), () => {});
  }

  /** Whether {@linkcode closed} has resolved, or is about to. */
  get ended(): boolean {
    return this.#ended;
  }

  get remoteAddress(): SocketAddress {
    if (!this.#ended) this.#remoteAddress = addressOf(this.#conn);
    return this.#remoteAddress;
  }

  async openStream(options: OpenOptions = {}): Promise<ByteStream> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#opening >= this.#maxOpening) throw busy("open stream");
    this.#opening++;
    const opening = this.#open().finally(() => this.#opening--);
    if (signal === undefined) return await opening;
    try {
      return await raceSignal(opening, signal);
    } catch (error) {
      opening.then((stream) => stream.cancel(), () => {});
      throw error;
    }
  }

  async #open(): Promise<ByteStream> {
    try {
      return new QuicStream(
        await this.#conn.createBidirectionalStream({
          waitUntilAvailable: true,
        }),
        this.#order,
      );
    } catch (cause) {
      throw lost(cause);
    }
  }

  async acceptStream(): Promise<ByteStream | undefined> {
    try {
      // What is not accepted waits in QUIC and counts towards the peer's limit.
      const { value, done } = await this.#incoming.read();
      return done ? undefined : new QuicStream(value, this.#order);
    } catch {
      return undefined; // `closed` tells how it ended
    }
  }

  close(code: number): void {
    if (this.#ended || this.#localCode !== undefined) return;
    this.#localCode = code;
    this.#conn.close({ closeCode: code, reason: "" });
  }

  #end(info: CloseInfo): CloseInfo {
    this.#ended = true;
    return this.#localCode === undefined
      ? info
      : { by: "local", code: this.#localCode };
  }
}

function addressOf(conn: Deno.QuicConn): SocketAddress {
  const { hostname, port } = conn.remoteAddr;
  return { host: hostname, port };
}
