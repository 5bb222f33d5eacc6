import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  COMMAND,
  encodeFirstCell,
  encodePayload,
  MAX_HOPS,
  PAYLOAD_OFFSET,
  TRAIN_BYTES,
  writeSize,
} from "../../lib/circuit/cell.ts";
import {
  ClientCircuit,
  HOP_TIMEOUT_MS,
  MAX_PINGS,
  PING_TIMEOUT_MS,
} from "../../lib/circuit/client_circuit.ts";
import {
  type ClientBound,
  encodeControl,
} from "../../lib/circuit/control_messages.ts";
import { encodeControlCells } from "../../lib/circuit/control_stream.ts";
import { respondToHandshake } from "../../lib/circuit/handshake.ts";
import { RelayLayer } from "../../lib/circuit/relay_layer.ts";
import { dataCell } from "../support/joined_circuits.ts";
import {
  across,
  crypto,
  expectEvent,
  joined,
  split,
  TestCircuit,
  testRelay,
  testRelays,
} from "./_world.ts";

Deno.test("ClientCircuit builds 1 to 8 hops, talks to the last and measures its round trip", async () => {
  for (let hops = 1; hops <= MAX_HOPS; hops++) {
    const circuit = await TestCircuit.build(testRelays(hops));
    assert.equal(circuit.client.state, "open");
    assert.equal(circuit.client.hops, hops);
    assert.equal(circuit.hops.length, hops);
    assert.deepEqual(circuit.client.binding, circuit.last.binding);

    const ping = circuit.client.ping(circuit.nowMs);
    circuit.nowMs += 321;
    await circuit.say(ping);
    assert.deepEqual(circuit.events, [{ type: "pong", roundTripMs: 321 }]);
    assert.equal(circuit.client.deadlineMs, Infinity);
    assert.deepEqual([...circuit.writes], [CELL_BYTES]);
  }
});

Deno.test("ClientCircuit carries control messages of many cells both ways", async () => {
  const circuit = await TestCircuit.build(testRelays(3));
  const record = seededRandom(5).bytes(16_000);
  const action = await circuit.say(
    circuit.client.send({ type: "dht_put", id: 7, record }),
  );
  assert.deepEqual(action, {
    type: "request",
    request: { type: "dht_put", id: 7, record },
  });
  circuit.answer(circuit.last.send({ type: "dht_stored", id: 7, copies: 80 }));
  const get = { type: "dht_get", id: 8, key: new Uint8Array(32) } as const;
  await circuit.say(circuit.client.send(get));
  circuit.answer(circuit.last.send({ type: "dht_found", id: 8, record }));
  assert.deepEqual(circuit.events, [
    { type: "message", message: { type: "dht_stored", id: 7, copies: 80 } },
    { type: "message", message: { type: "dht_found", id: 8, record } },
  ]);
});

Deno.test("ClientCircuit carries full cells of data both ways", async () => {
  const { client, service } = await joined();
  const body = seededRandom(5).bytes(BODY_BYTES);
  const there = across(client, service, dataCell(client.client, body));
  assert.deepEqual(expectEvent(there, "data").body, body);
  const back = across(service, client, dataCell(service.client, body));
  assert.deepEqual(expectEvent(back, "data").body, body);
  assert.equal(BODY_BYTES, 3964);
});

Deno.test("ClientCircuit.sealData() seals what stands in the cell already", async () => {
  const { client, service } = await joined();
  const cell = new Uint8Array(CELL_BYTES).fill(9);
  const body = client.client.dataBody(cell);
  assert.equal(body.length, BODY_BYTES);
  body.set([1, 2, 3]);
  client.client.sealData(cell, 3);
  const event = across(client, service, cell);
  assert.deepEqual([...expectEvent(event, "data").body], [1, 2, 3]);
});

Deno.test("ClientCircuit can be extended after use, and what it says then goes to the new last hop", async () => {
  const circuit = await TestCircuit.build(testRelays(3), { more: 1 });
  await circuit.say(circuit.client.ping(0));
  const before = circuit.last;
  assert.deepEqual(await circuit.addHop(testRelay(3)), { ok: true });
  assert.equal(before.state, "extended");
  const body = new Uint8Array(3);
  await circuit.say(circuit.client.send({ type: "rendezvous1", body }));
  assert.deepEqual(circuit.actions.map((actions) => actions.length), [
    0,
    0,
    0,
    1,
  ]);
});

