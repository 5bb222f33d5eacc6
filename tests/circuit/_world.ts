/**
 * Whole circuits in memory: the two machines, relays with keys, and links that
 * carry at once and write down what they carried.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { Identity } from "../../lib/auth/identity.ts";
import {
  CELL_BYTES,
  decodeFirstCell,
  encodeFirstCell,
} from "../../lib/circuit/cell.ts";
import {
  ClientCircuit,
  type ClientCircuitOptions,
  type ClientEvent,
  type HopResult,
  type HopTarget,
} from "../../lib/circuit/client_circuit.ts";
import {
  type HandshakeKeys,
  REQUEST_BYTES,
  respondToHandshake,
} from "../../lib/circuit/handshake.ts";
import {
  type RelayAction,
  RelayCircuit,
} from "../../lib/circuit/relay_circuit.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { testBytes } from "../support/nodes.ts";

export const crypto = nativeSuite();

/** A relay that exists, with what it publishes and what it keeps. */
export interface TestRelay extends HopTarget {
  readonly keys: HandshakeKeys;
}

/** A relay made of a number. */
export function testRelay(number: number): TestRelay {
  const random = seededRandom(9000 + number);
  const { nodeId } = Identity.generate(crypto, random);
  const secret = random.bytes(32);
  const onionKey = crypto.x25519Public(secret);
  return {
    nodeId,
    onionKey,
    encoded: testBytes(`record ${number}`, 900),
    keys: { nodeId, onionKeys: [{ secret, publicKey: onionKey }] },
  };
}

/** An event of one kind, or the test fails. */
export function expectEvent<Type extends ClientEvent["type"]>(
  event: ClientEvent | undefined,
  type: Type,
): Extract<ClientEvent, { type: Type }> {
  assert.equal(event?.type, type);
  return event as Extract<ClientEvent, { type: Type }>;
}

/** The cells of a chunk, each of its own. */
export function split(cells: Uint8Array): Bytes[] {
  assert.equal(cells.length % CELL_BYTES, 0);
  return Array.from(
    { length: cells.length / CELL_BYTES },
    (_, i) => cells.slice(i * CELL_BYTES, (i + 1) * CELL_BYTES),
  );
}

/** One circuit: its client, the relays that it runs through, and their links. */
export class TestCircuit {
  readonly client: ClientCircuit;
  /** Who exists; hops are found here by node id. */
  readonly relays: readonly TestRelay[];
  /** The machines of the hops, as far as the circuit reaches. */
  readonly hops: RelayCircuit[] = [];
  /** What each hop asked for that is not carried out here. */
  readonly actions: RelayAction[][] = [];
  /** What came out at the client. */
  readonly events: ClientEvent[] = [];
  /** Lengths of all writes on all links. */
  readonly writes = new Set<number>();
  nowMs = 1000;
  readonly #random: Random;

