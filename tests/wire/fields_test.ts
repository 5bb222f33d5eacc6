import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";
import { decodeFields, Fields } from "../../lib/wire/fields.ts";

const SAMPLE = {
  bytes: new Uint8Array([1, 2, 3]),
  count: 7,
  name: "水",
  open: false,
  list: [1, [2]],
  keys: [new Uint8Array(2), new Uint8Array(3)],
  words: ["a", "bc"],
  inner: { x: 1 },
  inners: [{ x: 1 }, { x: 2 }],
  negative: -1,
};

function sample(): Fields {
  return decodeFields(encodeCbor(SAMPLE), "sample");
}

function assertFieldError(read: () => unknown, message: RegExp): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof ProtocolError);
    assert.equal(error.code, "wire.field");
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("Fields reads each type, and finishes when all were read", () => {
  const fields = sample();
  assert.deepEqual(fields.bytes("bytes", { length: 3 }), SAMPLE.bytes);
  assert.equal(fields.uint("count", 7), 7);
  assert.equal(fields.text("name", 3), "水");
  assert.equal(fields.boolean("open"), false);
  assert.deepEqual(fields.array("list", 2), [1, [2]]);
  assert.deepEqual(fields.bytesArray("keys", 2, { max: 3 }), SAMPLE.keys);
  assert.deepEqual(fields.textArray("words", 2, 2), ["a", "bc"]);
  const inner = fields.map("inner");
  assert.equal(inner.uint("x"), 1);
  inner.finish();
  assert.deepEqual(
    fields.mapArray("inners", 2).map((each) => each.uint("x")),
    [1, 2],
  );
  assert.deepEqual(fields.has("negative"), true);
  assert.throws(() => fields.finish(), ProtocolError);
});

Deno.test("Fields refuses what is missing, of another type or out of range", () => {
  const bad: [read: (fields: Fields) => unknown, message: RegExp][] = [
    [(fields) => fields.bytes("absent"), /sample: field "absent" is missing/],
    [(fields) => fields.uint("toString"), /missing/],
    [(fields) => fields.uint("__proto__"), /missing/],
    [(fields) => fields.bytes("name"), /not a byte string/],
    [(fields) => fields.bytes("bytes", { length: 2 }), /3 bytes/],
    [(fields) => fields.bytes("bytes", { length: 4 }), /3 bytes/],
    [(fields) => fields.bytes("bytes", { max: 2 }), /3 bytes/],
    [(fields) => fields.uint("name"), /not an integer/],
    [(fields) => fields.uint("negative"), /out of range/],
    [(fields) => fields.uint("count", 6), /out of range/],
    [(fields) => fields.text("bytes", 9), /not text/],
    [(fields) => fields.text("name", 2), /too long/],
    [(fields) => fields.boolean("count"), /not a boolean/],
    [(fields) => fields.array("inner", 9), /not an array/],
    [(fields) => fields.array("list", 1), /too many/],
    [(fields) => fields.bytesArray("list", 9), /not a byte string/],
    [(fields) => fields.bytesArray("keys", 9, { max: 2 }), /3 bytes/],
    [(fields) => fields.bytesArray("keys", 1), /too many/],
    [(fields) => fields.textArray("words", 9, 1), /too long/],
    [(fields) => fields.textArray("list", 9, 1), /not text/],
    [(fields) => fields.map("list"), /sample.list: not a map/],
    [(fields) => fields.mapArray("list", 9), /not a map/],
    [(fields) => fields.mapArray("inners", 1), /too many/],
  ];
  for (const [read, message] of bad) {
    assertFieldError(() => read(sample()), message);
  }
});

Deno.test("Fields.finish() refuses fields that were not read, here and inside", () => {
  const fields = decodeFields(encodeCbor({ a: { b: 1 }, z: 1 }), "message");
  const inner = fields.map("a");
  const unknown = { code: "wire.unknown_field" };
  assert.throws(() => fields.finish(), unknown);
  assert.throws(() => inner.finish(), unknown);
  fields.map("a");
  assert.throws(() => fields.finish(), unknown);
  fields.uint("z");
  fields.finish();
});

Deno.test("Fields.has() does not count as reading", () => {
  const fields = decodeFields(encodeCbor({ a: 1 }), "message");
  assert.equal(fields.has("a"), true);
  assert.equal(fields.has("b"), false);
  assert.equal(fields.has("toString"), false);
  assert.throws(() => fields.finish(), { code: "wire.unknown_field" });
});

Deno.test("decodeFields() takes maps alone", () => {
  for (const value of [null, 1, "a", true, [], new Uint8Array(1)]) {
    assertFieldError(() => decodeFields(encodeCbor(value), "x"), /not a map/);
  }
  assert.throws(() => decodeFields(Uint8Array.of(0xa1), "x"), {
    code: "wire.cbor",
  });
  assert.throws(
    () => decodeFields(encodeCbor({ a: [1] }), "x", { maxItems: 3 }),
    { code: "wire.cbor_items" },
  );
});

Deno.test("Fields keeps what a peer sent out of messages", () => {
  fc.assert(fc.property(fc.stringMatching(/^[A-Z]{6,12}$/), (secret) => {
    const fields = decodeFields(encodeCbor({ a: secret, [secret]: 1 }), "x");
    for (const read of [() => fields.text("a", 3), () => fields.finish()]) {
      assert.throws(
        read,
        (error) => error instanceof Error && !error.message.includes(secret),
      );
    }
  }));
});
