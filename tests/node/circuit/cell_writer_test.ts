import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { CELL_BYTES } from "../../../lib/circuit/cell.ts";
import { CellQuota } from "../../../lib/circuit/cell_quota.ts";
import { RING_CELLS } from "../../../lib/circuit/cell_ring.ts";
import {
  CellBuffers,
  CHUNK_BYTES,
} from "../../../lib/node/circuit/cell_buffers.ts";
import { CellWriter } from "../../../lib/node/circuit/cell_writer.ts";
import { RelayRate } from "../../../lib/node/relay/relay_rate.ts";
import { FLUSH_MS, RelayStream } from "../../../lib/node/relay/relay_stream.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { FakeStream, settle } from "./fake_stream.ts";

const random = seededRandom(5);
const BYTES = random.bytes(16 * CELL_BYTES);

function newHost() {
  return {
    clock: new VirtualClock({ drain: createDrain() }),
    buffers: new CellBuffers(),
    quota: new CellQuota<string>(1e9),
  };
}

function writing() {
  const host = newHost();
  const stream = new FakeStream();
  let ends = 0;
  const writer = new CellWriter(stream, host, "owner", () => void ends++);
  return { host, stream, writer, ends: () => ends };
}

/** `count` cells in memory of their own, as a reader has them. */
function cells(count: number, first = 0): Bytes {
  const memory = new Uint8Array(count > 8 ? CHUNK_BYTES : count * CELL_BYTES);
  for (let i = 0; i < count; i++) {
    memory.fill(first + i, i * CELL_BYTES, (i + 1) * CELL_BYTES);
  }
  return memory.subarray(0, count * CELL_BYTES);
}

Deno.test("CellWriter writes from where the cells are, and copies few behind a write", async () => {
  const { host, stream, writer } = writing();
  assert.equal(writer.write(cells(1)), "kept");
  assert.equal(writer.write(cells(2, 1)), "copied");
  assert.equal(writer.write(cells(16, 3)), "kept");
  assert.equal(stream.written.length, 1);
  assert.equal(writer.waitingBytes, 19 * CELL_BYTES);
  for (let i = 0; i < 3; i++) await stream.take();
  assert.deepEqual(
    concat(...stream.written),
    concat(...Array.from({ length: 19 }, (_, i) => cells(1, i))),
  );
  assert.deepEqual([writer.waitingBytes, host.quota.usedBytes], [0, 0]);
});

