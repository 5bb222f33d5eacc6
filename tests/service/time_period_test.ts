import assert from "node:assert/strict";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { blindedKey, blindedSigner } from "../../lib/service/time_period.ts";

const crypto = nobleSuite();
const seed = new Uint8Array(32).fill(9);
const { publicKey } = crypto.signer(seed);

Deno.test("blindedSigner() signs under the key that blindedKey() gives", () => {
  for (const period of [0, 20_000, 20_001]) {
    const signer = blindedSigner(crypto, seed, publicKey, period);
    assert.deepEqual(signer.publicKey, blindedKey(crypto, publicKey, period));
    const message = Uint8Array.of(1, 2, 3);
    const signature = signer.sign(message);
    assert.ok(crypto.verify(signer.publicKey, message, signature));
    assert.ok(!crypto.verify(publicKey, message, signature));
  }
});

Deno.test("blindedKey() differs from period to period", () => {
  const keys = [1, 2, 3].map((n) => blindedKey(crypto, publicKey, n).toHex());
  assert.equal(new Set([publicKey.toHex(), ...keys]).size, 4);
});