  constructor(
    relays: readonly TestRelay[],
    options: {
      seed?: number;
      client?: ClientCircuitOptions;
      /** Relays that exist besides. */
      more?: number;
    } = {},
  ) {
    const more = Array.from(
      { length: options.more ?? 0 },
      (_, i) => testRelay(relays.length + i),
    );
    this.relays = [...relays, ...more];
    this.#random = seededRandom(options.seed ?? 1);
    this.client = new ClientCircuit(crypto, this.#random, options.client);
  }

  /** The circuit through `relays`, built. */
  static async build(
    relays: readonly TestRelay[],
    options: ConstructorParameters<typeof TestCircuit>[1] = {},
  ): Promise<TestCircuit> {
    const circuit = new TestCircuit(relays, options);
    for (const relay of relays) {
      const result = await circuit.addHop(relay);
      assert.deepEqual(result, { ok: true });
    }
    circuit.events.length = 0;
    return circuit;
  }

  /** The machine of the last hop. */
  get last(): RelayCircuit {
    const last = this.hops.at(-1);
    assert(last);
    return last;
  }

  /** Create, or extend to, a relay. */
  async addHop(relay: TestRelay): Promise<HopResult> {
    await this.request(relay);
    const { reply } = expectEvent(this.events.at(-1), "reply");
    return await this.client.finishHop(reply);
  }

  /** Ask for a hop, and no more. */
  async request(relay: TestRelay): Promise<void> {
    if (this.client.state === "new") {
      const cell = await this.client.create(relay, this.nowMs);
      assert(cell);
      const reply = await this.create(cell);
      assert(reply);
      this.toClient(reply);
      return;
    }
    const cells = await this.client.extend(relay, this.nowMs);
    assert(cells);
    await this.toRelays(cells);
  }

  /** A relay's answer to the first cell of a stream, and its new machine. */
  async create(cell: Uint8Array): Promise<Bytes | undefined> {
    this.writes.add(cell.length);
    const request = decodeFirstCell(cell, REQUEST_BYTES);
    assert(request);
    const relay = this.relays.find(({ nodeId }) =>
      nodeId.toHex() === request.subarray(0, 32).toHex()
    );
    assert(relay);
    const answer = await respondToHandshake(
      crypto,
      relay.keys,
      request,
      this.#random,
    );
    if (!answer.ok) return undefined;
    this.hops.push(
      new RelayCircuit(crypto, answer.keys, {
        ownId: relay.nodeId,
      }),
    );
    this.actions.push([]);
    return encodeFirstCell(answer.reply);
  }

  /** Cells from the client, or from hop `hop` − 1, onwards. */
  async toRelays(cells: Uint8Array, hop = 0): Promise<void> {
    this.writes.add(cells.length);
    const machine = this.hops[hop];
    assert(machine);
    if (machine.state === "extended") {
      assert(machine.forward(cells));
      return await this.toRelays(cells, hop + 1);
    }
    for (const cell of split(cells)) {
      await this.#perform(machine.receive(cell, this.nowMs), hop);
    }
  }

  /** Cells from hop `hop` to the one before it, and so on to the client. */
  toClient(cells: Uint8Array, hop = 0): void {
    for (let i = hop - 1; i >= 0; i--) {
      this.writes.add(cells.length);
      assert(this.hops[i]?.backward(cells));
    }
    this.writes.add(cells.length);
    for (const cell of split(cells)) {
      const event = this.client.receive(cell, this.nowMs);
      if (event !== undefined) this.events.push(event);
    }
  }

  /** What the last hop says, carried to the client. */
  answer(cells: Bytes | undefined): ClientEvent | undefined {
    assert(cells);
    this.toClient(cells, this.hops.length - 1);
    return this.events.at(-1);
  }

  /** What the client says, carried to the last hop. */
  async say(cells: Bytes | undefined): Promise<RelayAction | undefined> {
    assert(cells);
    await this.toRelays(cells);
    return this.actions.at(-1)?.at(-1);
  }

  async #perform(actions: readonly RelayAction[], hop: number): Promise<void> {
    for (const action of actions) {
      if (action.type === "send") this.toClient(action.cells, hop);
      else if (action.type === "extend" && this.#exists(action.nodeId)) {
        const own = this.relays[hop]?.nodeId;
        assert(own);
        const reply = await this.create(action.cell);
        const machine = this.hops[hop];
        assert(machine);
        await this.#perform(
          reply === undefined
            ? machine.onExtendFailed(action.attempt, "closed")
            : machine.onExtended(action.attempt, reply),
          hop,
        );
      } else this.actions[hop]?.push(action);
    }
  }

  #exists(nodeId: Bytes): boolean {
    return this.relays.some((relay) => relay.nodeId.toHex() === nodeId.toHex());
  }
}

/** `count` relays. */
export function testRelays(count: number): TestRelay[] {
  return Array.from({ length: count }, (_, i) => testRelay(i));
}

/** Two circuits of two clients that end at one relay, and their session's data. */
export async function joined(): Promise<
  { readonly client: TestCircuit; readonly service: TestCircuit }
> {
  const point = testRelay(9);
  const client = await TestCircuit.build([testRelay(0), testRelay(1), point]);
  const service = await TestCircuit.build(
    [testRelay(3), testRelay(4), testRelay(5), point],
    { seed: 2 },
  );
  assert(RelayCircuit.join(client.last, service.last));
  return { client, service };
}

/** Carry data from one joined circuit's client to the other's. */
export function across(
  from: TestCircuit,
  to: TestCircuit,
  cell: Uint8Array,
): ClientEvent | undefined {
  for (const hop of from.hops) assert(hop.forward(cell));
  to.toClient(cell, to.hops.length - 1);
  return to.events.at(-1);
}
