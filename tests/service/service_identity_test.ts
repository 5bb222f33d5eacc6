import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { expandedPublicKey } from "../../lib/crypto/blinding.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import {
  ExpandedIdentity,
  isExpandedByUs,
  newExpandedKey,
  type ServiceIdentity,
} from "../../lib/service/service_identity.ts";
import { blindedKey, blindedSigner } from "../../lib/service/time_period.ts";
import { clamp, sha512, toBytes } from "../crypto/_reference_ed25519.ts";

const crypto = repeatableSuite();
const PERIOD = 20_000;

/** RFC 8032 §5.1.5, step by step. */
function expand(seed: Uint8Array): Uint8Array<ArrayBuffer> {
  const secret = new Uint8Array(sha512(seed));
  secret.set(toBytes(clamp(secret.subarray(0, 32))), 0);
  return secret;
}

Deno.test("ExpandedIdentity is the identity of the seed that was expanded, and signs alike", () => {
  for (let n = 0; n < 20; n++) {
    const seed = seededRandom(n).bytes(32);
    using whole = new Identity(crypto, seed);
    using expanded = new ExpandedIdentity(expand(seed));
    assert.deepEqual(expanded.publicKey, whole.publicKey);
    const { publicKey } = whole;
    const signerOf = (identity: ServiceIdentity) =>
      blindedSigner(crypto, identity.exportSeed(), publicKey, PERIOD);
    const [a, b] = [signerOf(whole), signerOf(expanded)];
    const message = new Uint8Array([n]);
    assert.deepEqual(a.sign(message), b.sign(message));
    assert.deepEqual(b.publicKey, blindedKey(crypto, publicKey, PERIOD));
  }
});

Deno.test("newExpandedKey() makes keys that are known for ours, and no other key is", () => {
  const random = seededRandom(1);
  const keys = Array.from({ length: 20 }, () => newExpandedKey(crypto, random));
  assert.equal(new Set(keys.map((key) => key.toHex())).size, keys.length);
  for (const key of keys) {
    assert.ok(isExpandedByUs(crypto, key));
    using identity = new ExpandedIdentity(key);
    const { publicKey } = identity;
    const signer = blindedSigner(crypto, key, publicKey, PERIOD);
    const message = new Uint8Array(3);
    const signature = signer.sign(message);
    assert.ok(crypto.verify(signer.publicKey, message, signature));
    for (const at of [0, 31, 32, 63]) {
      const other = key.with(at, (key[at] ?? 0) ^ 0x08);
      assert.ok(!isExpandedByUs(crypto, other), `byte ${at}`);
    }
  }
  assert.ok(!isExpandedByUs(crypto, expand(random.bytes(32))));
});

Deno.test("ExpandedIdentity refuses what no seed expands to", () => {
  const key = newExpandedKey(crypto, seededRandom(2));
  for (
    const wrong of [
      key.subarray(1),
      new Uint8Array(65),
      new Uint8Array(64),
      key.with(0, (key[0] ?? 0) | 1),
      key.with(31, (key[31] ?? 0) | 0x80),
      key.with(31, (key[31] ?? 0) & 0x3f),
    ]
  ) {
    assert.throws(() => new ExpandedIdentity(wrong), {
      name: "ConfigError",
      code: "service.key",
    });
  }
  assert.throws(() => expandedPublicKey(key.with(0, 7)), RangeError);
});

Deno.test("ExpandedIdentity shows its key in no text, and is of no use once disposed of", () => {
  const key = newExpandedKey(crypto, seededRandom(3));
  const identity = new ExpandedIdentity(key);
  const shown = `${JSON.stringify(identity)} ${Deno.inspect(identity)}`;
  assert.ok(!shown.includes(key.toHex()));
  assert.match(shown, /scrubbed/);
  identity[Symbol.dispose]();
  assert.throws(() => identity.exportSeed(), {
    code: "auth.identity_disposed",
  });
  assert.ok(isExpandedByUs(crypto, key), "the caller's bytes are its own");
});
