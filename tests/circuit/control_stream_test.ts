import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../lib/base/bytes.ts";
import { CELL_BYTES, COMMAND, decodePayload } from "../../lib/circuit/cell.ts";
import {
  ControlReader,
  encodeControlCells,
  MAX_CONTROL_BYTES,
} from "../../lib/circuit/control_stream.ts";
import { split } from "./_world.ts";

/** The bodies of a message's cells. */
function bodies(cells: Uint8Array): Uint8Array[] {
  return split(cells).map((cell) => {
    const payload = decodePayload(cell);
    assert.equal(payload?.command, COMMAND.control);
    return payload?.body ?? new Uint8Array();
  });
}

Deno.test("ControlReader puts together what encodeControlCells() cut, whatever the lengths", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: MAX_CONTROL_BYTES }), { maxLength: 6 }),
      (lengths) => {
        const reader = new ControlReader();
        for (const [i, length] of lengths.entries()) {
          const message = new Uint8Array(length).fill(i + 1);
          const cells = encodeControlCells(message);
          const read = bodies(cells).map((body) => reader.push(body));
          assert.deepEqual(read.pop(), message);
          assert(read.every((part) => part === undefined));
          assert.equal(reader.midMessage, false);
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("encodeControlCells() takes one cell for what fits one, and refuses what is too long", () => {
  assert.equal(encodeControlCells(new Uint8Array(3960)).length, CELL_BYTES);
  assert.equal(encodeControlCells(new Uint8Array(3961)).length, 2 * CELL_BYTES);
  assert.equal(split(encodeControlCells(new Uint8Array(0))).length, 1);
  assert.throws(
    () => encodeControlCells(new Uint8Array(MAX_CONTROL_BYTES + 1)),
    RangeError,
  );
});

Deno.test("ControlReader takes a message in pieces of any size", () => {
  const frame = Uint8Array.of(0, 0, 0, 3, 1, 2, 3);
  const reader = new ControlReader();
  for (const byte of frame.subarray(0, -1)) {
    assert.equal(reader.push(Uint8Array.of(byte)), undefined);
    assert(reader.midMessage);
  }
  assert.deepEqual(reader.push(frame.subarray(-1)), Uint8Array.of(1, 2, 3));
});

Deno.test("ControlReader refuses empty payloads, bytes behind a message, and messages over the limit", () => {
  const frame = Uint8Array.of(0, 0, 0, 1, 9);
  const bad: readonly [string, Uint8Array][] = [
    ["circuit.control_empty", new Uint8Array()],
    ["circuit.control_trailing", concat(frame, Uint8Array.of(0))],
    ["circuit.control_trailing", concat(frame, frame)],
    ["wire.frame_too_large", Uint8Array.of(0, 0, 0x60, 1)],
    ["wire.frame_too_large", Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
  ];
  for (const [code, body] of bad) {
    assert.throws(() => new ControlReader().push(body), { code });
  }
});

Deno.test("ControlReader refuses a message over the limit before it holds any of it", () => {
  const reader = new ControlReader();
  reader.push(Uint8Array.of(0xff));
  assert.throws(() => reader.push(new Uint8Array(3000).fill(0xff)), {
    code: "wire.frame_too_large",
  });
});
