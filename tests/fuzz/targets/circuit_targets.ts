/**
 * One circuit at a relay and at a client, with the other end in the hands of one who
 * holds its keys: payloads are mutated before they are sealed.
 *
 * @module
 */
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  COMMAND,
  encodeFirstCell,
  PAYLOAD_OFFSET,
  SIZE_BYTES,
} from "../../../lib/circuit/cell.ts";
import {
  ClientCircuit,
  type ClientEvent,
} from "../../../lib/circuit/client_circuit.ts";
import type { ClientBound } from "../../../lib/circuit/control_messages.ts";
import {
  type HopKeys,
  REPLY_BYTES,
  REQUEST_BYTES,
  respondToHandshake,
} from "../../../lib/circuit/handshake.ts";
import { OnionClient } from "../../../lib/circuit/onion_client.ts";
import {
  type RelayAction,
  RelayCircuit,
} from "../../../lib/circuit/relay_circuit.ts";
import { RelayLayer } from "../../../lib/circuit/relay_layer.ts";
import { randomKeys } from "../../circuit/_chain.ts";
import { crypto, testRelay } from "../../circuit/_world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { CLIENT_BOUND, RELAY_BOUND } from "./message_targets.ts";

const CPU = { baseMs: 40, perKibMs: 5 };
/** A message that has only begun holds this much at most. */
const MAX_HELD_BYTES = 2 * 24 * 1024 + 8192;

const OWN = testRelay(0);
const NEXT = testRelay(2);
const KEYS: HopKeys = randomKeys(seededRandom(1));

/** Payloads of a control message: command, length, body. */
export function payloadsOf(message: Uint8Array): Bytes[] {
  const length = message.length;
  const frame = concat(
    Uint8Array.of(0, 0, length >> 8, length & 0xff),
    message,
  );
  const all: Bytes[] = [];
  for (let at = 0; at < frame.length; at += BODY_BYTES) {
    const body = frame.subarray(at, at + BODY_BYTES);
    all.push(
      concat(
        Uint8Array.of(COMMAND.control, body.length >> 8, body.length & 255),
        body,
      ),
    );
  }
  return all;
}

/** A cell with this payload, not sealed yet. */
function cellOf(payload: Uint8Array): Bytes {
  const cell = new Uint8Array(CELL_BYTES);
  cell.set(payload.subarray(0, CELL_BYTES - PAYLOAD_OFFSET), PAYLOAD_OFFSET);
  return cell;
}

const RELAY_KIND = {
  sealed: 0,
  raw: 1,
  extended: 2,
  failed: 3,
  answer: 4,
  partner: 5,
};

/** A relay's circuit, and a client who says what it likes. */
class RelayRun {
  readonly #onion = new OnionClient(crypto, seededRandom(2));
  readonly #circuit: RelayCircuit;
  readonly #words = new Set<string>();
  readonly #asked: { type: string; id: number }[] = [];
  #attempt = 0;
  #nowMs = 0;

  constructor() {
    this.#onion.addHop(KEYS);
    this.#circuit = new RelayCircuit(crypto, KEYS, { ownId: OWN.nodeId });
  }

  play(input: FuzzInput): string {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, 6);
      this.#nowMs += delayMs;
      if (this.#circuit.deadlineMs <= this.#nowMs) {
        this.#take(this.#circuit.onTime(this.#nowMs));
      }
      this.#do(kind, body);
      const { heldBytes, state } = this.#circuit;
      promise(heldBytes <= MAX_HELD_BYTES, `it holds ${heldBytes} bytes`);
      this.#words.add(state);
    }
    this.#circuit.destroy();
    promise(this.#circuit.heldBytes === 0, "it holds bytes at its end");
    promise(this.#circuit.deadlineMs === Infinity, "it waits at its end");
    return [...this.#words].sort().join(" ");
  }

  #do(kind: number, body: Bytes): void {
    const circuit = this.#circuit;
    switch (kind) {
      case RELAY_KIND.sealed: {
        const cell = cellOf(body);
        this.#onion.seal(cell);
        return this.#receive(cell);
      }
      case RELAY_KIND.raw: {
        const cell = new Uint8Array(CELL_BYTES);
        cell.set(body.subarray(0, CELL_BYTES));
        if (circuit.state === "extended" && body.length % 2 === 0) {
          circuit.backward(cell);
          return;
        }
        return this.#receive(cell);
      }
      case RELAY_KIND.extended:
        return this.#take(circuit.onExtended(this.#attempt, body));
      case RELAY_KIND.failed:
        return this.#take(circuit.onExtendFailed(this.#attempt, "closed"));
      case RELAY_KIND.answer: {
        const asked = this.#asked.shift();
        if (asked === undefined) return;
        circuit.send(answerTo(asked, body));
        return;
      }
      default: {
        const other = new RelayCircuit(crypto, randomKeys(seededRandom(3)), {
          ownId: OWN.nodeId,
        });
        RelayCircuit.join(circuit, other);
      }
    }
  }

  #receive(cell: Bytes): void {
    const circuit = this.#circuit;
    if (!circuit.passesOn) this.#take(circuit.receive(cell, this.#nowMs));
    else if (!circuit.forward(cell)) circuit.destroy();
  }

  #take(actions: readonly RelayAction[]): void {
    for (const action of actions) {
      this.#words.add(action.type);
      if (action.type === "extend") this.#attempt = action.attempt;
      if (action.type === "send") {
        promise(action.cells.length % CELL_BYTES === 0, "not whole cells");
        promise(action.cells.length <= 7 * CELL_BYTES, "many cells for one");
      }
      if (action.type === "request" && "id" in action.request) {
        this.#asked.push(action.request);
      }
      if (action.type === "destroy") this.#asked.length = 0;
    }
  }
}

