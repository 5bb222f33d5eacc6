import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  compareBytes,
  concat,
  equalBytes,
  equalSecret,
  formatBase32,
  parseBase32,
  utf8,
  utf8Text,
  wipe,
} from "../../lib/base/bytes.ts";

const bytes = fc.uint8Array({ maxLength: 100 });

/** RFC 4648 §10, in lower case and without padding. */
const BASE32_VECTORS = [
  ["", ""],
  ["f", "my"],
  ["fo", "mzxq"],
  ["foo", "mzxw6"],
  ["foob", "mzxw6yq"],
  ["fooba", "mzxw6ytb"],
  ["foobar", "mzxw6ytboi"],
] as const;

Deno.test("formatBase32() and parseBase32() agree with RFC 4648", () => {
  for (const [plain, text] of BASE32_VECTORS) {
    assert.equal(formatBase32(utf8(plain)), text);
    assert.deepEqual(parseBase32(text), utf8(plain));
    assert.deepEqual(parseBase32(text.toUpperCase()), utf8(plain));
  }
});

Deno.test("parseBase32() undoes formatBase32()", () => {
  fc.assert(fc.property(bytes, (value) => {
    assert.deepEqual(parseBase32(formatBase32(value)), new Uint8Array(value));
  }));
});

Deno.test("parseBase32() reads one text per value, or nothing", () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(..."abcxyz234567ABCXYZ0189=- é"),
        maxLength: 20,
      }),
      (text) => {
        const value = parseBase32(text);
        if (value === undefined) return;
        assert.equal(formatBase32(value), text.toLowerCase());
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("parseBase32() refuses foreign characters, lengths and unused bits", () => {
  const bad = [
    "a", // 5 bits are no byte
    "aaa",
    "aaaaaa",
    "ab", // unused bits set
    "mzxr",
    "m0",
    "m1",
    "m8",
    "m9",
    "my======",
    "m y",
    "my\n",
    "mé",
    "mſ", // lower case of a long s is itself
    "K\u212a", // the Kelvin sign becomes k in lower case
    "\ud800",
    "ab\0\0",
  ];
  for (const text of bad) {
    assert.equal(parseBase32(text), undefined, JSON.stringify(text));
  }
});

Deno.test("concat() joins parts in order, into memory of its own", () => {
  fc.assert(fc.property(fc.array(bytes, { maxLength: 8 }), (parts) => {
    const joined = concat(...parts);
    assert.deepEqual([...joined], parts.flatMap((part) => [...part]));
    assert.ok(parts.every((part) => part.buffer !== joined.buffer));
  }));
});

Deno.test("equalBytes(), equalSecret() and compareBytes() agree", () => {
  const pair = fc.tuple(
    bytes,
    fc.oneof(bytes, fc.constant(undefined)),
  ).map(([a, b]) => [a, b ?? a.slice()] as const);
  fc.assert(fc.property(pair, ([a, b]) => {
    const same = Buffer.compare(a, b) === 0;
    assert.equal(equalBytes(a, b), same);
    assert.equal(equalSecret(a, b), same);
    assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b));
  }));
});

Deno.test("equalBytes() and equalSecret() see a difference at any place", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (value, at, flip) => {
        const other = value.slice();
        const index = at % value.length;
        other[index] = (other[index] ?? 0) ^ flip;
        assert.equal(equalBytes(value, other), false);
        assert.equal(equalSecret(value, other), false);
        assert.equal(equalSecret(value, value.subarray(1)), false);
      },
    ),
  );
});

Deno.test("wipe() overwrites every array", () => {
  const secrets = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  wipe(...secrets);
  assert.deepEqual(secrets, [new Uint8Array(2), new Uint8Array(1)]);
});

Deno.test("utf8Text() undoes utf8() for all well-formed text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.equal(utf8Text(utf8(text)), text);
  }));
  assert.equal(utf8Text(utf8("\ufeffmark")), "\ufeffmark");
});

Deno.test("utf8Text() refuses what is not UTF-8", () => {
  for (const hex of ["ff", "c328", "c080", "eda080", "f4908080", "e282"]) {
    assert.throws(() => utf8Text(Uint8Array.fromHex(hex)), TypeError);
  }
});
