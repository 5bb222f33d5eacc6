/**
 * A client in memory that builds circuits over a hostile relay, asks it things there,
 * and sends it requests: the relay answers what it likes, on circuits and on streams.
 *
 * @module
 */
import type { Identity } from "../../../lib/auth/identity.ts";
import {
  createNodeRecord,
  type NodeRecord,
} from "../../../lib/auth/node_record.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { AnonNetError, BugError } from "../../../lib/base/errors.ts";
import {
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  encodeFirstCell,
  PAYLOAD_OFFSET,
} from "../../../lib/circuit/cell.ts";
import {
  REQUEST_BYTES,
  respondToHandshake,
} from "../../../lib/circuit/handshake.ts";
import { RelayLayer } from "../../../lib/circuit/relay_layer.ts";
import { encodeAnswer, STREAM_TYPE } from "../../../lib/link/rpc.ts";
import { OwnCircuit } from "../../../lib/node/circuit/own_circuit.ts";
import type { ByteStream, Endpoint } from "../../../lib/transport/transport.ts";
import {
  CIRCUIT_CRYPTO,
  readCell,
  startClient,
  type TestClient,
  TestPort,
  withCircuits,
} from "../../node/circuit/circuit_world.ts";
import {
  inMemory,
  type MemoryWorld,
  NETWORK,
} from "../../node/link/link_world.ts";
import { testContent, testRecord } from "../../support/nodes.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { payloadsOf } from "./circuit_targets.ts";
import { CLIENT_BOUND } from "./message_targets.ts";

/** What the relay does, and what the client's own callers ask for. */
const KIND = {
  say: 0,
  raw: 1,
  cut: 2,
  build: 3,
  ask: 4,
  extend: 5,
  request: 6,
  create: 7,
};
const KINDS = Object.keys(KIND).length;

/** Circuits and requests of the client at once. */
const MOST = 5;
/** What the client waits for ends within this time, ms. */
const PATIENCE_MS = 60_000;
const SECRET = new Uint8Array(32).fill(6);
/** A relay behind the hostile one, which only it could reach. */
const NEXT = testRecord(CIRCUIT_CRYPTO, 77);

/** The relay's end of a circuit, with the keys; or of a request, without. */
interface FalseEnd {
  readonly stream: ByteStream;
  readonly layer?: RelayLayer;
}

/** One client and its relay. */
class Run {
  readonly #world: MemoryWorld;
  readonly #client: TestClient;
  readonly #identity: Identity;
  readonly #endpoint: Endpoint;
  readonly #record: NodeRecord;
  readonly #ends: FalseEnd[] = [];
  readonly #circuits: OwnCircuit[] = [];
  readonly #asked: Promise<void>[] = [];
  readonly #words = new Set<string>();
  /** First cells to answer with in place of honest ones. */
  readonly #creates: Bytes[] = [];

