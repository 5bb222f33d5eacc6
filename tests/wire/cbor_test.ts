import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes, concat, utf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  type CborValue,
  decodeCbor,
  type DecodedCbor,
  encodeCbor,
  MAX_CBOR_DEPTH,
  MAX_CBOR_ITEMS,
} from "../../lib/wire/cbor.ts";
import vectors from "../vectors/rfc8949_appendix_a.json" with { type: "json" };

/** A second encoder, written from RFC 8949 §3 and §4.2.1 alone. */
function referenceEncode(value: DecodedCbor): Uint8Array {
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === "number") {
    return value < 0 ? head(1, -1n - BigInt(value)) : head(0, BigInt(value));
  }
  if (typeof value === "string") {
    return concat(head(3, BigInt(utf8(value).length)), utf8(value));
  }
  if (value instanceof Uint8Array) {
    return concat(head(2, BigInt(value.length)), value);
  }
  if (Array.isArray(value)) {
    return concat(head(4, BigInt(value.length)), ...value.map(referenceEncode));
  }
  const pairs = [...value].map(([key, item]) =>
    [referenceEncode(key), referenceEncode(item)] as const
  ).sort(([a], [b]) => compareBytes(a, b));
  return concat(head(5, BigInt(value.size)), ...pairs.flat());
}

function head(major: number, argument: bigint): Uint8Array {
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  const put = (info: number, length: number) => {
    bytes[0] = (major << 5) | info;
    return bytes.slice(0, 1 + length);
  };
  if (argument < 24n) return put(Number(argument), 0);
  const sizes = [[24, 1, 8n], [25, 2, 16n], [26, 4, 32n]] as const;
  for (const [info, length, bits] of sizes) {
    if (argument >= 1n << bits) continue;
    view.setBigUint64(1, argument << (64n - bits));
    return put(info, length);
  }
  view.setBigUint64(1, argument);
  return put(27, 8);
}

/** Any value of the subset, at most 5 levels deep. */
const cborValue: fc.Arbitrary<DecodedCbor> = fc.letrec<
  { value: DecodedCbor; leaf: DecodedCbor }
>((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -300, max: 70_000 }),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)),
  ),
  value: fc.oneof(
    { maxDepth: 4 },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 30 }),
    fc.uniqueArray(
      fc.tuple(fc.string({ unit: "binary", maxLength: 30 }), tie("value")),
      { selector: ([key]) => key, maxLength: 30 },
    ).map((pairs) => new Map(pairs)),
  ),
})).value;

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

function codeOf(bytes: Uint8Array): string {
  try {
    decodeCbor(bytes);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.code;
  }
  return "accepted";
}

/** A vector's JSON value as decoding gives it. */
function expected(value: unknown): DecodedCbor {
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value !== "object" || value === null) return value as DecodedCbor;
  if ("bytes" in value) return Uint8Array.fromHex(String(value.bytes));
  return new Map(
    Object.entries(value).map(([key, item]) => [key, expected(item)]),
  );
}

Deno.test("decodeCbor() and encodeCbor() agree with RFC 8949 appendix A", () => {
  for (const vector of vectors.accepted) {
    const bytes = hex(vector.hex);
    const value = expected(vector.value);
    assert.deepEqual(decodeCbor(bytes), value, vector.hex);
    assert.deepEqual(encodeCbor(value), bytes, vector.hex);
  }
});

Deno.test("decodeCbor() refuses what of RFC 8949 appendix A is not ours", () => {
  for (const vector of vectors.refused) {
    assert.match(codeOf(hex(vector.hex)), /^wire\.cbor/, vector.hex);
  }
});

Deno.test("decodeCbor() undoes encodeCbor()", () => {
  fc.assert(
    fc.property(cborValue, (value) => {
      assert.deepEqual(decodeCbor(encodeCbor(value)), value);
    }),
    { numRuns: 300 },
  );
});

Deno.test("encodeCbor() agrees with an encoder written from the RFC", () => {
  fc.assert(
    fc.property(cborValue, (value) => {
      assert.deepEqual(encodeCbor(value), referenceEncode(value));
    }),
    { numRuns: 300 },
  );
});

