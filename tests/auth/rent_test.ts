import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { customNetwork, networkParameters } from "../../lib/auth/network.ts";
import {
  findRent,
  hasRent,
  isRent,
  RENT_PERIOD_MS,
  rentEndMs,
  rentPeriod,
  rentTries,
} from "../../lib/auth/rent.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

const crypto = nativeSuite();
const main = networkParameters("main");
const publicKey = Uint8Array.fromHex(vector.publicKey);
const nonce = Uint8Array.fromHex(vector.rent);

Deno.test("isRent() agrees with another implementation's rent", async () => {
  assert.equal(rentPeriod(vector.expiry), vector.rentPeriod);
  assert.match(vector.rentHash, /^000[0-7]/);
  const harder = customNetwork({ ...main, powDifficulty: 13 });
  for (const suite of [nativeSuite(), nobleSuite()]) {
    const isPaid = (network = main, period = vector.rentPeriod) =>
      isRent(suite, network, publicKey, period, nonce);
    assert.equal(await isPaid(), true);
    assert.equal(await isPaid(harder), false);
    assert.equal(await isPaid(main, vector.rentPeriod + 1), false);
    assert.equal(await isPaid(main, vector.rentPeriod - 1), false);
  }
});

Deno.test("isRent() computes nothing for a nonce of another length", async () => {
  const idle = { ...crypto, scrypt: () => Promise.reject(new Error("called")) };
  for (const length of [0, 15, 17]) {
    const odd = new Uint8Array(length);
    assert.equal(await isRent(idle, main, publicKey, 1, odd), false);
  }
});

Deno.test("a period ends with the record that ends with it", () => {
  for (const period of [0, 1, vector.rentPeriod]) {
    const endMs = rentEndMs(period);
    assert.equal(rentPeriod(endMs), period);
    assert.equal(rentPeriod(endMs + 1), period + 1);
    assert.equal(rentPeriod(endMs - RENT_PERIOD_MS + 1), period);
  }
});

Deno.test("rent is paid where there is work, and costs half of it", () => {
  assert.equal(hasRent(networkParameters("local")), false);
  assert.equal(rentTries(networkParameters("local")), 0);
  assert.equal(hasRent(main), true);
  // Each call takes a quarter of the time of one for work.
  assert.equal(rentTries(main) / 4, 2 ** main.powDifficulty / 2);
});

Deno.test("findRent() finds what isRent() takes, and ends with the signal's reason", async () => {
  const easy = customNetwork({ ...main, name: "easy", powDifficulty: 3 });
  const random = seededRandom(1);
  const attempts: number[] = [];
  const found = await findRent(crypto, easy, publicKey, 7, random, {
    onProgress: (attempt) => void attempts.push(attempt),
  });
  assert.equal(await isRent(crypto, easy, publicKey, 7, found), true);
  assert.deepEqual(attempts, attempts.map((_, index) => index + 1));
  const stop = new AbortController();
  const reason = new Error("stop");
  const hard = customNetwork({ ...main, name: "hard", powDifficulty: 32 });
  await assert.rejects(
    findRent(crypto, hard, publicKey, 7, random, {
      signal: stop.signal,
      onProgress: () => stop.abort(reason),
    }),
    reason,
  );
});
