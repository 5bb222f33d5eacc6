import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../lib/base/bytes.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  decodeBlob,
  encodeBlob,
  MAX_BLOB_BYTES,
} from "../../lib/storage/blob_format.ts";

const CRYPTO = nobleSuite();
const BODY = utf8("two guards and a date");

Deno.test("decodeBlob() undoes encodeBlob()", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.uint8Array(), (name, body) => {
      const content = decodeBlob(CRYPTO, name, encodeBlob(CRYPTO, name, body));
      assert.deepEqual(content, { type: "whole", body: new Uint8Array(body) });
    }),
  );
});

Deno.test("decodeBlob() notices a file that was cut anywhere", () => {
  const file = encodeBlob(CRYPTO, "guards", BODY);
  for (let length = 0; length < file.length; length++) {
    const content = decodeBlob(CRYPTO, "guards", file.subarray(0, length));
    assert.deepEqual(content, { type: "damaged" }, `cut to ${length} bytes`);
  }
});

Deno.test("decodeBlob() notices any single changed bit, or takes it for a later version", () => {
  const file = encodeBlob(CRYPTO, "guards", BODY);
  for (let bit = 0; bit < file.length * 8; bit++) {
    const changed = new Uint8Array(file);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const { type } = decodeBlob(CRYPTO, "guards", changed);
    const isVersion = bit >> 3 === 12 && (bit & 7) !== 0;
    assert.equal(type, isVersion ? "newer" : "damaged", `bit ${bit}`);
  }
});

Deno.test("decodeBlob() notices bytes after the end, and a file of zeros", () => {
  const file = encodeBlob(CRYPTO, "guards", BODY);
  const longer = new Uint8Array(file.length + 1);
  longer.set(file);
  for (const bytes of [longer, new Uint8Array(file.length)]) {
    assert.equal(decodeBlob(CRYPTO, "guards", bytes).type, "damaged");
  }
});

Deno.test("decodeBlob() notices a file that was put under another name", () => {
  const file = encodeBlob(CRYPTO, "guards", BODY);
  assert.equal(decodeBlob(CRYPTO, "relays", file).type, "damaged");
});

Deno.test("decodeBlob() gives an answer for arbitrary bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(decodeBlob(CRYPTO, "guards", bytes).type, "damaged");
  }));
});

Deno.test("encodeBlob() refuses a body that is too long", () => {
  assert.throws(
    () => encodeBlob(CRYPTO, "guards", new Uint8Array(MAX_BLOB_BYTES + 1)),
    RangeError,
  );
});
