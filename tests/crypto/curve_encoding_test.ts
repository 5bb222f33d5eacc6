/**
 * The strict reading of keys and signatures, by hand and through both suites.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ed25519, ED25519_TORSION_SUBGROUP } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import {
  isSmallOrderX25519,
  isStrictEd25519,
  isStrictEdwardsKey,
} from "../../lib/crypto/_curve_encoding.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";

const hex = Uint8Array.fromHex;
const SUITES = [nobleSuite(), nativeSuite()];
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** A number as 32 little-endian bytes. */
function littleEndian(value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) {
    bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

/** S = 0 and R = the key itself verify under any key of order 1 or 2. */
const TRIVIAL_S = new Uint8Array(32);

Deno.test("isStrictEdwardsKey() refuses every point of small order", () => {
  for (const encoded of ED25519_TORSION_SUBGROUP) {
    const key = hex(encoded);
    const mirrored = new Uint8Array(key);
    mirrored[31] = (mirrored[31] as number) ^ 0x80;
    assert.equal(isStrictEdwardsKey(key), false);
    assert.equal(isStrictEdwardsKey(mirrored), false);
  }
});

Deno.test("isStrictEdwardsKey() refuses every y that is not reduced", () => {
  for (let y = P; y < 2n ** 255n; y++) {
    assert.equal(isStrictEdwardsKey(littleEndian(y)), false);
    assert.equal(isStrictEdwardsKey(littleEndian(y + 2n ** 255n)), false);
  }
  assert.equal(isStrictEdwardsKey(littleEndian(P - 2n)), true);
});

Deno.test("isStrictEdwardsKey() refuses other lengths", () => {
  const { publicKey } = nobleSuite().signer(new Uint8Array(32));
  assert.equal(isStrictEdwardsKey(publicKey), true);
  assert.equal(isStrictEdwardsKey(publicKey.subarray(1)), false);
  assert.equal(isStrictEdwardsKey(concat(publicKey, hex("00"))), false);
});

Deno.test("isStrictEd25519() takes S below L alone", () => {
  const { publicKey } = nobleSuite().signer(new Uint8Array(32));
  const strict = (s: bigint) =>
    isStrictEd25519(publicKey, concat(publicKey, littleEndian(s)));
  for (const s of [0n, 1n, L - 1n]) assert.equal(strict(s), true);
  for (const s of [L, L + 1n, 2n * L, 2n ** 255n, 2n ** 256n - 1n]) {
    assert.equal(strict(s), false);
  }
});

Deno.test("isSmallOrderX25519() knows the seven, whatever their top bit", () => {
  const x8a =
    325606250916557431795983626356110631294008115727848805560023387167927233504n;
  const x8b =
    39382357235489614581723060781553021112529911719440698176882885853963445705823n;
  const small = new Set([0n, 1n, P - 1n, P, P + 1n, x8a, x8b]);
  for (const u of small) {
    assert.equal(isSmallOrderX25519(littleEndian(u)), true);
    assert.equal(isSmallOrderX25519(littleEndian(u + 2n ** 255n)), true);
  }
  for (let u = 2n; u < 40n; u++) {
    assert.equal(isSmallOrderX25519(littleEndian(u)), false);
  }
  for (let u = P - 20n; u < 2n ** 255n; u++) {
    assert.equal(isSmallOrderX25519(littleEndian(u)), small.has(u));
  }
});

Deno.test("x25519() gives nothing for public keys of small order", () => {
  const secret = new Uint8Array(32).fill(0x42);
  for (const encoded of [0n, 1n, P - 1n, P, P + 1n].map(littleEndian)) {
    for (const top of [0x00, 0x80]) {
      const publicKey = new Uint8Array(encoded);
      publicKey[31] = (publicKey[31] as number) | top;
      for (const suite of SUITES) {
        assert.equal(suite.x25519(secret, publicKey), undefined);
      }
    }
  }
});

Deno.test("x25519() ignores the top bit of a public key", () => {
  const secret = new Uint8Array(32).fill(0x42);
  for (const suite of SUITES) {
    const publicKey = suite.x25519Public(new Uint8Array(32).fill(7));
    const shared = suite.x25519(secret, publicKey);
    publicKey[31] = (publicKey[31] as number) | 0x80;
    assert.deepEqual(suite.x25519(secret, publicKey), shared);
  }
});

Deno.test("verify() refuses keys of small order in every encoding", () => {
  const message = utf8("any message at all");
  for (const encoded of ED25519_TORSION_SUBGROUP) {
    for (const r of ED25519_TORSION_SUBGROUP) {
      const signature = concat(hex(r), TRIVIAL_S);
      for (const suite of SUITES) {
        assert.equal(suite.verify(hex(encoded), message, signature), false);
      }
    }
  }
});

Deno.test("verify() refuses a torsion component that the cofactor would hide", () => {
  // A' = A + T with T of order 8: [8] makes them equal.
  const suite = nobleSuite();
  const seed = new Uint8Array(32).fill(9);
  const message = utf8("message");
  const { scalar, prefix, point } = ed25519.utils.getExtendedPublicKey(seed);
  const torsion = ed25519.Point.fromHex(ED25519_TORSION_SUBGROUP[1] ?? "");
  const publicKey = new Uint8Array(point.add(torsion).toBytes());
  const { BASE, Fn } = ed25519.Point;
  const toScalar = (bytes: Uint8Array) => {
    let value = 0n;
    for (const byte of [...bytes].reverse()) {
      value = value * 256n + BigInt(byte);
    }
    return value % L;
  };
  const r = toScalar(prefix) % L;
  const encodedR = new Uint8Array(BASE.multiply(r).toBytes());
  const challenge = concat(encodedR, publicKey, message);
  const k = toScalar(sha512(challenge));
  assert.notEqual(k % 8n, 0n);
  const signature = concat(
    encodedR,
    new Uint8Array(Fn.toBytes(Fn.add(r, Fn.mul(k, scalar)))),
  );
  assert.equal(
    ed25519.verify(signature, message, publicKey, { zip215: false }),
    true,
  );
  assert.equal(suite.verify(publicKey, message, signature), false);
  assert.equal(nativeSuite().verify(publicKey, message, signature), false);
});

Deno.test("verify() never throws, and both suites say the same", () => {
  const signer = nobleSuite().signer(new Uint8Array(32).fill(1));
  const message = utf8("message");
  const good = signer.sign(message);
  const key = fc.oneof(
    fc.constant(signer.publicKey),
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.constantFrom(...ED25519_TORSION_SUBGROUP).map((text) => hex(text)),
  );
  const signature = fc.oneof(
    fc.constant(good),
    fc.uint8Array({ maxLength: 70 }),
    fc.uint8Array({ minLength: 64, maxLength: 64 }),
    fc.nat(511).map((bit) => {
      const altered = new Uint8Array(good);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      return altered;
    }),
  );
  fc.assert(
    fc.property(key, signature, (publicKey, candidate) => {
      const [noble, native] = SUITES.map((suite) =>
        suite.verify(publicKey, message, candidate)
      );
      assert.equal(noble, native);
      assert.equal(noble, publicKey === signer.publicKey && candidate === good);
    }),
    { numRuns: 400 },
  );
});
