/**
 * Relays and clients of circuits, in any world that links run in.
 *
 * @module
 */
import type { CellPort } from "../../../lib/node/circuit/leg_carrier.ts";
import assert from "node:assert/strict";
import {
  createNodeRecord,
  type NodeRecord,
} from "../../../lib/auth/node_record.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import {
  CELL_BYTES,
  decodeFirstCell,
  encodeFirstCell,
} from "../../../lib/circuit/cell.ts";
import {
  ClientCircuit,
  type ClientEvent,
} from "../../../lib/circuit/client_circuit.ts";
import {
  REQUEST_BYTES,
  respondToHandshake,
} from "../../../lib/circuit/handshake.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import { CellBuffers } from "../../../lib/node/circuit/cell_buffers.ts";
import {
  CircuitServer,
  type CircuitServerOptions,
} from "../../../lib/node/relay/circuit_server.ts";
import {
  type BuildOptions,
  type BuildResult,
  OwnCircuit,
} from "../../../lib/node/circuit/own_circuit.ts";
import type { OwnCircuitHost } from "../../../lib/node/circuit/circuit_build.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";
import { joinCircuits } from "../../support/joined_circuits.ts";
import { testContent } from "../../support/nodes.ts";
import {
  type LinkWorld,
  NETWORK,
  type TestNode,
  type TestNodeOptions,
} from "../link/link_world.ts";

/** Settles within microtasks, as a virtual clock needs it. */
export const CIRCUIT_CRYPTO = repeatableSuite();

/** A node that circuits can be built over. */
export interface Hop {
  readonly node: TestNode;
  /** How clients know it. */
  readonly record: NodeRecord;
}

/** A relay that serves circuits. */
export interface TestRelay extends Hop {
  readonly server: CircuitServer;
  /** What it reported as its own failures. */
  readonly errors: unknown[];
}

/** A client that builds circuits. */
export interface TestClient {
  readonly node: TestNode;
  readonly host: OwnCircuitHost;
  readonly errors: unknown[];
}

/** What a relay takes beside what a node does. */
export interface TestRelayOptions extends Partial<CircuitServerOptions> {
  readonly node?: TestNodeOptions;
}

/** What a test has started, by its world. */
const started = new WeakMap<LinkWorld, CircuitServer[]>();

/** Runs a test in a world of its own. */
export type InWorld<World extends LinkWorld> = (
  test: (world: World) => Promise<void>,
) => Promise<void>;

/** The same, and the relays' circuits end with the test. */
export function withCircuits<World extends LinkWorld>(
  inWorld: InWorld<World>,
): InWorld<World> {
  return (test) =>
    inWorld(async (world) => {
      try {
        await test(world);
      } finally {
        for (const server of started.get(world) ?? []) {
          await server[Symbol.asyncDispose]();
        }
      }
    });
}

/** Start a relay. */
export async function startRelay(
  world: LinkWorld,
  options: TestRelayOptions = {},
): Promise<TestRelay> {
  const errors: unknown[] = [];
  const onion = newOnionKey(world);
  const { node: nodeOptions, ...serverOptions } = options;
  const node: TestNode = await world.node({
    crypto: CIRCUIT_CRYPTO,
    ...nodeOptions,
    handlers: {
      onCircuit: (link, stream) => server.accept(link, stream),
      ...nodeOptions?.handlers,
    },
  });
  const server: CircuitServer = new CircuitServer({
    crypto: CIRCUIT_CRYPTO,
    clock: world.clock,
    random: world.random,
    network: NETWORK,
    ownId: node.identity.nodeId,
    onionKeys: onion,
    links: node.table,
    verifier: new RecordVerifier(
      CIRCUIT_CRYPTO,
      serverOptions.network ?? NETWORK,
    ),
    onError: (error) => void errors.push(error),
    ...serverOptions,
  });
  started.set(world, [...started.get(world) ?? [], server]);
  return { node, server, record: recordOf(world, node, onion), errors };
}

/** Start `count` relays. */
export async function startRelays(
  world: LinkWorld,
  count: number,
  options: TestRelayOptions = {},
): Promise<TestRelay[]> {
  const relays: TestRelay[] = [];
  while (relays.length < count) relays.push(await startRelay(world, options));
  return relays;
}

