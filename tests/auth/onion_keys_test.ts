import assert from "node:assert/strict";
import fc from "fast-check";
import { networkParameters } from "../../lib/auth/network.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { OnionKeys } from "../../lib/auth/onion_keys.ts";
import { encodeCbor } from "../../lib/wire/cbor.ts";

const CRYPTO = nobleSuite();
const NETWORK = networkParameters("local");
const DAY = 24 * 3_600_000;
const START = Date.UTC(2026, 0, 1);

function generate(): OnionKeys {
  return OnionKeys.generate(CRYPTO, seededRandom(1), NETWORK, START);
}

function decode(bytes: Uint8Array): OnionKeys {
  return OnionKeys.decode(CRYPTO, seededRandom(2), NETWORK, bytes);
}

Deno.test("OnionKeys keeps a key for a week, and the one before for a day more", () => {
  const keys = generate();
  const first = keys.current;
  assert.equal(keys.rotateAtMs, START + 7 * DAY);
  assert.equal(keys.rotate(START + 7 * DAY - 1), false);
  assert.deepEqual(keys.find(first.publicKey), first.secret);

  assert.equal(keys.rotate(START + 7 * DAY), true);
  assert.notDeepEqual(keys.current.publicKey, first.publicKey);
  assert.deepEqual(keys.find(first.publicKey), first.secret);
  assert.equal(keys.rotateAtMs, START + 8 * DAY);

  assert.equal(keys.rotate(START + 8 * DAY - 1), false);
  assert.equal(keys.rotate(START + 8 * DAY), true);
  assert.equal(keys.find(first.publicKey), undefined);
  assert.deepEqual(first.secret, new Uint8Array(32), "overwritten");
  assert.equal(keys.rotateAtMs, START + 14 * DAY);
});

Deno.test("OnionKeys forgets both keys after a sleep that outlasts them", () => {
  const keys = generate();
  const first = keys.current.publicKey;
  assert.equal(keys.rotate(START + 30 * DAY), true);
  assert.equal(keys.find(first), undefined);
  assert.equal(keys.current.madeMs, START + 30 * DAY);
});

Deno.test("OnionKeys takes a new key after a clock was set back by more than a week", () => {
  const keys = generate();
  const first = keys.current.publicKey;
  assert.equal(keys.rotate(START - 6 * DAY), false);
  assert.equal(keys.rotate(START - 7 * DAY), true);
  assert.notDeepEqual(keys.current.publicKey, first);
});

Deno.test("OnionKeys.find() knows only its own keys", () => {
  const keys = generate();
  assert.equal(keys.find(new Uint8Array(32)), undefined);
  assert.equal(keys.find(keys.current.publicKey.subarray(1)), undefined);
  assert.equal(keys.find(new Uint8Array(0)), undefined);
});

Deno.test("OnionKeys.decode() undoes encode(), with one key and with two", () => {
  const keys = generate();
  for (const atMs of [START, START + 7 * DAY]) {
    keys.rotate(atMs);
    const again = decode(keys.encode());
    assert.deepEqual(again.current, keys.current);
    assert.deepEqual(again.encode(), keys.encode());
    assert.equal(again.rotateAtMs, keys.rotateAtMs);
  }
});

Deno.test("OnionKeys.decode() refuses what makes no sense", () => {
  const secret = new Uint8Array(32).fill(1);
  const key = { secret, madeMs: 1 };
  for (
    const value of [
      {},
      { keys: [] },
      { keys: [key, key, key] },
      { keys: [{ secret, madeMs: -1 }] },
      { keys: [{ secret: secret.subarray(1), madeMs: 1 }] },
      { keys: [{ secret }] },
      { keys: [{ ...key, other: 1 }] },
      { keys: [key], other: 1 },
      { keys: key },
    ]
  ) {
    assert.throws(() => decode(encodeCbor(value)), ProtocolError);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    assert.throws(() => decode(bytes), ProtocolError);
  }));
});
