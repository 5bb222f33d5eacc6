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
import { deadline, raceSignal, sleep, type Timer } from "../../base/clock.ts";
import {
  BugError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { LinkState, StreamUse } from "../../link/link_state.ts";
import {
  decodeRequest,
  encodeAnswer,
  PING_METHOD,
  type RpcAnswer,
  STREAM_TYPE,
} from "../../link/rpc.ts";
import type { ByteStream, Connection } from "../../transport/transport.ts";
import { FrameStream } from "./frame_stream.ts";
import type { Link, LinkHost } from "./link.ts";
import { LinkStream, type LinkStreamHost } from "./link_stream.ts";

/** What a server needs of its link. */
export interface LinkServerOptions {
  readonly link: Link;
  readonly host: LinkHost;
  readonly connection: Connection;
  readonly state: LinkState;
  /** Its signal ends what waits here. */
  readonly streamHost: LinkStreamHost;
  /** A stream of the peer's has ended: the link's deadline may have changed. */
  readonly onStreamEnd: () => void;
}

/** Serves the peer of one link. */
export class LinkServer {
  readonly #link: Link;
  readonly #host: LinkHost;
  readonly #connection: Connection;
  readonly #state: LinkState;
  readonly #streamHost: LinkStreamHost;
  readonly #onStreamEnd: () => void;
  /** Streams being served, and the loop that accepts them. */
  readonly #tasks = new Set<Promise<void>>();

  constructor(options: LinkServerOptions) {
    this.#link = options.link;
    this.#host = options.host;
    this.#connection = options.connection;
    this.#state = options.state;
    this.#streamHost = options.streamHost;
    this.#onStreamEnd = options.onStreamEnd;
  }

  /** Begin to accept streams. */
  start(): void {
    this.#run(this.#acceptStreams());
  }

  /** Resolves when nothing runs any more; only after the connection has ended. */
  async stopped(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Own a promise, and its failure. */
  #run(work: Promise<void>): void {
    const task = work.catch((error) => this.#onError(error))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  async #acceptStreams(): Promise<void> {
    for (;;) {
      const stream = await this.#connection.acceptStream();
      if (stream === undefined) return;
      if (this.#state.onPeerStream()) this.#run(this.#serve(stream));
      else stream.cancel();
    }
  }

  async #serve(inner: ByteStream): Promise<void> {
    const { clock, rpcMs } = this.#host;
    let use: StreamUse = "circuit";
    const stream = new LinkStream(inner, this.#streamHost, () => {
      this.#state.onPeerStreamEnd(use, clock.nowMs());
      this.#onStreamEnd();
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
    const { clock, load, handlers } = this.#host;
    if (this.#state.onCircuit(load, clock.nowMs())) {
      handlers.onCircuit(this.#link, stream);
    } else stream.cancel();
  }

  async #serveRequest(stream: LinkStream, timer: Timer): Promise<StreamUse> {
    const { clock, requests, sizes } = this.#host;
    const nowMs = clock.nowMs();
    let verdict = this.#state.onRequest(nowMs);
    if (verdict.type === "serve" && !requests.take()) {
      this.#state.onRequestEnd();
      verdict = this.#state.onRequestRefused(nowMs);
    }
    if (verdict.type === "close") {
      throw new ProtocolError("link.flood", "Cannot serve: too many requests");
    }
    if (verdict.type === "refuse") {
      const busy: RpcAnswer = { type: "error", code: "busy" };
      await stream.write(encodeAnswer("", busy, sizes));
      return "request";
    }
    try {
      const { signal } = this.#streamHost;
      if (verdict.waitMs > 0) await sleep(clock, verdict.waitMs, { signal });
      const frames = new FrameStream(stream, sizes.requestFrameBytes);
      const frame = await frames.read();
      if (frame === undefined) return "request";
      timer.cancel();
      const { method, body } = decodeRequest(frame, sizes);
      const answer = await this.#answer(method, body);
      await stream.write(encodeAnswer(method, answer, sizes));
      return method === PING_METHOD ? "ping" : "request";
    } finally {
      this.#state.onRequestEnd();
      requests.give();
    }
  }

  async #answer(method: string, body: Bytes): Promise<RpcAnswer> {
    if (method === PING_METHOD) return { type: "ok", body: new Uint8Array() };
    const { clock, handlers, rpcMs, sizes } = this.#host;
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
      const work = handlers.onRequest(this.#link, method, body, signal);
      const answer = await raceSignal(work, signal);
      if (answer === undefined) {
        return { type: "error", code: "unknown_method" };
      }
      if (answer.length > sizes.answerBytes(method)) {
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
    if (error instanceof ProtocolError) this.#link.cutOff(error.code);
    else if (!(error instanceof UnreachableError)) {
      this.#host.handlers.onError?.(error);
    }
  }
}
