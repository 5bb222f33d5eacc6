/**
 * All links of a node, and the endpoint under them.
 *
 *     getOrDial ─▶ link there? ─ no ─▶ dial under way? ─ no ─▶ backed off? ─ no ─▶ dial
 *                                                                            │
 *     accept ─▶ room? ─▶ handshake ─▶ admitted? ─────────────▶ register ◀────┘
 *                                                                 │
 *                            two links to one peer: one of them drains
 *
 * @see protocol §3.6 "Limits", §3.7 "Two links, and the end of a link"
 * @module
 */
import {
  type Identity,
  type NodeId,
  type PublicKey,
} from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { addressGroup, type GroupPrefix } from "../../auth/subnet.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { TimedPlaces } from "../../base/timed_places.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { Admission } from "../../link/answerer_handshake.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import { DialBackoff, MAX_REMEMBERED_PEERS } from "../../link/dial_backoff.ts";
import type { HandshakeResult } from "../../link/handshake.ts";
import {
  DEFAULT_LINK_LIMITS,
  type LinkLimits,
  welcomeLimits,
} from "../../link/link_limits.ts";
import type { Load } from "../../link/link_state.ts";
import { NonceCache } from "../../link/nonce_cache.ts";
import { RpcSizes } from "../../link/rpc.ts";
import type {
  Connection,
  Endpoint,
  OpenOptions,
} from "../../transport/transport.ts";
import {
  Link,
  type LinkDirection,
  type LinkHandlers,
  type LinkHost,
} from "./link.ts";
import { dialPeer, type PeerAddress } from "./link_dial.ts";
import { answerHandshake, dialHandshake } from "./link_handshake.ts";
import { LinkSet } from "./link_set.ts";
import { Slots } from "../../base/slots.ts";

/** What all links of a node may take together. Tuning. */
export interface TableLimits {
  /** Links in all, those that drain included. About 60 KiB each. */
  readonly links: number;
  /** Links that one host may have brought up. Not kept where private addresses are allowed. */
  readonly linksPerHost: number;
  /** Links of one key, those that drain included. */
  readonly linksPerKey: number;
  /** Handshakes towards us under way. */
  readonly handshakes: number;
  /** Age from which a handshake gives way to a newcomer where all those are taken, ms. */
  readonly handshakeGraceMs: number;
  /** Requests served at once: 64 KiB each, 32 MiB. */
  readonly requests: number;
  /** Idle time after which a link gives way to a newcomer, ms. */
  readonly evictIdleMs: number;
}

/** Enough for a relay of a network of some thousand relays. */
export const DEFAULT_TABLE_LIMITS: TableLimits = {
  links: 2048,
  linksPerHost: 64,
  linksPerKey: 4,
  handshakes: 256,
  // Two round trips and the check of a record: honest ones are done by then.
  handshakeGraceMs: 1_000,
  requests: 512,
  evictIdleMs: 30_000,
};

/** Addresses taken for one host: an IPv6 customer has at least a /64. */
const HOST_PREFIX: GroupPrefix = { v4: 32, v6: 64 };

/** What a table is made of. */
export interface LinkTableOptions {
  /** Owned: closed with the table. */
  readonly endpoint: Endpoint;
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  readonly clock: Clock;
  readonly random: Random;
  readonly verifier: RecordVerifier;
  /** Who answers here: the identity of the endpoint's certificate. */
  readonly identity: Identity;
  /**
   * Our node record, encoded, as it is now. Where there is none, nobody is
   * answered. It goes out on dials under {@linkcode identity} too.
   */
  readonly record?: () => Bytes | undefined;
  /**
   * Who we are towards a peer that we dial; a client makes a new identity each
   * time. Called once per dial; what it makes is disposed of after the handshake.
   * Default: {@linkcode identity}.
   */
  readonly identityFor?: (peer: PeerAddress) => Identity;
  readonly handlers: LinkHandlers;
  /** Longest bodies of requests and answers, by method. */
  readonly sizes?: RpcSizes;
  /** What differs from {@linkcode DEFAULT_LINK_LIMITS}. */
  readonly linkLimits?: Partial<LinkLimits>;
  /** What differs from {@linkcode DEFAULT_TABLE_LIMITS}. */
  readonly tableLimits?: Partial<TableLimits>;
  /**
   * The longest that a peer is not dialled again after failures, ms. Short where
   * whoever dials keeps to a pace of his own. Default 5 min.
   */
  readonly longestDialWaitMs?: number;
}

