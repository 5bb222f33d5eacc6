import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { NonceCache } from "../../lib/link/nonce_cache.ts";

Deno.test("NonceCache.add() takes a nonce once", () => {
  const cache = new NonceCache();
  const nonce = seededRandom(1).bytes(32);
  assert.equal(cache.add(nonce), true);
  assert.equal(cache.add(nonce), false);
  assert.equal(cache.add(new Uint8Array(32)), true);
});

Deno.test("NonceCache remembers the newer half and never exceeds its capacity", () => {
  const cache = new NonceCache(16);
  const random = seededRandom(2);
  const seen: Uint8Array[] = [];
  for (let round = 0; round < 100; round++) {
    const nonce = random.bytes(32);
    assert.equal(cache.add(nonce), true);
    seen.push(nonce);
    assert.ok(cache.size <= 16);
    for (const recent of seen.slice(-8)) assert.equal(cache.add(recent), false);
  }
});
