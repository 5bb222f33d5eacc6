import assert from "node:assert/strict";
import { BugError } from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { type Primitive, selectSuite } from "../../lib/crypto/select.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";

/** What was replaced when `broken` is put into the native suite. */
async function replaced(
  broken: Partial<CryptoSuite>,
): Promise<{ suite: CryptoSuite; reasons: Map<Primitive, unknown> }> {
  const reasons = new Map<Primitive, unknown>();
  const suite = await selectSuite({
    candidate: { ...nativeSuite(), ...broken },
    onFallback: (primitive, reason) => reasons.set(primitive, reason),
  });
  return { suite, reasons };
}

const native = nativeSuite();

/** One wrong method for each primitive, and some wrong in one way only. */
const BROKEN: [Primitive, Partial<CryptoSuite>][] = [
  ["hash", { sha256: () => new Uint8Array(32) }],
  ["hash", { hmac: (key, ...parts) => native.sha256(key, ...parts) }],
  [
    "hash",
    { hkdf: (secret, salt, info, n) => native.hkdf(salt, secret, info, n) },
  ],
  [
    "scrypt",
    {
      scrypt: (password, salt, options) =>
        native.scrypt(salt, password, options),
    },
  ],
  [
    "aead",
    {
      seal: () => {
        throw new Error("Unknown cipher");
      },
    },
  ],
  ["aead", { open: (key, nonce, sealed) => native.open(key, nonce, sealed) }],
  [
    "aead",
    {
      counterAead: (key) => {
        const aead = native.counterAead(key);
        return {
          seal: (plaintext, out) => aead.seal(plaintext, out),
          xorNext: (offset, bytes) => aead.xorNext(offset, bytes),
          wipe: () => aead.wipe(),
          open: (sealed, out) => {
            out.set(sealed.subarray(0, out.length)); // before it is checked
            return aead.open(sealed, out);
          },
        };
      },
    },
  ],
  [
    "aead",
    {
      counterAead: (key) => {
        const nonce = new Uint8Array(12); // one nonce for every message
        const aead = native.counterAead(key);
        return {
          seal: (plaintext, out) => out.set(native.seal(key, nonce, plaintext)),
          open: (sealed, out) => aead.open(sealed, out),
          xorNext: (offset, bytes) => aead.xorNext(offset, bytes),
          wipe: () => aead.wipe(),
        };
      },
    },
  ],
  ["keystream", { keystream: () => ({ xor() {}, wipe() {} }) }],
  ["x25519", { x25519: () => new Uint8Array(32) }],
  ["x25519", { x25519Public: (secret) => new Uint8Array(secret) }],
  ["ed25519", { verify: () => true }],
  ["ed25519", { verify: () => false }],
  ["kem", { kemPair: () => Promise.reject(new Error("Not supported")) }],
  [
    "kem",
    {
      encapsulate: async (publicKey, random) => ({
        ...await native.encapsulate(publicKey, random),
        secret: new Uint8Array(32),
      }),
    },
  ],
];

Deno.test("selectSuite() takes the platform's as it is when it passes", async () => {
  const { suite, reasons } = await replaced({});
  assert.deepEqual(reasons, new Map());
  assert.equal(suite.name, "native");
});

Deno.test("selectSuite() finds noble's answers to be noble's", async () => {
  const reasons: unknown[] = [];
  const suite = await selectSuite({
    candidate: nobleSuite(),
    onFallback: (...reason) => reasons.push(reason),
  });
  assert.deepEqual(reasons, []);
  assert.equal(suite.name, "noble");
});

Deno.test("selectSuite() replaces just the primitive that is wrong, and says why", async () => {
  for (const [primitive, broken] of BROKEN) {
    const { suite, reasons } = await replaced(broken);
    const what = `${primitive}: ${Object.keys(broken).join()}`;
    assert.deepEqual([...reasons.keys()], [primitive], what);
    const reason = reasons.get(primitive);
    assert.ok(reason instanceof BugError, what);
    assert.equal(reason.code, "crypto.self_test");
    assert.ok(reason.cause instanceof Error, what);
    assert.equal(suite.name, `native with noble ${primitive}`);
    for (const method of Object.keys(broken) as (keyof CryptoSuite)[]) {
      assert.equal(suite[method], nobleSuite()[method], what);
    }
  }
});

Deno.test("selectSuite() is noble's when nothing passes", async () => {
  const broken = Object.fromEntries(
    Object.keys(nativeSuite()).map((method) => [method, () => {
      throw new Error("no such thing");
    }]),
  ) as Partial<CryptoSuite>;
  const { suite, reasons } = await replaced({ ...broken, name: "broken" });
  assert.equal(reasons.size, 7);
  assert.deepEqual(suite, nobleSuite());
});