/** What a DHT would answer. */
function answerTo(
  { type, id }: { readonly type: string; readonly id: number },
  body: Bytes,
): ClientBound {
  if (type === "dht_put") return { type: "dht_stored", id, copies: 1 };
  const record = body.slice(0, 17 * 1024);
  return body.length === 0
    ? { type: "dht_missing", id }
    : { type: "dht_found", id, record };
}

function relayRuns(): FuzzInput[] {
  const extend = messageRun([
    ...RELAY_BOUND.slice(0, 1),
  ]);
  const reply = encodeStep(
    RELAY_KIND.extended,
    encodeFirstCell(new Uint8Array(REPLY_BYTES)),
  );
  const raw = encodeStep(RELAY_KIND.raw, new Uint8Array(10));
  const answer = encodeStep(RELAY_KIND.answer, new Uint8Array(100));
  return [
    ...RELAY_BOUND.map((message) => messageRun([message])),
    messageRun(RELAY_BOUND.slice(1)),
    [...extend, reply, raw, raw],
    [...extend, encodeStep(RELAY_KIND.failed, raw), ...extend],
    [...messageRun(RELAY_BOUND.slice(1, 3)), answer, answer],
    [encodeStep(RELAY_KIND.partner, raw), raw],
    messageRun([new Uint8Array(20_000)]),
  ];
}

function messageRun(messages: readonly Uint8Array[]): Bytes[] {
  return messages.flatMap((message) =>
    payloadsOf(message).map((payload) =>
      encodeStep(RELAY_KIND.sealed, payload, 100)
    )
  );
}

const RELAY: FuzzTarget = {
  name: "circuit/relay",
  about:
    "a circuit at its relay: cells of a client that holds the keys, and of the next hop",
  hasSteps: true,
  allowed: [],
  cpu: CPU,
  seeds: relayRuns,
  run: (input) => new RelayRun().play(input),
};

const CLIENT_KIND = { sealed: 0, raw: 1, ping: 2, extend: 3, finish: 4 };

/** A client's circuit of one hop, made once for all runs: ML-KEM takes its time. */
async function clientCircuit(): Promise<
  { circuit: ClientCircuit; layer: RelayLayer }
> {
  const circuit = new ClientCircuit(crypto, seededRandom(4));
  const first = await circuit.create(OWN, 0);
  const request = first?.slice(SIZE_BYTES, SIZE_BYTES + REQUEST_BYTES) ??
    new Uint8Array(0);
  const answer = await respondToHandshake(
    crypto,
    OWN.keys,
    request,
    seededRandom(5),
  );
  if (!answer.ok) throw new TypeError("Cannot build the circuit");
  const event = circuit.receive(encodeFirstCell(answer.reply), 0);
  if (event?.type !== "reply") throw new TypeError("No reply");
  await circuit.finishHop(event.reply);
  return { circuit, layer: new RelayLayer(crypto, answer.keys) };
}

/** A client's circuit, and a relay that says what it likes. */
class ClientRun {
  readonly #circuit: ClientCircuit;
  readonly #layer: RelayLayer;
  readonly #words = new Set<string>();
  #reply: Bytes | undefined;
  #nowMs = 0;

