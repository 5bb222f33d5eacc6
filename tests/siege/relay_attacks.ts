/**
 * What one host does to a relay that it wants to be of no use to others: each attack
 * goes on until it is told that it is over, whatever the relay does about it.
 *
 * @module
 */
import {
  createNodeRecord,
  type NodeRecord,
} from "../../lib/auth/node_record.ts";
import { Identity } from "../../lib/auth/identity.ts";
import { sleep } from "../../lib/base/clock.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import { createStoredRecord } from "../../lib/dht/records/stored_record.ts";
import { dialHandshake } from "../../lib/node/link/link_handshake.ts";
import type { Connection } from "../../lib/transport/transport.ts";
import { CIRCUIT_CRYPTO, RawCircuit } from "../node/circuit/circuit_world.ts";
import { type LinkWorld, NETWORK } from "../node/link/link_world.ts";
import { testContent } from "../support/nodes.ts";
import type { SiegeWorld } from "./siege_world.ts";

/** First byte of a stream (protocol §3.5 "Streams and requests"). */
const REQUEST = Uint8Array.of(0x01);
const CIRCUIT = Uint8Array.of(0x02);
/** Streams of one link that circuits may have. */
const CIRCUITS_OF_LINK = 112;

/** How a host attacks. */
export interface RaiderOptions {
  readonly host: string;
  /** Links and connections of one attack. */
  readonly links: number;
  /** The end of it. */
  readonly signal: AbortSignal;
}

/** One host of the attacker. */
export class Raider {
  readonly world: LinkWorld & SiegeWorld;
  readonly relay: NodeRecord;
  /** Links and connections of one attack. */
  readonly links: number;
  readonly #host: string;
  readonly #signal: AbortSignal;

  constructor(
    world: LinkWorld & SiegeWorld,
    relay: NodeRecord,
    { host, links, signal }: RaiderOptions,
  ) {
    this.world = world;
    this.relay = relay;
    this.links = links;
    this.#host = host;
    this.#signal = signal;
  }