Deno.test("encodeCbor() writes equal bytes for equal maps in any order", () => {
  fc.assert(fc.property(
    fc.dictionary(fc.string({ unit: "binary" }), fc.nat()),
    fc.nat(),
    (record, turn) => {
      const pairs = Object.entries(record);
      const cut = turn % (pairs.length + 1);
      const turned = new Map([...pairs.slice(cut), ...pairs.slice(0, cut)]);
      assert.deepEqual(encodeCbor(turned), encodeCbor(new Map(pairs)));
      assert.deepEqual(encodeCbor(record), encodeCbor(new Map(pairs)));
    },
  ));
});

Deno.test("encodeCbor() leaves out object fields that are undefined", () => {
  assert.deepEqual(
    encodeCbor({ a: undefined, b: 1, c: undefined }),
    encodeCbor({ b: 1 }),
  );
  assert.deepEqual(encodeCbor({ a: undefined }), hex("a0"));
});

Deno.test("encodeCbor() gives bytes with a buffer of their own", () => {
  for (const length of [0, 1, 20, 60, 200, 300, 5000]) {
    const bytes = encodeCbor({ value: new Uint8Array(length) });
    assert.equal(bytes.byteOffset, 0);
    assert.equal(bytes.buffer.byteLength, bytes.length);
  }
});

Deno.test("encodeCbor() refuses values that have no encoding here", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const bad: unknown[] = [
    1.5,
    NaN,
    Infinity,
    2 ** 53,
    -(2 ** 53),
    undefined,
    [undefined],
    new Map([["a", undefined]]),
    10n,
    "\ud800",
    { "\udc00": 1 },
    new Date(0),
    new Set([1]),
    () => {},
    Symbol("x"),
    circle,
  ];
  for (const value of bad) {
    assert.throws(() => encodeCbor(value as CborValue), TypeError);
  }
});

