import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, equalBytes } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  BODY_OFFSET,
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  encodeFirstCell,
  encodePayload,
  PAYLOAD_OFFSET,
} from "../../lib/circuit/cell.ts";
import {
  encodeControl,
  type Extend,
  EXTEND_FAILURES,
  type ExtendFailure,
  type RelayBound,
} from "../../lib/circuit/control_messages.ts";
import {
  encodeControlCells,
  MAX_CONTROL_BYTES,
} from "../../lib/circuit/control_stream.ts";
import { REPLY_BYTES, REQUEST_BYTES } from "../../lib/circuit/handshake.ts";
import { OnionClient } from "../../lib/circuit/onion_client.ts";
import {
  EXTEND_TIMEOUT_MS,
  MAX_DHT_REQUESTS,
  MAX_EXTEND_ATTEMPTS,
  type RelayAction,
  RelayCircuit,
  type RelayCircuitOptions,
} from "../../lib/circuit/relay_circuit.ts";
import { randomKeys } from "./_chain.ts";
import { dataCell } from "../support/joined_circuits.ts";
import {
  across,
  crypto,
  joined,
  split,
  TestCircuit,
  testRelay,
  testRelays,
} from "./_world.ts";

const OWN = testRelay(0);
const NEXT = testRelay(2);

/** A relay's machine, and a client that can say anything to it. */
function created(options: Partial<RelayCircuitOptions> = {}) {
  const random = seededRandom(1);
  const keys = randomKeys(random);
  const onion = new OnionClient(crypto, random);
  onion.addHop(keys);
  const circuit = new RelayCircuit(crypto, keys, {
    ownId: OWN.nodeId,
    ...options,
  });
  /** Seal cells and let the relay have them, one by one. */
  const say = (cells: Uint8Array, nowMs = 0): RelayAction[] =>
    split(cells).flatMap((cell) => {
      onion.seal(cell);
      return circuit.receive(cell, nowMs);
    });
  const tell = (message: RelayBound, nowMs = 0) =>
    say(encodeControlCells(encodeControl(message)), nowMs);
  /** What the client reads in a message's cells. */
  const read = (cells: Uint8Array) => {
    const bodies = split(cells).map((cell) => {
      assert.equal(onion.open(cell), undefined);
      assert.equal(cell[PAYLOAD_OFFSET], COMMAND.control);
      return cell;
    });
    return bodies;
  };
  return { circuit, onion, say, tell, read };
}

/** A request to extend to `relay`; what is inside is for that relay to judge. */
function extendTo(
  relay: ReturnType<typeof testRelay>,
  changes: Partial<Extend> = {},
): Extend {
  const { encoded: record } = relay;
  const request = concat(relay.nodeId, new Uint8Array(REQUEST_BYTES - 32));
  return { type: "extend", record, request, ...changes };
}

/** A payload with any command and body. */
function payload(command: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const cell = new Uint8Array(CELL_BYTES);
  encodePayload(cell, COMMAND.data, body);
  cell[PAYLOAD_OFFSET] = command;
  return cell;
}

/** Whether an ExtendFailed with this code, and nothing after it, went to the client. */
function failedWith(
  actions: readonly RelayAction[],
  code: ExtendFailure,
): boolean {
  const send = actions.at(-1);
  if (send?.type !== "send") return false;
  const cell = new Uint8Array(send.cells);
  assert.equal(reader().open(cell), undefined);
  const message = encodeControl({ type: "extend_failed", code });
  const expected = encodeControlCells(message).subarray(PAYLOAD_OFFSET);
  return equalBytes(cell.subarray(PAYLOAD_OFFSET), expected);
}

/** The client's view of `created()`'s first backward cell. */
function reader(): OnionClient {
  const random = seededRandom(1);
  const keys = randomKeys(random);
  const onion = new OnionClient(crypto, random);
  onion.addHop(keys);
  return onion;
}

const DESTROYED = {
  badCell: [{ type: "destroy", reason: "bad_cell" }],
  protocol: [{ type: "destroy", reason: "protocol" }],
} as const;

