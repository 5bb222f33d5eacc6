import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { randomBelow, seededRandom } from "../../lib/base/random.ts";
import { MAX_GAPS } from "../../lib/session/early_bytes.ts";
import {
  INITIAL_WINDOW_BYTES,
  MAX_WINDOW_BYTES,
  ReceiveStream,
} from "../../lib/session/receive_stream.ts";

const bytesFrom = (start: number, length: number) =>
  Uint8Array.from({ length }, (_, n) => (start + n) % 251);
const ALWAYS = () => true;

function refused(run: () => unknown, code: string): void {
  assert.throws(
    run,
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("ReceiveStream puts any pieces in order, and counts what is new (property)", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed);
      const length = 1 + randomBelow(random, 2000);
      const whole = bytesFrom(0, length);
      const stream = new ReceiveStream(0);
      let added = 0;
      const read: Uint8Array[] = [];
      const give = (start: number, end: number) => {
        added += stream.onData(start, whole.slice(start, end));
        if (randomBelow(random, 3) === 0) read.push(...stream.readAll());
      };
      for (let n = 0; n < 60; n++) {
        const start = randomBelow(random, length);
        const end = Math.min(length, start + randomBelow(random, 120));
        give(start, end);
      }
      stream.onFin(length);
      give(0, length);
      read.push(...stream.readAll());
      assert.deepEqual(concat(...read), concat(whole));
      assert.equal(added, length);
      assert.ok(stream.isAtEnd);
      assert.equal(stream.bufferedBytes, 0);
    }),
    { numRuns: 80 },
  );
});

Deno.test("ReceiveStream copies what it is given: cells are used again", () => {
  const stream = new ReceiveStream(0);
  const cell = bytesFrom(0, 10);
  stream.onData(0, cell.subarray(0, 5));
  stream.onData(7, cell.subarray(7, 10));
  cell.fill(0);
  stream.onData(5, bytesFrom(5, 2));
  assert.deepEqual(concat(...stream.readAll()), bytesFrom(0, 10));
});

Deno.test("ReceiveStream refuses bytes beyond the window, and beyond the end", () => {
  const stream = new ReceiveStream(0);
  refused(
    () => stream.onData(INITIAL_WINDOW_BYTES, bytesFrom(0, 1)),
    "session.window",
  );
  refused(() => stream.onFin(INITIAL_WINDOW_BYTES + 1), "session.window");
  stream.onData(0, bytesFrom(0, 10));
  refused(() => stream.onFin(9), "session.final_offset");
  stream.onFin(10);
  stream.onFin(10); // a repetition
  refused(() => stream.onFin(11), "session.final_offset");
  refused(() => stream.onData(10, bytesFrom(0, 1)), "session.final_offset");
});

Deno.test("ReceiveStream bounds the gaps that a peer may leave", () => {
  const stream = new ReceiveStream(0);
  refused(() => {
    for (let n = 0; n <= MAX_GAPS; n++) {
      stream.onData(2 * n + 1, Uint8Array.of(1));
    }
  }, "session.gaps");
});

Deno.test("ReceiveStream grants more once a quarter of the window has been read", () => {
  const stream = new ReceiveStream(0);
  const quarter = INITIAL_WINDOW_BYTES / 4;
  stream.onData(0, new Uint8Array(quarter - 1));
  stream.readAll();
  assert.equal(stream.takeGrant(1e6, 100, ALWAYS), undefined);
  stream.onData(quarter - 1, new Uint8Array(1));
  stream.readAll();
  const grant = quarter + INITIAL_WINDOW_BYTES;
  assert.equal(stream.takeGrant(1e6, 100, ALWAYS), grant);
  assert.equal(stream.granted, grant);
});

Deno.test("ReceiveStream lets the window grow for a fast reader, while there is memory, to its limit", () => {
  const grown = (mayGrow: () => boolean) => {
    const stream = new ReceiveStream(0);
    let at = 0;
    for (let ms = 0; ms < 120; ms += 10) {
      const length = stream.granted - at;
      stream.onData(at, new Uint8Array(length));
      at += length;
      stream.readAll();
      stream.takeGrant(ms, 100, mayGrow);
    }
    return stream.granted - at;
  };
  assert.equal(grown(ALWAYS), MAX_WINDOW_BYTES);
  assert.equal(grown(() => false), INITIAL_WINDOW_BYTES);
});

Deno.test("ReceiveStream grants nothing to a stream that has ended", () => {
  const stream = new ReceiveStream(0);
  stream.onData(0, new Uint8Array(INITIAL_WINDOW_BYTES));
  stream.onFin(INITIAL_WINDOW_BYTES);
  stream.readAll();
  assert.equal(stream.takeGrant(1e6, 100, ALWAYS), undefined);
});

Deno.test("ReceiveStream is readable when something is in order, be it the end", () => {
  const stream = new ReceiveStream(0);
  stream.onData(5, bytesFrom(5, 5));
  assert.ok(!stream.isReadable);
  assert.deepEqual(stream.readAll(), []);
  stream.onData(0, bytesFrom(0, 5));
  assert.ok(stream.isReadable);
  assert.deepEqual(concat(...stream.readAll()), bytesFrom(0, 10));
  assert.ok(!stream.isReadable);
  stream.onFin(10);
  assert.ok(stream.isReadable && stream.isAtEnd);
  stream.drop();
  assert.equal(stream.bufferedBytes, 0);
});

Deno.test("ReceiveStream.read() takes no more than asked for, and the rest later", () => {
  const stream = new ReceiveStream(0);
  for (let at = 0; at < 12_000; at += 3000) {
    stream.onData(at, bytesFrom(at, 3000));
  }
  assert.deepEqual(concat(...stream.read(6500)), bytesFrom(0, 6000));
  assert.deepEqual(concat(...stream.read(1)), bytesFrom(6000, 3000));
  assert.deepEqual(concat(...stream.readAll()), bytesFrom(9000, 3000));
});

Deno.test("ReceiveStream takes memory by what comes, not by how many pieces it is in", () => {
  const pieces = new ReceiveStream(0);
  const early = new ReceiveStream(0);
  for (let at = 0; at < 100_000; at++) {
    pieces.onData(at, bytesFrom(at, 1));
    early.onData(at + 1, bytesFrom(at + 1, 1));
  }
  for (const { heldBytes } of [pieces, early]) {
    assert.ok(heldBytes >= 100_000 && heldBytes < 120_000, `${heldBytes}`);
  }
  assert.equal(pieces.readAll().length, Math.ceil(100_000 / 4096));
  early.onData(0, bytesFrom(0, 1));
  assert.deepEqual(concat(...early.readAll()), bytesFrom(0, 100_001));
  for (const { heldBytes } of [pieces, early]) assert.equal(heldBytes, 0);
});

Deno.test("ReceiveStream counts a page for each byte that stands alone", () => {
  const stream = new ReceiveStream(0);
  for (let at = 5000; at < INITIAL_WINDOW_BYTES; at += 5000) {
    stream.onData(at, bytesFrom(at, 1));
  }
  assert.equal(stream.bufferedBytes, 52);
  assert.ok(stream.heldBytes >= 52 * 4096);
  stream.drop();
  assert.equal(stream.heldBytes, 0);
});