/** What a relay that plays false has in its hands. */
export interface FalseStream {
  readonly stream: ByteStream;
  /** The first cell of the circuit, once it is there. */
  readonly first: Promise<Bytes | undefined>;
  /** What a good relay would answer to it. */
  answer(first: Bytes | undefined): Promise<Bytes>;
}

/** Start a relay that does with circuits what `behave` says. */
export async function startFalseRelay(
  world: LinkWorld,
  behave: (circuit: FalseStream) => Promise<void>,
): Promise<Hop> {
  const onion = newOnionKey(world);
  const node: TestNode = await world.node({
    crypto: CIRCUIT_CRYPTO,
    handlers: {
      onCircuit(_link, stream) {
        const first = readCell(stream);
        const answer = async (cell: Bytes | undefined) => {
          const { secret, publicKey } = onion;
          const response = await respondToHandshake(
            CIRCUIT_CRYPTO,
            {
              nodeId: node.identity.nodeId,
              onionKeys: [{ secret, publicKey }],
            },
            decodeFirstCell(cell ?? new Uint8Array(), REQUEST_BYTES) ??
              new Uint8Array(),
            world.random,
          );
          assert.ok(response.ok);
          return encodeFirstCell(response.reply);
        };
        behave({ stream, first, answer }).catch((error) =>
          node.errors.push(error)
        );
      },
    },
  });
  return { node, record: recordOf(world, node, onion) };
}

function newOnionKey(world: LinkWorld) {
  const secret = world.random.bytes(32);
  const publicKey = CIRCUIT_CRYPTO.x25519Public(secret);
  const find = (key: Uint8Array) =>
    key.toHex() === publicKey.toHex() ? secret : undefined;
  return { secret, publicKey, find };
}

/** The record that a node would sign. */
function recordOf(
  world: LinkWorld,
  { identity, endpoint }: TestNode,
  onion: { readonly publicKey: Bytes },
): NodeRecord {
  return createNodeRecord(
    CIRCUIT_CRYPTO,
    identity,
    NETWORK,
    testContent({
      onionKey: onion.publicKey,
      addresses: [endpoint.localAddress],
      sequence: world.clock.unixMs(),
      expiry: world.clock.unixMs() + 3_600_000,
    }),
  );
}

/** Start a client. */
export async function startClient(world: LinkWorld): Promise<TestClient> {
  const errors: unknown[] = [];
  const node = await world.node({ role: "client", crypto: CIRCUIT_CRYPTO });
  const host: OwnCircuitHost = {
    crypto: CIRCUIT_CRYPTO,
    clock: world.clock,
    random: world.random,
    links: node.table,
    buffers: new CellBuffers(),
    onError: (error) => void errors.push(error),
  };
  return { node, host, errors };
}

/** Try to build a circuit. */
export function tryBuild(
  client: TestClient,
  hops: readonly Hop[],
  options?: BuildOptions,
): Promise<BuildResult> {
  return OwnCircuit.build(
    client.host,
    hops.map(({ record }) => record),
    options,
  );
}

/** Build a circuit that can be built. */
export async function build(
  client: TestClient,
  hops: readonly Hop[],
  options?: BuildOptions,
): Promise<OwnCircuit> {
  const result = await tryBuild(client, hops, options);
  assert.ok(result.ok, `not built: ${JSON.stringify(result)}`);
  return result.circuit;
}

/** A circuit of another client to the last of these relays, joined to `circuit`. */
export async function joinAtLast(
  world: LinkWorld,
  circuit: OwnCircuit,
  relays: readonly Hop[],
): Promise<OwnCircuit> {
  const far = await build(await startClient(world), relays.slice(-1));
  await joinCircuits(circuit, far, world.random.bytes(20));
  return far;
}

/** A circuit by hand: reads when told to, and writes what it is told to. */
export class RawCircuit {
  readonly machine: ClientCircuit;
  readonly stream: ByteStream;
  readonly #world: LinkWorld;