  constructor(
    { circuit, layer }: { circuit: ClientCircuit; layer: RelayLayer },
  ) {
    this.#circuit = circuit;
    this.#layer = layer;
  }

  async play(input: FuzzInput): Promise<string> {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, 5);
      this.#nowMs += delayMs;
      if (this.#circuit.deadlineMs <= this.#nowMs) {
        this.#take(this.#circuit.onTime(this.#nowMs));
      }
      await this.#do(kind, body);
      this.#words.add(this.#circuit.state);
    }
    this.#circuit.destroy();
    promise(this.#circuit.deadlineMs === Infinity, "it waits at its end");
    return [...this.#words].sort().join(" ");
  }

  async #do(kind: number, body: Bytes): Promise<void> {
    const circuit = this.#circuit;
    switch (kind) {
      case CLIENT_KIND.sealed: {
        const cell = cellOf(body);
        this.#layer.sealBackward(cell);
        return this.#take(circuit.receive(cell, this.#nowMs));
      }
      case CLIENT_KIND.raw: {
        const cell = new Uint8Array(CELL_BYTES);
        cell.set(body.subarray(0, CELL_BYTES));
        return this.#take(circuit.receive(cell, this.#nowMs));
      }
      case CLIENT_KIND.ping:
        if (circuit.state === "open") circuit.ping(this.#nowMs);
        return;
      case CLIENT_KIND.extend:
        if (circuit.state === "open") await circuit.extend(NEXT, this.#nowMs);
        return;
      default: {
        const reply = this.#reply;
        this.#reply = undefined;
        if (reply === undefined || circuit.state !== "building") return;
        const { ok } = await circuit.finishHop(reply);
        this.#words.add(`hop ${ok}`);
      }
    }
  }

  #take(event: ClientEvent | undefined): void {
    if (event === undefined) return;
    this.#words.add(
      event.type === "closed" ? `closed ${event.failure.code}` : event.type,
    );
    if (event.type === "reply") this.#reply = event.reply;
  }
}

function clientRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const ping = encodeStep(CLIENT_KIND.ping, none);
  const extend = encodeStep(CLIENT_KIND.extend, none);
  const finish = encodeStep(CLIENT_KIND.finish, none);
  const data = encodeStep(
    CLIENT_KIND.sealed,
    Uint8Array.of(2, 0, 5, 1, 2, 3, 4, 5),
  );
  const said = (message: Bytes) => messageRun([message]);
  const [extended = none, failed = none, ...others] = CLIENT_BOUND;
  return [
    ...others.map(said),
    [extend, ...said(extended), finish],
    [extend, ...said(failed), extend, ...said(extended), finish, data],
    [ping, ping, ...said(CLIENT_BOUND.at(-2) ?? none), data, data],
    [
      ...others.slice(0, -1).flatMap(said),
      data,
      ...said(others.at(-1) ?? none),
    ],
    [encodeStep(CLIENT_KIND.raw, new Uint8Array(100))],
    messageRun([new Uint8Array(20_000)]),
  ];
}

const CLIENT: FuzzTarget = {
  name: "circuit/client",
  about: "a circuit at its client: cells of a relay that holds the keys",
  hasSteps: true,
  allowed: [],
  cpu: CPU,
  seeds: clientRuns,
  run: async (input) => await new ClientRun(await clientCircuit()).play(input),
};

/** A request of a client that means this relay. */
async function createRequests(): Promise<FuzzInput[]> {
  const circuit = new ClientCircuit(crypto, seededRandom(6));
  const first = await circuit.create(OWN, 0) ?? new Uint8Array(0);
  circuit.destroy();
  return [[first.slice(SIZE_BYTES, SIZE_BYTES + REQUEST_BYTES)]];
}

const CREATE: FuzzTarget = {
  name: "circuit/create",
  about: "create requests at a relay, bound for its keys",
  hasSteps: false,
  allowed: [],
  cpu: CPU,
  seeds: createRequests,
  async run([request = new Uint8Array(0)]) {
    const meant = new Uint8Array(request);
    if (meant.length >= 64) {
      meant.set(OWN.nodeId);
      meant.set(OWN.onionKey, 32);
    }
    const result = await respondToHandshake(
      crypto,
      OWN.keys,
      meant,
      seededRandom(7),
    );
    return result.ok ? "keys" : result.failure;
  },
};

/** Targets of circuits. */
export const CIRCUIT_TARGETS: readonly FuzzTarget[] = [RELAY, CLIENT, CREATE];
