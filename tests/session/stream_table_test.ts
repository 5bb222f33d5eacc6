import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { SessionQuota } from "../../lib/session/quota.ts";
import { MAX_STREAMS, StreamTable } from "../../lib/session/stream_table.ts";

function refused(run: () => unknown): void {
  assert.throws(
    run,
    (error) =>
      error instanceof ProtocolError && error.code === "session.stream_id",
  );
}

const service = () => new StreamTable("service", new SessionQuota(), () => {});
const client = () => new StreamTable("client", new SessionQuota(), () => {});

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
  const quota = new SessionQuota(1000);
  let shed = 0;
  const table = new StreamTable("client", quota, () => shed++);
  const [small, large] = [table.open(0), table.open(0)];
  for (const [stream, bytes] of [[small, 300], [large, 800]] as const) {
    stream.send.write(new Uint8Array(bytes));
    table.hold(bytes);
  }
  assert.ok(quota.isExceeded);
  table.relieveQuota();
  assert.equal(shed, 1);
  assert.equal(table.largest, large);
  table.forget(large);
  assert.equal(quota.usedBytes, 300);
  assert.ok(!table.mayGrow(300) && table.mayGrow(200));
  table.clear();
  assert.equal(quota.usedBytes, 0);
});

Deno.test("StreamTable of a session that holds little is left alone when another holds too much", () => {
  const quota = new SessionQuota(1000);
  const shed: string[] = [];
  const little = new StreamTable("service", quota, () => shed.push("little"));
  const greedy = new StreamTable("service", quota, () => shed.push("greedy"));
  greedy.hold(950);
  little.hold(100);
  // It is the little one that passed the limit.
  little.relieveQuota();
  assert.deepEqual(shed, ["greedy"]);
  greedy.hold(-950);
  little.relieveQuota();
  assert.deepEqual(shed, ["greedy"]);
});
