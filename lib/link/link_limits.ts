/**
 * What one neighbour may do to us, and how long we bear its silence.
 *
 * @see protocol §3.6 "Limits"
 * @module
 */
import type { TokenRate } from "../base/token_bucket.ts";
import type { WelcomeLimits } from "./handshake_message.ts";

/** The limits of one link. All of them are tuning: peers need not agree on them. */
export interface LinkLimits {
  /**
   * Requests from the peer. Beyond: they wait a moment, then are refused. The
   * burst is at least one second's worth: so much an honest peer sends at once.
   */
  readonly requests: TokenRate;
  /** Circuits that the peer creates through this link. Beyond: refused at once. */
  readonly circuits: TokenRate;
  /** Bytes from the peer, on all streams. Beyond: we read more slowly. */
  readonly bytes: TokenRate;
  /** Refused requests. Beyond: no honest peer goes so far; the link is closed. */
  readonly refusals: TokenRate;
  /**
   * Streams that the peer may have open at once. Beyond: closed unread. Not more
   * than the transport grants, or peers wait for what never comes.
   */
  readonly openStreams: number;
  /** Requests of the peer that are read or answered at once. Beyond: refused. */
  readonly openRequests: number;
  /** Longest wait of a request for its turn, ms. */
  readonly requestWaitMs: number;
  /** Silence after which the peer is pinged, ms. */
  readonly keepAliveMs: number;
  /** Time that the peer has to send anything after a ping, ms. */
  readonly silenceMs: number;
  /** Time without a stream after which the link is closed, ms. */
  readonly idleMs: number;
  /** The same for a link that another one to the same peer replaces, ms. */
  readonly drainMs: number;
  /** Time in which a peer must take some bytes while any wait for it, ms. */
  readonly stallMs: number;
}

/**
 * Streams of a peer's allowance that we leave free of circuits: without them a
 * link full of quiet circuits could not even be pinged, and would be given up.
 */
export const RESERVED_STREAMS = 16;

/**
 * What a relay bears from each neighbour. Memory that a hostile one can pin:
 * `openRequests` frames of 64 KiB, 4 MiB, and what the transport buffers for
 * `openStreams`.
 */
export const DEFAULT_LINK_LIMITS: LinkLimits = {
  requests: { perSecond: 200, burst: 400 },
  circuits: { perSecond: 50, burst: 500 },
  bytes: { perSecond: Infinity, burst: 1 },
  refusals: { perSecond: 10, burst: 200 },
  openStreams: 128,
  openRequests: 64,
  requestWaitMs: 1000,
  keepAliveMs: 20_000,
  silenceMs: 10_000,
  idleMs: 300_000,
  drainMs: 5000,
  stallMs: 10_000,
};

/** What to tell a peer of our limits. */
export function welcomeLimits(limits: LinkLimits): WelcomeLimits {
  return {
    requestsPerSecond: whole(limits.requests.perSecond),
    circuitsPerSecond: whole(limits.circuits.perSecond),
    openStreams: whole(limits.openStreams),
  };
}

/** Rates in a message are whole; "no limit" is a number no peer reaches. */
function whole(value: number): number {
  return Math.max(1, Math.floor(Math.min(value, 1_000_000_000)));
}