Deno.test("CellWriter keeps the order of cells whatever their sizes and the pace of writes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          count: fc.integer({ min: 1, max: 16 }),
          takes: fc.integer({ min: 0, max: 2 }),
        }),
        { maxLength: 40 },
      ),
      async (steps) => {
        const { host, stream, writer } = writing();
        let next = 0;
        for (const { count, takes } of steps) {
          const chunk = cells(count, next);
          const outcome = writer.write(chunk);
          // Memory that was not kept is used for something else.
          if (outcome === "copied") chunk.fill(0xee);
          next += count;
          for (let i = 0; i < takes; i++) await stream.take();
        }
        while (stream.writing > 0) await stream.take();
        const sent = concat(...stream.written);
        assert.equal(sent.length, next * CELL_BYTES);
        for (let i = 0; i < next; i++) {
          assert.equal(sent[i * CELL_BYTES], i & 0xff);
          assert.equal(sent[(i + 1) * CELL_BYTES - 1], i & 0xff);
        }
        assert.equal(host.quota.usedBytes, 0);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("CellWriter is full at the protocol's limit, and takes nothing more", () => {
  const { writer } = writing();
  for (let sent = 0; sent < RING_CELLS; sent += 16) {
    assert.notEqual(writer.write(cells(16)), "full");
  }
  assert.equal(writer.write(cells(1)), "full");
  assert.equal(writer.write(cells(16)), "full");
  assert.equal(writer.waitingBytes, RING_CELLS * CELL_BYTES);
});

Deno.test("CellWriter ends after what waits, or without it", async () => {
  const flushed = writing();
  flushed.writer.write(cells(1));
  flushed.writer.write(cells(1));
  flushed.writer.end();
  assert.equal(flushed.writer.write(cells(1)), "dropped");
  await flushed.stream.take();
  assert.deepEqual([flushed.stream.written.length, flushed.ends()], [2, 0]);
  await flushed.stream.take();
  assert.equal(flushed.ends(), 1);

  const dropped = writing();
  dropped.writer.write(cells(16));
  dropped.writer.write(cells(16));
  dropped.writer.drop();
  assert.equal(dropped.ends(), 0); // the write under way has its memory still
  assert.equal(dropped.host.quota.usedBytes, 16 * CELL_BYTES);
  await dropped.stream.take();
  assert.deepEqual([dropped.stream.written.length, dropped.ends()], [1, 1]);
  assert.equal(dropped.host.quota.usedBytes, 0);

  const idle = writing();
  idle.writer.end();
  idle.writer.drop();
  assert.equal(idle.ends(), 1);
});

Deno.test("CellWriter ends when a write fails, and holds nothing", async () => {
  const { host, stream, writer, ends } = writing();
  for (let i = 0; i < 5; i++) writer.write(cells(3));
  await stream.refuse();
  assert.deepEqual([ends(), writer.waitingBytes, host.quota.usedBytes], [
    1,
    0,
    0,
  ]);
  assert.equal(writer.write(cells(1)), "dropped");
});

Deno.test("CellWriter gives the memory of written chunks back to the readers", async () => {
  const { host, stream, writer } = writing();
  const chunk = host.buffers.take();
  chunk.set(BYTES);
  writer.write(chunk);
  await stream.take();
  assert.equal(host.buffers.take().buffer, chunk.buffer);
});

// ---- the whole stream ----

function relaying() {
  const host = newHost();
  const stream = new FakeStream();
  const heard: string[] = [];
  const relay = new RelayStream(stream, host, "owner", {
    onHeld: () => {},
    onCells: () => false,
    onHangUp: () => void heard.push("hang up"),
    onGone: () => void heard.push("gone"),
    onError: () => void heard.push("error"),
  });
  relay.start();
  return { host, stream, relay, heard };
}

Deno.test("RelayStream closes at once when nothing waits", async () => {
  const { stream, relay, heard } = relaying();
  relay.close("flush");
  relay.close("flush");
  await settle();
  assert.ok(stream.isWriteClosed && stream.isCancelled);
  assert.deepEqual(heard, ["gone"]);
});

Deno.test("RelayStream writes what waits before it ends, but not for ever", async () => {
  const { host, stream, relay, heard } = relaying();
  relay.writer.write(cells(1));
  relay.writer.write(cells(1));
  relay.close("flush");
  await settle();
  assert.equal(stream.isWriteClosed, false);
  await stream.take();
  await stream.take();
  assert.ok(stream.isWriteClosed);
  assert.deepEqual(heard, ["gone"]);
  assert.equal(host.clock.pending, 0);

  const stuck = relaying();
  stuck.relay.writer.write(cells(1));
  stuck.relay.writer.write(cells(16));
  stuck.relay.close("flush");
  await stuck.host.clock.advance(FLUSH_MS - 1);
  assert.equal(stuck.stream.isCancelled, false);
  await stuck.host.clock.advance(1);
  assert.equal(stuck.stream.isCancelled, true);
  assert.equal(stuck.host.quota.usedBytes, CELL_BYTES);
  assert.deepEqual(stuck.heard, []);
  await stuck.stream.refuse();
  assert.deepEqual(stuck.heard, ["gone"]);
});

Deno.test("RelayStream tells of a hang-up once for each direction, and is gone when closed", async () => {
  const { stream, relay, heard } = relaying();
  stream.end();
  await settle();
  assert.deepEqual(heard, ["hang up"]);
  relay.close("flush");
  await settle();
  assert.deepEqual(heard, ["hang up", "gone"]);

  const refused = relaying();
  refused.relay.writer.write(cells(1));
  await refused.stream.refuse();
  assert.deepEqual(refused.heard, ["hang up"]);
  refused.relay.close("drop");
  await settle();
  assert.deepEqual(refused.heard, ["hang up", "gone"]);
});

// ---- held to a rate ----

function held(perSecond: number) {
  const clock = new VirtualClock({ drain: createDrain() });
  const rate = new RelayRate(clock, { perSecond, burst: 1 });
  const host = { ...newHost(), clock, turns: rate };
  const stream = new FakeStream();
  let ends = 0;
  const writer = new CellWriter(stream, host, "owner", () => void ends++);
  return { clock, rate, host, stream, writer, ends: () => ends };
}

Deno.test("CellWriter writes no faster than its host's rate, in order, and by short writes", async () => {
  const { clock, rate, host, stream, writer } = held(CELL_BYTES);
  assert.equal(writer.write(cells(16)), "kept");
  assert.equal(writer.write(cells(4, 16)), "copied");
  for (let second = 0; second < 20; second++) {
    assert.equal(stream.written.length, second + 1);
    await stream.take();
    await clock.advance(1_000);
  }
  assert.deepEqual(
    concat(...stream.written),
    concat(...Array.from({ length: 20 }, (_, i) => cells(1, i))),
  );
  assert.equal(rate.sentBytes, 20 * CELL_BYTES);
  assert.deepEqual([host.quota.usedBytes, clock.pending], [0, 0]);
});

Deno.test("CellWriter that waits for its turn ends behind what waits, or drops it at once", async () => {
  const flushed = held(CELL_BYTES);
  for (let i = 0; i < 2; i++) flushed.writer.write(cells(1, i));
  await flushed.stream.take();
  flushed.writer.end();
  assert.equal(flushed.ends(), 0);
  await flushed.clock.advance(1_000);
  await flushed.stream.take();
  assert.equal(flushed.ends(), 1);

  const dropped = held(CELL_BYTES);
  for (let i = 0; i < 2; i++) dropped.writer.write(cells(1, i));
  await dropped.stream.take();
  dropped.writer.drop();
  assert.equal(dropped.ends(), 1);
  assert.deepEqual([dropped.host.quota.usedBytes, dropped.rate.waiting], [
    0,
    0,
  ]);
  await dropped.clock.advance(10_000);
  assert.equal(dropped.stream.written.length, 1);
});

Deno.test("CellWriter that waits goes on at once when the rate is lifted", async () => {
  const { rate, stream, writer } = held(1);
  for (let i = 0; i < 2; i++) writer.write(cells(1, i));
  await stream.take();
  assert.equal(stream.written.length, 1);
  rate.setRate(undefined);
  assert.equal(stream.written.length, 2);
  await stream.take();
});
