import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { FrameStream } from "../../../lib/node/link/frame_stream.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";
import { encodeFrame } from "../../../lib/wire/framing.ts";

/** A stream that gives these pieces and then ends, and keeps what is written. */
class Pieces implements ByteStream {
  readonly written: number[] = [];
  /** The longest buffer that a read was given. */
  longestBuffer = 0;
  readonly #pieces: Uint8Array[];

  constructor(pieces: Uint8Array[]) {
    this.#pieces = pieces;
  }

  read(buffer: Bytes): Promise<Bytes | undefined> {
    this.longestBuffer = Math.max(this.longestBuffer, buffer.byteLength);
    const piece = this.#pieces.shift();
    if (piece === undefined) return Promise.resolve(undefined);
    // As transports do: the array is taken away, a view at its place comes back.
    const { byteOffset, length } = buffer;
    const view = new Uint8Array(buffer.buffer.transfer(), byteOffset, length);
    const count = Math.min(piece.length, length);
    view.set(piece.subarray(0, count));
    if (count < piece.length) this.#pieces.unshift(piece.subarray(count));
    return Promise.resolve(view.subarray(0, count));
  }

  write(bytes: Uint8Array): Promise<void> {
    this.written.push(...bytes);
    return Promise.resolve();
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  cancel(): void {}
}

/** Cut bytes into pieces of these sizes, over and over. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let offset = 0, index = 0; offset < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return pieces;
}

Deno.test("FrameStream.read() gives the same frames however the bytes arrive", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(9000), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }),
      async (lengths, sizes) => {
        const random = seededRandom(3);
        const bodies = lengths.map((length) => random.bytes(length));
        const bytes = bodies.flatMap((body) => [...encodeFrame(body)]);
        const pieces = cut(Uint8Array.from(bytes), sizes);
        const frames = new FrameStream(new Pieces(pieces), 9000);
        for (const body of bodies) assert.deepEqual(await frames.read(), body);
        assert.equal(await frames.read(), undefined);
      },
    ),
    { numRuns: 60 },
  ));

Deno.test("FrameStream.read() grows with a long body, and gives it whole", async () => {
  const body = seededRandom(4).bytes(1_000_000);
  for (const size of [1, 100_000, 2_000_000]) {
    const pieces = cut(encodeFrame(body, 1_000_000), [size === 1 ? 997 : size]);
    const frames = new FrameStream(new Pieces(pieces), 1_000_000);
    assert.deepEqual(await frames.read(), body);
  }
});

Deno.test("FrameStream.read() refuses a length over the limit before it takes memory for it", async () => {
  for (const header of [[255, 255, 255, 255], [0, 0, 0, 101]]) {
    const stream = new Pieces([Uint8Array.from(header)]);
    await assert.rejects(new FrameStream(stream, 100).read(), {
      code: "wire.frame_too_large",
    });
    assert.ok(stream.longestBuffer <= 2048);
  }
});

Deno.test("FrameStream.read() takes little memory for a length alone", async () => {
  const stream = new Pieces([Uint8Array.of(0, 0x98, 0x96, 0x80, 1)]);
  const frames = new FrameStream(stream, 10_000_000);
  assert.equal(await frames.read(), undefined);
  assert.ok(stream.longestBuffer <= 65_536);
});

Deno.test("FrameStream.read() takes a cut frame for the end of the stream", async () => {
  const frame = encodeFrame(Uint8Array.of(1, 2, 3));
  for (let length = 0; length < frame.length; length++) {
    const stream = new Pieces(length === 0 ? [] : [frame.subarray(0, length)]);
    assert.equal(await new FrameStream(stream, 100).read(), undefined);
  }
});

Deno.test("FrameStream.write() puts the length in front, and refuses a long body", async () => {
  const stream = new Pieces([]);
  const frames = new FrameStream(stream, 3);
  await frames.write(Uint8Array.of(7, 8, 9));
  await frames.write(new Uint8Array());
  assert.deepEqual(stream.written, [0, 0, 0, 3, 7, 8, 9, 0, 0, 0, 0]);
  assert.throws(() => frames.write(new Uint8Array(4)), RangeError);
});