  /** Connect, and say nothing. */
  async dial(): Promise<Connection> {
    const endpoint = await this.world.endpointAt(this.#host);
    const { addresses: [address], publicKey } = this.relay;
    if (address === undefined) throw new TypeError("A relay has an address");
    try {
      const connection = await endpoint.dial(address, publicKey);
      connection.closed.then(() => endpoint.close());
      return connection;
    } catch (error) {
      await endpoint.close();
      throw error;
    }
  }

  /** Connect under a new identity, and shake hands. */
  async connect(): Promise<Connection> {
    const connection = await this.dial();
    const { world, relay } = this;
    await dialHandshake(connection, {
      clock: world.clock,
      verifier: world.verifier(),
      crypto: CIRCUIT_CRYPTO,
      random: world.random,
      network: NETWORK,
      identity: world.identity(),
      peerKey: relay.publicKey,
    });
    return connection;
  }

  /** Create a circuit at the relay. */
  async create(connection: Connection): Promise<RawCircuit> {
    const stream = await connection.openStream();
    const circuit = new RawCircuit(this.world, stream);
    try {
      await stream.write(CIRCUIT);
      const { machine } = circuit;
      const request = machine.create(this.relay, this.world.clock.nowMs());
      await circuit.finishHop(await request);
      return circuit;
    } catch (error) {
      stream.closeWrite();
      stream.cancel();
      throw error;
    }
  }

  /** Go on doing something, whatever becomes of it. */
  async again(everyMs: number, act: () => Promise<void>): Promise<void> {
    while (!this.#signal.aborted) {
      await act().catch(() => {});
      await sleep(this.world.clock, everyMs);
    }
  }

  /** The same, on a link of its own that is brought up anew whenever it ends. */
  onLink(
    everyMs: number,
    act: (link: Connection) => Promise<void>,
  ): Promise<void> {
    let link: Connection | undefined;
    return this.again(everyMs, async () => {
      if (link === undefined) {
        const connection = link = await this.connect();
        connection.closed.then(() => {
          if (link === connection) link = undefined;
        });
      }
      await act(link);
    });
  }
}

/** An attack. Ends with its raider's signal. */
export type RelayAttack = (raider: Raider) => Promise<unknown>;

const times = (count: number, act: () => Promise<void>) =>
  Promise.all(Array.from({ length: count }, act));

/** All requests that each link may have, and no word on them. */
const silentRequests: RelayAttack = (raider) =>
  times(raider.links, () =>
    raider.onLink(10_000, async (link) => {
      await times(64, async () => {
        const stream = await link.openStream();
        await stream.write(REQUEST);
      });
    }));

/** Circuits that are built and left, over all links of the host. */
const idleCircuits: RelayAttack = (raider) =>
  times(raider.links, async () => {
    let open = 0;
    await raider.onLink(50, async (link) => {
      if (open >= CIRCUITS_OF_LINK) return;
      const circuit = await raider.create(link);
      open++;
      circuit.receive().finally(() => {
        open--;
        circuit.stream.closeWrite();
        circuit.stream.cancel();
      });
    });
  });

/** Control messages of 16 KB whose last cell never comes. */
const halfMessages: RelayAttack = (raider) =>
  raider.onLink(100, async (link) => {
    const circuit = await raider.create(link);
    const record = new Uint8Array(16_000);
    const message = circuit.machine.send({ type: "dht_put", id: 1, record });
    await circuit.stream.write(message.subarray(0, -CELL_BYTES));
    circuit.receive().finally(() => {
      circuit.stream.closeWrite();
      circuit.stream.cancel();
    });
  });

/** Circuits that go on to relays that are nowhere, each at four addresses. */
const deadExtends: RelayAttack = (raider) => {
  let number = 0;
  const dead = () => {
    const unixMs = raider.world.clock.unixMs();
    const identity = Identity.generate(CIRCUIT_CRYPTO, raider.world.random);
    const port = 1 + number++ % 60_000;
    return createNodeRecord(
      CIRCUIT_CRYPTO,
      identity,
      NETWORK,
      testContent({
        addresses: [1, 2, 3, 4].map((n) => ({ host: `127.1.0.${n}`, port })),
        sequence: unixMs,
        expiry: unixMs + 3_600_000,
      }),
    );
  };
  return times(raider.links, () =>
    raider.onLink(100, async (link) => {
      const circuit = await raider.create(link);
      const { machine, stream } = circuit;
      const request = await machine.extend(dead(), raider.world.clock.nowMs());
      if (request !== undefined) await stream.write(request);
      circuit.receive().finally(() => {
        stream.closeWrite();
        stream.cancel();
      });
    }));
};

/** Connections that prove nothing, and have bytes unread on all of their streams. */
const neverHello: RelayAttack = (raider) =>
  times(raider.links, () =>
    raider.again(100, async () => {
      const connection = await raider.dial();
      const bytes = new Uint8Array(10_000);
      const fill = times(127, async () => {
        const stream = await connection.openStream();
        await stream.write(bytes);
      });
      await fill.catch(() => {});
      await connection.closed;
    }));

/** Records to be stored, as fast as the relay takes them. */
const putFlood: RelayAttack = (raider) => {
  const { world } = raider;
  const publisher = CIRCUIT_CRYPTO.signer(world.random.bytes(32));
  return raider.onLink(20, async (link) => {
    const circuit = await raider.create(link);
    const { machine, stream } = circuit;
    for (let id = 0; id < 4; id++) {
      const { encoded } = createStoredRecord(NETWORK, publisher, {
        key: world.random.bytes(32),
        sequence: 1,
        expiry: world.clock.unixMs() + 3_600_000,
        value: world.random.bytes(15_000),
      });
      await stream.write(
        machine.send({ type: "dht_put", id, record: encoded }),
      );
    }
    for (let id = 0; id < 4; id++) await circuit.receive();
    stream.closeWrite();
    stream.cancel();
  });
};

/** Circuits that are created and given up at once, over all links of the host. */
const creations: RelayAttack = (raider) =>
  times(raider.links, () =>
    raider.onLink(50, async (link) => {
      const { stream } = await raider.create(link);
      stream.closeWrite();
      stream.cancel();
    }));

/** By what an operator would call them. */
export const RELAY_ATTACKS = {
  "silent requests": silentRequests,
  "idle circuits": idleCircuits,
  "half control messages": halfMessages,
  "dead extends": deadExtends,
  "connections that never say hello": neverHello,
  "a put flood": putFlood,
  "creations without end": creations,
} satisfies Readonly<Record<string, RelayAttack>>;