// ── Extending ────────────────────────────────────────────────────────────────

Deno.test("RelayCircuit asks for the next relay, passes its answer back and then only passes on", () => {
  const { circuit, onion, tell } = created();
  const message = extendTo(NEXT);
  const actions = tell(message, 500);
  assert.deepEqual(actions, [{
    type: "extend",
    attempt: 1,
    nodeId: NEXT.nodeId,
    record: NEXT.encoded,
    cell: encodeFirstCell(message.request),
  }]);
  assert.equal(circuit.state, "extending");
  assert.equal(circuit.deadlineMs, 500 + EXTEND_TIMEOUT_MS);

  const reply = seededRandom(2).bytes(REPLY_BYTES);
  const [send] = circuit.onExtended(1, encodeFirstCell(reply));
  assert(send?.type === "send");
  assert.equal(onion.open(send.cells), undefined);
  assert.equal(circuit.state, "extended");
  assert(circuit.passesOn);
  assert.equal(circuit.deadlineMs, Infinity);

  onion.addHop(randomKeys(seededRandom(3)));
  const cells = new Uint8Array(3 * CELL_BYTES);
  for (const start of [0, CELL_BYTES, 2 * CELL_BYTES]) {
    onion.seal(cells.subarray(start, start + CELL_BYTES));
  }
  assert(circuit.forward(cells));
  assert(circuit.backward(cells));
});

const REFUSED: readonly [string, Extend][] = [
  ["itself", extendTo(OWN)],
];

for (const [name, message] of REFUSED) {
  Deno.test(`RelayCircuit refuses to extend to ${name}, and stays as it was`, () => {
    const { circuit, tell } = created();
    const actions = tell(message);
    assert.equal(actions.length, 1);
    assert(failedWith(actions, "refused"));
    assert.equal(circuit.state, "created");
  });
}

Deno.test("RelayCircuit tells why it could not extend, and can then try again", () => {
  for (const code of EXTEND_FAILURES) {
    const { circuit, tell } = created();
    tell(extendTo(NEXT));
    assert(failedWith(circuit.onExtendFailed(1, code), code));
    assert.equal(circuit.state, "created");
    const [again] = tell(extendTo(testRelay(3)));
    assert(again?.type === "extend" && again.attempt === 2);
  }
});

Deno.test("RelayCircuit gives up on a relay that never answers, and ignores it afterwards", () => {
  const { circuit, tell } = created();
  tell(extendTo(NEXT), 100);
  assert.deepEqual(circuit.onTime(99 + EXTEND_TIMEOUT_MS), []);
  const actions = circuit.onTime(100 + EXTEND_TIMEOUT_MS);
  assert.deepEqual(actions[0], { type: "cancel_extend", attempt: 1 });
  assert(failedWith(actions, "timeout"));
  assert.equal(circuit.deadlineMs, Infinity);
  const late = encodeFirstCell(new Uint8Array(REPLY_BYTES));
  assert.deepEqual(circuit.onExtended(1, late), []);
  assert.deepEqual(circuit.onExtendFailed(1, "closed"), []);
  assert.equal(circuit.state, "created");
});

Deno.test("RelayCircuit takes no answer of an attempt before for the one under way", () => {
  const { circuit, tell } = created();
  tell(extendTo(NEXT));
  circuit.onTime(EXTEND_TIMEOUT_MS);
  tell(extendTo(testRelay(3)));
  const late = encodeFirstCell(new Uint8Array(REPLY_BYTES));
  assert.deepEqual(circuit.onExtended(1, late), []);
  assert.deepEqual(circuit.onExtendFailed(1, "closed"), []);
  assert.equal(circuit.state, "extending");
});

Deno.test("RelayCircuit takes an answer with anything behind it, or of another size, for none", () => {
  const padded = encodeFirstCell(new Uint8Array(REPLY_BYTES));
  padded[CELL_BYTES - 1] = 1;
  for (const cell of [padded, padded.subarray(0, REPLY_BYTES)]) {
    const { circuit, tell } = created();
    tell(extendTo(NEXT));
    assert(failedWith(circuit.onExtended(1, cell), "closed"));
  }
});

