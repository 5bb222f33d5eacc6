/**
 * The serving half of a link: streams that the peer opens.
 *
 *     stream ─▶ type byte ─┬─ 0x01 ─▶ request ─▶ onRequest ─▶ answer
 *                          ├─ 0x02 ─▶ onCircuit
 *                          └─ else ─▶ close the link
 *
 * @see protocol §3.5 "Streams and requests"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import {
  type Clock,
  deadline,
  raceSignal,
  sleep,
  type Timer,
} from "../../base/clock.ts";
import {
  BugError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { Places } from "../../base/places.ts";
import { TaskSet } from "../../base/task_set.ts";
import type { TimedPlaces } from "../../base/timed_places.ts";
import type { LinkState, Load, StreamUse } from "../../link/link_state.ts";
import {
  decodeRequest,
  encodeAnswer,
  MAX_BODY_BYTES,
  PING_METHOD,
  type RpcAnswer,
  STREAM_TYPE,
} from "../../link/rpc.ts";
import type { ByteStream, Connection } from "../../transport/transport.ts";
import { DEFAULT_FRAME_BYTES } from "../../wire/framing.ts";
import { FrameStream } from "./frame_stream.ts";
import { LinkStream, type LinkStreamHost } from "./link_stream.ts";

const BUSY: RpcAnswer = { type: "error", code: "busy" };

/** What a server hands to its link: what the peer wants of the node. */
interface PeerDesk {
  /** As `LinkHandlers.onRequest`, for this peer. */
  onRequest(
    method: string,
    body: Bytes,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  /** The peer creates a circuit. The stream is the callee's to end, both ways. */
  onCircuit(stream: ByteStream): void;
  /** A stream of the peer's has ended: the link's deadline may have changed. */
  onStreamEnd(): void;
  /** The peer broke the protocol: its link must end. */
  onBroken(error: ProtocolError): void;
  /** Something of ours failed while it served the peer. */
  onError(error: unknown): void;
}

/** What servers need of their node. */
export interface LinkServerHost {
  readonly clock: Clock;
  /** Time for one request and its answer, ms. */
  readonly rpcMs: number;
  /** Requests that the whole node answers at once. */
  readonly requests: Places;
  /** Long requests that the whole node reads at once; who takes long gives way. */
  readonly longRequests: TimedPlaces<ByteStream>;
  /** How hard the node is pressed now. */
  readonly load: Load;
}

/**
 * Tuning: a request of so many bytes is read without a place of the node's: a link has
 * no more than 64 under way. All that nodes ask each other is shorter, but for records.
 */
const SHORT_REQUEST_BYTES = 512;
/** Tuning: long requests of one link that are being read. */
const LONG_REQUESTS = 16;

/** What a server is made of. */
interface LinkServerOptions {
  readonly host: LinkServerHost;
  readonly connection: Connection;
  readonly state: LinkState;
  /** Its signal ends what waits here. */
  readonly streamHost: LinkStreamHost;
  readonly desk: PeerDesk;
}

/** Serves the peer of one link. */
export class LinkServer {
  readonly #host: LinkServerHost;
  readonly #connection: Connection;
  readonly #state: LinkState;
  readonly #streamHost: LinkStreamHost;
  readonly #desk: PeerDesk;
  #longRequests = 0;
  /** Streams being served, and the loop that accepts them. */
  readonly #tasks = new TaskSet((error) => this.#onError(error));

  constructor(options: LinkServerOptions) {
    this.#host = options.host;
    this.#connection = options.connection;
    this.#state = options.state;
    this.#streamHost = options.streamHost;
    this.#desk = options.desk;
  }

  /** Begin to accept streams. */
  start(): void {
    this.#tasks.run(this.#acceptStreams());
  }

  /** Resolves when nothing runs any more; only after the connection has ended. */
  stopped(): Promise<void> {
    return this.#tasks.ended();
  }

  async #acceptStreams(): Promise<void> {
    for (;;) {
      const stream = await this.#connection.acceptStream();
      if (stream === undefined) return;
      if (this.#state.onPeerStream()) this.#tasks.run(this.#serve(stream));
      else stream.cancel();
    }
  }

