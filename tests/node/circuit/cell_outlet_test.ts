import assert from "node:assert/strict";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import {
  CellBuffers,
  CHUNK_BYTES,
} from "../../../lib/node/circuit/cell_buffers.ts";
import { CellOutlet } from "../../../lib/node/circuit/cell_outlet.ts";
import { CircuitReplies } from "../../../lib/node/circuit/circuit_replies.ts";
import { codeOf } from "../link/link_world.ts";
import { FakeStream } from "./fake_stream.ts";

function outletOf(fill: (batch: Bytes, outlet: CellOutlet) => number) {
  const stream = new FakeStream();
  const buffers = new CellBuffers();
  const ends: string[] = [];
  let fills = 0;
  const outlet: CellOutlet = new CellOutlet(stream, buffers, {
    fill(batch) {
      assert.equal(batch.length, CHUNK_BYTES);
      fills++;
      return fill(batch, outlet);
    },
    onEnd: (how) => void ends.push(how),
  });
  return { stream, buffers, outlet, ends, fills: () => fills };
}

/** Fills these bytes, one after the other, and then nothing. */
function filling(...amounts: number[]): (batch: Bytes) => number {
  return (batch) => {
    const amount = amounts.shift() ?? 0;
    batch.fill(amount, 0, amount);
    return amount;
  };
}

Deno.test("CellOutlet asks for more only when the last batch was taken", async () => {
  const { stream, outlet, fills } = outletOf(filling(1, 2, 3));
  assert.equal(fills(), 0);
  outlet.wake();
  outlet.wake();
  assert.deepEqual([stream.writing, fills()], [1, 1]);
  await stream.take();
  assert.deepEqual([stream.writing, fills()], [1, 2]);
  await stream.take();
  await stream.take();
  assert.deepEqual(stream.written.map(({ length }) => length), [1, 2, 3]);
  assert.equal(stream.writing, 0);
});

Deno.test("CellOutlet writes control cells in their order, before data not yet sealed", async () => {
  const { stream, outlet } = outletOf(filling(5, 6));
  outlet.wake();
  outlet.send(Uint8Array.of(1));
  outlet.send(Uint8Array.of(2, 2));
  for (let i = 0; i < 4; i++) await stream.take();
  assert.deepEqual(stream.written.map(({ length }) => length), [5, 1, 2, 6]);
});

Deno.test("CellOutlet hears of work that is found while it fills", async () => {
  const answers = [0, 7, 0];
  const { stream, outlet, fills } = outletOf((_batch, outlet) => {
    const answer = answers.shift() ?? 0;
    if (answers.length === 2) outlet.wake();
    return answer;
  });
  outlet.wake();
  assert.deepEqual([stream.writing, fills()], [1, 2]);
  await stream.take();
  assert.deepEqual([stream.writing, fills()], [0, 3]);

  const control = outletOf((_batch, outlet) => {
    if (control.fills() === 1) outlet.send(Uint8Array.of(9));
    return 0;
  });
  control.outlet.wake();
  assert.deepEqual(control.stream.written, [Uint8Array.of(9)]);
  await control.stream.take();
});

Deno.test("CellOutlet ends when all is written, or a write fails, or it is stopped", async () => {
  const drained = outletOf(filling(1, 2));
  drained.outlet.wake();
  drained.outlet.end();
  await drained.stream.take();
  assert.deepEqual(drained.ends, []);
  await drained.stream.take();
  assert.deepEqual(drained.ends, ["drained"]);
  drained.outlet.wake();
  assert.equal(drained.stream.written.length, 2);

  const failed = outletOf(filling(1, 2));
  failed.outlet.wake();
  await failed.stream.refuse();
  assert.deepEqual(failed.ends, ["failed"]);
  failed.outlet.wake();
  assert.equal(failed.stream.written.length, 1);

  const stopped = outletOf(filling(1, 2));
  stopped.outlet.wake();
  stopped.outlet.stop();
  await stopped.stream.take();
  assert.deepEqual([stopped.stream.written.length, stopped.ends], [1, []]);

  const within = outletOf((_batch, outlet) => {
    outlet.stop();
    return 100;
  });
  within.outlet.wake();
  assert.equal(within.stream.written.length, 0);
});

Deno.test("CellOutlet holds no batch while there is nothing to write", async () => {
  const { stream, buffers, outlet } = outletOf(filling(1));
  const memory = buffers.take();
  buffers.giveBack(memory.buffer);
  outlet.wake();
  assert.notEqual(buffers.take().buffer, memory.buffer);
  await stream.take();
  assert.equal(buffers.take().buffer, memory.buffer);
});

Deno.test("CircuitReplies pairs answers with questions, and knows what was not asked", async () => {
  const replies = new CircuitReplies();
  const [a, b] = [replies.expectDht(), replies.expectDht()];
  assert.notEqual(a.id, b.id);
  const found = { type: "dht_missing", id: b.id } as const;
  assert.equal(replies.onReply(found), true);
  assert.deepEqual(await b.reply, found);
  assert.equal(replies.onReply(found), false);
  assert.equal(replies.onReply({ type: "dht_missing", id: 99 }), false);

  const acks = [
    replies.expect("introduce_ack"),
    replies.expect("introduce_ack"),
  ];
  const ack = (byte: number) =>
    ({ type: "introduce_ack", body: Uint8Array.of(byte) }) as const;
  assert.equal(
    replies.onReply({ ...ack(0), type: "intro_established" }),
    false,
  );
  assert.equal(replies.onReply(ack(1)), true);
  assert.equal(replies.onReply(ack(2)), true);
  assert.equal(replies.onReply(ack(3)), false);
  const bodies = await Promise.all(acks);
  assert.deepEqual(bodies.map(([byte]) => byte), [1, 2]);
  for (const type of ["introduce2", "rendezvous2"] as const) {
    assert.equal(replies.onReply({ ...ack(0), type }), false);
  }
});

Deno.test("CircuitReplies bounds what is asked, and fails all of it at the end", async () => {
  const replies = new CircuitReplies();
  const dht = Array.from({ length: 4 }, () => replies.expectDht().reply);
  const acks = Array.from({ length: 8 }, () => replies.expect("introduce_ack"));
  assert.equal(
    await codeOf(Promise.try(() => replies.expectDht())),
    "circuit.busy",
  );
  assert.equal(
    await codeOf(Promise.try(() => replies.expect("introduce_ack"))),
    "circuit.busy",
  );
  replies.fail(new UnreachableError("circuit.ended", "Cannot"));
  for (const reply of [...dht, ...acks]) {
    assert.equal(await codeOf(reply), "circuit.ended");
  }
  assert.equal(replies.onReply({ type: "dht_missing", id: 0 }), false);
});
