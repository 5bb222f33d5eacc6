/**
 * One side of a connection in the in-memory network.
 *
 * @module
 */
import { raceSignal } from "../base/clock.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { AcceptQueue } from "./_accept_queue.ts";
import { busy, lost } from "./_failures.ts";
import type { Lane } from "./_lane.ts";
import {
  MemoryStream,
  type SeenWrite,
  type StreamHost,
  type StreamMessage,
} from "./memory_stream.ts";
import type {
  ByteStream,
  CloseInfo,
  Connection,
  OpenOptions,
} from "./transport.ts";

/** What travels on a connection. `stream` is the sender's side of it. */
export type Message =
  | { readonly type: "stream"; stream: MemoryStream; message: StreamMessage }
  | { readonly type: "room" } // the peer may open one more stream
  | { readonly type: "close"; readonly code: number }
  | { readonly type: "connected" } // the handshake, answerer to dialler
  | { readonly type: "established" }; // and the dialler's last part of it

/** What a connection needs of its network. */
interface ConnectionHost {
  readonly windowBytes: number;
  /** Most streams that our peer grants us at once. */
  readonly maxStreams: number;
  /** Most streams that we grant. */
  readonly maxIncoming: number;
  newStreamId(): number;
  remoteAddress(): SocketAddress;
  /** Tell observers of a write; what to send instead, and how much later. */
  observe(stream: number, bytes: Uint8Array): SeenWrite;
  /** A part of the handshake has arrived. */
  shake(message: "connected" | "established"): void;
  ended(): void;
}

interface WaitingOpen {
  readonly resolve: (stream: MemoryStream) => void;
  readonly reject: (error: Error) => void;
}

/** A connection as one side sees it. */
export class MemoryConnection implements Connection, StreamHost {
  readonly windowBytes: number;
  readonly closed: Promise<CloseInfo>;
  readonly #host: ConnectionHost;
  readonly #resolveClosed: (info: CloseInfo) => void;
  readonly #streams = new Set<MemoryStream>();
  readonly #incoming: AcceptQueue<MemoryStream>;
  /** Streams that the peer opened: their end makes room for another. */
  readonly #fromPeer = new Set<MemoryStream>();
  #openings: WaitingOpen[] = [];
  #room: number;
  #out: Lane<Message> | undefined;
  #remoteAddress: SocketAddress;
  #ended = false;

  constructor(host: ConnectionHost) {
    this.#host = host;
    this.windowBytes = host.windowBytes;
    this.#room = host.maxStreams;
    this.#incoming = new AcceptQueue(host.maxIncoming);
    this.#remoteAddress = host.remoteAddress();
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Give it the lane to its peer, before anything else. */
  attach(out: Lane<Message>): void {
    this.#out = out;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get remoteAddress(): SocketAddress {
    if (!this.#ended) this.#remoteAddress = this.#host.remoteAddress();
    return this.#remoteAddress;
  }

  async openStream(options: OpenOptions = {}): Promise<ByteStream> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#ended) throw lost();
    if (this.#room > 0 && this.#openings.length === 0) return this.#open();
    if (this.#openings.length >= this.#host.maxIncoming) {
      throw busy("open stream");
    }
    const opening = new Promise<MemoryStream>((resolve, reject) => {
      this.#openings.push({ resolve, reject });
    });
    try {
      return await raceSignal(opening, signal);
    } catch (error) {
      opening.then((stream) => stream.cancel(), () => {});
      throw error;
    }
  }

  acceptStream(): Promise<ByteStream | undefined> {
    return this.#incoming.take();
  }

  close(code: number): void {
    if (this.#ended) return;
    this.#out?.clear(); // QUIC too throws away what is under way
    this.#out?.send({ type: "close", code }, 0, 0);
    this.end({ by: "local", code });
  }

  /** End without a word to the peer. */
  end(info: CloseInfo): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const stream of this.#streams) stream.fail();
    this.#streams.clear();
    this.#fromPeer.clear();
    for (const opening of this.#openings.splice(0)) opening.reject(lost());
    this.#incoming.end();
    this.#resolveClosed(info);
    this.#host.ended();
  }

  /** Send a part of the handshake. */
  shake(type: "connected" | "established"): void {
    this.#out?.send({ type }, 0, 0);
  }

  /** Something from the peer has arrived. */
  receive(message: Message): void {
    if (this.#ended) return;
    switch (message.type) {
      case "stream":
        return this.#streamOf(message.stream).receive(message.message);
      case "room":
        this.#room++;
        return this.#openWaiting();
      case "close":
        return this.end({ by: "remote", code: message.code });
      case "connected":
      case "established":
        return this.#host.shake(message.type);
    }
  }

  observe(stream: MemoryStream, bytes: Uint8Array): SeenWrite {
    return this.#host.observe(stream.id, bytes);
  }

  send(stream: MemoryStream, message: StreamMessage, delayMs: number): void {
    const bytes = message.type === "data" ? message.bytes.length : 0;
    this.#out?.send({ type: "stream", stream, message }, bytes, delayMs);
  }

  finished(stream: MemoryStream): void {
    this.#streams.delete(stream);
    if (this.#fromPeer.delete(stream)) this.#out?.send({ type: "room" }, 0, 0);
  }

  /** Our side of a stream; the peer's first message makes it. */
  #streamOf(theirs: MemoryStream): MemoryStream {
    if (theirs.peer !== undefined) return theirs.peer;
    const ours = new MemoryStream(this, theirs.id);
    ours.peer = theirs;
    theirs.peer = ours;
    this.#streams.add(ours);
    this.#fromPeer.add(ours);
    this.#incoming.push(ours); // has room: the peer opens within its limit
    return ours;
  }

  #open(): MemoryStream {
    this.#room--;
    const stream = new MemoryStream(this, this.#host.newStreamId());
    this.#streams.add(stream);
    return stream;
  }

  #openWaiting(): void {
    while (this.#room > 0) {
      const opening = this.#openings.shift();
      if (opening === undefined) return;
      opening.resolve(this.#open());
    }
  }
}