  private constructor(
    world: MemoryWorld,
    client: TestClient,
    identity: Identity,
    endpoint: Endpoint,
  ) {
    this.#world = world;
    this.#client = client;
    this.#identity = identity;
    this.#endpoint = endpoint;
    this.#record = createNodeRecord(
      CIRCUIT_CRYPTO,
      identity,
      NETWORK,
      testContent({
        onionKey: CIRCUIT_CRYPTO.x25519Public(SECRET),
        addresses: [endpoint.localAddress],
        sequence: world.clock.unixMs(),
        expiry: world.clock.unixMs() + 3_600_000,
      }),
    );
  }

  static async start(world: MemoryWorld): Promise<Run> {
    const client = await startClient(world);
    const identity = world.identity();
    const endpoint = await world.endpoint(identity);
    const run = new Run(world, client, identity, endpoint);
    void run.#answerLinks();
    return run;
  }

  async play(input: FuzzInput): Promise<string> {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      this.#do(kind, body);
      await sleep(this.#world.clock, 60 + delayMs);
    }
    return await this.#end();
  }

  #do(kind: number, body: Bytes): void {
    const end = this.#ends[(body[0] ?? 0) % Math.max(1, this.#ends.length)];
    const circuit = this.#circuits.at(-1);
    switch (kind) {
      case KIND.say:
        if (end?.layer !== undefined) heedless(say(end, body.subarray(1)));
        return;
      case KIND.raw:
        return heedless(end?.stream.write(body.subarray(1)));
      case KIND.cut:
        return heedless(end?.stream.closeWrite());
      case KIND.build:
        return this.#ask(() => this.#build());
      case KIND.ask:
        if (circuit === undefined) return;
        return this.#ask(() => askFor(circuit, body[0] ?? 0));
      case KIND.extend:
        return this.#ask(() => circuit?.extend(NEXT));
      case KIND.request:
        return this.#ask(async () => {
          const link = await this.#client.node.table.getOrDial(this.#record);
          await link.request("test.echo", body);
        });
      default:
        this.#creates.push(body);
    }
  }

  async #build(): Promise<void> {
    const result = await OwnCircuit.build(this.#client.host, [this.#record]);
    if (result.ok) this.#circuits.push(result.circuit);
    else this.#words.add(result.failure.code);
  }

  /** Whatever comes of it: an error of ours, or an end. */
  #ask(work: () => Promise<unknown> | undefined): void {
    if (this.#asked.length >= 40) return;
    this.#asked.push(this.#heed(work));
  }

  async #heed(work: () => Promise<unknown> | undefined): Promise<void> {
    try {
      await work();
      this.#words.add("answered");
    } catch (error) {
      const isOurs = error instanceof AnonNetError &&
        !(error instanceof BugError);
      // Callers of a circuit are told of their own misuse, too.
      if (!isOurs && !(error instanceof RangeError)) throw error;
      this.#words.add(isOurs ? error.code : "misuse");
    }
  }

  /** Shake hands with those who dial, and answer their streams. */
  async #answerLinks(): Promise<void> {
    for (;;) {
      try {
        const { connection } = await this.#world.rawAnswer(
          this.#endpoint,
          this.#identity,
        );
        void this.#answerStreams(() => connection.acceptStream());
      } catch {
        return;
      }
    }
  }

  async #answerStreams(
    next: () => Promise<ByteStream | undefined>,
  ): Promise<void> {
    for (;;) {
      const stream = await next().catch(() => undefined);
      if (stream === undefined) return;
      void this.#answer(stream).catch(() => {});
    }
  }

  async #answer(stream: ByteStream): Promise<void> {
    const type = await stream.read(new Uint8Array(1));
    if (type?.[0] !== STREAM_TYPE.circuit) {
      if (this.#ends.length < MOST) this.#ends.push({ stream });
      return await readOn(stream);
    }
    const first = await readCell(stream) ?? new Uint8Array(0);
    const response = await respondToHandshake(
      CIRCUIT_CRYPTO,
      {
        nodeId: this.#identity.nodeId,
        onionKeys: [{ secret: SECRET, publicKey: this.#record.onionKey }],
      },
      decodeFirstCell(first, REQUEST_BYTES) ?? first,
      this.#world.random,
    );
    if (!response.ok) return;
    const layer = new RelayLayer(CIRCUIT_CRYPTO, response.keys);
    if (this.#ends.length < MOST) this.#ends.push({ stream, layer });
    const instead = this.#creates.shift();
    await stream.write(instead ?? encodeFirstCell(response.reply));
    await readOn(stream);
  }

  /** The relay is gone: nothing of it may stay. */
  async #end(): Promise<string> {
    await this.#endpoint[Symbol.asyncDispose]();
    await sleep(this.#world.clock, PATIENCE_MS);
    await Promise.all(this.#asked);
    for (const circuit of this.#circuits) {
      promise(!circuit.isOpen, "a circuit is still open");
      this.#words.add((await circuit.closed).code);
    }
    const { node, errors } = this.#client;
    for (const error of [...errors, ...node.errors]) throw error;
    promise(node.table.links.length === 0, "a link is left");
    return [...this.#words].sort().join(" ");
  }
}

/** One thing that a client may ask of a last hop. */
async function askFor(circuit: OwnCircuit, which: number): Promise<void> {
  const key = new Uint8Array(32);
  switch (which % 6) {
    case 0:
      return void await circuit.ping();
    case 1:
      return void await circuit.dhtGet(key);
    case 2:
      return void await circuit.dhtPut(new Uint8Array(300));
    case 3:
      return void await circuit.ask("introduce1", new Uint8Array(100));
    case 4:
      await circuit.ask("establish_rendezvous", new Uint8Array(30));
      return void await circuit.met();
    default:
      TestPort.on(circuit).send(new Uint8Array(10));
  }
}

/** Seal a payload, or what stands in place of one. */
async function say(
  { stream, layer }: FalseEnd,
  payload: Uint8Array,
): Promise<void> {
  const cell = new Uint8Array(CELL_BYTES);
  cell.set(payload.subarray(0, CELL_BYTES - PAYLOAD_OFFSET), PAYLOAD_OFFSET);
  layer?.sealBackward(cell);
  await stream.write(cell);
}

function heedless(work: Promise<unknown> | undefined): void {
  work?.catch(() => {});
}

async function readOn(stream: ByteStream): Promise<void> {
  while (await stream.read(new Uint8Array(8192)) !== undefined);
}

/** A step at the relay's end number 0 or 1. */
function at(kind: number, end: number, bytes: Uint8Array, delayMs = 30): Bytes {
  return encodeStep(kind, concat(Uint8Array.of(end), bytes), delayMs);
}

function honestRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const build = encodeStep(KIND.build, none, 100);
  const ask = (which: number) => encodeStep(KIND.ask, Uint8Array.of(which));
  const said = (message: Uint8Array) =>
    payloadsOf(message).map((payload) => at(KIND.say, 0, payload));
  const [extended = none, failed = none, ...others] = CLIENT_BOUND;
  const [found = none, missing = none, stored = none] = others;
  const extend = encodeStep(KIND.extend, none);
  const data = at(KIND.say, 0, Uint8Array.of(COMMAND.data, 0, 3, 1, 2, 3));
  const request = encodeStep(KIND.request, new Uint8Array(50), 100);
  const ok = encodeAnswer({ type: "ok", body: new Uint8Array(60) });
  return [
    [build, ask(0), ask(1), ask(2), ...said(found), ...said(missing)],
    [build, extend, ...said(failed), extend, ...said(extended)],
    [build, ask(3), ask(2), ...others.flatMap(said)],
    [build, ask(4), ask(5), data, data, ...said(stored)],
    [request, at(KIND.raw, 0, ok), at(KIND.cut, 0, none)],
    [request, request, at(KIND.cut, 0, none), at(KIND.raw, 1, ok)],
    [encodeStep(KIND.create, new Uint8Array(CELL_BYTES)), build, build],
    [build, at(KIND.raw, 0, new Uint8Array(CELL_BYTES)), at(KIND.cut, 0, none)],
  ];
}

const run = withCircuits<MemoryWorld>(inMemory);

/** A client's world as a target. */
export const CLIENT_WORLD: FuzzTarget = {
  name: "node/client",
  about:
    "a client's links and circuits: answers of a relay that holds their keys",
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
