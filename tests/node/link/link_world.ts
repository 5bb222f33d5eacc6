/**
 * Places to run link tables in: memory on a virtual clock, and QUIC on loopback.
 *
 * @module
 */
import type { Identity, PublicKey } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { createNodeRecord } from "../../../lib/auth/node_record.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import type { SocketAddress } from "../../../lib/auth/socket_address.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import type { Clock } from "../../../lib/base/clock.ts";
import { errorCode } from "../../../lib/base/errors.ts";
import { type Random, seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { NonceCache } from "../../../lib/link/nonce_cache.ts";
import type {
  Link,
  LinkEnd,
  LinkHandlers,
} from "../../../lib/node/link/link.ts";
import type { PeerAddress } from "../../../lib/node/link/link_dial.ts";
import {
  answerHandshake,
  dialHandshake,
} from "../../../lib/node/link/link_handshake.ts";
import {
  LinkTable,
  type LinkTableOptions,
} from "../../../lib/node/link/link_table.ts";
import { SystemClock } from "../../../lib/machine/system_clock.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import type { TransportLimits } from "../../../lib/transport/endpoint_options.ts";
import { MemoryNetwork } from "../../../lib/transport/memory_network.ts";
import { openQuicEndpoint } from "../../../lib/transport/quic_endpoint.ts";
import type {
  ByteStream,
  Connection,
  Endpoint,
} from "../../../lib/transport/transport.ts";
import { testContent, testIdentity } from "../../support/nodes.ts";
import { runOn } from "../../transport/world.ts";

export const CRYPTO = nativeSuite();
export const NETWORK = networkParameters("local");
export const LOOPBACK: SocketAddress = { host: "127.0.0.1", port: 0 };

/** What a test node is made of; the rest is the world's. */
export type TestNodeOptions =
  & Partial<Omit<LinkTableOptions, "handlers" | "endpoint">>
  & {
    readonly handlers?: Partial<LinkHandlers>;
    readonly alpn?: string;
    readonly transport?: Partial<TransportLimits>;
    /** A client shows no record, answers no dial and is a new one on each link. */
    readonly role?: "relay" | "client";
  };

/** What has happened, and a way to wait for it. */
export class Happenings<T> {
  readonly items: T[] = [];
  #waiting: (() => void)[] = [];

  push(item: T): void {
    this.items.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves with the items once there are `count`. */
  async reach(count: number): Promise<readonly T[]> {
    while (this.items.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.items;
  }
}

/** A node with a link table. */
export interface TestNode {
  readonly identity: Identity;
  readonly table: LinkTable;
  readonly endpoint: Endpoint;
  /** How to dial it. */
  readonly peer: PeerAddress;
  /** Links that came up, oldest first, and how those ended that did. */
  readonly links: Happenings<Link>;
  readonly ends: Happenings<LinkEnd>;
  /** Circuits that others created here. */
  readonly circuits: Happenings<ByteStream>;
  /** Codes of the dials to us that were refused. */
  readonly refusals: Happenings<string>;
  /** What the table reported as our own failures. */
  readonly errors: unknown[];
}

/** A connection by hand, past the handshake. */
export interface RawPeer {
  readonly connection: Connection;
  readonly publicKey: PublicKey;
}

/** Where nodes live. */
export abstract class LinkWorld {
  abstract readonly clock: Clock;
  readonly random: Random = seededRandom(20_260_101);
  readonly #opened = new AsyncDisposableStack();
  #seed = 1000;

  /** An endpoint of `identity`; closed with the world. */
  async endpoint(
    identity: Identity,
    alpn: string = NETWORK.alpn,
    transport: Partial<TransportLimits> = {},
  ): Promise<Endpoint> {
    const endpoint = await this.open(identity, alpn, transport);
    return this.#opened.use(endpoint);
  }

  protected abstract open(
    identity: Identity,
    alpn: string,
    transport: Partial<TransportLimits>,
  ): Promise<Endpoint>;

  /** A new identity; the same ones in every run. */
  identity(): Identity {
    return testIdentity(CRYPTO, this.#seed++);
  }

  /** The encoded record of a relay. */
  record(identity: Identity): Bytes {
    return createNodeRecord(
      CRYPTO,
      identity,
      NETWORK,
      testContent({
        sequence: this.clock.unixMs(),
        expiry: this.clock.unixMs() + 3_600_000,
      }),
    ).encoded;
  }

  verifier(): RecordVerifier {
    return new RecordVerifier(CRYPTO, NETWORK);
  }

  /** A node with a running link table. */
  async node(options: TestNodeOptions = {}): Promise<TestNode> {
    const identity = options.identity ?? this.identity();
    const { role = "relay", alpn, transport } = options;
    const endpoint = await this.endpoint(identity, alpn, transport);
    const links = new Happenings<Link>();
    const ends = new Happenings<LinkEnd>();
    const circuits = new Happenings<ByteStream>();
    const refusals = new Happenings<string>();
    const errors: unknown[] = [];
    const table = new LinkTable({
      endpoint,
      crypto: CRYPTO,
      network: NETWORK,
      clock: this.clock,
      random: this.random,
      verifier: this.verifier(),
      identity,
      ...(role === "relay"
        ? { record: () => this.record(identity) }
        : { identityFor: () => this.identity() }),
      ...options,
      handlers: {
        onRequest: (_link, _method, body) => Promise.resolve(body),
        onCircuit: (_link, stream) => circuits.push(stream),
        onLink: (link) => links.push(link),
        onLinkClosed: (_link, end) => ends.push(end),
        onRefused: (error) => refusals.push(errorCode(error)),
        onError: (error) => void errors.push(error),
        ...options.handlers,
      },
    });
    this.#opened.use(table);
    table.start();
    const peer = {
      publicKey: identity.publicKey,
      addresses: [endpoint.localAddress],
    };
    return {
      identity,
      table,
      endpoint,
      peer,
      links,
      ends,
      circuits,
      refusals,
      errors,
    };
  }

  /** Dial a node and shake hands, with no table behind it. */
  async rawDial(
    target: TestNode,
    options: { readonly identity?: Identity; readonly endpoint?: Endpoint } =
      {},
  ): Promise<RawPeer> {
    const identity = options.identity ?? this.identity();
    const endpoint = options.endpoint ?? await this.endpoint(identity);
    const { publicKey } = target.identity;
    const connection = await endpoint.dial(
      target.endpoint.localAddress,
      publicKey,
    );
    await dialHandshake(connection, {
      clock: this.clock,
      verifier: this.verifier(),
      crypto: CRYPTO,
      random: this.random,
      network: NETWORK,
      identity,
      peerKey: publicKey,
    });
    return { connection, publicKey: identity.publicKey };
  }

  /** Answer one dial and shake hands, with no table behind it. */
  async rawAnswer(endpoint: Endpoint, identity: Identity): Promise<RawPeer> {
    const connection = await endpoint.accept();
    if (connection === undefined) throw new Error("the endpoint has closed");
    const { peerKey } = await answerHandshake(connection, {
      clock: this.clock,
      verifier: this.verifier(),
      crypto: CRYPTO,
      random: this.random,
      network: NETWORK,
      identity,
      record: this.record(identity),
      nonces: new NonceCache(),
      admit: () => ({
        observedAddress: connection.remoteAddress,
        limits: {
          requestsPerSecond: 100_000,
          circuitsPerSecond: 100_000,
          openStreams: 512,
        },
      }),
    });
    return { connection, publicKey: peerKey };
  }

  /** Close everything. */
  close(): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

/** In memory, where hours pass in no time. */
export class MemoryWorld extends LinkWorld {
  override readonly clock = new VirtualClock({
    drain: createDrain(),
    maxEvents: 1e6,
  });
  readonly network = new MemoryNetwork({
    clock: this.clock,
    random: seededRandom(1),
    link: () => ({ latencyMs: 10 }),
  });

  protected override open(
    identity: Identity,
    alpn: string,
    limits: Partial<TransportLimits>,
  ): Promise<Endpoint> {
    return Promise.resolve(
      this.network.endpoint({
        address: LOOPBACK,
        alpn,
        identity,
        crypto: CRYPTO,
        limits,
      }),
    );
  }
}

/** Over loopback. */
export class QuicWorld extends LinkWorld {
  override readonly clock = new SystemClock();

  protected override open(
    identity: Identity,
    alpn: string,
    limits: Partial<TransportLimits>,
  ): Promise<Endpoint> {
    return openQuicEndpoint({
      address: LOOPBACK,
      alpn,
      identity,
      crypto: CRYPTO,
      limits,
    });
  }
}

/** Run a test in memory. */
export async function inMemory(
  test: (world: MemoryWorld) => Promise<void>,
): Promise<void> {
  const world = new MemoryWorld();
  const run = async () => {
    try {
      await test(world);
    } finally {
      await world.close();
    }
  };
  await runOn(world.clock, run());
}

/** Run a test over QUIC. */
export async function overQuic(
  test: (world: LinkWorld) => Promise<void>,
): Promise<void> {
  const world = new QuicWorld();
  try {
    await test(world);
  } finally {
    await world.close();
  }
}

/** The code that a promise rejects with. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return "nothing was thrown";
}

/** Read to the end of a stream. */
export async function readAll(stream: ByteStream): Promise<number> {
  let total = 0;
  for (;;) {
    const chunk = await stream.read(new Uint8Array(4096)).catch(() =>
      undefined
    );
    if (chunk === undefined) return total;
    total += chunk.length;
  }
}
