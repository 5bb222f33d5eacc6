/**
 * The rules of one standing link, as a pure machine: rates, caps, keep-alive,
 * idleness, stalls, and the counters.
 *
 *     silent for keepAliveMs → ping → silent for silenceMs more → close
 *     no stream for idleMs (drainMs once replaced)              → close
 *     bytes wait, and none are taken for stallMs                → close
 *
 * Overload: new circuits are refused, requests are still answered, and what runs
 * is left alone.
 *
 * @see protocol §3.6 "Limits"
 * @module
 */
import { TokenBucket } from "../base/token_bucket.ts";
import type { WelcomeLimits } from "./handshake_message.ts";
import {
  type LinkLimits,
  RESERVED_STREAMS,
  welcomeLimits,
} from "./link_limits.ts";

/** How hard the node is pressed. */
export type Load = "normal" | "overloaded";

/** What to do with a request of the peer. */
type RequestVerdict =
  /** Read and answer it after so many ms. */
  | { readonly type: "serve"; readonly waitMs: number }
  /** Answer "busy" without reading it. */
  | { readonly type: "refuse" }
  /** Far beyond what it was told: close the link. */
  | { readonly type: "close" };

/** What time has brought. */
type LinkAction =
  | { readonly type: "ping" }
  | { readonly type: "close"; readonly reason: LinkCloseReason };

/** What a stream was for: a ping keeps a link alive, but is no use of it. */
export type StreamUse = "ping" | "request" | "circuit";

/** Why a link's own rules close it. */
type LinkCloseReason =
  | "link.idle"
  | "link.drained"
  | "link.silent"
  | "link.stalled";

/** Counters of one link; they only grow, but for the numbers open now. */
export interface LinkStats {
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Requests of the peer that were served. */
  readonly requestsIn: number;
  readonly requestsOut: number;
  readonly requestsRefused: number;
  /** Circuits that the peer created here. */
  readonly circuitsIn: number;
  readonly circuitsOut: number;
  readonly circuitsRefused: number;
  /** Streams open now, either way. */
  readonly openStreams: number;
}

/**
 * Tuning: a deadline that is noticed so late was missed because this node stood
 * still or had too much to do, ms.
 */
const LATE_MS = 1_000;

