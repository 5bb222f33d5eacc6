/**
 * All links of a node, and the endpoint under them.
 *
 *     getOrDial ─▶ link there? ─ no ─▶ dial under way? ─ no ─▶ backed off? ─ no ─▶ dial
 *                                                                            │
 *     LinkAnswerer ──────────────────────────────────────────▶ register ◀────┘
 *                                                                 │
 *                            two links to one peer: one of them drains
 *
 *     openCircuit ─▶ getOrDial ─▶ FurtherLinks ─▶ a link with a free stream
 *
 * @see protocol §3.6 "Limits", §3.7 "Two links, and the end of a link"
 * @module
 */
import { Identity, type NodeId, type PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { RecordDateError } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { Places } from "../../base/places.ts";
import type { Random } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import { TimedPlaces } from "../../base/timed_places.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { DialBackoff, MAX_REMEMBERED_PEERS } from "../../link/dial_backoff.ts";
import { type DialAsker, DialPlaces } from "../../link/dial_places.ts";
import type { HandshakeResult } from "../../link/handshake.ts";
import {
  DEFAULT_LINK_LIMITS,
  type LinkLimits,
} from "../../link/link_limits.ts";
import {
  DEFAULT_ROOM_LIMITS,
  LinkRoom,
  type RoomLimits,
} from "../../link/link_room.ts";
import { ProvenPlaces } from "../../link/proven_places.ts";
import type { Load } from "../../link/link_state.ts";
import type {
  ByteStream,
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
import { FurtherLinks } from "./further_links.ts";
import { LinkAnswerer } from "./link_answerer.ts";
import { dialPeer, type PeerAddress } from "./link_dial.ts";
import { dialHandshake } from "./link_handshake.ts";
import { LinkSet } from "./link_set.ts";

/** What all links of a node may take together. Tuning. */
export interface TableLimits extends RoomLimits {
  /** Requests answered at once, and as many long ones read: 64 KiB each, 32 MiB. */
  readonly requests: number;
  /** Age from which a long request that is being read gives way to another, ms. */
  readonly longRequestGraceMs: number;
}

/**
 * Tuning: longest wait before a peer is dialled again whose clock, or ours, is wrong,
 * ms. It is there: all is well as soon as the clock is put right.
 */
const CLOCK_WAIT_MS = 10_000;

const DEFAULT_TABLE_LIMITS: TableLimits = {
  ...DEFAULT_ROOM_LIMITS,
  requests: 512,
  longRequestGraceMs: 1_000,
};

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
   * Our node record, encoded, as it is now. Where there is none, no dialler is
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
  /** What differs from {@linkcode DEFAULT_LINK_LIMITS}. */
  readonly linkLimits?: Partial<LinkLimits>;
  /** What differs from {@linkcode DEFAULT_ROOM_LIMITS}. */
  readonly tableLimits?: Partial<TableLimits>;
  /**
   * The longest that a peer is not dialled again after failures, ms. Short where
   * the caller keeps to a pace of its own. Default 5 min.
   */
  readonly longestDialWaitMs?: number;
}

/** Numbers for a status page. */
interface LinkTableStats {
  readonly links: number;
  /** Links beside those, for more circuits to the same peers. */
  readonly further: number;
  readonly draining: number;
  readonly dialling: number;
  /** Handshakes towards us under way. */
  readonly answering: number;
  /** Handshakes towards us that failed, ever. */
  readonly failedHandshakes: number;
  /** Connections turned away for want of room, ever. */
  readonly turnedAway: number;
}

/** How a peer is dialled. */
export interface DialOptions extends OpenOptions {
  /** Whose circuit it is for; default: the node's own work. */
  readonly asker?: DialAsker;
}

/** The links of one node. Call {@linkcode start} once. */
export class LinkTable implements AsyncDisposable {
  readonly #options: LinkTableOptions;
  readonly #host: LinkHost & { load: Load };
  readonly #links = new LinkSet();
  readonly #room: LinkRoom<Connection, Link>;
  readonly #answerer: LinkAnswerer;
  readonly #further: FurtherLinks;
  readonly #dials = new Map<string, Promise<Link>>();
  readonly #dialPlaces = new DialPlaces();
  readonly #proven = new ProvenPlaces();
  readonly #backoff: DialBackoff;
  readonly #tasks = new TaskSet((error) => {
    if (!(error instanceof AnonNetError)) this.#onError(error);
  });
  readonly #stopping = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(options: LinkTableOptions) {
    const { network, random, identity } = options;
    const limits = { ...DEFAULT_TABLE_LIMITS, ...options.tableLimits };
    this.#options = options;
    this.#host = {
      crypto: options.crypto,
      clock: options.clock,
      limits: { ...DEFAULT_LINK_LIMITS, ...options.linkLimits },
      handlers: options.handlers,
      rpcMs: network.rpcMs,
      requests: new Places(limits.requests),
      longRequests: new TimedPlaces(
        limits.requests,
        limits.longRequestGraceMs,
      ),
      load: "normal",
      moved: { bytes: 0 },
    };
    this.#room = new LinkRoom(limits, {
      isOneHost: network.allowPrivateAddresses,
    });
    this.#answerer = new LinkAnswerer({
      ...options,
      host: this.#host,
      room: this.#room,
      links: this.#links,
      onEstablished: (connection, result) => {
        this.#take(
          this.#linkOf(connection, result, "inbound", identity.nodeId),
        );
      },
    });
    this.#further = new FurtherLinks({
      clock: options.clock,
      dial: (first) => this.#dialBeside(first),
      run: (work) => this.#tasks.run(work),
    });
    this.#backoff = new DialBackoff(
      random,
      MAX_REMEMBERED_PEERS,
      options.longestDialWaitMs,
    );
  }

  /** Begin to answer dials. */
  start(): void {
    this.#answerer.start();
  }

  /** How hard the node is pressed: under overload no new links, no new circuits. */
  set load(load: Load) {
    this.#host.load = load;
  }

  get load(): Load {
    return this.#host.load;
  }

  /** Bytes of streams that links moved, both ways, ever. */
  get movedBytes(): number {
    return this.#host.moved.bytes;
  }

  /** The links of use, one per peer. */
  get links(): readonly Link[] {
    return this.#links.ofUse;
  }

  get stats(): LinkTableStats {
    return {
      links: this.#links.ofUse.length,
      further: this.#links.further.length,
      draining: this.#links.draining.length,
      dialling: this.#dials.size,
      answering: this.#room.handshakes,
      failedHandshakes: this.#answerer.failedHandshakes,
      turnedAway: this.#answerer.turnedAway,
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
   * @throws {ProtocolError} `link.wrong_identity`, `link.wrong_protocol`,
   * `link.self` and what else the handshake finds.
   * @throws {UnreachableError} `transport.*`, `link.busy`, `link.cut`,
   * `link.dial_timeout`, `link.handshake_timeout`, `link.full`, and
   * `link.backoff` soon after a failure, with that as its cause.
   */
  async getOrDial(peer: PeerAddress, options: DialOptions = {}): Promise<Link> {
    const there = this.get(peer.publicKey);
    if (there !== undefined) return there;
    options.signal?.throwIfAborted();
    // By address too: a dial to where the peer is not must hold up none to where it is.
    const key = dialKey(peer);
    let dial = this.#dials.get(key);
    if (dial === undefined) {
      this.#checkDial(peer);
      const ofPeer = keyOf(peer.publicKey);
      const isProven = this.#proven.has(ofPeer, key);
      const target = { peer: ofPeer, isProven };
      const { asker } = options;
      const full = this.#dialPlaces.take(target, asker);
      if (full !== undefined) throw tooManyDials(full);
      dial = this.#dial(peer).finally(() => {
        this.#dials.delete(key);
        this.#dialPlaces.give(target, asker);
      });
      this.#dials.set(key, dial);
      this.#tasks.run(dial);
    }
    return await raceSignal(dial, options.signal);
  }

  /**
   * Dial a peer though there may be a link to it: to see that it can be reached at
   * an address that its record claims. One of the two links drains.
   *
   * @throws as {@linkcode getOrDial}.
   */
  async dialAnew(peer: PeerAddress): Promise<Link> {
    this.#checkDial(peer);
    return await this.#dialOfUse(peer);
  }

  /**
   * Open a stream for a circuit to a peer, on a link beside the first if need be.
   * The caller ends it, both ways.
   *
   * @throws {AnonNetError} as {@linkcode getOrDial}; `link.streams` when the peer
   * bears no more circuits.
   */
  async openCircuit(
    peer: PeerAddress,
    options: DialOptions = {},
  ): Promise<ByteStream> {
    const first = await this.getOrDial(peer, options);
    return await this.#further.openCircuit(first, options);
  }

  /**
   * The machine is on another network, or awake again: close the links that do
   * not answer within `answerMs`, and dial whom we could not reach before.
   */
  onNetworkChange(answerMs: number): void {
    this.#backoff.clear();
    this.probe(answerMs);
  }

  /** Close all links that there are; others may come. */
  closeLinks(): void {
    for (const link of this.#links.all) link.close();
  }

  /** Close the links that do not answer within `answerMs`. */
  probe(answerMs: number): void {
    for (const link of this.#links.all) {
      this.#tasks.run(link.probe(answerMs));
    }
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
    this.closeLinks();
    await this.#options.endpoint.close();
    await this.#answerer.stopped();
    await this.#tasks.ended();
  }

  #checkDial(peer: PeerAddress): void {
    const { clock, identity } = this.#options;
    this.#stopping.signal.throwIfAborted();
    if (equalBytes(peer.publicKey, identity.publicKey)) {
      throw new ProtocolError("link.self", "Cannot link to ourselves");
    }
    const refusal = this.#backoff.refusal(dialKey(peer), clock.nowMs());
    if (refusal !== undefined) {
      throw new UnreachableError(
        "link.backoff",
        "Cannot dial yet: the last try failed",
        { cause: refusal.error },
      );
    }
    this.#makeRoom();
  }

  /** @throws {UnreachableError} `link.full`. */
  #makeRoom(): void {
    const nowMs = this.#options.clock.nowMs();
    const verdict = this.#room.forDial(this.#links, nowMs);
    if (verdict.type === "evict") this.#links.evict(verdict.link);
    else if (verdict.type === "full") {
      throw new UnreachableError("link.full", "Cannot dial: too many links");
    }
  }

  async #dial(peer: PeerAddress): Promise<Link> {
    const { clock } = this.#options;
    const key = dialKey(peer);
    try {
      const link = await this.#dialOfUse(peer);
      this.#backoff.onSuccess(key);
      this.#proven.onSuccess(keyOf(peer.publicKey), key);
      return this.get(peer.publicKey) ?? link;
    } catch (error) {
      // They may have reached us meanwhile.
      const link = this.get(peer.publicKey);
      if (link !== undefined) return link;
      if (!this.#stopping.signal.aborted) {
        const mostMs = error instanceof RecordDateError
          ? CLOCK_WAIT_MS
          : Infinity;
        this.#backoff.onFailure(key, error, clock.nowMs(), mostMs);
        this.#proven.onFailure(keyOf(peer.publicKey), key);
      }
      throw error;
    }
  }

  /** A link of use, under the identity that we have towards the peer. */
  async #dialOfUse(peer: PeerAddress): Promise<Link> {
    const { identityFor, identity } = this.#options;
    const self = identityFor?.(peer) ?? identity;
    return this.#take(await this.#dialAndShake(peer, self));
  }

  /**
   * Link once more to where a peer has proven to be: an address that a client of
   * ours names could be wrong. The identity is made for this link, of relays too:
   * under their own it would take the place of the first. One dial at a time and at
   * that one address: it is not counted with those of {@linkcode getOrDial}, which an
   * identity may have go to wherever it signs.
   */
  async #dialBeside({ peerKey, remoteAddress }: Link): Promise<Link> {
    const { crypto, identityFor, random } = this.#options;
    this.#stopping.signal.throwIfAborted();
    this.#makeRoom();
    const peer = { publicKey: peerKey, addresses: [remoteAddress] };
    const self = identityFor?.(peer) ?? Identity.generate(crypto, random);
    const link = await this.#dialAndShake(peer, self);
    this.#links.addFurther(link);
    return this.#begin(link);
  }

  async #dialAndShake(peer: PeerAddress, self: Identity): Promise<Link> {
    const { clock, endpoint, identity, network, record } = this.#options;
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
      return this.#linkOf(connection, result, "outbound", self.nodeId);
    } finally {
      if (self !== identity) self[Symbol.dispose]();
    }
  }

  #linkOf(
    connection: Connection,
    result: HandshakeResult,
    direction: LinkDirection,
    localId: NodeId,
  ): Link {
    const host = this.#host;
    return new Link({ connection, result, direction, localId, host });
  }

  /** A link of use has come up. */
  #take(link: Link): Link {
    this.#links.add(link);
    return this.#begin(link);
  }

  #begin(link: Link): Link {
    this.#tasks.run(this.#watch(link));
    if (this.#stopping.signal.aborted) link.close();
    link.start();
    this.#report(() => this.#host.handlers.onLink?.(link));
    return link;
  }

  async #watch(link: Link): Promise<void> {
    const end = await link.closed;
    this.#links.remove(link);
    this.#report(() => this.#options.handlers.onLinkClosed?.(link, end));
    await link.stopped();
  }

  /** Call the node's code; what it throws is its own. */
  #report(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#onError(error);
    }
  }

  #onError(error: unknown): void {
    this.#options.handlers.onError?.(error);
  }
}

function tooManyDials(of: "peer" | "asker"): UnreachableError {
  return new UnreachableError(
    "link.full",
    of === "peer"
      ? "Cannot dial: this peer is being dialled at other addresses"
      : "Cannot dial: too many dials for this neighbour are under way",
  );
}

function keyOf(publicKey: PublicKey): string {
  return publicKey.toHex();
}

/** A peer at new addresses is worth a new try. */
function dialKey(peer: PeerAddress): string {
  const places = peer.addresses.map(({ host, port }) => `${host} ${port}`);
  return [keyOf(peer.publicKey), ...places].join(",");
}
