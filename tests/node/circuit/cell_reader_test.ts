import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { CELL_BYTES } from "../../../lib/circuit/cell.ts";
import {
  CellBuffers,
  CHUNK_BYTES,
} from "../../../lib/node/circuit/cell_buffers.ts";
import { CellReader } from "../../../lib/node/circuit/cell_reader.ts";
import { FakeStream, settle } from "./fake_stream.ts";

/** A reader that copies what comes, and says of each chunk whether it is kept. */
function reading(keeps: (chunk: number) => boolean = () => false) {
  const stream = new FakeStream();
  const buffers = new CellBuffers();
  const chunks: Bytes[] = [];
  const kept: Bytes[] = [];
  const errors: unknown[] = [];
  let ends = 0;
  const reader: CellReader = new CellReader(stream, buffers, {
    onCells(cells) {
      assert.equal(cells.length % CELL_BYTES, 0);
      assert.ok(cells.length > 0);
      chunks.push(new Uint8Array(cells));
      const isKept = keeps(chunks.length);
      // What was handed out may be changed.
      if (isKept) kept.push(cells);
      else cells.fill(0xee);
      return isKept;
    },
    onEnd: () => void ends++,
    onError: (error) => void errors.push(error),
  });
  reader.start();
  return { stream, buffers, reader, chunks, kept, errors, ends: () => ends };
}

/** Cells and trains of these sizes, and the beginning of another. */
function unitsOf(sizes: readonly number[]): Bytes {
  const cells = sizes.reduce((sum, size) => sum + size, 0);
  const bytes = seededRandom(4).bytes(cells * CELL_BYTES + 100);
  let at = 0;
  for (const size of [...sizes, 1]) {
    bytes[at] = size;
    at += size * CELL_BYTES;
  }
  return bytes;
}

const BYTES = unitsOf(Array.from({ length: 40 }, () => 1));

