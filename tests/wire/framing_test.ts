import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../lib/base/bytes.ts";
import {
  DEFAULT_FRAME_BYTES,
  encodeFrame,
  FrameReader,
  MAX_FRAME_BYTES,
} from "../../lib/wire/framing.ts";

/** Everything that has come, frame by frame. */
function drain(reader: FrameReader): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) {
    frames.push(frame);
  }
  return frames;
}

/** Cut at the given places. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1));
  places.sort((a, b) => a - b);
  return [...places, bytes.length].map((end, index) =>
    bytes.subarray(places[index - 1] ?? 0, end)
  );
}

const bodies = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 20 });

Deno.test("encodeFrame() puts the length in front, big-endian", () => {
  assert.deepEqual(encodeFrame(new Uint8Array(0)), new Uint8Array(4));
  const frame = encodeFrame(new Uint8Array(0x0102).fill(7));
  assert.deepEqual(frame.subarray(0, 6), Uint8Array.of(0, 0, 1, 2, 7, 7));
  assert.equal(frame.length, 4 + 0x0102);
});

Deno.test("encodeFrame() refuses bodies above the limit", () => {
  encodeFrame(new Uint8Array(DEFAULT_FRAME_BYTES));
  for (
    const [length, max] of [
      [DEFAULT_FRAME_BYTES + 1, undefined],
      [11, 10],
      [1, 0],
      [0, MAX_FRAME_BYTES + 1],
      [0, -1],
      [0, NaN],
    ] as const
  ) {
    assert.throws(() => encodeFrame(new Uint8Array(length), max), RangeError);
  }
});

Deno.test("FrameReader gives the same frames however the bytes are cut", () => {
  fc.assert(
    fc.property(bodies, fc.array(fc.nat(), { maxLength: 30 }), (list, cuts) => {
      const reader = new FrameReader();
      const frames: Uint8Array[] = [];
      const bytes = concat(...list.map((body) => encodeFrame(body)));
      for (const piece of pieces(bytes, cuts)) {
        reader.push(piece);
        frames.push(...drain(reader));
      }
      assert.deepEqual(frames, list.map((body) => new Uint8Array(body)));
      assert.equal(reader.buffered, 0);
    }),
    { numRuns: 200 },
  );
});

Deno.test("FrameReader gives the same frames when they are taken late", () => {
  fc.assert(
    fc.property(
      bodies,
      fc.array(fc.tuple(fc.nat(), fc.nat(3)), { maxLength: 30 }),
      (list, steps) => {
        const reader = new FrameReader();
        const frames: Uint8Array[] = [];
        const bytes = concat(...list.map((body) => encodeFrame(body)));
        const parts = pieces(bytes, steps.map(([cut]) => cut));
        for (const [index, piece] of parts.entries()) {
          reader.push(piece);
          for (let take = steps[index]?.[1] ?? 0; take > 0; take--) {
            const frame = reader.next();
            if (frame) frames.push(frame);
          }
        }
        frames.push(...drain(reader));
        assert.deepEqual(frames, list.map((body) => new Uint8Array(body)));
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("FrameReader asks for more while a frame is cut short", () => {
  const frame = encodeFrame(Uint8Array.of(1, 2, 3));
  for (let length = 0; length < frame.length; length++) {
    const reader = new FrameReader();
    reader.push(frame.subarray(0, length));
    assert.equal(reader.next(), undefined);
    assert.equal(reader.buffered, length);
  }
});

Deno.test("FrameReader takes empty frames as frames", () => {
  const reader = new FrameReader();
  reader.push(new Uint8Array(4 * 1000));
  const frames = drain(reader);
  assert.equal(frames.length, 1000);
  assert.ok(frames.every((frame) => frame.length === 0));
});

Deno.test("FrameReader refuses a length above the limit as soon as it is known", () => {
  const code = { code: "wire.frame_too_large" };
  for (
    const [length, max] of [
      [DEFAULT_FRAME_BYTES + 1, undefined],
      [MAX_FRAME_BYTES + 1, MAX_FRAME_BYTES],
      [0x7fffffff, MAX_FRAME_BYTES],
      [0x80000000, MAX_FRAME_BYTES],
      [0xffffffff, MAX_FRAME_BYTES],
      [1, 0],
    ] as const
  ) {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, length);
    const whole = new FrameReader(max);
    assert.throws(() => whole.push(header), code);
    assert.equal(whole.buffered, 0);
    const byByte = new FrameReader(max);
    for (const byte of header.subarray(0, 3)) byByte.push(Uint8Array.of(byte));
    assert.throws(() => byByte.push(header.subarray(3)), code);
    assert.equal(byByte.buffered, 3);
  }
});

Deno.test("FrameReader finds a bad length behind good frames, wherever it is cut", () => {
  const good = encodeFrame(new Uint8Array(5));
  const bad = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
  const bytes = concat(good, good, bad);
  for (let cut = 0; cut < bytes.length; cut++) {
    const reader = new FrameReader();
    reader.push(bytes.subarray(0, cut));
    assert.throws(() => reader.push(bytes.subarray(cut)), {
      code: "wire.frame_too_large",
    });
  }
});

Deno.test("FrameReader takes the longest frame there may be", () => {
  const body = new Uint8Array(MAX_FRAME_BYTES);
  body[body.length - 1] = 9;
  const frame = encodeFrame(body, MAX_FRAME_BYTES);
  const reader = new FrameReader(MAX_FRAME_BYTES);
  for (let at = 0; at < frame.length; at += 65_536) {
    reader.push(frame.subarray(at, at + 65_536));
  }
  const [read, ...more] = drain(reader);
  assert.equal(more.length, 0);
  assert.equal(read?.length, body.length);
  assert.equal(read?.at(-1), 9);
});

Deno.test("FrameReader takes memory as bytes arrive, not as lengths are announced", () => {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, MAX_FRAME_BYTES);
  const reader = new FrameReader(MAX_FRAME_BYTES);
  const chunk = new Uint8Array(1000);
  reader.push(header);
  while (reader.buffered < 2 ** 20) {
    assert.ok(reader.capacity <= 4096 + 2 * reader.buffered);
    reader.push(chunk);
  }
});

Deno.test("FrameReader lets go of memory after a long frame", () => {
  const reader = new FrameReader(MAX_FRAME_BYTES);
  reader.push(encodeFrame(new Uint8Array(2 ** 20), MAX_FRAME_BYTES));
  assert.ok(reader.capacity >= 2 ** 20);
  reader.next();
  assert.equal(reader.capacity, 0);
});

Deno.test("FrameReader holds a few frames' memory, however long the stream", () => {
  const frame = encodeFrame(new Uint8Array(60_000));
  const reader = new FrameReader();
  let taken = 0;
  // Cut so that the beginning of the next frame is always there: never empty.
  reader.push(frame.subarray(0, 10_000));
  for (let round = 0; round < 500; round++) {
    reader.push(frame.subarray(10_000));
    reader.push(frame.subarray(0, 10_000));
    taken += drain(reader).length;
    assert.ok(reader.capacity <= 8 * frame.length, `round ${round}`);
  }
  assert.equal(taken, 500);
});

Deno.test("FrameReader copies: neither side's arrays are touched later", () => {
  const chunk = encodeFrame(Uint8Array.of(1, 2, 3));
  const reader = new FrameReader();
  reader.push(chunk);
  chunk.fill(0xff);
  const body = reader.next();
  assert.deepEqual(body, Uint8Array.of(1, 2, 3));
  assert.equal(body?.buffer.byteLength, 3);
  reader.push(encodeFrame(Uint8Array.of(4, 5, 6)));
  assert.deepEqual(body, Uint8Array.of(1, 2, 3));
});

Deno.test("FrameReader takes arbitrary bytes or throws its one error", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }),
      fc.nat(1000),
      (chunks, max) => {
        const reader = new FrameReader(max);
        try {
          for (const chunk of chunks) {
            reader.push(chunk);
            for (const frame of drain(reader)) assert.ok(frame.length <= max);
            assert.ok(reader.buffered < max + 4);
          }
        } catch (error) {
          const { code } = error as { code?: string };
          assert.equal(code, "wire.frame_too_large");
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("FrameReader is done with single bytes of a long frame", () => {
  // No clock here: at one copy of all per byte, this would not end today.
  const length = 2 ** 20;
  const reader = new FrameReader(MAX_FRAME_BYTES);
  reader.push(encodeFrame(new Uint8Array(length), length).subarray(0, 4));
  const byte = Uint8Array.of(7);
  for (let sent = 0; sent < length; sent++) {
    assert.equal(sent % 65_536 === 0 ? reader.next() : undefined, undefined);
    reader.push(byte);
  }
  assert.equal(reader.next()?.length, length);
  assert.equal(reader.buffered, 0);
});
