/**
 * Who finds room: for a handshake towards us, and for a link. Pure: it is told of
 * connections and of the links there are, and says who comes in and who gives way.
 *
 *     connection ─▶ its host has its part? ─▶ a place for a handshake? ─▶ answer
 *     proven peer ─▶ links of its key ─▶ room, or the longest idle link gives way
 *     our own dial ─▶ room, or any idle link gives way
 *
 * A host that has its part costs others nothing: it is turned away before any
 * handshake gives way. A link in use never gives way.
 *
 * @see protocol §3.6 "Limits", §3.7 "Two links, and the end of a link"
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { addressGroup, type GroupPrefix } from "../auth/subnet.ts";
import { Places } from "../base/places.ts";
import { TimedPlaces } from "../base/timed_places.ts";
import type { Load } from "./link_state.ts";

/** What all links of a node may take together. Tuning. */
export interface RoomLimits {
  /** Links in all, those that drain included. About 60 KiB each. */
  readonly links: number;
  /** Links that one host may have brought up. */
  readonly linksPerHost: number;
  /** Links of one key, those that drain included. */
  readonly linksPerKey: number;
  /** Handshakes towards us under way. */
  readonly handshakes: number;
  /** Of these, from one host: the transport may hold 1.25 MB of each. */
  readonly handshakesPerHost: number;
  /** Age from which a handshake gives way to a newcomer where all those are taken, ms. */
  readonly handshakeGraceMs: number;
  /** Idle time after which a link gives way to a newcomer, ms. */
  readonly evictIdleMs: number;
}

/** Enough for a relay of a network of some thousand relays. */
export const DEFAULT_ROOM_LIMITS: RoomLimits = {
  links: 2048,
  linksPerHost: 64,
  linksPerKey: 4,
  handshakes: 256,
  handshakesPerHost: 6,
  // Two round trips and the check of a record: honest ones are done by then.
  handshakeGraceMs: 1_000,
  evictIdleMs: 30_000,
};

/** Addresses taken for one host: an IPv6 customer has at least a /64. */
const HOST_PREFIX: GroupPrefix = { v4: 32, v6: 64 };

/** What is to happen with a connection. */
type DoorVerdict<C> =
  /** Shake hands; `evicted` loses its handshake for it. */
  | { readonly type: "answer"; readonly evicted: C | undefined }
  /** Turn it away. */
  | { readonly type: "refuse" };

/** What is to happen for a link that is about to come up. */
type RoomVerdict<L> =
  | { readonly type: "room" }
  /** The peer has its part: its oldest link ends. */
  | { readonly type: "replace"; readonly link: L }
  /** The link that has been idle for longest ends. */
  | { readonly type: "evict"; readonly link: L }
  | { readonly type: "full" };

/** The links there are. */
interface PresentLinks<L> {
  /** Those that drain included. */
  readonly size: number;
  /** The link idle for longest; `undefined` while all are in use. */
  readonly idlest: L | undefined;
}

/** Room for connections `C` and links `L` of one node. */
export class LinkRoom<
  C extends { readonly remoteAddress: SocketAddress },
  L extends { readonly usedMs: number },
> {
  readonly #limits: RoomLimits;
  readonly #isOneHost: boolean;
  readonly #handshakes: TimedPlaces<C>;
  /** Of hosts that have any. */
  readonly #handshakesOf = new Map<string, TimedPlaces<C>>();
  readonly #hosts: Places;
  /** The host that each connection let in was counted for: the peer may move. */
  readonly #hostOf = new Map<C, string>();

  /**
   * @param options.isOneHost Whether one machine may be a whole network: then no
   * host is too many.
   */
  constructor(
    limits: RoomLimits,
    { isOneHost }: { readonly isOneHost: boolean },
  ) {
    this.#limits = limits;
    this.#isOneHost = isOneHost;
    this.#handshakes = new TimedPlaces(
      limits.handshakes,
      limits.handshakeGraceMs,
    );
    this.#hosts = new Places(
      Infinity,
      isOneHost ? Infinity : limits.linksPerHost,
    );
  }

  /** Handshakes towards us under way. */
  get handshakes(): number {
    return this.#handshakes.used;
  }

  /** A connection came in. One that is answered has both its ends told of later. */
  onConnection(connection: C, load: Load, nowMs: number): DoorVerdict<C> {
    const host = this.#isOneHost
      ? ""
      : addressGroup(connection.remoteAddress, HOST_PREFIX);
    if (load === "overloaded" || !this.#hosts.take(host)) {
      return { type: "refuse" };
    }
    let evicted: C | undefined;
    const giveWay = (oldest: C) => {
      evicted = oldest;
    };
    const ofHost = this.#handshakesBy(host);
    // Those of its own host give way to it first: no other host pays for them.
    const isThereRoom = ofHost.makeRoom(giveWay, nowMs) &&
      (evicted !== undefined || this.#handshakes.makeRoom(giveWay, nowMs));
    if (!isThereRoom) {
      this.#hosts.give(host);
      return { type: "refuse" };
    }
    if (evicted !== undefined) this.onHandshakeEnd(evicted);
    this.#handshakes.take(connection, nowMs);
    ofHost.take(connection, nowMs);
    this.#handshakesOf.set(host, ofHost);
    this.#hostOf.set(connection, host);
    return { type: "answer", evicted };
  }

  #handshakesBy(host: string): TimedPlaces<C> {
    const { handshakesPerHost, handshakeGraceMs } = this.#limits;
    const max = this.#isOneHost ? Infinity : handshakesPerHost;
    return this.#handshakesOf.get(host) ??
      new TimedPlaces(max, handshakeGraceMs);
  }

  /** The handshake on a connection is over, well or badly. */
  onHandshakeEnd(connection: C): void {
    this.#handshakes.give(connection);
    const host = this.#hostOf.get(connection);
    const ofHost = host === undefined
      ? undefined
      : this.#handshakesOf.get(host);
    if (host === undefined || ofHost === undefined) return;
    ofHost.give(connection);
    if (ofHost.used === 0) this.#handshakesOf.delete(host);
  }

  /** A connection that was answered has ended. */
  onConnectionEnd(connection: C): void {
    const host = this.#hostOf.get(connection);
    if (host === undefined) return;
    this.onHandshakeEnd(connection);
    this.#hostOf.delete(connection);
    this.#hosts.give(host);
  }

  /**
   * Room for a link that we dial. It is for work at hand: any idle link gives way.
   */
  forDial(links: PresentLinks<L>, nowMs: number): RoomVerdict<L> {
    return this.#forLink(links, 0, nowMs);
  }

  /**
   * Room for a peer that dialled us and has proven its key.
   *
   * @param ofPeer The links it has already, oldest first.
   */
  forPeer(
    links: PresentLinks<L>,
    ofPeer: readonly L[],
    nowMs: number,
  ): RoomVerdict<L> {
    const [oldest] = ofPeer;
    return oldest !== undefined && ofPeer.length >= this.#limits.linksPerKey
      ? { type: "replace", link: oldest }
      : this.#forLink(links, this.#limits.evictIdleMs, nowMs);
  }

  #forLink(
    { size, idlest }: PresentLinks<L>,
    idleMs: number,
    nowMs: number,
  ): RoomVerdict<L> {
    if (size < this.#limits.links) return { type: "room" };
    return idlest === undefined || idlest.usedMs + idleMs > nowMs
      ? { type: "full" }
      : { type: "evict", link: idlest };
  }
}