/** What one neighbour does, held against what it may. */
export class LinkState {
  readonly #limits: LinkLimits;
  readonly #requests: TokenBucket;
  readonly #ownRequests: TokenBucket;
  readonly #circuits: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #refusals: TokenBucket;
  readonly #stats = {
    bytesIn: 0,
    bytesOut: 0,
    requestsIn: 0,
    requestsOut: 0,
    requestsRefused: 0,
    circuitsIn: 0,
    circuitsOut: 0,
    circuitsRefused: 0,
    openStreams: 0,
  };
  readonly #maxOwnCircuits: number;
  #ownCircuits = 0;
  #peerStreams = 0;
  #openRequests = 0;
  #heardMs: number;
  #usedMs: number;
  #pingedMs: number | undefined;
  #waitingWrites = 0;
  #takenMs = 0;
  #drainMs: number | undefined;

  /**
   * @param peerLimits What the peer said it will bear; we keep to it. Default:
   * what we bear ourselves.
   */
  constructor(
    limits: LinkLimits,
    nowMs: number,
    peerLimits: WelcomeLimits = welcomeLimits(limits),
  ) {
    this.#limits = limits;
    this.#requests = new TokenBucket(limits.requests, nowMs);
    const perSecond = Math.max(1, peerLimits.requestsPerSecond);
    this.#ownRequests = new TokenBucket({ perSecond, burst: perSecond }, nowMs);
    this.#maxOwnCircuits = Math.max(
      1,
      peerLimits.openStreams - RESERVED_STREAMS,
    );
    this.#circuits = new TokenBucket(limits.circuits, nowMs);
    this.#bytes = new TokenBucket(limits.bytes, nowMs);
    this.#refusals = new TokenBucket(limits.refusals, nowMs);
    this.#heardMs = nowMs;
    this.#usedMs = nowMs;
  }

  /** The counters now. */
  get stats(): LinkStats {
    return { ...this.#stats };
  }

  /** Circuits that the peer would still let us open. */
  get freeCircuits(): number {
    return this.isDraining ? 0 : this.#maxOwnCircuits - this.#ownCircuits;
  }

  /** When the link was last of use: `Infinity` while a stream is open. */
  get usedMs(): number {
    return this.#stats.openStreams > 0 ? Infinity : this.#usedMs;
  }

  /** Whether another link to the same peer has replaced this one. */
  get isDraining(): boolean {
    return this.#drainMs !== undefined;
  }

  /** When to call {@linkcode onTime} next. Monotonic, ms. */
  get deadlineMs(): number {
    return Math.min(this.#silenceMs, this.#idleMs, this.#stallMs);
  }

  get #silenceMs(): number {
    return this.#pingedMs === undefined
      ? this.#heardMs + this.#limits.keepAliveMs
      : this.#pingedMs + this.#limits.silenceMs;
  }

  get #idleMs(): number {
    if (this.#stats.openStreams > 0) return Infinity;
    return this.#usedMs + (this.#drainMs ?? this.#limits.idleMs);
  }

  get #stallMs(): number {
    if (this.#waitingWrites === 0) return Infinity;
    return this.#takenMs + this.#limits.stallMs;
  }

  /** When the peer was last heard of. Monotonic, ms. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /**
   * A ping found no stream of those that the peer grants: it is full, and it is not
   * asked before it has been silent for as long again. The transport notices
   * meanwhile if it is gone.
   */
  onPingUnsent(nowMs: number): void {
    this.#pingedMs = undefined;
    this.#heardMs = nowMs;
  }

  /** The deadline has come. Calls before it do nothing. */
  onTime(nowMs: number): LinkAction[] {
    if (nowMs >= this.deadlineMs + LATE_MS) this.#forgive(nowMs);
    if (nowMs >= this.#stallMs) return close("link.stalled");
    if (nowMs >= this.#idleMs) {
      return close(this.isDraining ? "link.drained" : "link.idle");
    }
    if (nowMs < this.#silenceMs) return [];
    if (this.#pingedMs !== undefined) return close("link.silent");
    this.#pingedMs = nowMs;
    return [{ type: "ping" }];
  }

  /**
   * We stood still, not the peer: what it sent meanwhile lies unread. Its time
   * begins anew.
   */
  #forgive(nowMs: number): void {
    if (this.#pingedMs !== undefined) this.#pingedMs = nowMs;
    if (this.#waitingWrites > 0) this.#takenMs = nowMs;
  }

  /** Bytes arrived. @returns How long to wait before reading on, ms. */
  onBytesIn(count: number, nowMs: number): number {
    this.#stats.bytesIn += count;
    this.#heardMs = nowMs;
    this.#pingedMs = undefined;
    return this.#bytes.reserve(count, Infinity, nowMs) ?? 0;
  }

  /** Bytes are handed to the transport, and wait there until {@linkcode onWritten}. */
  onWrite(count: number, nowMs: number): void {
    this.#stats.bytesOut += count;
    if (this.#waitingWrites++ === 0) this.#takenMs = nowMs;
  }

  /** The transport has taken the bytes of one write, or failed to. */
  onWritten(nowMs: number): void {
    this.#waitingWrites--;
    this.#takenMs = nowMs;
  }

  /** The peer opened a stream. @returns Whether it may; if not, close it unread. */
  onPeerStream(): boolean {
    if (this.#peerStreams >= this.#limits.openStreams) return false;
    this.#peerStreams++;
    this.#stats.openStreams++;
    return true;
  }

  /** A stream of the peer's, one that was let in, has ended both ways. */
  onPeerStreamEnd(use: StreamUse, nowMs: number): void {
    this.#peerStreams--;
    this.#onStreamEnd(use, nowMs);
  }

  /** We are about to open a stream. @returns Whether the peer has room for it. */
  onOwnStream(use: StreamUse): boolean {
    if (use === "circuit") {
      if (this.#ownCircuits >= this.#maxOwnCircuits) return false;
      this.#ownCircuits++;
      this.#stats.circuitsOut++;
    }
    this.#stats.openStreams++;
    return true;
  }

  /** A stream of ours has ended both ways, or could not be opened. */
  onOwnStreamEnd(use: StreamUse, nowMs: number): void {
    if (use === "circuit") this.#ownCircuits--;
    this.#onStreamEnd(use, nowMs);
  }

  #onStreamEnd(use: StreamUse, nowMs: number): void {
    this.#stats.openStreams--;
    if (use !== "ping") this.#usedMs = nowMs;
  }

  /** The peer asks something; nothing of it has been read. */
  onRequest(nowMs: number): RequestVerdict {
    if (this.#openRequests < this.#limits.openRequests) {
      const waitMs = this.#requests.reserve(
        1,
        this.#limits.requestWaitMs,
        nowMs,
      );
      if (waitMs !== undefined) {
        this.#openRequests++;
        this.#stats.requestsIn++;
        return { type: "serve", waitMs };
      }
    }
    return this.onRequestRefused(nowMs);
  }

  /** A request is turned away, here or by the node as a whole. */
  onRequestRefused(nowMs: number): RequestVerdict {
    this.#stats.requestsRefused++;
    return { type: this.#refusals.take(1, nowMs) ? "refuse" : "close" };
  }

  /** A request that was to be served is answered, or given up. */
  onRequestEnd(): void {
    this.#openRequests--;
  }

  /** We ask something. @returns How long to wait before, ms. */
  onOwnRequest(nowMs: number): number {
    this.#stats.requestsOut++;
    return this.#ownRequests.reserve(1, Infinity, nowMs) ?? 0;
  }

  /**
   * The peer creates a circuit. @returns Whether it may. A refusal never costs the
   * link: the flood may be another's, whom the peer relays for.
   */
  onCircuit(load: Load, nowMs: number): boolean {
    const accepted = load === "normal" && this.#circuits.take(1, nowMs);
    if (accepted) this.#stats.circuitsIn++;
    else this.#stats.circuitsRefused++;
    return accepted;
  }

  /** Another link to this peer has taken over: close as soon as nothing runs. */
  drain(nowMs: number): void {
    this.#drainMs = this.#limits.drainMs;
    this.#usedMs = Math.max(this.#usedMs, nowMs);
  }
}

function close(reason: LinkCloseReason): LinkAction[] {
  return [{ type: "close", reason }];
}