Deno.test("RelayCircuit is destroyed by a client that speaks while it extends, be it to extend twice", () => {
  for (const message of [extendTo(NEXT), { type: "ping", id: 1 } as const]) {
    const { circuit, tell } = created();
    tell(extendTo(NEXT));
    assert.deepEqual(tell(message), DESTROYED.protocol);
    assert.equal(circuit.state, "destroyed");
    assert.equal(circuit.deadlineMs, Infinity);
    assert.deepEqual(circuit.onExtendFailed(1, "closed"), []);
  }
});

Deno.test("RelayCircuit is destroyed by a client that goes on trying to extend", () => {
  const { circuit, tell } = created();
  for (let i = 1; i <= MAX_EXTEND_ATTEMPTS; i++) {
    tell(extendTo(NEXT));
    circuit.onExtendFailed(i, "unreachable");
  }
  assert.deepEqual(tell(extendTo(NEXT)), DESTROYED.protocol);
});

// ── The last hop ─────────────────────────────────────────────────────────────

Deno.test("RelayCircuit hands on what is for the DHT and the services, and carries the answers", () => {
  const { circuit, tell, read } = created();
  const body = seededRandom(1).bytes(500);
  for (
    const type of [
      "establish_intro",
      "introduce1",
      "establish_rendezvous",
      "rendezvous1",
    ] as const
  ) {
    const request = { type, body };
    assert.deepEqual(tell(request), [{ type: "request", request }]);
  }
  const get = { type: "dht_get", id: 3, key: new Uint8Array(32) } as const;
  assert.deepEqual(tell(get), [{ type: "request", request: get }]);
  const record = seededRandom(2).bytes(10_000);
  const cells = circuit.send({ type: "dht_found", id: 3, record });
  assert(cells);
  assert.equal(read(cells).length, 3);
});

Deno.test("RelayCircuit answers each DHT request once, and has few under way", () => {
  const { circuit, tell } = created();
  const key = new Uint8Array(32);
  for (let id = 0; id < MAX_DHT_REQUESTS; id++) {
    tell({ type: "dht_get", id, key });
  }
  assert(circuit.send({ type: "dht_missing", id: 0 }));
  assert.throws(() => circuit.send({ type: "dht_missing", id: 0 }), {
    code: "circuit.no_request",
  });
  tell({ type: "dht_get", id: 0, key });
  assert.deepEqual(
    tell({ type: "dht_get", id: 9, key }),
    DESTROYED.protocol,
  );
});

Deno.test("RelayCircuit is destroyed by two DHT requests of one id", () => {
  const { tell } = created();
  const get = { type: "dht_get", id: 1, key: new Uint8Array(32) } as const;
  tell(get);
  assert.deepEqual(tell(get), DESTROYED.protocol);
});

Deno.test("RelayCircuit answers a cell with one cell at most", () => {
  const { say } = created();
  const ping = encodeControl({ type: "ping", id: 1 });
  const frame = concat(Uint8Array.of(0, 0, 0, ping.length), ping);
  assert.equal(say(payload(COMMAND.control, frame))[0]?.type, "send");
  assert.deepEqual(
    say(payload(COMMAND.control, concat(frame, frame))),
    DESTROYED.protocol,
  );
});

Deno.test("RelayCircuit ends quietly when its client closes it", () => {
  const { circuit, tell } = created();
  assert.deepEqual(tell({ type: "close", code: "done" }), [
    { type: "destroy", reason: "closed" },
  ]);
  assert.equal(circuit.state, "destroyed");
});

const long = payload(COMMAND.data, new Uint8Array());
long.set([0xff, 0xff], PAYLOAD_OFFSET + 1);
const padded = payload(COMMAND.control, new Uint8Array(3));
padded[CELL_BYTES - 1] = 1;