Deno.test("CellReader hands out the same cells wherever reads cut them, kept or not", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
      fc.array(fc.constantFrom(1, 4), { minLength: 1, maxLength: 20 }),
      async (cuts, keeps, sizes) => {
        const bytes = unitsOf(sizes);
        const { stream, chunks, kept, buffers, ends } = reading((chunk) =>
          keeps[chunk % keeps.length] ?? false
        );
        let at = 0;
        for (const cut of cuts) {
          stream.arrive(bytes.subarray(at, at + cut));
          at = Math.min(bytes.length, at + cut);
          await settle();
        }
        stream.end();
        for (let i = 0; i < 50; i++) await settle();
        let whole = 0;
        for (const size of sizes) {
          if (whole + size * CELL_BYTES > at) break;
          whole += size * CELL_BYTES;
        }
        assert.deepEqual(concat(...chunks), bytes.slice(0, whole));
        // No read has written into what was kept.
        const copies = chunks.filter((_, i) => keeps[(i + 1) % keeps.length]);
        assert.deepEqual(kept.map((cells) => new Uint8Array(cells)), copies);
        assert.equal(ends(), 1);
        assert.deepEqual([buffers.reads, buffers.cellWaits], [0, 0]);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("CellReader waits with little room, and takes much where much comes", async () => {
  const { stream, chunks, buffers } = reading();
  await settle();
  assert.deepEqual(stream.rooms, [256]);
  stream.arrive(BYTES.subarray(0, CELL_BYTES));
  await settle();
  // One cell that comes alone: two reads, and then little room again.
  assert.deepEqual(stream.rooms, [256, CELL_BYTES, 256]);
  assert.equal(buffers.reads, 0);
  stream.arrive(BYTES.subarray(CELL_BYTES, 40 * CELL_BYTES));
  for (let i = 0; i < 5; i++) await settle();
  assert.ok(stream.rooms.slice(5).every((room) => room > 60_000));
  assert.equal(buffers.reads, 1);
  stream.arrive(BYTES.subarray(0, CELL_BYTES));
  await settle();
  // By now it is known to bring cells: one read each, where they come alone.
  assert.equal(stream.rooms.at(-1), CELL_BYTES + 256);
  assert.deepEqual([buffers.reads, buffers.cellWaits], [0, 1]);
  const reads = stream.rooms.length;
  for (let n = 0; n < 4; n++) {
    stream.arrive(BYTES.subarray(n * CELL_BYTES, (n + 1) * CELL_BYTES));
    await settle();
  }
  assert.equal(stream.rooms.length, reads + 4);
  assert.equal(
    chunks.reduce((sum, { length }) => sum + length, 0),
    45 * CELL_BYTES,
  );
});

Deno.test("CellReader waits in little while too many others expect a cell", async () => {
  const { stream, buffers, reader } = reading();
  while (buffers.beginCellWait());
  const limit = buffers.cellWaits;
  for (let n = 0; n < 20; n++) {
    stream.arrive(BYTES.subarray(n * CELL_BYTES, (n + 1) * CELL_BYTES));
    await settle();
  }
  assert.equal(stream.rooms.at(-1), 256);
  buffers.endCellWait();
  stream.arrive(BYTES.subarray(0, CELL_BYTES));
  await settle();
  assert.equal(stream.rooms.at(-1), CELL_BYTES + 256);
  assert.equal(buffers.cellWaits, limit);
  reader.stop();
  stream.end();
  await settle();
  assert.equal(buffers.cellWaits, limit - 1);
});

Deno.test("CellReader goes on in small pieces when too many large reads wait", async () => {
  const { stream, chunks, buffers } = reading();
  while (buffers.beginRead() !== undefined);
  stream.arrive(BYTES.subarray(0, 20 * CELL_BYTES));
  for (let i = 0; i < 20; i++) await settle();
  assert.ok(stream.rooms.every((room) => room <= CELL_BYTES + 256));
  assert.deepEqual(concat(...chunks), BYTES.slice(0, 20 * CELL_BYTES));
});

Deno.test("CellReader pauses, resumes, and stops in either state", async () => {
  const { stream, reader, chunks, ends } = reading(() => {
    reader.pause();
    return false;
  });
  stream.arrive(BYTES.subarray(0, CELL_BYTES));
  await settle();
  assert.equal(chunks.length, 1);
  assert.equal(stream.isAwaited, false);
  stream.arrive(BYTES.subarray(0, CELL_BYTES));
  await settle();
  assert.equal(chunks.length, 1);
  reader.resume();
  await settle();
  assert.equal(chunks.length, 2);
  assert.equal(ends(), 0);
  reader.stop();
  assert.equal(ends(), 1);
  reader.resume();
  reader.stop();
  assert.equal(ends(), 1);
  assert.equal(stream.isAwaited, false);

  const other = reading();
  await settle();
  other.reader.stop();
  assert.equal(other.ends(), 0); // the read is still under way
  other.stream.arrive(BYTES);
  await settle();
  assert.deepEqual([other.chunks.length, other.ends()], [0, 1]);
});

Deno.test("CellReader ends once, however the stream does", async () => {
  for (const end of ["end", "fail"] as const) {
    const { stream, ends, chunks } = reading();
    stream.arrive(BYTES.subarray(0, CELL_BYTES + 5));
    await settle();
    stream[end]();
    await settle();
    assert.deepEqual([chunks.length, ends()], [1, 1]);
  }
});

Deno.test("CellReader reports what its sink throws, and reads no more", async () => {
  const failure = new Error("a bug");
  const { stream, errors, ends } = reading(() => {
    throw failure;
  });
  stream.arrive(BYTES);
  await settle();
  assert.deepEqual(errors, [failure]);
  assert.equal(ends(), 1);
  assert.equal(stream.isAwaited, false);
});

Deno.test("CellBuffers gives memory out again, and no other than its own", () => {
  const buffers = new CellBuffers();
  const first = buffers.beginRead();
  assert.ok(first !== undefined && first.length === CHUNK_BYTES);
  assert.equal(buffers.reads, 1);
  buffers.endRead();
  buffers.giveBack(first.buffer);
  buffers.giveBack(new ArrayBuffer(100));
  assert.equal(buffers.take().buffer, first.buffer);
  assert.notEqual(buffers.take().buffer, first.buffer);
  assert.equal(buffers.reads, 0);
});
