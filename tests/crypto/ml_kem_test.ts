/**
 * ML-KEM-768 in both suites.
 *
 * The accumulated vector is the one of Go's crypto/mlkem (TestAccumulated, 100
 * rounds) for FIPS 203 as published: inputs are drawn from SHAKE-128, outputs
 * are absorbed by another, and one hash stands for all of them.
 *
 * @see {@link https://c2sp.org/CCTV/ML-KEM | CCTV} for the method
 * @module
 */
import assert from "node:assert/strict";
import { shake128 } from "@noble/hashes/sha3.js";
import fc from "fast-check";
import { ProtocolError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { platformKem } from "../../lib/crypto/_platform_kem.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  KEM_CIPHERTEXT_BYTES,
  KEM_PUBLIC_BYTES,
  KEM_SEED_BYTES,
} from "../../lib/crypto/suite.ts";

const noble = nobleSuite();
const native = nativeSuite();
const SUITES = [noble, native];
const SEED = Uint8Array.from({ length: KEM_SEED_BYTES }, (_, index) => index);
const RANDOM = seededRandom(1);

const refused = (code: string) => (error: unknown) =>
  error instanceof ProtocolError && error.code === code;

Deno.test("kemPair() and encapsulate() give Go's accumulated vector", async () => {
  for (const suite of SUITES) {
    const source = shake128.create({});
    const sink = shake128.create({ dkLen: 32 });
    const draw = (length: number) => new Uint8Array(source.xof(length));
    for (let round = 0; round < 100; round++) {
      const pair = await suite.kemPair(draw(KEM_SEED_BYTES));
      sink.update(pair.publicKey);
      // The reference takes its randomness from us; the platform does not.
      const { ciphertext, secret } = await noble.encapsulate(
        pair.publicKey,
        { bytes: draw },
      );
      sink.update(ciphertext).update(secret);
      assert.deepEqual(await pair.decapsulate(ciphertext), secret);
      sink.update(await pair.decapsulate(draw(KEM_CIPHERTEXT_BYTES)));
      pair.wipe();
    }
    assert.equal(
      sink.digest().toHex(),
      "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415",
    );
  }
});

Deno.test("encapsulate() of each suite is understood by the other", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: KEM_SEED_BYTES, maxLength: KEM_SEED_BYTES }),
      async (seed) => {
        for (const sender of SUITES) {
          for (const receiver of SUITES) {
            const pair = await receiver.kemPair(seed);
            const sent = await sender.encapsulate(pair.publicKey, RANDOM);
            assert.equal(sent.ciphertext.length, KEM_CIPHERTEXT_BYTES);
            assert.equal(sent.secret.length, 32);
            assert.deepEqual(
              await pair.decapsulate(sent.ciphertext),
              sent.secret,
            );
          }
        }
      },
    ),
    { numRuns: 15 },
  );
});

Deno.test("encapsulate() gives another secret each time", async () => {
  for (const suite of SUITES) {
    const { publicKey } = await suite.kemPair(SEED);
    const secrets = new Set<string>();
    for (let i = 0; i < 8; i++) {
      secrets.add(
        (await suite.encapsulate(publicKey, RANDOM)).secret.toHex(),
      );
    }
    assert.equal(secrets.size, 8);
  }
});

Deno.test("decapsulate() rejects a foreign ciphertext implicitly, both alike", async () => {
  const [a, b] = await Promise.all(SUITES.map((suite) => suite.kemPair(SEED)));
  assert.ok(a && b);
  const { ciphertext, secret } = await noble.encapsulate(a.publicKey, RANDOM);
  for (let offset = 0; offset < KEM_CIPHERTEXT_BYTES; offset += 101) {
    const altered = new Uint8Array(ciphertext);
    altered[offset] = (altered[offset] as number) ^ 1;
    const rejected: Uint8Array = await a.decapsulate(altered);
    assert.notDeepEqual(rejected, secret);
    assert.deepEqual(await b.decapsulate(altered), rejected);
  }
});

Deno.test("decapsulate() refuses other lengths as the peer's fault", async () => {
  for (const suite of SUITES) {
    const pair = await suite.kemPair(SEED);
    for (const length of [0, 1, 1087, 1089, 2176]) {
      await assert.rejects(
        pair.decapsulate(new Uint8Array(length)),
        refused("crypto.kem_length"),
      );
    }
  }
});

Deno.test("encapsulate() refuses other lengths as the peer's fault", async () => {
  for (const suite of SUITES) {
    for (const length of [0, 32, 1183, 1185, 1568]) {
      await assert.rejects(
        suite.encapsulate(new Uint8Array(length), RANDOM),
        refused("crypto.kem_key"),
      );
    }
  }
});

Deno.test("encapsulate() refuses a coefficient of q or more at any place", async () => {
  const { publicKey } = await noble.kemPair(SEED);
  const withCoefficient = (index: number, value: number) => {
    const key = new Uint8Array(publicKey);
    const at = 3 * (index >> 1);
    const middle = key[at + 1] as number;
    if (index % 2 === 0) {
      key[at] = value & 0xff;
      key[at + 1] = (middle & 0xf0) | (value >> 8);
    } else {
      key[at + 1] = (middle & 0x0f) | ((value & 0x0f) << 4);
      key[at + 2] = value >> 4;
    }
    return key;
  };
  for (const suite of SUITES) {
    for (let index = 0; index < 768; index++) {
      const value = 3329 + (index * 13) % (4096 - 3329);
      await assert.rejects(
        suite.encapsulate(withCoefficient(index, value), RANDOM),
        refused("crypto.kem_key"),
      );
    }
    for (const index of [0, 1, 766, 767]) {
      const sent = await suite.encapsulate(
        withCoefficient(index, 3328),
        RANDOM,
      );
      assert.equal(sent.secret.length, 32);
    }
  }
});

Deno.test("kemPair() refuses seeds of other lengths as misuse", async () => {
  for (const suite of SUITES) {
    for (const length of [0, 32, 63, 65]) {
      await assert.rejects(suite.kemPair(new Uint8Array(length)), RangeError);
    }
  }
});

Deno.test("kemPair() gives a pair of no use after wipe()", async () => {
  for (const suite of SUITES) {
    const pair = await suite.kemPair(SEED);
    const { ciphertext } = await suite.encapsulate(pair.publicKey, RANDOM);
    pair.wipe();
    pair.wipe();
    await assert.rejects(pair.decapsulate(ciphertext), {
      code: "crypto.wiped",
    });
  }
});

Deno.test("kemPair() copies the seed", async () => {
  for (const suite of SUITES) {
    const seed = new Uint8Array(SEED);
    const pair = await suite.kemPair(seed);
    const { ciphertext, secret } = await suite.encapsulate(
      pair.publicKey,
      RANDOM,
    );
    seed.fill(0);
    assert.deepEqual(await pair.decapsulate(ciphertext), secret);
    assert.equal(pair.publicKey.length, KEM_PUBLIC_BYTES);
  }
});

Deno.test("platformKem() is noble's where WebCrypto has no key encapsulation", async () => {
  const kem = platformKem({ importKey() {}, exportKey() {} });
  const pair = await kem.kemPair(SEED);
  assert.deepEqual(pair.publicKey, (await noble.kemPair(SEED)).publicKey);
  assert.deepEqual(
    await kem.encapsulate(pair.publicKey, seededRandom(5)),
    await noble.encapsulate(pair.publicKey, seededRandom(5)),
  );
});
