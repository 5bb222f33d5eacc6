/**
 * A whole network in memory, on a clock that may be virtual: lines with latency,
 * jitter and bandwidth, partitions, crashes, and peepholes for tests. Equal
 * seeds give equal runs.
 *
 *     node ── uplink ──╮                    ╭── node
 *     node ── uplink ──┤  link(from, to)    ├── node
 *     node ── uplink ──╯  cuts, intercept   ╰── node
 *
 * Nothing is spent on what no node does: an idle connection has no timers, and
 * silence becomes a time-out only where a test cut or crashed something.
 *
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";
import type { EndpointOptions } from "./endpoint_options.ts";
import {
  Lane,
  type LaneHost,
  type LinkProperties,
  type Waking,
} from "./_lane.ts";
import { MemoryConnection, type Message } from "./memory_connection.ts";
import { type EndpointHost, MemoryEndpoint } from "./memory_endpoint.ts";
import type { SeenWrite } from "./memory_stream.ts";
import type { CloseInfo, Endpoint } from "./transport.ts";

export type { LinkProperties } from "./_lane.ts";

/** A stream's window in the runtime's QUIC, bytes; it cannot be configured. */
const QUIC_WINDOW_BYTES = 1_250_000;

/** First of the ports that are given out where 0 is asked for. */
const FIRST_FREE_PORT = 49_152;

const LOST: CloseInfo = { by: "lost", code: 0 };

/** How a network is. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** For jitter alone. */
  readonly random: Random;
  /** The line between two addresses, asked once per connection. Default: 1 ms. */
  readonly link?: (from: SocketAddress, to: SocketAddress) => LinkProperties;
  /**
   * Deliveries happen at multiples of this, ms, never early. A virtual clock
   * pays per moment: 1 makes large simulations cheap. Default 0: at any moment.
   */
  readonly granularityMs?: number;
  /** Window of a stream in each direction, bytes. Default as QUIC. */
  readonly windowBytes?: number;
}

/** What of one endpoint is the network's matter. */
interface MemoryEndpointOptions extends EndpointOptions {
  /** What its connections share towards the network. Default: no limit. */
  readonly uplinkBytesPerSecond?: number;
}

/** One `write` of any endpoint, as {@linkcode MemoryNetwork} shows it. */
export interface ObservedWrite {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  /** Numbers that hold in this network: the same on both sides. */
  readonly connection: number;
  readonly stream: number;
  /** Valid during the call only. */
  readonly bytes: Uint8Array;
}

/** What to do to a write. */
export interface Interception {
  /** To be sent instead; may be longer, shorter or empty. */
  readonly bytes?: Uint8Array;
  /** How much later, ms; what follows on the connection waits too. */
  readonly delayMs?: number;
}

/** Addresses that cannot reach each other, until it is disposed of. */
interface Cut extends Disposable {
  /** Make the line whole again. What did not time out goes on. Idempotent. */
  heal(): void;
}

/** A node that stands still, until it goes on. */
interface Standstill {
  /**
   * Go on. Connections that peers gave up meanwhile end after `noticeMs`: at once
   * where the node sees that time has passed.
   */
  resume(noticeMs: number): void;
}

/** Two sides of one connection. */
interface Pair {
  readonly ends: readonly [MemoryEndpoint, MemoryEndpoint];
  readonly connections: readonly [MemoryConnection, MemoryConnection];
  readonly lanes: readonly [Lane<Message>, Lane<Message>];
  readonly idleTimeoutMs: number;
  silence: Timer | undefined;
}

/** A network in memory. */
export class MemoryNetwork {
  /** Sees every write, after interception. Must not keep the bytes. */
  observe: ((write: ObservedWrite) => void) | undefined;
  /** Changes or delays writes. */
  intercept: ((write: ObservedWrite) => Interception | undefined) | undefined;

