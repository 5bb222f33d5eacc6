import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { FRAME_SPACE_BYTES } from "../../lib/session/frames.ts";
import {
  ACK_DELAY_MS,
  EARLY_ACK_EVERY_CELLS,
  FEW_ACK_DELAY_MS,
  FEW_CELLS,
  Leg,
  SESSION_CELL_BYTES,
  SESSION_TRAIN_BYTES,
  TRAIN_CELLS,
} from "../../lib/session/leg.ts";

const crypto = nobleSuite();
const SECRET = new Uint8Array(32).fill(7);

function pair(number = 0): { client: Leg; service: Leg } {
  return {
    client: new Leg(crypto, SECRET, number, "client", 0),
    service: new Leg(crypto, SECRET, number, "service", 0),
  };
}

function sealed(leg: Leg, byte = 1): Uint8Array {
  const cell = new Uint8Array(SESSION_CELL_BYTES);
  cell.fill(byte, 0, FRAME_SPACE_BYTES);
  leg.seal(cell);
  return cell;
}

function refused(run: () => unknown, code: string): void {
  assert.throws(
    run,
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("Leg opens what the other end has sealed, in order and once", () => {
  const { client, service } = pair();
  const [first, second] = [sealed(client, 1), sealed(client, 2)];
  refused(() => service.open(second.slice(), 0), "session.authentication");
  assert.deepEqual(
    service.open(first.slice(), 0),
    new Uint8Array(FRAME_SPACE_BYTES).fill(1),
  );
  refused(() => service.open(first.slice(), 0), "session.authentication");
  assert.deepEqual(
    service.open(second, 0),
    new Uint8Array(FRAME_SPACE_BYTES).fill(2),
  );
  assert.equal(service.receivedCells, 2);
});

Deno.test("Leg has keys of its own for its number and its direction", () => {
  const { client, service } = pair();
  refused(() => client.open(sealed(client), 0), "session.authentication");
  const other = pair(1);
  refused(
    () => service.open(sealed(other.client), 0),
    "session.authentication",
  );
  refused(() => service.open(new Uint8Array(10), 0), "session.cell_size");
});

Deno.test("Leg owes an acknowledgement after some cells, or a moment after the first, a longer one after few", () => {
  const { service } = pair();
  assert.equal(service.ackDueMs, Infinity);
  service.onAckWanted(100);
  for (let n = 1; n < FEW_CELLS; n++) {
    assert.equal(service.ackDueMs, 100 + FEW_ACK_DELAY_MS);
    service.onAckWanted(101);
  }
  assert.equal(service.ackDueMs, 100 + ACK_DELAY_MS);
  for (let n = FEW_CELLS; n < EARLY_ACK_EVERY_CELLS; n++) {
    service.onAckWanted(101);
  }
  assert.equal(service.ackDueMs, 100);
  service.takeAck(101);
  assert.equal(service.ackDueMs, Infinity);
});

Deno.test("Leg counts what is in flight until it is acknowledged, and refuses more than it sent", () => {
  const { client } = pair();
  for (let n = 0; n < 5; n++) {
    sealed(client);
    if (n % 2 === 0) client.onSent([], [], n);
  }
  assert.equal(client.inFlightCells, 3);
  assert.deepEqual(client.onAck(3, 0, 50).map(({ number }) => number), [0, 2]);
  assert.equal(client.inFlightCells, 1);
  assert.deepEqual(client.onAck(2, 0, 60), []); // old news
  refused(() => client.onAck(6, 0, 60), "session.ack");
  assert.deepEqual(client.onAck(5, 0, 60).map(({ number }) => number), [4]);
  assert.equal(client.probeDueMs, Infinity);
});

Deno.test("Leg takes the peer's delay off a round trip, but believes no more than could be", () => {
  for (const [delayMs, expected] of [[0, 100], [30, 70], [5_000, 0.05]]) {
    const { client } = pair();
    sealed(client);
    client.onSent([], [], 0);
    client.onAck(1, delayMs ?? 0, 100);
    assert.equal(client.congestion.roundTripMs, expected);
  }
});

Deno.test("Leg is probed when the oldest cell in flight has waited too long since it was heard of", () => {
  const { client, service } = pair();
  sealed(client);
  client.onSent([], [], 1_000);
  assert.equal(client.probeDueMs, 4_000);
  client.open(sealed(service), 3_000);
  assert.equal(client.probeDueMs, 6_000);
});

Deno.test("Leg says what was in flight when it dies, and can do nothing afterwards", () => {
  const { client } = pair();
  sealed(client);
  client.onSent([{ id: 1, offset: 0, length: 5 }], [{ type: "ping" }], 0);
  assert.equal(client.peekInFlight().length, 1);
  const lost = client.die();
  assert.deepEqual(lost.map(({ data }) => data), [[{
    id: 1,
    offset: 0,
    length: 5,
  }]]);
  assert.throws(() => sealed(client), { code: "crypto.wiped" });
});

function sealedTrain(leg: Leg): Uint8Array {
  const train = new Uint8Array(SESSION_TRAIN_BYTES).fill(1);
  leg.seal(train);
  return train;
}

Deno.test("Leg counts a train as its cells: received, in flight, and in what it owes", () => {
  const { client, service } = pair();
  client.seal(new Uint8Array(SESSION_CELL_BYTES));
  const first = new Leg(crypto, SECRET, 1, "client", 0);
  const second = new Leg(crypto, SECRET, 1, "service", 0);
  second.open(sealed(first), 0);
  first.onSent([], [], 0);
  const frames = second.open(sealedTrain(first), 0);
  assert.deepEqual(frames, new Uint8Array(SESSION_TRAIN_BYTES - 16).fill(1));
  first.onSent([], [], 1);
  second.open(sealed(first), 0);
  first.onSent([], [], 2);
  assert.equal(first.inFlightCells, 2 + TRAIN_CELLS);
  assert.equal(second.receivedCells, 2 + TRAIN_CELLS);
  // A train has arrived whole or not at all.
  assert.deepEqual(first.onAck(4, 0, 50).map(({ number }) => number), [0]);
  assert.equal(first.inFlightCells, 1 + TRAIN_CELLS);
  assert.deepEqual(first.onAck(5, 0, 60).map(({ number }) => number), [4]);
  refused(() => first.onAck(7, 0, 60), "session.ack");
  assert.deepEqual(first.onAck(6, 0, 60).map(({ number }) => number), [5]);
  assert.equal(first.inFlightCells, 0);

  service.open(sealed(new Leg(crypto, SECRET, 0, "client", 0)), 0);
  for (let n = 0; n < EARLY_ACK_EVERY_CELLS; n += TRAIN_CELLS) {
    assert.ok(service.ackDueMs > 100);
    client.onSent([], [], 0);
    service.open(sealedTrain(client), 0);
    service.onAckWanted(100);
  }
  assert.equal(service.ackDueMs, 100);
});

Deno.test("Leg has room for a train where the window has, and the path carries one within 40 ms", () => {
  const { client } = pair();
  assert.ok(!client.hasRoomForTrain); // nothing is known of the path
  sealed(client);
  client.onSent([], [], 0);
  client.onAck(1, 0, 100);
  // 64 cells in 100 ms.
  assert.ok(client.hasRoomForTrain);
  while (client.inFlightCells + TRAIN_CELLS <= client.congestion.cells) {
    assert.ok(client.hasRoomForTrain);
    sealedTrain(client);
    client.onSent([], [], 100);
  }
  assert.ok(!client.hasRoomForTrain);

  const far = pair().client;
  sealed(far);
  far.onSent([], [], 0);
  far.onAck(1, 0, 1_000);
  assert.ok(!far.hasRoomForTrain); // 64 cells a second
});

Deno.test("Leg opens no train as cells, nor cells as a train", () => {
  const { client, service } = pair();
  const train = sealedTrain(client);
  refused(
    () => service.open(train.slice(0, SESSION_CELL_BYTES), 0),
    "session.authentication",
  );
  service.open(train, 0);
  const cells = new Uint8Array(SESSION_TRAIN_BYTES);
  for (let n = 0; n < TRAIN_CELLS; n++) {
    cells.set(sealed(client), n * SESSION_CELL_BYTES);
  }
  refused(() => service.open(cells, 0), "session.authentication");
});