Deno.test("ClientCircuit goes on after a relay could not extend, and can try another", async () => {
  const relays = testRelays(3);
  const circuit = new TestCircuit(relays);
  await circuit.addHop(testRelay(0));
  const gone = testRelay(50);
  await circuit.request(gone);
  const asked = circuit.actions[0]?.at(-1);
  assert(asked?.type === "extend");
  const [failed] = circuit.last.onExtendFailed(asked.attempt, "unreachable");
  assert(failed?.type === "send");
  const event = circuit.answer(failed.cells);
  assert.deepEqual(event, { type: "extend_failed", code: "unreachable" });
  assert.equal(circuit.client.state, "open");
  assert.deepEqual(await circuit.addHop(testRelay(1)), { ok: true });
});

// ── Relays that lie ──────────────────────────────────────────────────────────

Deno.test("ClientCircuit fails when a relay answers with another's keys", async () => {
  const circuit = new TestCircuit(testRelays(2));
  await circuit.addHop(testRelay(0));
  const liar = testRelay(40);
  const claimed = { ...testRelay(1), keys: liar.keys };
  const cells = await circuit.client.extend(claimed, 0);
  assert(cells);
  // Hop 1 would have to pass it to the right relay; it answers itself instead.
  const [cell] = split(cells);
  assert(cell);
  const [action] = circuit.last.receive(cell, 0);
  assert(action?.type === "extend");
  const own = testRelay(1);
  const random = seededRandom(3);
  const [real] = own.keys.onionKeys;
  assert(real);
  const forged = await respondToHandshake(
    crypto,
    {
      nodeId: own.nodeId,
      onionKeys: [{ ...real, secret: random.bytes(32) }],
    },
    action.cell.subarray(1, 1281),
    random,
  );
  assert(forged.ok);
  const [send] = circuit.last.onExtended(
    action.attempt,
    encodeFirstCell(forged.reply),
  );
  assert(send?.type === "send");
  const event = circuit.answer(send.cells);
  const result = await circuit.client.finishHop(
    expectEvent(event, "reply").reply,
  );
  assert.deepEqual(result, {
    ok: false,
    failure: { code: "handshake", hop: 2, failure: "auth" },
  });
  assert.equal(circuit.client.state, "closed");
});

Deno.test("ClientCircuit fails when the first relay's answer is changed, padded or none of its own", async () => {
  const changes: [string, (cell: Uint8Array<ArrayBuffer>) => void][] = [
    ["handshake", (cell) => cell[40] = (cell[40] ?? 0) ^ 1],
    ["protocol", (cell) => cell[CELL_BYTES - 1] = 1],
    ["handshake", (cell) => cell.fill(0, 1)],
    ["protocol", (cell) => cell.fill(0)],
  ];
  for (const [code, change] of changes) {
    const circuit = new TestCircuit(testRelays(1));
    const cell = await circuit.client.create(testRelay(0), 0);
    assert(cell);
    const reply = await circuit.create(cell);
    assert(reply);
    change(reply);
    circuit.toClient(reply);
    const [event] = circuit.events;
    const failure = event?.type === "reply"
      ? await circuit.client.finishHop(event.reply)
      : event;
    assert(failure && "failure" in failure);
    assert.equal(failure.failure.code, code);
    assert.equal(circuit.client.state, "closed");
  }
});

Deno.test("ClientCircuit fails when a relay answers twice", async () => {
  const circuit = new TestCircuit(testRelays(1));
  const cell = await circuit.client.create(testRelay(0), 0);
  assert(cell);
  const reply = await circuit.create(cell);
  assert(reply);
  circuit.toClient(new Uint8Array(reply));
  circuit.toClient(reply);
  const [first, second] = circuit.events;
  expectEvent(first, "reply");
  assert.deepEqual(expectEvent(second, "closed").failure, {
    code: "protocol",
    hop: 1,
  });
});

Deno.test("ClientCircuit fails when the next hop says something behind its answer", async () => {
  const circuit = await TestCircuit.build(testRelays(2));
  // A cell that hop 2 passes on as if hop 3 existed, with nothing asked.
  const cell = seededRandom(1).bytes(CELL_BYTES);
  writeSize(cell);
  circuit.toClient(cell, 1);
  assert.deepEqual(expectEvent(circuit.events[0], "closed").failure, {
    code: "bad_cell",
    hop: 2,
  });
});

