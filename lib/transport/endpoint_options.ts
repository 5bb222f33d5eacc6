/**
 * How an endpoint is set up, the same for QUIC and for the in-memory network.
 *
 * @module
 */
import type { Identity } from "../auth/identity.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** What one endpoint lets its peers take. */
export interface TransportLimits {
  /**
   * Streams that a peer may have open at once on one connection. Each can park
   * 1.25 MB here while no reader takes it (the window cannot be configured), so
   * this times the number of connections is what an attack could cost. The
   * runtime sets 80 bytes aside for each, open or not: 512 double the memory of
   * an idle connection.
   */
  readonly maxStreams: number;
  /**
   * Handshakes under way towards us, at about 60 KiB each. Against floods of
   * first packets with invented senders.
   */
  readonly maxHandshakes: number;
  /** Connections that wait for `accept`. Against floods faster than our reader. */
  readonly maxWaiting: number;
  /** Dials under way. Against records full of dead addresses. */
  readonly maxDials: number;
  /**
   * Silence after which a connection is lost, ms, at least 1000; the smaller of
   * both sides' counts. A dial that no node answers takes as long, and at least 3 s.
   */
  readonly idleTimeoutMs: number;
  /** Silence after which we send something to keep the connection, ms. */
  readonly keepAliveMs: number;
}

/** Tuning, all of it: change one and we are slower or easier to hurt. */
const DEFAULT_LIMITS: TransportLimits = Object.freeze({
  maxStreams: 128,
  maxHandshakes: 256,
  maxWaiting: 64,
  // For the circuits of neighbours 384 at most: three times 32, at four addresses each.
  maxDials: 640,
  // Three keep-alives may be lost before a peer counts as gone.
  idleTimeoutMs: 10_000,
  keepAliveMs: 3_000,
});

/** What an endpoint is made of. */
export interface EndpointOptions {
  /** Where to listen. `::` means all addresses, IPv4 too; port 0 any free one. */
  readonly address: SocketAddress;
  /** TLS protocol name, which tells our program from others. Readable on the wire. */
  readonly alpn: string;
  /** Who answers here. */
  readonly identity: Identity;
  readonly crypto: CryptoSuite;
  /** What differs from {@linkcode DEFAULT_LIMITS}. */
  readonly limits?: Partial<TransportLimits>;
  /**
   * Asked before each handshake towards us; `false` leaves the caller without an
   * answer, as if no node were here. Must be quick and not throw. Under overload
   * a relay refuses newcomers first and keeps what runs.
   */
  readonly admit?: () => boolean;
}

/** The limits with what `options` changes. */
export function limitsOf(options: EndpointOptions): TransportLimits {
  return { ...DEFAULT_LIMITS, ...options.limits };
}