  async #serve(inner: ByteStream): Promise<void> {
    const { clock, rpcMs } = this.#host;
    let use: StreamUse = "circuit";
    const stream = new LinkStream(inner, this.#streamHost, () => {
      this.#state.onPeerStreamEnd(use, clock.nowMs());
      this.#desk.onStreamEnd();
    });
    // Against streams that say nothing: reads end, as if the peer had ended them.
    const timer = clock.schedule(rpcMs, () => stream.cancel(), {
      keepAlive: false,
    });
    try {
      const type = (await stream.read(new Uint8Array(1)))?.[0];
      if (type === STREAM_TYPE.rpc) {
        use = await this.#serveRequest(stream, timer);
        // A plain end costs a third of an abort.
        stream.closeWrite();
        stream.cancel();
      } else if (type === STREAM_TYPE.circuit) this.#serveCircuit(stream);
      else if (type === undefined) stream.cancel();
      else {
        throw new ProtocolError(
          "link.stream_type",
          `Cannot serve stream of type ${type}`,
        );
      }
    } catch (error) {
      stream.cancel();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  #serveCircuit(stream: ByteStream): void {
    const { clock, load } = this.#host;
    const isAccepted = this.#state.onCircuit(load, clock.nowMs());
    if (isAccepted) this.#desk.onCircuit(stream);
    else stream.cancel();
  }

  async #serveRequest(stream: LinkStream, timer: Timer): Promise<StreamUse> {
    const { clock } = this.#host;
    const verdict = this.#state.onRequest(clock.nowMs());
    if (verdict.type !== "serve") return await this.#refuse(stream, verdict);
    try {
      const { signal } = this.#streamHost;
      if (verdict.waitMs > 0) await sleep(clock, verdict.waitMs, { signal });
      const frame = await this.#readRequest(stream);
      if (frame === "busy") {
        const nowMs = clock.nowMs();
        return await this.#refuse(stream, this.#state.onRequestRefused(nowMs));
      }
      if (frame === undefined) return "request";
      timer.cancel();
      const { method, body } = decodeRequest(frame);
      const answer = await this.#answer(method, body);
      await stream.write(encodeAnswer(answer));
      return method === PING_METHOD ? "ping" : "request";
    } finally {
      this.#state.onRequestEnd();
    }
  }

  async #refuse(
    stream: LinkStream,
    { type }: { readonly type: string },
  ): Promise<StreamUse> {
    if (type === "close") {
      throw new ProtocolError("link.flood", "Cannot serve: too many requests");
    }
    await stream.write(encodeAnswer(BUSY));
    return "request";
  }

  /**
   * Read a request. A peer that says nothing keeps a place of its own link alone, and
   * one that says a long request slowly keeps no other peer's from being read.
   */
  async #readRequest(stream: LinkStream): Promise<Bytes | "busy" | undefined> {
    const { clock, longRequests } = this.#host;
    const frames = new FrameStream(stream, DEFAULT_FRAME_BYTES);
    const length = await frames.readLength();
    if (length === undefined) return undefined;
    if (length <= SHORT_REQUEST_BYTES) return await frames.readBody(length);
    const nowMs = clock.nowMs();
    const giveWay = (slow: ByteStream) => slow.cancel();
    if (
      this.#longRequests >= LONG_REQUESTS ||
      !longRequests.makeRoom(giveWay, nowMs)
    ) return "busy";
    longRequests.take(stream, nowMs);
    this.#longRequests++;
    try {
      return await frames.readBody(length);
    } finally {
      this.#longRequests--;
      longRequests.give(stream);
    }
  }

  async #answer(method: string, body: Bytes): Promise<RpcAnswer> {
    if (method === PING_METHOD) return { type: "ok", body: new Uint8Array() };
    const { requests } = this.#host;
    if (!requests.take()) {
      const nowMs = this.#host.clock.nowMs();
      if (this.#state.onRequestRefused(nowMs).type === "refuse") return BUSY;
      throw new ProtocolError("link.flood", "Cannot serve: too many requests");
    }
    try {
      return await this.#handle(method, body);
    } finally {
      requests.give();
    }
  }

  async #handle(method: string, body: Bytes): Promise<RpcAnswer> {
    const { clock, rpcMs } = this.#host;
    // Against a handler of ours that never ends: the peer has given up by then.
    using limit = deadline(
      clock,
      rpcMs,
      () =>
        new UnreachableError("link.answer_timeout", "Cannot answer in time"),
      this.#streamHost.signal,
    );
    const { signal } = limit;
    try {
      const work = this.#desk.onRequest(method, body, signal);
      const answer = await raceSignal(work, signal);
      if (answer === undefined) {
        return { type: "error", code: "unknown_method" };
      }
      if (answer.length > MAX_BODY_BYTES) {
        throw new BugError("link.answer_size", `Answer to ${method} too long`);
      }
      return { type: "ok", body: new Uint8Array(answer) };
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.#onError(error);
      return { type: "error", code: "failed" };
    }
  }

  #onError(error: unknown): void {
    if (error instanceof ProtocolError) this.#desk.onBroken(error);
    else if (!(error instanceof UnreachableError)) this.#desk.onError(error);
  }
}
