import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BODY_BYTES,
  BODY_OFFSET,
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  decodePayload,
  encodeFirstCell,
  encodePayload,
  HEAD_BYTES,
  isSized,
  PAYLOAD_OFFSET,
  TRAIN_BYTES,
  unitBytes,
  writeSize,
} from "../../lib/circuit/cell.ts";

Deno.test("Cells have the sizes of the specification", () => {
  assert.equal(CELL_BYTES, 4096);
  assert.equal(HEAD_BYTES, 112);
  assert.equal(PAYLOAD_OFFSET, 129);
  assert.equal(BODY_BYTES, 3964);
  assert.equal(TRAIN_BYTES, 16_384);
});

Deno.test("decodePayload() undoes encodePayload() for any command and body, over any leftovers", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(COMMAND)),
      fc.uint8Array({ maxLength: BODY_BYTES }),
      fc.nat(255),
      (command, body, leftover) => {
        const cell = new Uint8Array(CELL_BYTES).fill(leftover);
        encodePayload(cell, command, body);
        assert.deepEqual(decodePayload(cell), { command, body });
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("encodePayload() takes a body that stands in its place already", () => {
  const cell = new Uint8Array(CELL_BYTES).fill(7);
  encodePayload(
    cell,
    COMMAND.data,
    cell.subarray(BODY_OFFSET, BODY_OFFSET + 3),
  );
  assert.deepEqual(decodePayload(cell), {
    command: COMMAND.data,
    body: Uint8Array.of(7, 7, 7),
  });
});

Deno.test("encodePayload() fills a cell to the last byte, and refuses one more", () => {
  const cell = new Uint8Array(CELL_BYTES);
  encodePayload(cell, COMMAND.data, new Uint8Array(BODY_BYTES).fill(1));
  assert.equal(cell.at(-1), 1);
  assert.throws(
    () => encodePayload(cell, COMMAND.data, new Uint8Array(BODY_BYTES + 1)),
    RangeError,
  );
});

Deno.test("decodePayload() refuses unknown commands, lengths beyond the cell and padding that is not zero", () => {
  const good = new Uint8Array(CELL_BYTES);
  encodePayload(good, COMMAND.control, new Uint8Array(10).fill(1));
  const changes: readonly [number, number][] = [
    [PAYLOAD_OFFSET, 0],
    [PAYLOAD_OFFSET, 4],
    [PAYLOAD_OFFSET, 255],
    [PAYLOAD_OFFSET + 1, 0x10],
    [PAYLOAD_OFFSET + 2, 9],
    [BODY_OFFSET + 10, 1],
    [3000, 0x80],
    [CELL_BYTES - 1, 1],
  ];
  for (const [offset, value] of changes) {
    const bad = new Uint8Array(good);
    bad[offset] = value;
    assert.equal(decodePayload(bad), undefined, `${offset}`);
  }
});

Deno.test("decodeFirstCell() gives the message of a first cell, and refuses anything behind it", () => {
  const message = new Uint8Array(1280).fill(3);
  const cell = encodeFirstCell(message);
  assert.equal(cell.length, CELL_BYTES);
  assert.deepEqual(decodeFirstCell(cell, message.length), message);
  for (const offset of [0, 1281, 2000, CELL_BYTES - 1]) {
    const bad = new Uint8Array(cell);
    bad[offset] = 4;
    assert.equal(decodeFirstCell(bad, message.length), undefined);
  }
});

Deno.test("A cell or train says its size, and no other size is one", () => {
  for (const bytes of [CELL_BYTES, TRAIN_BYTES]) {
    for (let size = 0; size < 256; size++) {
      const unit = new Uint8Array(bytes);
      unit[0] = size;
      assert.equal(isSized(unit), size * CELL_BYTES === bytes);
      assert.equal(unitBytes(unit, 0), size === 4 ? TRAIN_BYTES : CELL_BYTES);
    }
    const unit = new Uint8Array(bytes);
    writeSize(unit);
    assert(isSized(unit));
    assert.equal(unitBytes(unit, 0), bytes);
  }
});

Deno.test("encodePayload() fills a train to the last byte, which decodePayload() gives back", () => {
  const train = new Uint8Array(TRAIN_BYTES);
  const body = new Uint8Array(TRAIN_BYTES - BODY_OFFSET).fill(1);
  encodePayload(train, COMMAND.data, body);
  assert.deepEqual(decodePayload(train), { command: COMMAND.data, body });
});
