import assert from "node:assert/strict";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  blindedKey,
  blindedSigner,
  OVERLAP_MS,
  PERIOD_MS,
  publishedPeriods,
  timePeriod,
} from "../../lib/service/time_period.ts";

const crypto = nobleSuite();
const seed = new Uint8Array(32).fill(9);
const { publicKey } = crypto.signer(seed);

Deno.test("publishedPeriods() overlaps around midnight and nowhere else", () => {
  const day = 20_000 * PERIOD_MS;
  assert.deepEqual(publishedPeriods(day), [20_000, 19_999]);
  assert.deepEqual(publishedPeriods(day + OVERLAP_MS - 1), [20_000, 19_999]);
  assert.deepEqual(publishedPeriods(day + OVERLAP_MS), [20_000]);
  assert.deepEqual(publishedPeriods(day + PERIOD_MS / 2), [20_000]);
  assert.deepEqual(publishedPeriods(day + PERIOD_MS - OVERLAP_MS), [
    20_000,
    20_001,
  ]);
});

Deno.test("publishedPeriods() covers a client whose clock is hours off", () => {
  const step = 600_000;
  for (let ms = 0; ms < 2 * PERIOD_MS; ms += step) {
    const now = 20_000 * PERIOD_MS + ms;
    for (const skew of [-OVERLAP_MS + 1, -1, 0, 1, OVERLAP_MS - 1]) {
      assert.ok(publishedPeriods(now).includes(timePeriod(now + skew)));
    }
  }
});

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
