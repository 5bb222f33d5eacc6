/**
 * A whole relay in memory, with its links and circuits, and a neighbour that has
 * shaken hands and keeps to no rule: raw bytes on any streams, sealed payloads on
 * circuits whose keys it holds, and connections on which it never shakes hands.
 *
 * @module
 */
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { CELL_BYTES, COMMAND } from "../../../lib/circuit/cell.ts";
import { encodeControl } from "../../../lib/circuit/control_messages.ts";
import { encodeHandshake } from "../../../lib/link/handshake_message.ts";
import { encodeRequestStream, STREAM_TYPE } from "../../../lib/link/rpc.ts";
import {
  encodeEstablishRendezvous,
  encodeRendezvous1,
} from "../../../lib/service/meeting/rendezvous.ts";
import type {
  ByteStream,
  Connection,
} from "../../../lib/transport/transport.ts";
import { encodeFrame } from "../../../lib/wire/framing.ts";
import {
  startRelay,
  type TestRelay,
  withCircuits,
} from "../../node/circuit/circuit_world.ts";
import {
  inMemory,
  type MemoryWorld,
  type RawPeer,
} from "../../node/link/link_world.ts";
import {
  ADMISSION,
  answerer,
  dialler,
  runHandshake,
} from "../../link/handshake_world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { payloadsOf } from "./circuit_targets.ts";
import { HostileCircuit } from "../hostile/hostile_circuit.ts";
import { RELAY_BOUND } from "./message_targets.ts";

/** What the neighbour does. The first byte of a body says on which of its streams. */
const KIND = {
  write: 0,
  end: 1,
  cancel: 2,
  say: 3,
  listen: 4,
  door: 5,
  extend: 6,
  leave: 7,
};
const KINDS = Object.keys(KIND).length;

const STREAMS = 12;
const CIRCUITS = 3;
const DOORS = 4;
/** All that is left of a neighbour goes within this time, ms. */
const AFTERMATH_MS = 200_000;

const run = withCircuits<MemoryWorld>(inMemory);

/** One relay, one relay behind it, and the neighbour. */
class Run {
  readonly #world: MemoryWorld;
  readonly #relay: TestRelay;
  readonly #next: TestRelay;
  readonly #peer: RawPeer;
  readonly #streams = new Map<number, ByteStream>();
  readonly #circuits = new Map<number, HostileCircuit>();
  readonly #doors = new Map<
    number,
    { connection: Connection; stream: ByteStream }
  >();