Deno.test("ClientCircuit drops what arrives while it is being closed, and an answer that comes too late", async () => {
  const circuit = new TestCircuit(testRelays(1));
  await circuit.request(testRelay(0));
  const { reply } = expectEvent(circuit.events[0], "reply");
  const pending = circuit.client.finishHop(reply);
  circuit.client.destroy();
  assert.deepEqual(await pending, {
    ok: false,
    failure: { code: "destroyed" },
  });
  const cell = new Uint8Array(CELL_BYTES);
  assert.equal(circuit.client.receive(cell, 0), undefined);
  assert.equal(circuit.client.onStreamEnd(), undefined);
});

Deno.test("ClientCircuit sends nothing when it is closed while its keys are made", async () => {
  const client = new ClientCircuit(crypto, seededRandom(1));
  const creating = client.create(testRelay(0), 0);
  client.destroy();
  assert.equal(await creating, undefined);
});

/** A circuit of one hop, and a hand on that hop's layer. */
async function ownedHop() {
  const relay = testRelay(0);
  const client = new ClientCircuit(crypto, seededRandom(1));
  const cell = await client.create(relay, 0);
  assert(cell);
  const answer = await respondToHandshake(
    crypto,
    relay.keys,
    cell.subarray(1, 1281),
    seededRandom(2),
  );
  assert(answer.ok);
  const layer = new RelayLayer(crypto, answer.keys);
  const event = client.receive(encodeFirstCell(answer.reply), 0);
  assert((await client.finishHop(expectEvent(event, "reply").reply)).ok);
  /** Cells as the hop would seal them. */
  const hear = (cells: Uint8Array) =>
    split(cells).map((cell) => {
      layer.sealBackward(cell);
      return client.receive(cell, 0);
    });
  return { client, hear };
}

Deno.test("ClientCircuit fails, and says who, on whatever a last hop must not say", async () => {
  const say = (message: ClientBound) =>
    encodeControlCells(encodeControl(message));
  const payload = (command: number, body: Uint8Array) => {
    const cell = new Uint8Array(CELL_BYTES);
    encodePayload(cell, COMMAND.data, body);
    cell[PAYLOAD_OFFSET] = command;
    return cell;
  };
  const pad = payload(COMMAND.data, new Uint8Array(5));
  pad[CELL_BYTES - 1] = 1;
  const long = payload(COMMAND.data, new Uint8Array(BODY_BYTES));
  const train = new Uint8Array(TRAIN_BYTES);
  encodePayload(train, COMMAND.control, Uint8Array.of(0, 0, 0, 1, 0xa0));
  writeSize(train);
  long[PAYLOAD_OFFSET + 2] = 0xff;
  const bad: Record<string, Uint8Array> = {
    "extended unasked": say({ type: "extended", reply: new Uint8Array(1152) }),
    "extend_failed unasked": say({ type: "extend_failed", code: "refused" }),
    "a pong without a ping": say({ type: "pong", id: 0 }),
    "what only clients say": encodeControlCells(
      encodeControl({ type: "ping", id: 0 }),
    ),
    "no CBOR": encodeControlCells(Uint8Array.of(0xff)),
    "an empty control payload": payload(COMMAND.control, new Uint8Array()),
    "a control message over the limit": payload(
      COMMAND.control,
      Uint8Array.of(0, 1, 0, 0),
    ),
    "two control messages in one cell": payload(
      COMMAND.control,
      Uint8Array.of(0, 0, 0, 1, 0xa0, 0, 0, 0, 1, 0xa0),
    ),
    "padding": payload(COMMAND.padding, new Uint8Array()),
    "no command": payload(0, new Uint8Array()),
    "an unknown command": payload(4, new Uint8Array()),
    "zeros that are none": pad,
    "a length beyond the cell": long,
    "control in a train": train,
  };
  for (const [name, cells] of Object.entries(bad)) {
    const { client, hear } = await ownedHop();
    const [event] = hear(cells);
    const { failure } = expectEvent(event, "closed");
    assert.deepEqual(failure, { code: "protocol", hop: 1 }, name);
    assert.equal(client.state, "closed");
  }
});

Deno.test("ClientCircuit ends with the reason that the last hop gives", async () => {
  const { hear } = await ownedHop();
  const message = { type: "close", code: "overloaded" } as const;
  const [event] = hear(encodeControlCells(encodeControl(message)));
  assert.deepEqual(expectEvent(event, "closed").failure, {
    code: "closed",
    hop: 1,
    reason: "overloaded",
  });
});