const FORBIDDEN: Record<string, Uint8Array> = {
  "data where it joins nothing": payload(COMMAND.data, new Uint8Array(9)),
  "padding": payload(COMMAND.padding, new Uint8Array()),
  "no command": payload(0, new Uint8Array()),
  "an unknown command": payload(200, new Uint8Array()),
  "a length beyond the cell": long,
  "zeros that are none": padded,
  "an empty control payload": payload(COMMAND.control, new Uint8Array()),
  "a control message over the limit": payload(
    COMMAND.control,
    Uint8Array.of(0, 0, MAX_CONTROL_BYTES >> 8, 1),
  ),
  "no CBOR": encodeControlCells(Uint8Array.of(0xff)),
  "CBOR that is no map": encodeControlCells(Uint8Array.of(0x01)),
  "a message of an unknown type": encodeControlCells(
    Uint8Array.fromHex("a164747970656366666f"),
  ),
  "what only relays say": encodeControlCells(
    encodeControl({ type: "pong", id: 1 }),
  ),
};

for (const [name, cells] of Object.entries(FORBIDDEN)) {
  Deno.test(`RelayCircuit is destroyed by ${name}`, () => {
    const { circuit, say } = created();
    assert.deepEqual(say(new Uint8Array(cells)), DESTROYED.protocol);
    assert.equal(circuit.state, "destroyed");
    assert.deepEqual(circuit.receive(new Uint8Array(CELL_BYTES), 0), []);
  });
}

Deno.test("RelayCircuit takes arbitrary control messages or destroys itself, and never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const { circuit, say } = created();
      const actions = say(payload(COMMAND.control, bytes));
      assert.equal(
        circuit.state === "destroyed",
        actions.some(({ type }) => type === "destroy"),
      );
    }),
    { numRuns: 200 },
  );
});

// ── Tampering (promise P2) ───────────────────────────────────────────────────

Deno.test("RelayCircuit does and says the same, whatever was done to a cell", () => {
  for (const offset of [0, 15, 16, 127, 128, 131, 2000, CELL_BYTES - 1]) {
    const { circuit, onion } = created();
    const cell = encodeControlCells(encodeControl({ type: "ping", id: 1 }));
    onion.seal(cell);
    cell[offset] = (cell[offset] ?? 0) ^ 0x80;
    assert.deepEqual(circuit.receive(cell, 0), DESTROYED.badCell);
    assert.equal(circuit.state, "destroyed");
    assert.deepEqual(circuit.onTime(1e9), []);
  }
});

Deno.test("RelayCircuit.forward() passes on nothing of a chunk with one bad cell", async () => {
  const circuit = await TestCircuit.build(testRelays(2));
  const [first] = circuit.hops;
  assert(first);
  const one = circuit.client.ping(0);
  const two = circuit.client.ping(0);
  assert(one && two);
  two[77] = (two[77] ?? 0) ^ 1;
  assert.equal(first.forward(concat(one, two)), false);
  first.destroy();
  assert.equal(first.forward(concat(one, two)), false);
  assert.equal(first.backward(one), false);
});

// ── Joining ──────────────────────────────────────────────────────────────────

Deno.test("RelayCircuit carries data between two joined circuits, both ways, and nothing else of a cell", async () => {
  const { client, service } = await joined();
  for (let round = 0; round < 3; round++) {
    const body = seededRandom(round).bytes(3964);
    const there = across(client, service, dataCell(client.client, body));
    assert.deepEqual(there, { type: "data", body });
    const back = across(service, client, dataCell(service.client, body));
    assert.deepEqual(back, { type: "data", body });
  }
});

Deno.test("RelayCircuit lets data follow in the same chunk as the message that joins", () => {
  const service = created();
  const client = created();
  const cells = encodeControlCells(
    encodeControl({ type: "rendezvous1", body: new Uint8Array(4) }),
  );
  const data = payload(COMMAND.data, Uint8Array.of(1, 2, 3));
  service.onion.seal(cells);
  service.onion.seal(data);
  const [action] = service.circuit.receive(cells, 0);
  assert.equal(action?.type, "request");
  assert(RelayCircuit.join(client.circuit, service.circuit));
  assert(service.circuit.passesOn);
  assert(service.circuit.forward(data));
  assert.equal(client.onion.open(data), undefined);
  assert.deepEqual([...data.subarray(BODY_OFFSET, BODY_OFFSET + 3)], [1, 2, 3]);
});