  private constructor(
    world: MemoryWorld,
    relays: readonly [TestRelay, TestRelay],
    peer: RawPeer,
  ) {
    this.#world = world;
    [this.#relay, this.#next] = relays;
    this.#peer = peer;
  }

  static async start(world: MemoryWorld): Promise<Run> {
    const relays = [await startRelay(world), await startRelay(world)] as const;
    return new Run(world, relays, await world.rawDial(relays[0].node));
  }

  async play(input: FuzzInput): Promise<string> {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      await sleep(this.#world.clock, delayMs);
      await heedless(this.#do(kind, body[0] ?? 0, body.slice(1)));
      this.#checkMemory();
    }
    return await this.#end();
  }

  async #do(kind: number, number: number, bytes: Bytes): Promise<void> {
    switch (kind) {
      case KIND.write:
        return void heedless((await this.#stream(number)).write(bytes));
      case KIND.end:
        return void heedless((await this.#stream(number)).closeWrite());
      case KIND.cancel:
        (await this.#stream(number)).cancel();
        return void this.#streams.delete(number % STREAMS);
      case KIND.say:
        return await this.#say(number, bytes);
      case KIND.listen:
        return void readOn((await this.#circuit(number)).stream);
      case KIND.door: {
        const { stream } = await this.#door(number);
        return void heedless(stream.write(bytes));
      }
      case KIND.extend:
        return await this.#extend(number);
      default:
        this.#circuits.get(number % CIRCUITS)?.stream.cancel();
        this.#circuits.delete(number % CIRCUITS);
    }
  }

  async #stream(number: number): Promise<ByteStream> {
    const known = this.#streams.get(number % STREAMS);
    if (known !== undefined) return known;
    const stream = await this.#peer.connection.openStream();
    this.#streams.set(number % STREAMS, stream);
    if (number % 2 === 0) void readOn(stream);
    return stream;
  }

  async #circuit(number: number): Promise<HostileCircuit> {
    const known = this.#circuits.get(number % CIRCUITS);
    if (known !== undefined) return known;
    const circuit = await HostileCircuit.create(
      await this.#peer.connection.openStream(),
      this.#relay.record,
      this.#world.random,
    );
    this.#circuits.set(number % CIRCUITS, circuit);
    return circuit;
  }

  async #say(number: number, payload: Bytes): Promise<void> {
    heedless((await this.#circuit(number)).say(payload));
  }

  async #extend(number: number): Promise<void> {
    const circuit = await this.#circuit(number);
    if (circuit.hops < 2) await circuit.extend(this.#next.record);
  }

  /** A connection on which nothing has been said. */
  async #door(number: number) {
    const known = this.#doors.get(number % DOORS);
    if (known !== undefined) return known;
    const endpoint = await this.#world.endpoint(this.#world.identity());
    const connection = await endpoint.dial(
      this.#relay.node.endpoint.localAddress,
      this.#relay.node.identity.publicKey,
    );
    const door = { connection, stream: await connection.openStream() };
    this.#doors.set(number % DOORS, door);
    return door;
  }

  #checkMemory(): void {
    const { waitingBytes, quotaBytes } = this.#relay.server.stats;
    promise(waitingBytes <= quotaBytes, `${waitingBytes} bytes of cells wait`);
  }

  /** The neighbour goes: nothing of it may stay. */
  async #end(): Promise<string> {
    this.#peer.connection.close(0);
    for (const { connection } of this.#doors.values()) connection.close(0);
    await sleep(this.#world.clock, AFTERMATH_MS);
    const words = new Set<string>();
    for (const { server, node, errors } of [this.#relay, this.#next]) {
      const { states, listening, waiting, waitingBytes, ends } = server.stats;
      for (const [state, count] of Object.entries(states)) {
        promise(count === 0, `${count} circuits are still ${state}`);
      }
      promise(
        listening + waiting + waitingBytes === 0,
        `${listening} listen, ${waiting} wait, ${waitingBytes} bytes wait`,
      );
      for (const error of [...errors, ...node.errors]) throw error;
      for (const end of Object.keys(ends)) words.add(end);
      for (const code of node.refusals.items) words.add(code);
    }
    const { table, ends } = this.#relay.node;
    const { nodeId } = this.#next.node.identity;
    const others = table.links.filter((link) =>
      link.nodeId.toHex() !== nodeId.toHex()
    );
    promise(others.length === 0, `${others.length} links are left`);
    for (const { reason } of ends.items) words.add(reason);
    return [...words].sort().join(" ");
  }
}

/** What a stranger waits for, and does not care about. */
async function heedless(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch {
    // The relay has hung up, as it may.
  }
}

async function readOn(stream: ByteStream): Promise<void> {
  try {
    while (await stream.read(new Uint8Array(8192)) !== undefined);
  } catch {
    // The relay has hung up.
  }
}

/** A step on one of the neighbour's streams or circuits. */
function on(
  kind: number,
  number: number,
  bytes: Uint8Array,
  delayMs = 30,
): Bytes {
  return encodeStep(kind, concat(Uint8Array.of(number), bytes), delayMs);
}

/** Payloads that say a control message, on circuit `number`. */
function said(number: number, message: Uint8Array): Bytes[] {
  return payloadsOf(message).map((payload) => on(KIND.say, number, payload));
}

function honestRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const request = encodeRequestStream("test.echo", new Uint8Array(200));
  const ping = encodeRequestStream("link.ping", none);
  const circuit = concat(
    Uint8Array.of(STREAM_TYPE.circuit),
    new Uint8Array(CELL_BYTES),
  );
  const [, get = none, put = none, ...services] = RELAY_BOUND;
  const cookie = new Uint8Array(20).fill(7);
  const wait = encodeControl({
    type: "establish_rendezvous",
    body: encodeEstablishRendezvous(cookie),
  });
  const meet = encodeControl({
    type: "rendezvous1",
    body: encodeRendezvous1(cookie, new Uint8Array(100)),
  });
  const data = Uint8Array.of(COMMAND.data, 0, 4, 1, 2, 3, 4);
  const hello = encodeFrame(encodeHandshake({ type: "refused", code: "busy" }));
  const welcome = encodeFrame(
    encodeHandshake({ type: "welcome", ...ADMISSION }),
  );
  const recorded = recordHello();
  return [
    [on(KIND.write, 0, request), on(KIND.end, 0, none)],
    [0, 1, 2, 3].flatMap((
      n,
    ) => [on(KIND.write, n, ping), on(KIND.end, n, none)]),
    [on(KIND.write, 1, circuit), on(KIND.write, 1, none, 11_000)],
    [on(KIND.write, 2, request.slice(0, 30)), on(KIND.cancel, 2, none)],
    [...said(0, get), ...said(0, put), on(KIND.listen, 0, none)],
    services.flatMap((message, n) => said(n % CIRCUITS, message)),
    [
      ...said(0, wait),
      ...said(1, meet),
      ...[0, 1].map((n) => on(KIND.say, n, data)),
    ],
    [on(KIND.extend, 0, none), on(KIND.say, 0, data), on(KIND.leave, 0, none)],
    [on(KIND.extend, 0, none), ...said(0, wait), ...said(0, get)],
    [
      on(KIND.door, 0, recorded),
      on(KIND.door, 1, hello),
      on(KIND.door, 2, welcome),
    ],
    [...said(0, new Uint8Array(20_000)), on(KIND.listen, 0, none, 11_000)],
  ];
}

/** What an honest dialler says first. */
function recordHello(): Bytes {
  const [hello = new Uint8Array(0)] =
    runHandshake(dialler(), answerer()).messages;
  return encodeFrame(hello);
}

/** A relay's world as a target. */
export const RELAY_WORLD: FuzzTarget = {
  name: "node/relay",
  about:
    "a whole relay: a neighbour's streams and circuits, and strangers at the door",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 1500, perKibMs: 15 },
  seeds: honestRuns,
  async run(input) {
    let word = "";
    await run(async (world) => {
      word = await (await Run.start(world)).play(input);
    });
    return word;
  },
};