  readonly #clock: Clock;
  readonly #link: (from: SocketAddress, to: SocketAddress) => LinkProperties;
  readonly #granularityMs: number;
  readonly #windowBytes: number;
  readonly #endpoints = new Map<string, MemoryEndpoint>();
  readonly #pairs = new Set<Pair>();
  readonly #cuts = new Set<(a: string, b: string) => boolean>();
  readonly #still = new Set<MemoryEndpoint>();
  /** Who is to be woken at a moment: one wake-up of the clock for all of them. */
  readonly #wakings = new Map<number, Waking[]>();
  readonly #laneHost: LaneHost;
  readonly #endpointHost: EndpointHost;
  #nextPort = FIRST_FREE_PORT;
  #nextConnection = 1;
  #nextStream = 1;

  constructor(options: MemoryNetworkOptions) {
    this.#clock = options.clock;
    this.#link = options.link ?? (() => ({ latencyMs: 1 }));
    this.#granularityMs = options.granularityMs ?? 0;
    this.#windowBytes = options.windowBytes ?? QUIC_WINDOW_BYTES;
    this.#laneHost = {
      random: options.random,
      nowMs: () => this.#clock.nowMs(),
      deliveryMs: (atMs) => this.#deliveryMs(atMs),
      wake: (lane, atMs) => this.#wake(lane, atMs),
    };
    this.#endpointHost = {
      knock: (from, to, arrive) => this.#knock(from, to, arrive),
      answer: (from, to, arrive) =>
        this.#carry(from.localAddress, to.localAddress, arrive),
      join: (...parties) => this.#join(...parties),
      schedule: (delayMs, wake) => this.#clock.schedule(delayMs, wake),
      left: (endpoint) => this.#forget(endpoint),
    };
  }

  /**
   * Put a node into the network. Port 0 stands for a free one.
   *
   * @throws {ConfigError} `transport.port_in_use`.
   */
  endpoint(options: MemoryEndpointOptions): Endpoint {
    const { host } = options.address;
    const address = { host, port: options.address.port || this.#nextPort++ };
    const endpoint = new MemoryEndpoint(
      options,
      this.#endpointHost,
      address,
      options.uplinkBytesPerSecond,
    );
    this.#place(endpoint, address);
    return endpoint;
  }

  /** Stop a node at once: its peers notice by their idle time-out. */
  crash(endpoint: Endpoint): void {
    const known = this.#known(endpoint);
    for (const pair of this.#pairs) {
      if (pair.ends.includes(known)) this.#beginSilence(pair);
    }
    known.crash();
  }

  /**
   * Let a node stand still, as a process that is stopped or a machine that sleeps:
   * nothing comes through to it or from it. Peers notice by their idle time-out.
   */
  suspend(endpoint: Endpoint): Standstill {
    const known = this.#known(endpoint);
    const own = formatSocketAddress(known.localAddress);
    const isCut = (a: string, b: string) => a === own || b === own;
    this.#cuts.add(isCut);
    this.#still.add(known);
    this.#applyCuts();
    return {
      resume: (noticeMs) => {
        if (!this.#still.delete(known)) return;
        this.#cuts.delete(isCut);
        for (const pair of this.#pairs) this.#noticeLoss(pair, known, noticeMs);
        this.#applyCuts();
      },
    };
  }

  /**
   * Give a node another address, as a NAT or a change of network does. Its
   * connections go on.
   *
   * @throws {ConfigError} `transport.port_in_use`.
   */
  move(endpoint: Endpoint, address: SocketAddress): void {
    const known = this.#known(endpoint);
    this.#place(known, address);
    this.#endpoints.delete(formatSocketAddress(known.localAddress));
    known.localAddress = address;
    for (const pair of this.#pairs) {
      if (!pair.ends.includes(known)) continue;
      const [a, b] = pair.ends;
      pair.lanes[0].link = this.#link(a.localAddress, b.localAddress);
      pair.lanes[1].link = this.#link(b.localAddress, a.localAddress);
    }
    this.#applyCuts();
  }

  /** End connections between two nodes, or all of one, on both sides at once. */
  kill(one: Endpoint, other?: Endpoint): void {
    for (const pair of [...this.#pairs]) {
      if (!pair.ends.includes(one as MemoryEndpoint)) continue;
      if (other !== undefined && !pair.ends.includes(other as MemoryEndpoint)) {
        continue;
      }
      for (const connection of pair.connections) connection.end(LOST);
    }
  }

  /**
   * Cut all lines between addresses of one set and those of the other. Both
   * sides of a connection notice by their idle time-out.
   */
  cut(
    some: Iterable<SocketAddress>,
    others: Iterable<SocketAddress>,
  ): Cut {
    const left = new Set(Array.from(some, formatSocketAddress));
    const right = new Set(Array.from(others, formatSocketAddress));
    const isCut = (a: string, b: string) =>
      (left.has(a) && right.has(b)) || (left.has(b) && right.has(a));
    this.#cuts.add(isCut);
    this.#applyCuts();
    const heal = () => {
      if (this.#cuts.delete(isCut)) this.#applyCuts();
    };
    return { heal, [Symbol.dispose]: heal };
  }

  /** Connections that have not ended on both sides. */
  get connections(): number {
    return this.#pairs.size;
  }

  #known(endpoint: Endpoint): MemoryEndpoint {
    const known = this.#endpoints.get(
      formatSocketAddress(endpoint.localAddress),
    );
    if (known === undefined || known !== endpoint) {
      throw new TypeError("Cannot find endpoint: not in this network");
    }
    return known;
  }

  #place(endpoint: MemoryEndpoint, address: SocketAddress): void {
    const key = formatSocketAddress(address);
    if (this.#endpoints.has(key)) {
      throw new ConfigError(
        "transport.port_in_use",
        `Cannot listen on ${key}: another endpoint does`,
      );
    }
    this.#endpoints.set(key, endpoint);
  }

  #forget(endpoint: MemoryEndpoint): void {
    const key = formatSocketAddress(endpoint.localAddress);
    if (this.#endpoints.get(key) === endpoint) this.#endpoints.delete(key);
  }

  #knock(
    from: MemoryEndpoint,
    to: SocketAddress,
    arrive: (target: MemoryEndpoint) => void,
  ): void {
    this.#carry(from.localAddress, to, () => {
      const target = this.#endpoints.get(formatSocketAddress(to));
      if (target !== undefined) arrive(target);
    });
  }

  /** A packet outside of any connection: lost where the line is cut. */
  #carry(from: SocketAddress, to: SocketAddress, arrive: () => void): void {
    if (this.#isCut(from, to)) return;
    const { latencyMs } = this.#link(from, to);
    const atMs = this.#deliveryMs(this.#clock.nowMs() + latencyMs);
    this.#wake({ deliver: arrive }, atMs);
  }

  #join(
    dialler: MemoryEndpoint,
    answerer: MemoryEndpoint,
    onDialled: (connection: MemoryConnection) => void,
    onAccepted: (connection: MemoryConnection) => void,
  ): MemoryConnection {
    const number = this.#nextConnection++;
    const side = (
      own: MemoryEndpoint,
      peer: MemoryEndpoint,
      shake: (connection: MemoryConnection) => void,
    ): MemoryConnection => {
      const connection: MemoryConnection = new MemoryConnection({
        windowBytes: this.#windowBytes,
        maxStreams: peer.limits.maxStreams,
        maxIncoming: own.limits.maxStreams,
        newStreamId: () => this.#nextStream++,
        remoteAddress: () => peer.localAddress,
        observe: (stream, bytes) =>
          this.#see(own.localAddress, peer.localAddress, number, stream, bytes),
        shake: () => shake(connection),
        ended: () => {
          own.release(connection);
          this.#ended(pair);
        },
      });
      own.adopt(connection);
      return connection;
    };
    const dialled = side(dialler, answerer, (connection) => {
      connection.shake("established");
      onDialled(connection);
    });
    const accepted = side(answerer, dialler, onAccepted);
    const there = this.#lane(dialler, answerer, accepted);
    const back = this.#lane(answerer, dialler, dialled);
    const pair: Pair = {
      ends: [dialler, answerer],
      connections: [dialled, accepted],
      lanes: [there, back],
      idleTimeoutMs: Math.min(
        dialler.limits.idleTimeoutMs,
        answerer.limits.idleTimeoutMs,
      ),
      silence: undefined,
    };
    this.#pairs.add(pair);
    dialled.attach(there);
    accepted.attach(back);
    this.#applyCutsTo(pair);
    accepted.shake("connected");
    return dialled;
  }

  #lane(
    from: MemoryEndpoint,
    to: MemoryEndpoint,
    receiver: MemoryConnection,
  ): Lane<Message> {
    return new Lane<Message>(
      this.#laneHost,
      this.#link(from.localAddress, to.localAddress),
      from.uplink,
      (message) => receiver.receive(message),
    );
  }

  #see(
    from: SocketAddress,
    to: SocketAddress,
    connection: number,
    stream: number,
    bytes: Uint8Array,
  ): SeenWrite {
    if (this.observe === undefined && this.intercept === undefined) {
      return { bytes, delayMs: 0 };
    }
    const write = { from, to, connection, stream, bytes };
    const { bytes: sent = bytes, delayMs = 0 } = this.intercept?.(write) ?? {};
    this.observe?.({ ...write, bytes: sent });
    return { bytes: sent, delayMs };
  }

  #ended(pair: Pair): void {
    const open = pair.connections.filter((connection) => !connection.ended);
    if (open.length > 0) return;
    pair.silence?.cancel();
    this.#pairs.delete(pair);
  }

  /** From now on neither side hears the other; unless healed, both give up. */
  #beginSilence(pair: Pair): void {
    pair.silence ??= this.#clock.schedule(pair.idleTimeoutMs, () => {
      pair.connections.forEach((connection, side) => {
        const end = pair.ends[side];
        // One that stands still learns of it when it goes on.
        if (end === undefined || this.#still.has(end)) return;
        connection.end(LOST);
      });
    });
  }

  #noticeLoss(pair: Pair, own: MemoryEndpoint, noticeMs: number): void {
    const side = pair.ends.indexOf(own);
    const [connection, peer] = [
      pair.connections[side],
      pair.connections[1 - side],
    ];
    if (connection === undefined || !peer?.ended) return;
    this.#clock.schedule(noticeMs, () => connection.end(LOST));
  }

  #applyCuts(): void {
    for (const pair of this.#pairs) this.#applyCutsTo(pair);
  }

  #applyCutsTo(pair: Pair): void {
    const [a, b] = pair.ends;
    if (this.#isCut(a.localAddress, b.localAddress)) {
      for (const lane of pair.lanes) lane.stall();
      this.#beginSilence(pair);
      return;
    }
    for (const lane of pair.lanes) lane.resume();
    // A side that crashed stays silent, whatever is healed.
    if (pair.connections.some((connection) => connection.ended)) return;
    pair.silence?.cancel();
    pair.silence = undefined;
  }

  #isCut(a: SocketAddress, b: SocketAddress): boolean {
    if (this.#cuts.size === 0) return false;
    const [one, other] = [formatSocketAddress(a), formatSocketAddress(b)];
    for (const isCut of this.#cuts) if (isCut(one, other)) return true;
    return false;
  }

  #deliveryMs(atMs: number): number {
    const step = this.#granularityMs;
    return step === 0 ? atMs : Math.ceil(atMs / step) * step;
  }

  #wake(waking: Waking, atMs: number): void {
    const others = this.#wakings.get(atMs);
    if (others !== undefined) {
      others.push(waking);
      return;
    }
    const wakings = [waking];
    this.#wakings.set(atMs, wakings);
    this.#clock.schedule(atMs - this.#clock.nowMs(), () => {
      this.#wakings.delete(atMs);
      for (const each of wakings) each.deliver(atMs);
    });
  }
}