/** Numbers for a status page. */
export interface LinkTableStats {
  readonly links: number;
  readonly draining: number;
  readonly dialling: number;
  /** Handshakes towards us under way. */
  readonly answering: number;
  /** Handshakes towards us that failed, ever. */
  readonly failedHandshakes: number;
  /** Connections turned away for want of room, ever. */
  readonly turnedAway: number;
}

/** The links of one node. Call {@linkcode start} once. */
export class LinkTable implements AsyncDisposable {
  readonly #options: LinkTableOptions;
  readonly #limits: TableLimits;
  readonly #host: LinkHost & { load: Load };
  readonly #links = new LinkSet();
  readonly #dials = new Map<string, Promise<Link>>();
  readonly #backoff: DialBackoff;
  readonly #nonces = new NonceCache();
  readonly #handshakes: TimedPlaces<Connection>;
  readonly #hosts: Slots;
  /** Everything that runs on its own, awaited by {@linkcode close}. */
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #closing: Promise<void> | undefined;
  #failedHandshakes = 0;
  #turnedAway = 0;

  constructor(options: LinkTableOptions) {
    const { network, random } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_TABLE_LIMITS, ...options.tableLimits };
    this.#host = {
      crypto: options.crypto,
      clock: options.clock,
      sizes: options.sizes ?? new RpcSizes(),
      limits: { ...DEFAULT_LINK_LIMITS, ...options.linkLimits },
      handlers: options.handlers,
      rpcMs: network.rpcMs,
      requests: new Slots(this.#limits.requests),
      load: "normal",
    };
    this.#backoff = new DialBackoff(
      random,
      MAX_REMEMBERED_PEERS,
      options.longestDialWaitMs,
    );
    this.#handshakes = new TimedPlaces(
      this.#limits.handshakes,
      this.#limits.handshakeGraceMs,
    );
    const perHost = network.allowPrivateAddresses
      ? Infinity
      : this.#limits.linksPerHost;
    this.#hosts = new Slots(Infinity, perHost);
  }

  /** Begin to answer dials. */
  start(): void {
    this.#run(this.#acceptLinks());
  }

  /** How hard the node is pressed: under overload no new links, no new circuits. */
  set load(load: Load) {
    this.#host.load = load;
  }

  get load(): Load {
    return this.#host.load;
  }

  /** The links of use, one per peer. */
  get links(): readonly Link[] {
    return this.#links.ofUse;
  }

  get stats(): LinkTableStats {
    return {
      links: this.#links.ofUse.length,
      draining: this.#links.draining.length,
      dialling: this.#dials.size,
      answering: this.#handshakes.used,
      failedHandshakes: this.#failedHandshakes,
      turnedAway: this.#turnedAway,
    };
  }

  /** The link to a peer, if there is one. */
  get(publicKey: PublicKey): Link | undefined {
    return this.#links.get(publicKey);
  }

  /**
   * The link to a peer, dialled if need be. Several callers share one dial; one
   * that gives up leaves it to the others.
   *
   * @throws {ProtocolError} `link.wrong_identity`, `link.wrong_network`,
   * `link.self` and what else the handshake finds.
   * @throws {UnreachableError} `transport.*`, `link.busy`, `link.cut`,
   * `link.dial_timeout`, `link.handshake_timeout`, `link.full`, and
   * `link.backoff` soon after a failure, with that as its cause.
   */
  async getOrDial(peer: PeerAddress, options: OpenOptions = {}): Promise<Link> {
    const there = this.get(peer.publicKey);
    if (there !== undefined) return there;
    options.signal?.throwIfAborted();
    const key = keyOf(peer.publicKey);
    let dial = this.#dials.get(key);
    if (dial === undefined) {
      this.#checkDial(peer);
      dial = this.#dial(peer).finally(() => this.#dials.delete(key));
      this.#dials.set(key, dial);
      this.#run(dial.then(() => {}));
    }
    return await raceSignal(dial, options.signal);
  }

  /**
   * The machine is on another network, or awake again: close the links that do
   * not answer within `answerMs`, and dial whom we could not reach before.
   */
  onNetworkChange(answerMs: number): void {
    this.#backoff.clear();
    this.probe(answerMs);
  }

  /** Close the links that do not answer within `answerMs`. */
  probe(answerMs: number): void {
    for (const link of this.links) this.#run(link.probe(answerMs));
  }

  /** Close all links and the endpoint. Idempotent. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stopping.abort(
      new UnreachableError(
        "link.stopping",
        "Cannot link: the node is stopping",
      ),
    );
    const { ofUse, draining } = this.#links;
    for (const link of [...ofUse, ...draining]) link.close();
    await this.#options.endpoint.close();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Own a promise: it is awaited, and its failure is not unhandled. */
  #run(work: Promise<void>): void {
    const task = work.catch((error) => {
      if (!(error instanceof AnonNetError)) this.#onError(error);
    });
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
  }

  #checkDial(peer: PeerAddress): void {
    const { clock, identity } = this.#options;
    this.#stopping.signal.throwIfAborted();
    if (equalBytes(peer.publicKey, identity.publicKey)) {
      throw new ProtocolError("link.self", "Cannot link to ourselves");
    }
    const refusal = this.#backoff.refusal(backoffKey(peer), clock.nowMs());
    if (refusal !== undefined) {
      throw new UnreachableError(
        "link.backoff",
        "Cannot dial yet: the last try failed",
        { cause: refusal.error },
      );
    }
    // A dial of ours is for work at hand: any idle link gives way to it.
    if (!this.#makeRoom(0)) {
      throw new UnreachableError("link.full", "Cannot dial: too many links");
    }
  }

  async #dial(peer: PeerAddress): Promise<Link> {
    const { clock } = this.#options;
    const key = backoffKey(peer);
    try {
      const link = await this.#dialAndShake(peer);
      this.#backoff.onSuccess(key);
      return this.get(peer.publicKey) ?? link;
    } catch (error) {
      // They may have reached us meanwhile.
      const link = this.get(peer.publicKey);
      if (link !== undefined) return link;
      if (!this.#stopping.signal.aborted) {
        this.#backoff.onFailure(key, error, clock.nowMs());
      }
      throw error;
    }
  }

  async #dialAndShake(peer: PeerAddress): Promise<Link> {
    const { clock, endpoint, identity, network, record } = this.#options;
    const self = this.#options.identityFor?.(peer) ?? identity;
    using limit = deadline(
      clock,
      network.linkHandshakeMs,
      () => new UnreachableError("link.dial_timeout", "Cannot dial: no answer"),
      this.#stopping.signal,
    );
    try {
      const connection = await dialPeer(endpoint, clock, peer, limit.signal);
      const result = await dialHandshake(connection, {
        ...this.#options,
        identity: self,
        // Never on a throw-away identity: it would name the node behind it.
        record: self === identity ? record?.() : undefined,
        peerKey: peer.publicKey,
      });
      return this.#register(connection, result, "outbound", self.nodeId);
    } finally {
      if (self !== identity) self[Symbol.dispose]();
    }
  }

  async #acceptLinks(): Promise<void> {
    const { endpoint } = this.#options;
    for (;;) {
      const connection = await endpoint.accept();
      if (connection === undefined) return;
      const answer = this.#report(() => this.#onConnection(connection));
      if (answer !== undefined) this.#run(answer);
      else {
        this.#turnedAway++;
        connection.close(CLOSE_CODE.busy);
      }
    }
  }

  /** Begin to answer, if there is a record to show and room for one more. */
  #onConnection(connection: Connection): Promise<void> | undefined {
    const record = this.#options.record?.();
    if (record === undefined || this.load === "overloaded") return undefined;
    const nowMs = this.#options.clock.nowMs();
    const host = this.#hostOf(connection);
    // Before anybody gives way: a host that has its part costs others nothing.
    if (!this.#hosts.take(host)) return undefined;
    const isThereRoom = this.#handshakes.makeRoom((oldest) => {
      this.#turnedAway++;
      oldest.close(CLOSE_CODE.busy);
    }, nowMs);
    if (!isThereRoom) {
      this.#hosts.give(host);
      return undefined;
    }
    this.#handshakes.take(connection, nowMs);
    connection.closed.then(() => this.#hosts.give(host));
    return this.#answer(connection, record)
      .finally(() => this.#handshakes.give(connection));
  }

  /** Where one machine is a whole network, all of it counts as one host. */
  #hostOf(connection: Connection): string {
    return this.#options.network.allowPrivateAddresses
      ? ""
      : addressGroup(connection.remoteAddress, HOST_PREFIX);
  }

  async #answer(connection: Connection, record: Bytes): Promise<void> {
    const { identity } = this.#options;
    let result: HandshakeResult;
    try {
      result = await answerHandshake(connection, {
        ...this.#options,
        record,
        nonces: this.#nonces,
        admit: (peerKey) => this.#admit(connection, peerKey),
      });
    } catch (error) {
      this.#failedHandshakes++;
      if (!(error instanceof AnonNetError)) throw error;
      return this.#report(() => {
        const { handlers } = this.#options;
        handlers.onRefused?.(error, connection.remoteAddress);
      });
    }
    this.#register(connection, result, "inbound", identity.nodeId);
  }

  /** Whether there is room for one that has proven itself. */
  #admit(connection: Connection, peerKey: PublicKey): Admission {
    const [oldest, ...others] = this.#links.to(peerKey);
    if (others.length + 1 >= this.#limits.linksPerKey) {
      oldest?.close(CLOSE_CODE.done, "link.replaced");
    } else if (!this.#makeRoom(this.#limits.evictIdleMs)) {
      this.#turnedAway++;
      throw new UnreachableError("link.busy", "Cannot answer: too many links");
    }
    return {
      observedAddress: connection.remoteAddress,
      limits: welcomeLimits(this.#host.limits),
    };
  }

  /** Whether there is room for a link, if need be that of one idle for `idleMs`. */
  #makeRoom(idleMs: number): boolean {
    if (this.#links.size < this.#limits.links) return true;
    const { idlest } = this.#links;
    const nowMs = this.#options.clock.nowMs();
    if (idlest === undefined || idlest.usedMs + idleMs > nowMs) return false;
    idlest.close(CLOSE_CODE.done, "link.evicted");
    this.#links.remove(idlest);
    return true;
  }

  #register(
    connection: Connection,
    result: HandshakeResult,
    direction: LinkDirection,
    localId: NodeId,
  ): Link {
    const host = this.#host;
    const link = new Link({ connection, result, direction, localId, host });
    this.#run(this.#watch(link));
    if (this.#stopping.signal.aborted) link.close();
    this.#links.add(link);
    link.start();
    this.#report(() => host.handlers.onLink?.(link));
    return link;
  }

  async #watch(link: Link): Promise<void> {
    const end = await link.closed;
    this.#links.remove(link);
    this.#report(() => this.#options.handlers.onLinkClosed?.(link, end));
    await link.stopped();
  }

  /** Call the node's code; what it throws is its own, and gives `undefined`. */
  #report<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  #onError(error: unknown): void {
    this.#options.handlers.onError?.(error);
  }
}

function keyOf(publicKey: PublicKey): string {
  return publicKey.toHex();
}

/** A peer at new addresses is worth a new try. */
function backoffKey(peer: PeerAddress): string {
  const places = peer.addresses.map(({ host, port }) => `${host} ${port}`);
  return [keyOf(peer.publicKey), ...places].join(",");
}