Deno.test("RelayCircuit passes no control message, padding or tampered cell across a join", async () => {
  for (const command of [COMMAND.control, COMMAND.padding, 0, 77]) {
    const a = created();
    const b = created();
    assert(RelayCircuit.join(a.circuit, b.circuit));
    const cell = payload(command, new Uint8Array(5));
    a.onion.seal(cell);
    assert.equal(a.circuit.forward(cell), false);
  }
  const { client } = await joined();
  const cell = dataCell(client.client, new Uint8Array(5));
  assert(client.hops[0]?.forward(cell) && client.hops[1]?.forward(cell));
  cell[1000] = (cell[1000] ?? 0) ^ 1;
  assert.equal(client.last.forward(cell), false);
});

Deno.test("RelayCircuit.join() refuses a circuit with itself, one in mid-message, and any but a last hop", () => {
  const fresh = created().circuit;
  assert.equal(RelayCircuit.join(fresh, fresh), false);

  const mid = created();
  assert.deepEqual(mid.say(payload(COMMAND.control, Uint8Array.of(0, 0))), []);
  assert.equal(RelayCircuit.join(fresh, mid.circuit), false);
  assert.equal(RelayCircuit.join(mid.circuit, fresh), false);

  const extending = created();
  extending.tell(extendTo(NEXT));
  assert.equal(RelayCircuit.join(fresh, extending.circuit), false);

  const gone = created().circuit;
  gone.destroy();
  assert.equal(RelayCircuit.join(fresh, gone), false);
  assert.equal(fresh.state, "created");

  const [a, b] = [created().circuit, created().circuit];
  assert(RelayCircuit.join(a, b));
  assert.equal(RelayCircuit.join(a, fresh), false);
  assert.equal(RelayCircuit.join(fresh, b), false);
});

Deno.test("RelayCircuit.destroy() ends what the joined circuit passes on", async () => {
  const { client, service } = await joined();
  const cell = dataCell(client.client, new Uint8Array(5));
  assert(client.hops[0]?.forward(cell) && client.hops[1]?.forward(cell));
  service.last.destroy();
  assert.equal(client.last.forward(cell), false);
  client.last.destroy();
  client.last.destroy();
  assert.equal(client.last.state, "destroyed");
});

// ── Our own mistakes ─────────────────────────────────────────────────────────

Deno.test("RelayCircuit refuses calls that do not fit its state, and torn cells", async () => {
  const wrong = { code: "circuit.state" };
  const cell = new Uint8Array(CELL_BYTES);
  const fresh = created().circuit;
  assert.throws(() => fresh.forward(cell), wrong);
  assert.throws(() => fresh.backward(cell), wrong);
  assert.throws(() => fresh.receive(cell.subarray(1), 0), RangeError);
  const circuit = await TestCircuit.build(testRelays(2));
  const [first] = circuit.hops;
  assert.throws(() => first?.receive(cell, 0), wrong);
  assert.throws(() => first?.forward(cell.subarray(1)), RangeError);
  assert.throws(() => first?.backward(cell.subarray(1)), RangeError);
});

Deno.test("RelayCircuit says nothing once the circuit does not end there any more", async () => {
  const circuit = await TestCircuit.build(testRelays(2));
  const [first, last] = circuit.hops;
  assert.equal(first?.send({ type: "pong", id: 1 }), undefined);
  last?.destroy();
  assert.equal(last?.send({ type: "dht_missing", id: 1 }), undefined);
});

Deno.test("RelayCircuit passes a create request on as it came, zeros behind it", () => {
  const { tell } = created();
  const message = extendTo(NEXT, {
    request: concat(NEXT.nodeId, seededRandom(3).bytes(REQUEST_BYTES - 32)),
  });
  const [action] = tell(message);
  assert(action?.type === "extend");
  assert.equal(action.cell.length, CELL_BYTES);
  assert.deepEqual(
    decodeFirstCell(action.cell, REQUEST_BYTES),
    message.request,
  );
});
