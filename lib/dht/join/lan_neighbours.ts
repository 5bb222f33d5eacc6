/**
 * Relays that announce themselves on a LAN: which of their packets are heeded, and
 * which relays to make the acquaintance of.
 *
 *     packet ─▶ length, network ─▶ from our subnet? ─▶ host's rate ─▶ all rates ─▶ signature
 *                                                                                    │
 *              to be met: now, and again every 5 min while it is heard ◀── place ◀───┘
 *
 * All that a machine on the LAN can do by announcing is to have us dial addresses of
 * its own, a few at a time: the link then proves who is there.
 *
 * @see protocol §9.8 "Discovery on a LAN"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import {
  isSignedLanAnnouncement,
  lanTag,
  readLanAnnouncement,
} from "./lan_announcement.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { addressGroup, isAllowedAddress } from "../../auth/subnet.ts";
import { type Bytes, equalBytes, formatBase32 } from "../../base/bytes.ts";
import { RecentMap } from "../../base/recent_map.ts";
import { TokenBucket } from "../../base/token_bucket.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";

/** An address of this machine, and the subnet that it is in. */
export interface LanPlace {
  readonly host: string;
  /** Leading bits of the subnet. */
  readonly bits: number;
}

/** Announcements that are looked at per second, of one host and of all: a signature is 0.1 ms. */
const HOST_RATE = { perSecond: 2, burst: 16 };
const TOTAL_RATE = { perSecond: 40, burst: 80 };
/** Hosts whose rate is remembered; beyond them the one quiet for longest is forgotten. */
const MAX_HOSTS = 256;
/** Neighbours remembered, and of one host: who has many addresses fills no more. */
const MAX_NEIGHBOURS = 64;
const MAX_OF_ONE_HOST = 8;
/** A neighbour that is not heard for so long gives its place to another, ms. */
const FORGET_MS = 60_000;
/** Time before one that is heard is met again, ms. */
const MEET_AGAIN_MS = 5 * 60_000;
/** Neighbours met per second: dials of addresses that strangers name. */
const MEET_RATE = { perSecond: 0.5, burst: 8 };

interface Neighbour {
  readonly host: string;
  heardMs: number;
  metMs: number;
}

/** What its neighbours are made of. */
interface LanNeighboursOptions {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  /** Addresses of this machine. */
  readonly places: readonly LanPlace[];
}

/** Hears announcements. */
export class LanNeighbours {
  readonly #options: LanNeighboursOptions;
  readonly #tag: Bytes;
  readonly #hosts = new RecentMap<string, TokenBucket>(MAX_HOSTS);
  readonly #total: TokenBucket;
  readonly #meetings: TokenBucket;
  /** By all of what they say and where. */
  readonly #neighbours = new Map<string, Neighbour>();
  #selfKey: PublicKey | undefined;

  constructor(options: LanNeighboursOptions, nowMs: number) {
    this.#options = options;
    this.#tag = lanTag(options.crypto, options.network);
    this.#total = new TokenBucket(TOTAL_RATE, nowMs);
    this.#meetings = new TokenBucket(MEET_RATE, nowMs);
  }

  /** Neighbours that are remembered. */
  get size(): number {
    return this.#neighbours.size;
  }

  /** Who we are: our own announcements come back to us. */
  set selfKey(publicKey: PublicKey) {
    this.#selfKey = publicKey;
  }

  /** A packet came. @returns the relay to make the acquaintance of, if any. */
  onPacket(
    message: Uint8Array,
    from: SocketAddress,
    nowMs: number,
  ): NodeAddress | undefined {
    const said = readLanAnnouncement(this.#tag, message);
    if (said === undefined || !this.#isNear(from)) return undefined;
    const { publicKey, port } = said;
    if (this.#selfKey && equalBytes(publicKey, this.#selfKey)) return undefined;
    const address = { host: from.host, port };
    const { crypto, network } = this.#options;
    if (!isAllowedAddress(network, address)) return undefined;
    if (!this.#mayAsk(from.host, nowMs)) return undefined;
    if (!isSignedLanAnnouncement(crypto, said, message)) return undefined;
    const neighbour = this.#heard(publicKey, address, nowMs);
    if (neighbour === undefined) return undefined;
    if (nowMs - neighbour.metMs < MEET_AGAIN_MS) return undefined;
    if (!this.#meetings.take(1, nowMs)) return undefined;
    neighbour.metMs = nowMs;
    return { publicKey, address };
  }

  /** Multicast stays on the LAN; a packet to our port alone may come from anywhere. */
  #isNear(from: SocketAddress): boolean {
    if (from.host.includes(":")) return false;
    return this.#options.places.some(({ host, bits }) => {
      const prefix = { v4: bits, v6: 128 };
      return addressGroup(from, prefix) ===
        addressGroup({ host, port: from.port }, prefix);
    });
  }

  #mayAsk(host: string, nowMs: number): boolean {
    let ofHost = this.#hosts.get(host);
    if (ofHost === undefined) {
      ofHost = new TokenBucket(HOST_RATE, nowMs);
      this.#hosts.set(host, ofHost);
    }
    return ofHost.take(1, nowMs) && this.#total.take(1, nowMs);
  }

  /** Its place, if it has one or finds one: those that are heard keep theirs. */
  #heard(
    publicKey: PublicKey,
    { host, port }: SocketAddress,
    nowMs: number,
  ): Neighbour | undefined {
    const key = `${formatBase32(publicKey)} ${host} ${port}`;
    const known = this.#neighbours.get(key);
    if (known !== undefined) {
      known.heardMs = nowMs;
      return known;
    }
    for (const [key, { heardMs }] of this.#neighbours) {
      if (nowMs - heardMs >= FORGET_MS) this.#neighbours.delete(key);
    }
    const ofHost = [...this.#neighbours.values()]
      .filter((neighbour) => neighbour.host === host).length;
    if (ofHost >= MAX_OF_ONE_HOST) return undefined;
    if (this.#neighbours.size >= MAX_NEIGHBOURS) return undefined;
    const neighbour = { host, heardMs: nowMs, metMs: -Infinity };
    this.#neighbours.set(key, neighbour);
    return neighbour;
  }
}
