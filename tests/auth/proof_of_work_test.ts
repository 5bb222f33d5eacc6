import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import { nodeIdOf } from "../../lib/auth/identity.ts";
import { findWork, placeOf } from "../../lib/auth/proof_of_work.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

const crypto = nativeSuite();
const publicKey = Uint8Array.fromHex(vector.publicKey);
const nonce = Uint8Array.fromHex(vector.work);

/** A suite that counts its scrypt calls. */
function countingSuite(): CryptoSuite & { calls: number } {
  const counting = {
    ...crypto,
    calls: 0,
    scrypt: (...args: Parameters<CryptoSuite["scrypt"]>) => {
      counting.calls++;
      return crypto.scrypt(...args);
    },
  };
  return counting;
}

Deno.test("placeOf() counts zero bits from the first byte's high bit", async () => {
  const cases = [
    ["80", 0],
    ["7f", 1],
    ["01", 7],
    ["0080", 8],
    ["000f00", 12],
    ["000001", 23],
    ["00000000", 32],
  ] as const;
  for (const [hex, bits] of cases) {
    const hash = Uint8Array.fromHex(hex);
    const suite = { ...crypto, scrypt: () => Promise.resolve(hash) };
    for (let difficulty = 1; difficulty <= 32; difficulty++) {
      const place = await placeOf(suite, difficulty, publicKey, nonce);
      assert.equal(place !== undefined, difficulty <= bits, hex);
    }
  }
});

Deno.test("placeOf() agrees with another implementation's work", async () => {
  const bits = 12;
  assert.match(vector.workHash, /^000[89a-f]/);
  for (const suite of [nativeSuite(), nobleSuite()]) {
    const place = await placeOf(suite, bits, publicKey, nonce);
    assert.equal(place?.toHex(), vector.place);
    assert.equal(await placeOf(suite, bits + 1, publicKey, nonce), undefined);
  }
});

Deno.test("placeOf() refuses another key's work and another nonce", async () => {
  const other = publicKey.slice();
  other[0] = 0;
  assert.equal(await placeOf(crypto, 12, other, nonce), undefined);
  const next = nonce.slice();
  next[15] = 0;
  assert.equal(await placeOf(crypto, 12, publicKey, next), undefined);
});

Deno.test("placeOf() computes nothing for a nonce of another length, or at difficulty 0", async () => {
  const counting = countingSuite();
  for (const length of [0, 15, 17, 1000]) {
    const odd = new Uint8Array(length);
    assert.equal(await placeOf(counting, 0, publicKey, odd), undefined);
    assert.equal(await placeOf(counting, 12, publicKey, odd), undefined);
  }
  const place = await placeOf(counting, 0, publicKey, nonce);
  assert.deepEqual(place, nodeIdOf(crypto, publicKey));
  assert.equal(counting.calls, 0);
});

Deno.test("findWork() finds what placeOf() takes, and reports each attempt", async () => {
  const attempts: number[] = [];
  const found = await findWork(crypto, 4, publicKey, seededRandom(1), {
    onProgress: (count) => void attempts.push(count),
  });
  const place = await placeOf(crypto, 4, publicKey, found.workNonce);
  assert.deepEqual(place, found.place);
  assert.deepEqual(attempts, attempts.map((_, index) => index + 1));
  assert.ok(attempts.length >= 1);
  const again = await findWork(crypto, 4, publicKey, seededRandom(1));
  assert.deepEqual(again, found);
});

Deno.test("findWork() is free at difficulty 0", async () => {
  const counting = countingSuite();
  const found = await findWork(counting, 0, publicKey, seededRandom(2));
  assert.equal(found.workNonce.length, 16);
  assert.equal(counting.calls, 0);
});

Deno.test("findWork() ends with the signal's reason", async () => {
  const stop = new Error("stop");
  const counting = countingSuite();
  await assert.rejects(
    findWork(counting, 32, publicKey, seededRandom(3), {
      signal: AbortSignal.abort(stop),
    }),
    stop,
  );
  assert.equal(counting.calls, 0);
  const controller = new AbortController();
  await assert.rejects(
    findWork(counting, 32, publicKey, seededRandom(3), {
      signal: controller.signal,
      onProgress: (attempts) => {
        if (attempts === 2) controller.abort(stop);
      },
    }),
    stop,
  );
  assert.equal(counting.calls, 2);
});

Deno.test("findWork() waits for the program that watches it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let done = false;
  const finding = findWork(crypto, 0, publicKey, seededRandom(4), {
    onProgress: () => promise,
  }).then(() => done = true);
  for (let i = 0; i < 20; i++) await null;
  assert.equal(done, false);
  resolve();
  await finding;
});
