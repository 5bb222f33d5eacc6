/**
 * What carries links: an endpoint that listens and dials on one port,
 * connections whose answering side is proven, and byte streams. QUIC and the
 * in-memory network both implement it.
 *
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import type { SocketAddress } from "../auth/socket_address.ts";

// The codes a connection is closed with: protocol §3.7 "Two links, and the end of a link".

/** Close code: no longer needed; the endpoint goes away. */
export const CLOSE_ENDPOINT = 0;
/** Close code: the peer did what the protocol forbids. */
export const CLOSE_REFUSED = 1;
/** Close code: no room for another connection; later perhaps. */
export const CLOSE_BUSY = 2;

/** Why a connection ended. */
export interface CloseInfo {
  /** `local`/`remote`: closed on purpose by that side. `lost`: timed out or broken. */
  readonly by: "local" | "remote" | "lost";
  /** Application close code; 0 when lost. */
  readonly code: number;
}

/** What an opening takes. */
export interface OpenOptions {
  /** Gives up; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** A reliable, ordered stream of bytes, both ways, with separate ends. */
export interface ByteStream {
  /**
   * Read what has arrived, at least one byte, at most `buffer.length`.
   *
   * `buffer` is taken away (transferred) by the call, whatever its outcome; what
   * comes back is a view at the same offset into a buffer of the same size, to
   * be handed in again with `new Uint8Array(view.buffer)`. One read at a time.
   *
   * @returns `undefined` at the end of the stream. The transport cannot tell a
   * finished stream from a destroyed one: protocols carry their own end marks.
   * @throws {UnreachableError} `transport.lost` when the connection ended.
   * @throws {TypeError} for a buffer without room, or taken away before.
   */
  read(
    buffer: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /**
   * Write all of `bytes`. Resolves when the transport has taken them, which is
   * the backpressure. `bytes` must not change before that.
   *
   * @throws {UnreachableError} `transport.lost` when the connection ended or the
   * peer reads no more.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * End our direction after what was written. Idempotent, never rejects; later
   * writes do. Does not wait until the peer has it all.
   */
  closeWrite(): Promise<void>;
  /**
   * Read no more and end our direction; the peer's writes fail. A pending read
   * ends, writes that wait may be dropped. Idempotent.
   */
  cancel(): void;
}

/** A connection to one peer. */
export interface Connection {
  /** Where the peer is now; it may move. */
  readonly remoteAddress: SocketAddress;
  /**
   * Open a stream. The peer sees it with its first byte. Waits while the peer's
   * stream limit is reached.
   *
   * @throws {UnreachableError} `transport.lost` when the connection has ended,
   * `transport.busy` when too many already wait.
   */
  openStream(options?: OpenOptions): Promise<ByteStream>;
  /** The next stream the peer opened, or `undefined` once the connection has ended. */
  acceptStream(): Promise<ByteStream | undefined>;
  /**
   * Close; what is still under way is lost, on both sides. Idempotent.
   *
   * @param code 0 to 2⁶² − 1; the peer gets it.
   */
  close(code: number): void;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
}

/** One node's place on the network. */
export interface Endpoint extends AsyncDisposable {
  /** Where it listens, with the port that was really bound. */
  readonly localAddress: SocketAddress;
  /**
   * Connect to `address`; succeeds only where the holder of `peer` answers.
   *
   * @throws {UnreachableError} `transport.unreachable` when nobody answers,
   * `transport.busy` when too many dials are under way, `transport.closed` when
   * this endpoint is.
   * @throws {ProtocolError} `transport.wrong_identity` when somebody else does, or
   * `transport.wrong_network` when the peer speaks another protocol or network.
   */
  dial(
    address: SocketAddress,
    peer: PublicKey,
    options?: OpenOptions,
  ): Promise<Connection>;
  /** The next connection that was dialled to us, or `undefined` once closed. */
  accept(): Promise<Connection | undefined>;
  /**
   * Close all connections and the socket; resolves when the peers have been told.
   * The runtime frees the port some time later. Idempotent.
   */
  close(): Promise<void>;
}