Deno.test("ClientCircuit takes answers to what it asked before while it extends", async () => {
  const circuit = await TestCircuit.build(testRelays(1));
  const ping = circuit.client.ping(0);
  assert(ping);
  const extend = await circuit.client.extend(testRelay(60), 0);
  assert(extend);
  await circuit.toRelays(ping);
  assert.equal(circuit.events.at(-1)?.type, "pong");
  assert.equal(circuit.client.state, "building");
});

// ── Time ─────────────────────────────────────────────────────────────────────

Deno.test("ClientCircuit gives up on a hop that does not answer", async () => {
  const circuit = new TestCircuit(testRelays(1));
  assert.equal(circuit.client.deadlineMs, Infinity);
  await circuit.client.create(testRelay(0), 500);
  assert.equal(circuit.client.deadlineMs, 500 + HOP_TIMEOUT_MS);
  assert.equal(circuit.client.onTime(499 + HOP_TIMEOUT_MS), undefined);
  const event = circuit.client.onTime(500 + HOP_TIMEOUT_MS);
  assert.deepEqual(event, {
    type: "closed",
    failure: { code: "timeout", hop: 1 },
  });
  assert.equal(circuit.client.deadlineMs, Infinity);

  const longer = await TestCircuit.build(testRelays(2));
  await longer.client.extend(testRelay(60), 0);
  assert.deepEqual(
    expectEvent(longer.client.onTime(HOP_TIMEOUT_MS), "closed").failure,
    { code: "timeout", hop: 3 },
  );
});

Deno.test("ClientCircuit dies when a ping gets no answer, counted from the oldest", async () => {
  const { client } = await TestCircuit.build(testRelays(2));
  client.ping(1000);
  client.ping(2000);
  assert.equal(client.deadlineMs, 1000 + PING_TIMEOUT_MS);
  assert.equal(client.onTime(999 + PING_TIMEOUT_MS), undefined);
  const event = client.onTime(1000 + PING_TIMEOUT_MS);
  assert.deepEqual(expectEvent(event, "closed").failure, {
    code: "timeout",
    hop: 2,
  });
});

Deno.test("ClientCircuit has a bounded number of pings under way", async () => {
  const { client } = await TestCircuit.build(testRelays(1));
  for (let i = 0; i < MAX_PINGS; i++) assert(client.ping(0));
  assert.equal(client.ping(0), undefined);
});

// ── Our own mistakes ─────────────────────────────────────────────────────────

Deno.test("ClientCircuit refuses a ninth hop, and a hop from a relay to itself", async () => {
  const relays = testRelays(MAX_HOPS);
  const full = await TestCircuit.build(relays);
  await assert.rejects(full.client.extend(testRelay(30), 0), RangeError);
  const two = await TestCircuit.build(relays.slice(0, 2));
  await assert.rejects(two.client.extend(testRelay(1), 0), RangeError);
});

Deno.test("ClientCircuit refuses to be used in the wrong state", async () => {
  const wrong = { code: "circuit.state" };
  const fresh = new ClientCircuit(crypto, seededRandom(1));
  const cell = new Uint8Array(CELL_BYTES);
  assert.throws(() => fresh.ping(0), wrong);
  assert.throws(() => fresh.sealData(cell, 10), wrong);
  assert.throws(() => fresh.send({ type: "close", code: "done" }), wrong);
  assert.throws(() => fresh.binding, wrong);
  await assert.rejects(fresh.extend(testRelay(0), 0), wrong);
  await assert.rejects(fresh.finishHop(cell), wrong);

  const { client } = await TestCircuit.build(testRelays(1));
  await assert.rejects(client.create(testRelay(1), 0), wrong);
  assert.throws(() => client.receive(cell.subarray(1), 0), RangeError);
  await client.extend(testRelay(2), 0);
  assert.throws(() => client.ping(0), wrong);
  assert.throws(() => client.sealData(cell, 1), wrong);
  await assert.rejects(client.extend(testRelay(3), 0), wrong);
  client.destroy();
  client.destroy();
  assert.throws(() => client.send({ type: "close", code: "done" }), wrong);
});

Deno.test("ClientCircuit.onStreamEnd() tells that the circuit is gone, once", async () => {
  const { client } = await TestCircuit.build(testRelays(1));
  const event = client.onStreamEnd();
  assert.deepEqual(event, {
    type: "closed",
    failure: { code: "destroyed" },
  });
  assert.equal(client.onStreamEnd(), undefined);
});
