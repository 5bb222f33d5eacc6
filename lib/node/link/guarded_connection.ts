/**
 * A connection whose peer has proven nothing yet: it has one stream, that of the
 * handshake. A second one ends it, before the streams of a stranger have filled
 * memory that no reader takes anything from.
 *
 *     acceptStream ─▶ the handshake's stream
 *     another stream ─┬─ before open() ─▶ closed
 *                     └─ after ─────────▶ the next acceptStream
 *
 * @see protocol §3.2 "Handshake"
 * @module
 */
import type { SocketAddress } from "../../auth/socket_address.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import type {
  ByteStream,
  CloseInfo,
  Connection,
  OpenOptions,
} from "../../transport/transport.ts";

/** A connection that is watched until its peer is known. */
export class GuardedConnection implements Connection {
  readonly closed: Promise<CloseInfo>;
  readonly #inner: Connection;
  /** The stream after the first, which the peer may open once it is known. */
  #next: Promise<ByteStream | undefined> | undefined;
  #isFirst = true;
  #isOpen = false;

  /** @param inner Only to be used through this from here on. */
  constructor(inner: Connection) {
    this.#inner = inner;
    this.closed = inner.closed;
  }

  get remoteAddress(): SocketAddress {
    return this.#inner.remoteAddress;
  }

  /** The peer is known: it may open streams. */
  open(): void {
    this.#isOpen = true;
  }

  openStream(options?: OpenOptions): Promise<ByteStream> {
    return this.#inner.openStream(options);
  }

  acceptStream(): Promise<ByteStream | undefined> {
    if (this.#isFirst) {
      this.#isFirst = false;
      return this.#acceptFirst();
    }
    const next = this.#next;
    this.#next = undefined;
    return next ?? this.#inner.acceptStream();
  }

  close(code: number): void {
    this.#inner.close(code);
  }

  async #acceptFirst(): Promise<ByteStream | undefined> {
    const first = await this.#inner.acceptStream();
    if (first === undefined) return undefined;
    this.#next = this.#inner.acceptStream().then((stream) => {
      if (stream === undefined || this.#isOpen) return stream;
      stream.cancel();
      this.#inner.close(CLOSE_CODE.refused);
      return undefined;
    });
    return first;
  }
}
