/**
 * Relays and clients of circuits, in any world that links run in.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  createNodeRecord,
  type NodeRecord,
} from "../../lib/auth/node_record.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { CellBuffers } from "../../lib/node/cell_buffers.ts";
import {
  CircuitServer,
  type CircuitServerOptions,
} from "../../lib/node/circuit_server.ts";
import {
  type BuildOptions,
  OwnCircuit,
  type OwnCircuitHost,
} from "../../lib/node/own_circuit.ts";
import type { CellPort } from "../../lib/node/session_driver.ts";
import {
  type LinkWorld,
  NETWORK,
  type TestNode,
  type TestNodeOptions,
} from "./link_world.ts";
import { testContent } from "../support/nodes.ts";

/** Settles within microtasks, as a virtual clock needs it. */
export const CIRCUIT_CRYPTO = repeatableSuite();

/** A relay that serves circuits. */
export interface TestRelay {
  readonly node: TestNode;
  readonly server: CircuitServer;
  /** How clients know it. */
  readonly record: NodeRecord;
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

/** Start a relay. */
export async function startRelay(
  world: LinkWorld,
  options: TestRelayOptions = {},
): Promise<TestRelay> {
  const errors: unknown[] = [];
  const secret = world.random.bytes(32);
  const onionKey = CIRCUIT_CRYPTO.x25519Public(secret);
  const node: TestNode = await world.node({
    crypto: CIRCUIT_CRYPTO,
    ...options.node,
    handlers: {
      onCircuit: (link, stream) => server.accept(link.nodeId, stream),
      ...options.node?.handlers,
    },
  });
  const { identity, endpoint } = node;
  const server: CircuitServer = new CircuitServer({
    crypto: CIRCUIT_CRYPTO,
    clock: world.clock,
    random: world.random,
    network: options.node?.network ?? NETWORK,
    ownId: identity.nodeId,
    onionKeys: {
      find: (key) => key.toHex() === onionKey.toHex() ? secret : undefined,
    },
    links: node.table,
    onError: (error) => void errors.push(error),
    ...options,
  });
  const record = createNodeRecord(
    CIRCUIT_CRYPTO,
    identity,
    NETWORK,
    testContent({
      onionKey,
      addresses: [endpoint.localAddress],
      sequence: world.clock.unixMs(),
      expiry: world.clock.unixMs() + 3_600_000,
    }),
  );
  return { node, server, record, errors };
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

/** Build a circuit that can be built. */
export async function build(
  client: TestClient,
  relays: readonly TestRelay[],
  options?: BuildOptions,
): Promise<OwnCircuit> {
  const path = relays.map((relay) => relay.record);
  const result = await OwnCircuit.build(client.host, path, options);
  assert.ok(result.ok, `not built: ${JSON.stringify(result)}`);
  return result.circuit;
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

  /** Send a body of a whole cell that begins with `bytes`. */
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
