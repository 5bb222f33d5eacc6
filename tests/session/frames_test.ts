import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  type ControlFrame,
  controlFrameBytes,
  DATA_HEADER_BYTES,
  decodeFrames,
  encodeControlFrame,
  encodeDataHeader,
  FRAME,
  FRAME_SPACE_BYTES,
  MAX_LEG_NUMBER,
  MAX_OFFER_RECORD_BYTES,
  MAX_OFFSET,
  OFFER_COOKIE_BYTES,
} from "../../lib/session/frames.ts";

type DataFrame = {
  type: "streamData";
  id: number;
  offset: number;
  bytes: Uint8Array;
};
type AnyFrame = ControlFrame | DataFrame;

function decode(cell: Uint8Array): AnyFrame[] {
  const frames: AnyFrame[] = [];
  decodeFrames(cell, {
    onStreamData: (id, offset, bytes) =>
      frames.push({ type: "streamData", id, offset, bytes: bytes.slice() }),
    onControlFrame: (frame) => frames.push(frame),
  });
  return frames;
}

function encode(frames: readonly AnyFrame[]): Uint8Array {
  const cell = new Uint8Array(FRAME_SPACE_BYTES);
  let at = 0;
  for (const frame of frames) {
    if (frame.type === "streamData") {
      const { id, offset, bytes } = frame;
      at = encodeDataHeader(cell, at, id, offset, bytes.length);
      cell.set(bytes, at);
      at += bytes.length;
    } else {
      const end = encodeControlFrame(frame, cell, at);
      assert.equal(end - at, controlFrameBytes(frame));
      at = end;
    }
  }
  return cell;
}

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const offset = fc.integer({ min: 0, max: MAX_OFFSET });
const leg = fc.integer({ min: 0, max: MAX_LEG_NUMBER });
const code = fc.integer({ min: 0, max: 255 });
const bytes = (constraints: fc.IntArrayConstraints) =>
  fc.uint8Array(constraints).map((array) => new Uint8Array(array));

const FRAMES: fc.Arbitrary<AnyFrame> = fc.oneof(
  fc.record({
    type: fc.constant("streamOpen" as const),
    id,
    port: fc.integer({ min: 0, max: 65_535 }),
  }),
  fc.record({
    type: fc.constant("streamData" as const),
    id,
    offset,
    bytes: bytes({ maxLength: 300 }),
  }),
  fc.record({ type: fc.constant("streamWindow" as const), id, max: offset }),
  fc.record({ type: fc.constant("streamFin" as const), id, offset }),
  fc.record({ type: fc.constant("streamReset" as const), id, code }),
  fc.record({
    type: fc.constant("ack" as const),
    leg,
    cells: offset,
    delayMs: fc.integer({ min: 0, max: 65_535 }),
  }),
  fc.record({ type: fc.constant("legClose" as const), leg }),
  fc.record({ type: fc.constant("sessionClose" as const), code }),
  fc.record({ type: fc.constant("ping" as const) }),
  fc.record({
    type: fc.constant("legOffer" as const),
    leg,
    cookie: bytes({
      minLength: OFFER_COOKIE_BYTES,
      maxLength: OFFER_COOKIE_BYTES,
    }),
    rendezvous: bytes({ maxLength: 500 }),
  }),
);

Deno.test("decodeFrames() undoes encoding, whatever frames a cell holds (property)", () => {
  fc.assert(
    fc.property(fc.array(FRAMES, { maxLength: 5 }), (frames) => {
      // fast-check's records have no prototype.
      const plain = frames.map((frame) => ({ ...frame }));
      assert.deepEqual(decode(encode(frames)), plain);
    }),
  );
});

Deno.test("decodeFrames() takes a cell that is full to the last byte", () => {
  const data = {
    type: "streamData" as const,
    id: 7,
    offset: 9,
    bytes: new Uint8Array(FRAME_SPACE_BYTES - DATA_HEADER_BYTES).fill(1),
  };
  assert.deepEqual(decode(encode([data])), [data]);
});

Deno.test("decodeFrames() finds nothing in a cell of padding", () => {
  assert.deepEqual(decode(new Uint8Array(FRAME_SPACE_BYTES)), []);
});

function refused(cell: Uint8Array, code: string): void {
  assert.throws(
    () => decode(cell),
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("decodeFrames() refuses every frame that is cut short", () => {
  fc.assert(
    fc.property(FRAMES, (frame) => {
      const whole = encode([frame]);
      const length = frame.type === "streamData"
        ? DATA_HEADER_BYTES + frame.bytes.length
        : controlFrameBytes(frame);
      for (let cut = 1; cut < length; cut++) {
        refused(whole.subarray(0, cut), "session.frame_cut");
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("decodeFrames() refuses unknown types, and anything behind the padding", () => {
  const known = new Set<number>(Object.values(FRAME));
  for (let type = 0; type < 256; type++) {
    if (!known.has(type)) refused(Uint8Array.of(type), "session.frame_type");
  }
  const cell = new Uint8Array(FRAME_SPACE_BYTES);
  cell[FRAME_SPACE_BYTES - 1] = 1;
  refused(cell, "session.padding");
});

Deno.test("decodeFrames() refuses an offer with a record that no node has", () => {
  const frame = {
    type: "legOffer" as const,
    leg: 1,
    cookie: new Uint8Array(OFFER_COOKIE_BYTES),
    rendezvous: new Uint8Array(MAX_OFFER_RECORD_BYTES + 1),
  };
  refused(encode([frame]), "session.offer_record");
});

Deno.test("decodeFrames() hands out copies of an offer: the cell is used again", () => {
  const frame = {
    type: "legOffer" as const,
    leg: 1,
    cookie: new Uint8Array(OFFER_COOKIE_BYTES).fill(2),
    rendezvous: new Uint8Array(9).fill(3),
  };
  const cell = encode([frame]);
  const decoded = decode(cell);
  cell.fill(0xff);
  assert.deepEqual(decoded, [frame]);
});

Deno.test("encodeControlFrame() keeps a delay within its field", () => {
  const frame = { type: "ack" as const, leg: 0, cells: 0, delayMs: 1e6 };
  assert.deepEqual(decode(encode([frame])), [{ ...frame, delayMs: 65_535 }]);
});
