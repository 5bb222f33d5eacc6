/**
 * Blinded keys against Tor's vectors, and against integers alone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ED25519_TORSION_SUBGROUP } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { equalBytes, utf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { BlindedSigner, blindPublicKey } from "../../lib/crypto/blinding.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import tor from "../vectors/tor_blinding.json" with { type: "json" };
import {
  add,
  BASE,
  clamp,
  decodePoint,
  encodePoint,
  L,
  multiply,
  sha512,
  toBytes,
  toInteger,
  verifies,
} from "./_reference_ed25519.ts";

const hex = Uint8Array.fromHex;
const SUITES = [nobleSuite(), nativeSuite()];
const MESSAGE = utf8("descriptor");
const refused = (error: unknown) =>
  error instanceof ProtocolError && error.code === "crypto.blind_key";
const seedOrFactor = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** Tor hashes its parameter before it clamps; we leave that to the caller. */
function torFactor(parameter: string): Uint8Array {
  return sha512(utf8("Derive temporary signing key"), hex(parameter))
    .slice(0, 32);
}

Deno.test("blindPublicKey() gives Tor's blinded public keys", () => {
  for (const test of tor.tests) {
    assert.equal(
      blindPublicKey(hex(test.publicKey), torFactor(test.parameter)).toHex(),
      test.blinded,
    );
  }
});

Deno.test("BlindedSigner has Tor's blinded public keys", () => {
  for (const test of tor.tests) {
    const signer = new BlindedSigner(hex(test.seed), torFactor(test.parameter));
    assert.equal(signer.publicKey.toHex(), test.blinded);
  }
});

Deno.test("BlindedSigner signs what every verifier takes under the blinded key", () => {
  fc.assert(
    fc.property(
      seedOrFactor,
      seedOrFactor,
      fc.uint8Array({ maxLength: 100 }),
      (seed, factor, message) => {
        const signer = new BlindedSigner(seed, factor);
        const signature = signer.sign(message);
        for (const suite of SUITES) {
          const { publicKey } = suite.signer(seed);
          const blinded = blindPublicKey(publicKey, factor);
          assert.deepEqual(blinded, signer.publicKey);
          assert.equal(suite.verify(blinded, message, signature), true);
          assert.equal(suite.verify(publicKey, message, signature), false);
        }
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("BlindedSigner agrees with integer arithmetic", () => {
  const random = seededRandom(7);
  for (let i = 0; i < 4; i++) {
    const [seed, factor] = [random.bytes(32), random.bytes(32)];
    const digest = sha512(seed);
    const a = clamp(digest.slice(0, 32));
    const f = clamp(factor);
    const blinded = encodePoint(multiply(BASE, (f * a) % L));
    assert.deepEqual(
      blinded,
      encodePoint(multiply(multiply(BASE, a), f)),
      "[f]A is [f a]B",
    );
    const signer = new BlindedSigner(seed, factor);
    assert.deepEqual(signer.publicKey, blinded);

    const prefix = sha512(
      utf8("anonnet v1 blinded nonce"),
      digest.slice(32),
      blinded,
    ).slice(0, 32);
    const r = toInteger(sha512(prefix, MESSAGE)) % L;
    const encodedR = encodePoint(multiply(BASE, r));
    const k = toInteger(sha512(encodedR, blinded, MESSAGE)) % L;
    const s = toBytes((r + k * ((f * a) % L)) % L);
    const signature = signer.sign(MESSAGE);
    assert.deepEqual(signature.slice(0, 32), encodedR);
    assert.deepEqual(signature.slice(32), s);
    assert.equal(verifies(blinded, MESSAGE, signature), true);
  }
});

Deno.test("BlindedSigner shares no nonce with another factor or the plain key", () => {
  const seed = new Uint8Array(32).fill(1);
  const nonces = new Set<string>();
  for (let period = 0; period < 20; period++) {
    const signer = new BlindedSigner(
      seed,
      sha512(Uint8Array.of(period)).slice(0, 32),
    );
    nonces.add(signer.sign(MESSAGE).slice(0, 32).toHex());
  }
  nonces.add(nobleSuite().signer(seed).sign(MESSAGE).slice(0, 32).toHex());
  assert.equal(nonces.size, 21);
});

Deno.test("BlindedSigner signs a message alike each time", () => {
  const make = () =>
    new BlindedSigner(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2));
  assert.deepEqual(make().sign(MESSAGE), make().sign(MESSAGE));
});

Deno.test("blindPublicKey() clamps: the bits that clamping sets do not matter", () => {
  const { publicKey } = nobleSuite().signer(new Uint8Array(32).fill(3));
  const factor = new Uint8Array(32).fill(0xa5);
  const same = new Uint8Array(factor);
  same[0] = (same[0] as number) ^ 0x07;
  same[31] = (same[31] as number) ^ 0xc0;
  assert.deepEqual(
    blindPublicKey(publicKey, factor),
    blindPublicKey(publicKey, same),
  );
  for (const factor of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
    assert.equal(
      equalBytes(blindPublicKey(publicKey, factor), publicKey),
      false,
    );
  }
});

Deno.test("blindPublicKey() refuses points of small order", () => {
  for (const encoded of ED25519_TORSION_SUBGROUP) {
    assert.throws(
      () => blindPublicKey(hex(encoded), new Uint8Array(32)),
      refused,
    );
  }
});

Deno.test("blindPublicKey() refuses a key with a point of small order added", () => {
  const key = decodePoint(nobleSuite().signer(new Uint8Array(32)).publicKey);
  for (const encoded of ED25519_TORSION_SUBGROUP) {
    const torsion = decodePoint(hex(encoded));
    const mixed = encodePoint(add(key, torsion));
    if (torsion.y === 1n) {
      assert.equal(blindPublicKey(mixed, new Uint8Array(32)).length, 32);
    } else {
      assert.throws(() => blindPublicKey(mixed, new Uint8Array(32)), refused);
    }
  }
});

Deno.test("blindPublicKey() refuses what is no point, or not in canonical form", () => {
  const bad = [
    "0200000000000000000000000000000000000000000000000000000000000000",
    "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "",
    "00",
    "11".repeat(31),
    "11".repeat(33),
  ];
  for (const encoded of bad) {
    assert.throws(
      () => blindPublicKey(hex(encoded), new Uint8Array(32)),
      refused,
      encoded,
    );
  }
});

Deno.test("blindPublicKey() and BlindedSigner refuse wrong lengths as misuse", () => {
  const { publicKey } = nobleSuite().signer(new Uint8Array(32));
  const good = new Uint8Array(32);
  for (const length of [0, 31, 33, 64]) {
    const bad = new Uint8Array(length);
    assert.throws(() => blindPublicKey(publicKey, bad), RangeError);
    assert.throws(() => new BlindedSigner(good, bad), RangeError);
    assert.throws(() => new BlindedSigner(bad, good), RangeError);
  }
});

Deno.test("BlindedSigner prints no secret", () => {
  const signer = new BlindedSigner(new Uint8Array(32), new Uint8Array(32));
  assert.equal(JSON.stringify({ signer }), '{"signer":"[scrubbed]"}');
  assert.equal(Deno.inspect(signer), "BlindedSigner([scrubbed])");
});
