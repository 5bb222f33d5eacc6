import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { SessionQuota } from "../../lib/session/quota.ts";
import { STREAM_BYTES } from "../../lib/session/stream.ts";
import {
  MAX_STREAMS,
  MAX_UNOPENED_BYTES,
  StreamTable,
} from "../../lib/session/stream_table.ts";

function refused(run: () => unknown): void {
  assert.throws(
    run,
    (error) =>
      error instanceof ProtocolError && error.code === "session.stream_id",
  );
}

const tableOf = (role: "client" | "service", quota = new SessionQuota()) =>
  new StreamTable(role, quota.open(() => {}));
const service = () => tableOf("service");
const client = () => tableOf("client");

Deno.test("StreamTable makes streams that the client names first, in any order, once each", () => {
  const table = service();
  const third = table.named(3, 0);
  assert.ok(typeof third === "object" && !third.isOpen);
  assert.equal(table.named(3, 0), third);
  const first = table.named(1, 0);
  assert.ok(typeof first === "object");
  table.forget(first);
  assert.equal(table.named(1, 0), "over");
  assert.ok(typeof table.named(2, 0) === "object");
});

Deno.test("StreamTable refuses stream 0, and ids that leap ahead", () => {
  const table = service();
  refused(() => table.named(0, 0));
  refused(() => table.named(MAX_STREAMS + 1, 0));
  assert.ok(typeof table.named(MAX_STREAMS, 0) === "object");
  refused(() => table.named(3 * MAX_STREAMS, 0));
});

Deno.test("StreamTable refuses to remember ever more ids that were left out", () => {
  const table = service();
  refused(() => {
    for (let id = 1000; id < 50 * MAX_STREAMS; id += 1000) {
      const stream = table.named(id, 0);
      if (typeof stream === "object") table.forget(stream);
    }
  });
});

Deno.test("StreamTable has room for so many streams, and again when one is over", () => {
  const table = service();
  for (let id = 1; id <= MAX_STREAMS; id++) table.named(id, 0);
  assert.ok(table.isFull);
  assert.equal(table.named(MAX_STREAMS + 1, 0), "full");
  const [first] = table.all();
  assert.ok(first !== undefined);
  table.forget(first);
  assert.ok(typeof table.named(MAX_STREAMS + 2, 0) === "object");
  assert.equal(table.named(MAX_STREAMS + 1, 0), "over", "it had its chance");
});

Deno.test("StreamTable of a client knows its own streams alone", () => {
  const table = client();
  const stream = table.open(0);
  assert.ok(stream.isOpen && stream.id === 1);
  assert.equal(table.named(1, 0), stream);
  table.forget(stream);
  assert.equal(table.named(1, 0), "over");
  refused(() => table.named(2, 0));
  refused(() => table.named(0, 0));
});

Deno.test("StreamTable counts what is held, and gives all of it back", () => {
  const quota = new SessionQuota(100_000);
  const table = tableOf("client", quota);
  const [small, large] = [table.open(0), table.open(0)];
  for (const [stream, bytes] of [[small, 3000], [large, 8000]] as const) {
    table.counted(stream, () => stream.send.write(new Uint8Array(bytes)));
  }
  assert.equal(quota.usedBytes, small.heldBytes + large.heldBytes);
  assert.ok(small.heldBytes > STREAM_BYTES + 3000);
  assert.deepEqual(table.largest(1), [large]);
  assert.deepEqual(table.largest(large.heldBytes + 1), [large, small]);
  table.forget(large);
  assert.equal(quota.usedBytes, small.heldBytes);
  table.clear();
  assert.equal(quota.usedBytes, 0);
});

Deno.test("StreamTable says when streams that were never opened hold too much", () => {
  const table = service();
  const first = table.named(1, 0);
  assert.ok(typeof first === "object");
  for (let id = 2; !table.isUnopenedFull; id++) table.named(id, 0);
  assert.equal(table.size, MAX_UNOPENED_BYTES / STREAM_BYTES + 1);
  table.onOpened(first);
  assert.ok(!table.isUnopenedFull);
});

Deno.test("StreamTable lets a crowded session write in small portions", () => {
  const table = tableOf("client", new SessionQuota(1_000_000));
  const stream = table.open(0);
  table.counted(stream, () => stream.send.write(new Uint8Array(50_000)));
  assert.ok(table.hasRoom(stream));
  table.counted(stream, () => stream.send.write(new Uint8Array(50_000)));
  assert.ok(!table.hasRoom(stream));
});