  constructor(world: LinkWorld, stream: ByteStream) {
    this.#world = world;
    this.stream = stream;
    this.machine = new ClientCircuit(CIRCUIT_CRYPTO, world.random);
  }

  /** Build one over these hops. */
  static async build(
    world: LinkWorld,
    client: TestClient,
    hops: readonly Hop[],
  ): Promise<RawCircuit> {
    const [first, ...rest] = hops;
    assert.ok(first !== undefined);
    const circuit = await RawCircuit.open(world, client, first);
    await circuit.finishHop(
      await circuit.machine.create(first.record, world.clock.nowMs()),
    );
    for (const { record } of rest) {
      await circuit.finishHop(
        await circuit.machine.extend(record, world.clock.nowMs()),
      );
    }
    return circuit;
  }

  /** A stream for one, and nothing on it yet. */
  static async open(
    world: LinkWorld,
    client: TestClient,
    first: Hop,
  ): Promise<RawCircuit> {
    const link = await client.node.table.getOrDial(first.record);
    return new RawCircuit(world, await link.openCircuit());
  }

  async finishHop(request: Bytes | undefined): Promise<void> {
    assert.ok(request !== undefined);
    await this.stream.write(request);
    const event = await this.receive();
    assert.ok(event?.type === "reply", `no reply: ${event?.type}`);
    assert.ok((await this.machine.finishHop(event.reply)).ok);
  }

  /** What the next cell brings; `undefined` at the end. */
  async receive(): Promise<ClientEvent | undefined> {
    for (;;) {
      const cell = await readCell(this.stream);
      if (cell === undefined) return undefined;
      const event = this.machine.receive(cell, this.#world.clock.nowMs());
      if (event !== undefined) return event;
    }
  }
}

/** Read one cell; `undefined` when the stream ends before. */
export async function readCell(stream: ByteStream): Promise<Bytes | undefined> {
  let cell = new Uint8Array(CELL_BYTES);
  for (let filled = 0; filled < CELL_BYTES;) {
    const chunk = await stream.read(cell.subarray(filled)).catch(() =>
      undefined
    );
    if (chunk === undefined) return undefined;
    filled += chunk.length;
    cell = new Uint8Array(chunk.buffer);
  }
  return cell;
}

/** A port that sends what it is given and keeps what comes. */
export class TestPort implements CellPort {
  readonly received: Bytes[] = [];
  readonly #waiting: Bytes[] = [];
  #wake: () => void = () => {};
  #onCell: () => void = () => {};

  /** Carry cells over `circuit`. */
  static on(circuit: OwnCircuit): TestPort {
    const port = new TestPort();
    port.#wake = () => circuit.wake();
    circuit.attach(port);
    return port;
  }

  /** Send whole bodies that begin with these bytes. */
  send(...bodies: readonly Bytes[]): void {
    this.#waiting.push(...bodies);
    this.#wake();
  }

  /** Resolves once `count` cells have come. */
  async reach(count: number): Promise<readonly Bytes[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => this.#onCell = resolve);
    }
    return this.received;
  }

  fill(body: Uint8Array): boolean {
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    body.fill(0);
    body.set(next);
    return true;
  }

  onCell(body: Uint8Array): void {
    this.received.push(new Uint8Array(body));
    this.#onCell();
  }
}

/** Wait until a condition holds; it must within half a minute. */
export async function until(
  world: LinkWorld,
  what: string,
  condition: () => boolean,
): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 10) {
    assert.ok(waitedMs < 30_000, `never: ${what}`);
    await sleep(world.clock, 10);
  }
}

/** Wait until nothing is left of any circuit at these relays. */
export async function allGone(
  world: LinkWorld,
  relays: readonly TestRelay[],
): Promise<void> {
  for (const { server, errors } of relays) {
    await until(world, "all circuits gone", () => isEmpty(server));
    const { listening, waiting, waitingBytes } = server.stats;
    assert.deepEqual([listening, waiting, waitingBytes], [0, 0, 0]);
    assert.deepEqual(errors, []);
  }
}

function isEmpty(server: CircuitServer): boolean {
  return Object.values(server.stats.states).every((count) => count === 0);
}
