/**
 * A standing link to a neighbour: requests and circuits of ours, those of the
 * peer through its {@linkcode LinkServer}, and the rules of {@linkcode LinkState}
 * carried out. Whatever a peer does ends here at worst in the end of its link.
 *
 * @see protocol §3.5 "Streams and requests" to §3.7 "Two links, and the end of a link"
 * @module
 */
import { type NodeId, nodeIdOf, type PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import type { Bytes } from "../../base/bytes.ts";
import { deadline, raceSignal, sleep } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { CLOSE_CODE, type CloseCode } from "../../link/close_code.ts";
import type { HandshakeResult } from "../../link/handshake.ts";
import type { LinkLimits } from "../../link/link_limits.ts";
import {
  LinkState,
  type LinkStats,
  type StreamUse,
} from "../../link/link_state.ts";
import {
  decodeAnswer,
  encodeRequestStream,
  PING_METHOD,
  type RpcAnswer,
  STREAM_TYPE,
} from "../../link/rpc.ts";
import type {
  ByteStream,
  Connection,
  OpenOptions,
} from "../../transport/transport.ts";
import { DEFAULT_FRAME_BYTES } from "../../wire/framing.ts";
import { FrameStream } from "./frame_stream.ts";
import { LinkServer, type LinkServerHost } from "./link_server.ts";
import { LinkStream, type LinkStreamHost } from "./link_stream.ts";

/** What a node does with what comes over its links. */
export interface LinkHandlers {
  /**
   * Answer a request of the peer.
   *
   * @param signal Aborts when the peer no longer waits for the answer any more.
   * @returns The answer, or `undefined` if there is no such method.
   * @throws {ProtocolError} if this very peer broke the protocol: its link is
   * closed. The peer hears "failed" of any other error.
   */
  onRequest(
    link: Link,
    method: string,
    body: Bytes,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  /** The peer creates a circuit. The stream is the callee's to end, both ways. */
  onCircuit(link: Link, stream: ByteStream): void;
  /** A link has come up, either side's. */
  onLink?(link: Link): void;
  /** A link has ended. */
  onLinkClosed?(link: Link, end: LinkEnd): void;
  /** A peer that dialled us did not come in; the error says why. For the log. */
  onRefused?(error: unknown, from: SocketAddress): void;
  /** Something of ours failed while it served a peer: for the log. */
  onError?(error: unknown): void;
}

/** How a link ended. */
export interface LinkEnd {
  /** Dotted reason, such as `link.idle` or `link.lost`; for logs. */
  readonly reason: string;
  /** Whether this side closed it, the other did, or the network. */
  readonly by: "local" | "remote" | "lost";
}

/** What a request takes. */
interface RequestOptions extends OpenOptions {
  /** Time for request and answer, ms. Default: the network's `rpcMs`, 10 s. */
  readonly timeoutMs?: number;
}

/** What a link needs of its node. */
export interface LinkHost extends LinkServerHost {
  readonly crypto: CryptoSuite;
  readonly limits: LinkLimits;
  readonly handlers: LinkHandlers;
  /** Bytes of streams that all links of the node moved, both ways. */
  readonly moved: { bytes: number };
}

/** Why what waited on a link does not any more. One for all: links end in crowds. */
const LINK_ENDED = new UnreachableError(
  "link.lost",
  "Cannot use link: it has ended",
);

/**
 * Tuning: a time-out that is noticed so late says nothing of the peer, ms: this
 * node had too much to do to read.
 */
const STANDSTILL_MS = 250;

/** Whose dial brought a link up: `outbound` is ours. */
export type LinkDirection = "outbound" | "inbound";

/** What a link is made of. */
interface LinkOptions {
  readonly connection: Connection;
  readonly result: HandshakeResult;
  readonly direction: LinkDirection;
  /** Our node id on this link; a throw-away one where we are a client. */
  readonly localId: NodeId;
  readonly host: LinkHost;
}

/** An authenticated connection to a neighbour. */
export class Link {
  readonly peerKey: PublicKey;
  readonly nodeId: NodeId;
  readonly localId: NodeId;
  /** The peer's record when the link came up; `undefined` of a client. */
  readonly record: NodeRecord | undefined;
  readonly direction: LinkDirection;
  /** Where the peer said it sees us; known where we dialled. */
  readonly observedAddress: SocketAddress | undefined;
  /** When the link came up. Monotonic, ms. */
  readonly openedMs: number;
  /** Resolves when the link has ended; never rejects. */
  readonly closed: Promise<LinkEnd>;
  readonly #connection: Connection;
  readonly #host: LinkHost;
  readonly #state: LinkState;
  readonly #streamHost: LinkStreamHost;
  readonly #server: LinkServer;
  /** Aborts when the link ends: nothing of it goes on waiting. */
  readonly #ending = new AbortController();
  readonly #timer: MachineTimer;
  #isOpen = true;
  #isProbed = false;
  #reason: string | undefined;

  constructor(options: LinkOptions) {
    const { connection, result, host } = options;
    const nowMs = host.clock.nowMs();
    this.peerKey = result.peerKey;
    this.nodeId = nodeIdOf(host.crypto, result.peerKey);
    this.localId = options.localId;
    this.record = result.record;
    this.direction = options.direction;
    this.observedAddress = result.observedAddress;
    this.openedMs = nowMs;
    this.#connection = connection;
    this.#host = host;
    this.#timer = new MachineTimer(host.clock, () => this.#onTime());
    this.#state = new LinkState(host.limits, nowMs, result.peerLimits);
    this.#streamHost = {
      clock: host.clock,
      signal: this.#ending.signal,
      onBytesIn: (count) => {
        host.moved.bytes += count;
        return this.#state.onBytesIn(count, host.clock.nowMs());
      },
      onWrite: (count) => {
        host.moved.bytes += count;
        this.#state.onWrite(count, host.clock.nowMs());
        this.#arm();
      },
      onWritten: () => this.#state.onWritten(host.clock.nowMs()),
    };
    this.#server = new LinkServer({
      host,
      connection,
      state: this.#state,
      streamHost: this.#streamHost,
      desk: {
        onRequest: (method, body, signal) =>
          host.handlers.onRequest(this, method, body, signal),
        onCircuit: (stream) => host.handlers.onCircuit(this, stream),
        onStreamEnd: () => this.#arm(),
        onBroken: ({ code }) => this.cutOff(code),
        onError: (error) => host.handlers.onError?.(error),
      },
    });
    this.closed = connection.closed.then(({ by }) => {
      this.#end();
      const reasons = {
        local: "link.closed",
        remote: "link.hung_up",
        lost: "link.lost",
      };
      return { by, reason: this.#reason ?? reasons[by] };
    });
  }

  /** Begin to serve the peer. Called once, by the table. */
  start(): void {
    this.#arm();
    this.#server.start();
  }

  /** Resolves when the link has ended and nothing of it runs any more. */
  async stopped(): Promise<void> {
    await this.closed;
    await this.#server.stopped();
  }

  /** Whether the peer relays: it showed a record that says so. */
  get isRelay(): boolean {
    return this.record?.flags.includes("relay") ?? false;
  }

  /** Whether the link has not ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether another link to the same peer has replaced this one. */
  get isDraining(): boolean {
    return this.#state.isDraining;
  }

  /** Where the peer is now; it may move. */
  get remoteAddress(): SocketAddress {
    return this.#connection.remoteAddress;
  }

  /** Circuits that the peer would still let us open. */
  get freeCircuits(): number {
    return this.#isOpen ? this.#state.freeCircuits : 0;
  }

  /** The counters now. */
  get stats(): LinkStats {
    return this.#state.stats;
  }

  /** When the link was last of use, ms: `Infinity` while a stream is open. */
  get usedMs(): number {
    return this.#state.usedMs;
  }

  /**
   * Ask the peer something.
   *
   * @returns The body of its answer.
   * @throws {UnreachableError} `link.lost`, `link.request_timeout`, `link.streams`,
   * `link.rpc_busy`, `link.rpc_failed`, `link.rpc_unknown_method`.
   * @throws {ProtocolError} if the answer is none; the link is closed then.
   * @throws {RangeError} if `body` is longer than 64 KiB less 64 bytes.
   */
  async request(
    method: string,
    body: Uint8Array = new Uint8Array(),
    options: RequestOptions = {},
  ): Promise<Bytes> {
    const { clock, rpcMs } = this.#host;
    const request = encodeRequestStream(method, body);
    const waitMs = this.#state.onOwnRequest(clock.nowMs());
    using limit = deadline(
      clock,
      options.timeoutMs ?? rpcMs,
      () =>
        new UnreachableError(
          "link.request_timeout",
          "Cannot get answer: the peer took too long",
        ),
      options.signal,
    );
    const { signal } = limit;
    if (waitMs > 0) await sleep(clock, waitMs, { signal });
    const use = method === PING_METHOD ? "ping" : "request";
    const stream = await this.#openInTime(use, signal, options.signal);
    try {
      return await raceSignal(this.#ask(stream, request), signal);
    } finally {
      stream.cancel();
    }
  }

  /** A stream, or the word that there is none: the peer was not asked then. */
  async #openInTime(
    use: StreamUse,
    limit: AbortSignal,
    caller: AbortSignal | undefined,
  ): Promise<LinkStream> {
    try {
      return await this.#open(use, limit);
    } catch (error) {
      const isLate = limit.aborted && !caller?.aborted && this.#isOpen;
      throw isLate ? unsent() : error;
    }
  }

  async #ask(
    stream: ByteStream,
    request: Bytes,
  ): Promise<Bytes> {
    // Not awaited first: a peer that refuses answers before it has read all.
    const sent = stream.write(request).then(() => stream.closeWrite());
    sent.catch(() => {});
    try {
      const frame = await new FrameStream(stream, DEFAULT_FRAME_BYTES).read();
      if (frame !== undefined) return bodyOf(decodeAnswer(frame));
      await sent;
    } catch (error) {
      if (error instanceof ProtocolError) this.cutOff(error.code);
      throw lostError(error);
    }
    throw new UnreachableError(
      "link.rpc_failed",
      "Cannot get answer: the peer ended the stream",
    );
  }

  /**
   * See whether the peer is still there: if nothing comes of it in time, the link
   * ends. Nothing is asked while an answer is waited for. A peer whose streams are
   * all in use is full, and not silent: the transport watches over it.
   */
  async probe(answerMs: number): Promise<void> {
    if (this.#isProbed) return;
    this.#isProbed = true;
    try {
      while (await this.#isSilent(answerMs) === "unknown");
    } finally {
      this.#isProbed = false;
    }
  }

  /** Ping once, and close the link if that shows that the peer is gone. */
  async #isSilent(answerMs: number): Promise<"known" | "unknown"> {
    const { clock } = this.#host;
    const sinceMs = clock.nowMs();
    try {
      await this.request(PING_METHOD, new Uint8Array(), {
        timeoutMs: answerMs,
      });
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      // A peer that says "busy" is there.
      if (error.code !== "link.request_timeout") return "known";
      if (this.#state.heardMs > sinceMs) return "known";
      // We stood still ourselves: what it answered lies unread.
      const lateMs = clock.nowMs() - sinceMs - answerMs;
      if (lateMs >= STANDSTILL_MS) return "unknown";
      this.close(CLOSE_CODE.done, "link.silent");
    }
    return "known";
  }

  /**
   * Open a stream for a new circuit. The caller ends it, both ways.
   *
   * @throws {UnreachableError} `link.lost`, `link.streams` when the peer allows no
   * more circuits at once, or the signal's reason.
   */
  async openCircuit(options: OpenOptions = {}): Promise<ByteStream> {
    const stream = await this.#open("circuit", options.signal);
    try {
      await raceSignal(
        stream.write(Uint8Array.of(STREAM_TYPE.circuit)),
        options.signal,
      );
    } catch (error) {
      stream.cancel();
      throw lostError(error);
    }
    return stream;
  }

  async #open(
    use: StreamUse,
    signal: AbortSignal | undefined,
  ): Promise<LinkStream> {
    // Before waiting for the peer's leave: a link about to be of use is not idle.
    if (!this.#state.onOwnStream(use)) {
      throw new UnreachableError(
        "link.streams",
        "Cannot open circuit: the link has as many as the peer allows",
      );
    }
    const onEnd = () => {
      this.#state.onOwnStreamEnd(use, this.#host.clock.nowMs());
      this.#arm();
    };
    try {
      const stream = await this.#connection.openStream(
        signal === undefined ? {} : { signal },
      );
      return new LinkStream(stream, this.#streamHost, onEnd);
    } catch (error) {
      onEnd();
      throw lostError(error);
    }
  }

  /** Close the link; what is under way on it is lost. Idempotent. */
  close(code: CloseCode = CLOSE_CODE.done, reason = "link.closed"): void {
    if (!this.#isOpen) return;
    this.#reason = reason;
    this.#end();
    this.#connection.close(code);
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer.stop();
    this.#ending.abort(LINK_ENDED);
  }

  /**
   * Close the link of a peer that misbehaves.
   *
   * @param reason Dotted code of what it did, such as `link.flood`; for logs.
   */
  cutOff(reason: string): void {
    this.close(CLOSE_CODE.refused, reason);
  }

  /** Let what runs come to its end, then close: another link has taken over. */
  drain(): void {
    this.#state.drain(this.#host.clock.nowMs());
    this.#arm();
  }

  #arm(): void {
    if (this.#isOpen) this.#timer.set(this.#state.deadlineMs);
  }

  #onTime(): void {
    if (!this.#isOpen) return;
    for (const action of this.#state.onTime(this.#host.clock.nowMs())) {
      if (action.type === "ping") this.#ping();
      else if (action.reason === "link.stalled") this.cutOff(action.reason);
      else this.close(CLOSE_CODE.done, action.reason);
    }
    this.#arm();
  }

  /** Whatever comes back will do; silence is the state's to notice. */
  #ping(): void {
    const timeoutMs = this.#host.limits.silenceMs / 2;
    this.request(PING_METHOD, new Uint8Array(), { timeoutMs }).catch(
      (error: unknown) => {
        const isUnsent = error instanceof AnonNetError &&
          error.code === "link.streams";
        if (!isUnsent) return;
        this.#state.onPingUnsent(this.#host.clock.nowMs());
        this.#arm();
      },
    );
  }
}

function unsent(): UnreachableError {
  return new UnreachableError(
    "link.streams",
    "Cannot ask: all streams that the peer grants are in use",
  );
}

function bodyOf(answer: RpcAnswer): Bytes {
  if (answer.type === "ok") return answer.body;
  throw new UnreachableError(
    `link.rpc_${answer.code}`,
    `Cannot get answer: the peer says ${answer.code}`,
  );
}

/** A lost stream is a lost link, to the users of links. */
function lostError(error: unknown): unknown {
  return error instanceof AnonNetError && error.code === "transport.lost"
    ? new UnreachableError("link.lost", "Cannot use link: it has ended", {
      cause: error,
    })
    : error;
}