Deno.test("decodeCbor() takes arbitrary bytes or throws a ProtocolError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      codeOf(bytes);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("decodeCbor() accepts one encoding of each value", () => {
  // Flips, cuts and insertions of valid encodings reach deeper than noise.
  const mutated = fc.tuple(
    cborValue,
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
  ).map(([value, edits]) => {
    const bytes = [...encodeCbor(value)];
    for (const [at, byte] of edits) {
      const index = at % (bytes.length + 1);
      if (at % 3 === 0) bytes.splice(index, 1);
      else if (at % 3 === 1) bytes.splice(index, 0, byte);
      else if (index < bytes.length) bytes[index] = byte;
    }
    return Uint8Array.from(bytes);
  });
  let accepted = 0;
  fc.assert(
    fc.property(mutated, (bytes) => {
      if (codeOf(bytes) !== "accepted") return;
      accepted++;
      assert.deepEqual(encodeCbor(decodeCbor(bytes)), bytes);
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 100, `only ${accepted} mutations were accepted`);
});

Deno.test("decodeCbor() refuses every prefix of an encoding, and bytes behind it", () => {
  fc.assert(
    fc.property(cborValue, fc.nat(255), (value, extra) => {
      const bytes = encodeCbor(value);
      const step = Math.ceil(bytes.length / 50);
      for (let length = 0; length < bytes.length; length += step) {
        assert.equal(codeOf(bytes.subarray(0, length)), "wire.cbor");
      }
      const longer = concat(bytes, Uint8Array.of(extra));
      assert.equal(codeOf(longer), "wire.cbor_trailing");
    }),
    { numRuns: 100 },
  );
});

Deno.test("decodeCbor() names what is wrong", () => {
  const cases: [bytes: string, code: string][] = [
    ["", "wire.cbor"],
    ["1c", "wire.cbor"], // reserved argument
    ["5f 41 00 ff", "wire.cbor"], // indefinite bytes
    ["7f 61 61 ff", "wire.cbor"], // indefinite text
    ["9f ff", "wire.cbor"], // indefinite array
    ["bf ff", "wire.cbor"], // indefinite map
    ["ff", "wire.cbor_type"], // break without beginning
    ["82 01 ff", "wire.cbor_type"],
    ["18 17", "wire.cbor"], // 23 in two bytes
    ["19 00 ff", "wire.cbor"],
    ["1a 00 00 ff ff", "wire.cbor"],
    ["1b 00 00 00 00 ff ff ff ff", "wire.cbor"],
    ["38 17", "wire.cbor"], // -24 in two bytes
    ["58 01 00", "wire.cbor"], // a length in two bytes
    ["78 01 61", "wire.cbor"],
    ["98 01 00", "wire.cbor"],
    ["b8 01 61 61 00", "wire.cbor"],
    ["1b 00 20 00 00 00 00 00 00", "wire.cbor"], // 2^53
    ["3b 00 1f ff ff ff ff ff ff", "wire.cbor"], // -2^53
    ["5b 7f ff ff ff ff ff ff ff", "wire.cbor"], // 2^63 bytes follow
    ["7a ff ff ff ff", "wire.cbor"],
    ["9b 00 1f ff ff ff ff ff ff", "wire.cbor"], // 2^53 - 1 items
    ["bb 00 1f ff ff ff ff ff ff", "wire.cbor"],
    ["9a ff ff ff ff 00", "wire.cbor"],
    ["f9 3c 00", "wire.cbor_type"], // 1.0
    ["fb 3f f0 00 00 00 00 00 00", "wire.cbor_type"],
    ["f7", "wire.cbor_type"], // undefined
    ["e0", "wire.cbor_type"], // simple(0)
    ["f3", "wire.cbor_type"],
    ["f8 ff", "wire.cbor_type"],
    ["f8 14", "wire.cbor_type"], // false in two bytes
    ["c0 60", "wire.cbor_type"], // a tag
    ["c2 41 01", "wire.cbor_type"], // a big number
    ["a1 01 02", "wire.cbor_keys"], // a key that is a number
    ["a1 41 61 02", "wire.cbor_keys"], // bytes
    ["a1 80 02", "wire.cbor_keys"], // an array
    ["a1 f6 02", "wire.cbor_keys"], // null
    ["a2 61 62 00 61 61 00", "wire.cbor_keys"], // b, a
    ["a2 62 61 61 00 61 62 00", "wire.cbor_keys"], // aa, b: longer before shorter
    ["a2 61 61 00 61 61 00", "wire.cbor_keys"], // a twice
    ["a3 60 00 61 61 00 60 00", "wire.cbor_keys"], // empty key twice
    ["61 ff", "wire.cbor_utf8"],
    ["62 c3 28", "wire.cbor_utf8"],
    ["62 c0 80", "wire.cbor_utf8"], // overlong zero
    ["63 ed a0 80", "wire.cbor_utf8"], // a surrogate
    ["64 f4 90 80 80", "wire.cbor_utf8"], // above U+10FFFF
    ["a1 61 ff 00", "wire.cbor_utf8"], // in a key
    ["00 00", "wire.cbor_trailing"],
    ["80 80", "wire.cbor_trailing"],
    ["f6 ff", "wire.cbor_trailing"],
  ];
  for (const [bytes, code] of cases) {
    assert.equal(codeOf(hex(bytes)), code, bytes);
  }
});

Deno.test("decodeCbor() keeps a byte order mark and what looks like a replacement", () => {
  for (
    const text of ["\ufeff", "\ufeffa", "\ufffd", "a".repeat(40) + "\ufeff"]
  ) {
    assert.equal(decodeCbor(encodeCbor(text)), text);
    assert.deepEqual(
      decodeCbor(encodeCbor({ [text]: 1 })),
      new Map([[text, 1]]),
    );
  }
});

Deno.test("decodeCbor() takes maxDepth levels and refuses one more", () => {
  const nested = (depth: number) =>
    concat(new Uint8Array(depth).fill(0x81), Uint8Array.of(0));
  assert.equal(codeOf(nested(MAX_CBOR_DEPTH)), "accepted");
  assert.equal(codeOf(nested(MAX_CBOR_DEPTH + 1)), "wire.cbor_depth");
  const maps = (depth: number) =>
    concat(...new Array(depth).fill(hex("a1 61 61")), Uint8Array.of(0));
  assert.equal(codeOf(maps(MAX_CBOR_DEPTH)), "accepted");
  assert.equal(codeOf(maps(MAX_CBOR_DEPTH + 1)), "wire.cbor_depth");
  // Siblings do not add up.
  const flat = concat(hex("98 64"), ...new Array(100).fill(hex("81 80")));
  assert.equal(codeOf(flat), "accepted");
  assert.throws(() => decodeCbor(nested(3), { maxDepth: 2 }), ProtocolError);
});

Deno.test("decodeCbor() refuses hostile nesting without running out of stack", () => {
  const patterns = [
    "81",
    "82 80",
    "a1 61 61",
    "82 00",
    "9f",
    "bf 61 61",
    "d8 2a",
  ];
  for (const pattern of patterns) {
    const unit = hex(pattern);
    const times = Math.floor(65_536 / unit.length);
    const bytes = concat(...new Array<Uint8Array>(times).fill(unit));
    assert.match(codeOf(bytes), /^wire\.cbor/, pattern);
  }
});

Deno.test("decodeCbor() bounds what one encoding makes of memory", () => {
  const array = (count: number) =>
    encodeCbor(new Array<null>(count).fill(null));
  assert.equal(codeOf(array(MAX_CBOR_ITEMS - 1)), "accepted");
  assert.equal(codeOf(array(MAX_CBOR_ITEMS)), "wire.cbor_items");
  const limits = { maxItems: 3 };
  decodeCbor(encodeCbor([1, 2]), limits);
  assert.throws(
    () => decodeCbor(encodeCbor({ a: [1] }), limits),
    ProtocolError,
  );
});

Deno.test("decodeCbor() is done with 4 MiB of anything", () => {
  // No clock here: at quadratic cost, these would not end today.
  const size = 4 * 1024 * 1024;
  const longKeys = (() => {
    const key = "k".repeat(size / 4);
    return encodeCbor({ [key + "a"]: 1, [key + "b"]: 2, [key + "c"]: 3 });
  })();
  const inputs = [
    encodeCbor(new Uint8Array(size)),
    encodeCbor("x".repeat(size)),
    encodeCbor("水".repeat(size / 4)),
    longKeys,
  ];
  for (const bytes of inputs) assert.equal(codeOf(bytes), "accepted");
  for (const byte of [0x00, 0x40, 0x60, 0x80, 0x81, 0xa0, 0xa1, 0xf6, 0xff]) {
    assert.notEqual(codeOf(new Uint8Array(size).fill(byte)), "accepted");
    const manyItems = new Uint8Array(size).fill(byte);
    manyItems.set(hex("9a 00 3f 00 00"));
    assert.notEqual(codeOf(manyItems), "accepted");
  }
});

Deno.test("decodeCbor() gives maps that no key can poison", () => {
  const decoded = decodeCbor(
    encodeCbor(new Map([["__proto__", 1], ["constructor", 2]])),
  );
  assert.ok(decoded instanceof Map);
  assert.equal(decoded.get("__proto__"), 1);
  assert.equal(decoded.get("toString"), undefined);
  assert.equal(Object.getPrototypeOf(decoded), Map.prototype);
});

Deno.test("decodeCbor() gives bytes that share no memory", () => {
  const input = encodeCbor([
    new Uint8Array(4),
    new Uint8Array(0),
    new Uint8Array(0),
  ]);
  const decoded = decodeCbor(input);
  assert.ok(Array.isArray(decoded));
  const [four, empty, other] = decoded;
  assert.ok(four instanceof Uint8Array && empty instanceof Uint8Array);
  input.fill(0xff);
  assert.deepEqual(four, new Uint8Array(4));
  assert.notEqual(four.buffer, input.buffer);
  assert.notEqual(empty, other);
});

Deno.test("decodeCbor() reads from the middle of a larger buffer", () => {
  const inner = encodeCbor({ a: new Uint8Array([1, 2]), b: "水" });
  const outer = concat(Uint8Array.of(0xff, 0xff), inner, Uint8Array.of(0xff));
  assert.deepEqual(
    decodeCbor(outer.subarray(2, 2 + inner.length)),
    decodeCbor(inner),
  );
});

Deno.test("decodeCbor() keeps the bytes of its input out of messages", () => {
  const secret = "swordfish";
  const inputs = [
    encodeCbor([secret]).subarray(0, 8),
    concat(
      hex("a2"),
      encodeCbor(secret),
      hex("00"),
      encodeCbor(secret),
      hex("00"),
    ),
    concat(hex("82"), encodeCbor(secret), hex("f7")),
  ];
  for (const bytes of inputs) {
    assert.throws(() => decodeCbor(bytes), (error) => {
      for (let e = error; e instanceof Error; e = e.cause) {
        assert.doesNotMatch(e.message, /sword/);
      }
      return error instanceof ProtocolError;
    });
  }
});
