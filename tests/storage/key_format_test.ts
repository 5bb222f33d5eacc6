import assert from "node:assert/strict";
import fc from "fast-check";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { formatKey, parseKey } from "../../lib/storage/key_format.ts";

const CRYPTO = nobleSuite();
const SEED = new Uint8Array(32).map((_, index) => index * 7);
const TEXT = formatKey(CRYPTO, SEED);

// The expected lines come from Python: hashlib and base64.
Deno.test("formatKey() writes the three lines that are documented", () => {
  assert.equal(
    TEXT,
    "anonnet-ed25519-seed v1\n" +
      "aadq4fi4emvdcob7izgviw3cnfyho7ufrsjzviniv63l3rgl2lmq\n" +
      "eknymlp6\n",
  );
});

Deno.test("parseKey() undoes formatKey()", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      assert.deepEqual(parseKey(CRYPTO, formatKey(CRYPTO, seed)), {
        type: "key",
        seed: new Uint8Array(seed),
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("parseKey() reads what an editor did to line ends and spaces", () => {
  for (
    const text of [
      TEXT.replaceAll("\n", "\r\n"),
      TEXT.trimEnd(),
      `\n${TEXT}\n\n`,
      TEXT.replaceAll("\n", "  \n"),
      TEXT.split("\n").map((line, index) =>
        index === 0 ? line : line.toUpperCase()
      ).join("\n"),
    ]
  ) assert.equal(parseKey(CRYPTO, text).type, "key", JSON.stringify(text));
});

Deno.test("parseKey() notices a text that was cut anywhere", () => {
  for (let length = 0; length < TEXT.length - 1; length++) {
    assert.equal(parseKey(CRYPTO, TEXT.slice(0, length)).type, "damaged");
  }
});

Deno.test("parseKey() notices any single changed letter of key and checksum", () => {
  const start = TEXT.indexOf("\n") + 1;
  for (let index = start; index < TEXT.length - 1; index++) {
    const other = TEXT[index] === "b" ? "c" : "b";
    const changed = TEXT.slice(0, index) + other + TEXT.slice(index + 1);
    assert.equal(parseKey(CRYPTO, changed).type, "damaged", `at ${index}`);
  }
});

Deno.test("parseKey() refuses empty, zeroed, doubled and foreign text", () => {
  for (
    const text of [
      "",
      "\0".repeat(100),
      TEXT + TEXT,
      TEXT.replace("v1", "v0"),
      TEXT.replace("v1", "1"),
      "-----BEGIN OPENSSH PRIVATE KEY-----\n",
      "anonnet-ed25519-seed v1",
      `anonnet-ed25519-seed v1\n\n\n`,
    ]
  ) assert.equal(parseKey(CRYPTO, text).type, "damaged", JSON.stringify(text));
});

Deno.test("parseKey() tells a later version and another kind from damage", () => {
  for (const title of ["anonnet-ed25519-seed v2", "anonnet-mldsa65-seed v1"]) {
    const text = TEXT.replace("anonnet-ed25519-seed v1", title);
    assert.equal(parseKey(CRYPTO, text).type, "newer");
  }
});
