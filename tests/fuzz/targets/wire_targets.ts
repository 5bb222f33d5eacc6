/**
 * CBOR and frames, against the library alone and against a reader of ten lines.
 *
 * @module
 */
import { decode } from "cborg";
import { type Bytes, concat, equalBytes } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { decodeCbor, encodeCbor } from "../../../lib/wire/cbor.ts";
import { encodeFrame, FrameReader } from "../../../lib/wire/framing.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { DECODER_CPU, decoderTarget } from "./decoder_target.ts";

const CBOR_SEEDS: readonly Parameters<typeof encodeCbor>[0][] = [
  null,
  [0, 23, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 53 - 1)],
  { a: 1, b: [true, false, null], text: "žluť 🦆", x: new Uint8Array(300) },
  [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],
  Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`key${n}`, n])),
  new Array<number>(2000).fill(7),
];

const CBOR: FuzzTarget = decoderTarget({
  name: "wire/cbor",
  about:
    "CBOR of any shape; whatever is accepted is the one encoding of its value",
  allowed: ["wire"],
  seeds: () => CBOR_SEEDS.map((value) => encodeCbor(value)),
  decode: (bytes) => decodeCbor(bytes),
  encode: (value) => encodeCbor(value),
  // What the library refuses by itself, we must not accept.
  check: (_value, bytes) => void decode(bytes, { useMaps: true }),
  word: (value) =>
    value === null || typeof value !== "object"
      ? typeof value
      : value.constructor.name,
});

/** Longest frame of the reader under test. */
const MAX_BODY_BYTES = 5000;

const FRAMES: FuzzTarget = {
  name: "wire/frames",
  about: "frames on a stream that comes in any pieces, against a plain reader",
  allowed: [],
  cpu: DECODER_CPU,
  hasSteps: true,
  seeds: () => [
    [encodeStep(0, encodeFrame(new Uint8Array(10)))],
    [encodeStep(0, concat(encodeFrame(new Uint8Array(0)), Uint8Array.of(0)))],
    [1, 3, 4999].map((length) =>
      encodeStep(0, encodeFrame(new Uint8Array(length).fill(length)))
    ),
    Array.from(
      encodeFrame(new Uint8Array(200).fill(3)),
      (byte) => encodeStep(0, Uint8Array.of(byte)),
    ),
  ],
  run: runFrames,
};

function runFrames(input: FuzzInput): string {
  const chunks = input.map((step) => decodeStep(step, 1).body);
  const reader = new FrameReader(MAX_BODY_BYTES);
  const frames: Bytes[] = [];
  const expected = plainFrames(concat(...chunks));
  let longest = 0;
  try {
    for (const chunk of chunks) {
      longest = Math.max(longest, chunk.length);
      reader.push(chunk);
      for (let f = reader.next(); f !== undefined; f = reader.next()) {
        frames.push(f);
      }
      promise(
        // It keeps the room that the longest chunk took until all is read.
        reader.capacity <= 2 * (MAX_BODY_BYTES + longest) + 8192,
        `it holds ${reader.capacity} bytes`,
      );
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    promise(expected.isBroken, `good frames were refused: ${error.code}`);
    return error.code;
  }
  promise(!expected.isBroken, "a frame over the limit was accepted");
  promise(
    frames.length === expected.frames.length &&
      frames.every((frame, i) =>
        equalBytes(frame, expected.frames[i] ?? new Uint8Array(1))
      ),
    "other frames came out than went in",
  );
  return `${Math.min(frames.length, 4)} frames`;
}

/** The frames of a whole stream. */
function plainFrames(stream: Bytes): { frames: Bytes[]; isBroken: boolean } {
  const frames: Bytes[] = [];
  const view = new DataView(stream.buffer);
  for (let at = 0; at + 4 <= stream.length;) {
    const length = view.getUint32(at);
    if (length > MAX_BODY_BYTES) return { frames, isBroken: true };
    if (at + 4 + length > stream.length) break;
    frames.push(stream.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { frames, isBroken: false };
}

/** Targets of `lib/wire/`. */
export const WIRE_TARGETS: readonly FuzzTarget[] = [CBOR, FRAMES];
