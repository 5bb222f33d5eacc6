/**
 * What a suite promises beyond vectors: the two agree on anything, arrays may
 * share memory, and misuse is told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { chacha20 } from "@noble/ciphers/chacha.js";
import fc from "fast-check";
import { concat } from "../../lib/base/bytes.ts";
import { BugError } from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { TAG_BYTES } from "../../lib/crypto/suite.ts";

const noble = nobleSuite();
const native = nativeSuite();
const SUITES = [noble, native];

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const exactly = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length });
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const CELL = Uint8Array.from({ length: 4080 }, (_, index) => index * 7);

/** The nonce of message `number`, as the interface words it. */
function counterNonce(number: number): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(number));
  return nonce;
}

Deno.test("sha256(), hmac() and hkdf() agree between suites", () => {
  fc.assert(
    fc.property(
      bytes(200),
      bytes(200),
      bytes(200),
      fc.nat(400),
      (a, b, c, length) => {
        assert.deepEqual(native.sha256(a, b, c), noble.sha256(concat(a, b, c)));
        assert.deepEqual(native.hmac(a, b, c), noble.hmac(a, concat(b, c)));
        assert.deepEqual(
          native.hkdf(a, b, c, length),
          noble.hkdf(a, b, c, length),
        );
        assert.deepEqual(
          native.hkdfExpand(concat(KEY, a), c, length),
          noble.hkdfExpand(concat(KEY, a), c, length),
        );
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("hkdf() is hkdfExpand() of hmac()", () => {
  fc.assert(
    fc.property(bytes(80), bytes(80), bytes(80), (secret, salt, info) => {
      for (const suite of SUITES) {
        assert.deepEqual(
          suite.hkdf(secret, salt, info, 77),
          suite.hkdfExpand(suite.hmac(salt, secret), info, 77),
        );
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("scrypt() agrees between suites", async () => {
  await fc.assert(
    fc.asyncProperty(
      bytes(80),
      bytes(80),
      fc.record({
        N: fc.constantFrom(2, 4, 16, 64),
        r: fc.integer({ min: 1, max: 9 }),
        p: fc.integer({ min: 1, max: 3 }),
        length: fc.integer({ min: 1, max: 100 }),
      }),
      async (password, salt, options) => {
        assert.deepEqual(
          await native.scrypt(password, salt, options),
          await noble.scrypt(password, salt, options),
        );
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("seal() and open() agree between suites and undo each other", () => {
  fc.assert(
    fc.property(
      exactly(32),
      exactly(12),
      bytes(300),
      fc.option(bytes(60), { nil: undefined }),
      (key, nonce, plaintext, aad) => {
        const sealed = noble.seal(key, nonce, plaintext, aad);
        assert.deepEqual(native.seal(key, nonce, plaintext, aad), sealed);
        for (const suite of SUITES) {
          assert.deepEqual(
            suite.open(key, nonce, sealed, aad),
            new Uint8Array(plaintext),
          );
        }
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("signer(), x25519Public() and x25519() agree between suites", () => {
  fc.assert(
    fc.property(exactly(32), exactly(32), bytes(200), (a, b, message) => {
      const [mine, theirs] = [noble.signer(a), native.signer(a)];
      assert.deepEqual(theirs.publicKey, mine.publicKey);
      const signature = mine.sign(message);
      assert.deepEqual(theirs.sign(message), signature);
      const publicKey = native.x25519Public(a);
      assert.deepEqual(publicKey, noble.x25519Public(a));
      const shared = native.x25519(b, publicKey);
      assert.deepEqual(shared, noble.x25519(b, publicKey));
      assert.deepEqual(shared, native.x25519(a, noble.x25519Public(b)));
      // Half of all 32-byte strings lie on the twist, where the ladder works too.
      assert.deepEqual(native.x25519(a, b), noble.x25519(a, b));
      for (const suite of SUITES) {
        assert.equal(suite.verify(mine.publicKey, message, signature), true);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("results have memory of their own, filled by nothing else", () => {
  for (const suite of SUITES) {
    const signer = suite.signer(KEY);
    const results = [
      suite.sha256(CELL),
      suite.hmac(KEY, CELL),
      suite.hkdf(KEY, KEY, KEY, 40),
      suite.seal(KEY, counterNonce(0), CELL),
      suite.x25519Public(KEY),
      suite.x25519(KEY, suite.x25519Public(KEY)),
      signer.publicKey,
      signer.sign(CELL),
    ];
    for (const result of results) {
      assert.ok(result);
      assert.equal(Object.getPrototypeOf(result), Uint8Array.prototype);
      assert.equal(result.buffer.byteLength, result.length);
    }
  }
});

Deno.test("counterAead() counts big-endian from 0 in the last 8 bytes", () => {
  for (const suite of SUITES) {
    const aead = suite.counterAead(KEY);
    const out = new Uint8Array(3 + TAG_BYTES);
    const message = Uint8Array.of(1, 2, 3);
    for (let number = 0; number < 300; number++) {
      aead.seal(message, out);
      if (number % 64 > 1 && number !== 256 && number !== 255) continue;
      assert.deepEqual(out, noble.seal(KEY, counterNonce(number), message));
    }
  }
});

Deno.test("counterAead() seals in place and opens in place", () => {
  for (const sender of SUITES) {
    for (const receiver of SUITES) {
      const [seal, open] = [sender.counterAead(KEY), receiver.counterAead(KEY)];
      for (let number = 0; number < 3; number++) {
        const cell = new Uint8Array(CELL.length + TAG_BYTES);
        const inside = cell.subarray(0, CELL.length);
        inside.set(CELL);
        seal.seal(inside, cell);
        assert.deepEqual(cell, noble.seal(KEY, counterNonce(number), CELL));
        assert.equal(open.open(cell, inside), true);
        assert.deepEqual(inside, CELL);
      }
    }
  }
});

Deno.test("counterAead() works inside a larger array at any offset", () => {
  fc.assert(
    fc.property(fc.nat(9), fc.nat(9), bytes(100), (from, to, message) => {
      for (const suite of SUITES) {
        const arena = new Uint8Array(200);
        const source = arena.subarray(from, from + message.length);
        source.set(message);
        const out = arena.subarray(to, to + message.length + TAG_BYTES);
        suite.counterAead(KEY).seal(source, out);
        assert.deepEqual(
          new Uint8Array(out),
          noble.seal(KEY, counterNonce(0), message),
        );
        const back = arena.subarray(from, from + message.length);
        assert.equal(suite.counterAead(KEY).open(out, back), true);
        assert.deepEqual(new Uint8Array(back), new Uint8Array(message));
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("counterAead().open() leaves nothing behind and does not count on failure", () => {
  for (const suite of SUITES) {
    const sealed = new Uint8Array(CELL.length + TAG_BYTES);
    suite.counterAead(KEY).seal(CELL, sealed);
    const open = suite.counterAead(KEY);
    for (const offset of [0, 2000, CELL.length, sealed.length - 1]) {
      const altered = new Uint8Array(sealed);
      altered[offset] = (altered[offset] as number) ^ 0x10;
      const out = new Uint8Array(CELL.length).fill(0xee);
      assert.equal(open.open(altered, out), false);
      assert.deepEqual(out, new Uint8Array(CELL.length).fill(0xee));
      // In place: what is left is the ciphertext that the attacker knew.
      const before = new Uint8Array(altered);
      assert.equal(open.open(altered, altered.subarray(0, CELL.length)), false);
      assert.deepEqual(altered, before);
    }
    const out = new Uint8Array(CELL.length);
    assert.equal(open.open(sealed, out), true);
    assert.deepEqual(out, CELL);
    assert.equal(open.open(sealed, out), false, "replayed");
  }
});

Deno.test("counterAead().open() refuses a message that comes too early or late", () => {
  for (const suite of SUITES) {
    const seal = suite.counterAead(KEY);
    const boxes = [0, 1, 2].map(() => {
      const box = new Uint8Array(CELL.length + TAG_BYTES);
      seal.seal(CELL, box);
      return box;
    });
    const open = suite.counterAead(KEY);
    const out = new Uint8Array(CELL.length);
    const verdicts = [1, 2, 0, 0, 2, 1, 2, 2]
      .map((index) => open.open(boxes[index] ?? out, out));
    assert.deepEqual(verdicts, [
      false,
      false,
      true,
      false,
      false,
      true,
      true,
      false,
    ]);
  }
});

Deno.test("counterAead().xorNext() foretells the keystream and does not count", () => {
  fc.assert(
    fc.property(
      fc.nat(3),
      fc.nat(4080),
      fc.nat(200),
      (skipped, offset, wanted) => {
        const length = Math.min(wanted, CELL.length - offset);
        for (const suite of SUITES) {
          const aead = suite.counterAead(KEY);
          const cell = new Uint8Array(CELL.length + TAG_BYTES);
          for (let i = 0; i < skipped; i++) aead.seal(CELL, cell);
          const foretold = CELL.slice(offset, offset + length);
          aead.xorNext(offset, foretold);
          aead.seal(CELL, cell);
          assert.deepEqual(foretold, cell.slice(offset, offset + length));
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("counterAead() keeps a copy of its key, and none after wipe()", () => {
  for (const suite of SUITES) {
    const key = new Uint8Array(KEY);
    const aead = suite.counterAead(key);
    key.fill(0);
    const out = new Uint8Array(TAG_BYTES);
    aead.seal(new Uint8Array(0), out);
    assert.deepEqual(
      out,
      noble.seal(KEY, counterNonce(0), new Uint8Array(0)),
    );
    aead.wipe();
    const wiped = (error: unknown) =>
      error instanceof BugError && error.code === "crypto.wiped";
    assert.throws(() => aead.seal(new Uint8Array(0), out), wiped);
    assert.throws(() => aead.open(out, new Uint8Array(0)), wiped);
    assert.throws(() => aead.xorNext(0, out), wiped);
    aead.wipe();
  }
});

Deno.test("keystream() gives the same bytes however it is read", () => {
  fc.assert(
    fc.property(
      exactly(32),
      fc.array(fc.nat(700), { maxLength: 12 }),
      (key, pieces) => {
        const total = pieces.reduce((sum, length) => sum + length, 0);
        const whole = chacha20(
          key,
          new Uint8Array(12),
          new Uint8Array(total).fill(0x5a),
        );
        for (const suite of SUITES) {
          const stream = suite.keystream(key);
          const parts = pieces.map((length) => {
            const part = new Uint8Array(length).fill(0x5a);
            stream.xor(part);
            return part;
          });
          assert.deepEqual(concat(...parts), new Uint8Array(whole));
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("keystream() is of no use after wipe()", () => {
  for (const suite of SUITES) {
    const stream = suite.keystream(KEY);
    stream.xor(new Uint8Array(3));
    stream.wipe();
    assert.throws(() => stream.xor(new Uint8Array(1)), {
      code: "crypto.wiped",
    });
  }
});

Deno.test("signer() keeps a copy of its seed", () => {
  for (const suite of SUITES) {
    const seed = new Uint8Array(KEY);
    const signer = suite.signer(seed);
    const signature = signer.sign(CELL);
    seed.fill(0);
    assert.deepEqual(signer.sign(CELL), signature);
  }
});

Deno.test("wrong lengths are refused as misuse, before anything is done", () => {
  const short = new Uint8Array(31);
  const long = new Uint8Array(33);
  const nonce = counterNonce(0);
  for (const suite of SUITES) {
    for (const bad of [new Uint8Array(0), short, long]) {
      assert.throws(() => suite.counterAead(bad), RangeError);
      assert.throws(() => suite.keystream(bad), RangeError);
      assert.throws(() => suite.seal(bad, nonce, CELL), RangeError);
      assert.throws(() => suite.open(bad, nonce, CELL), RangeError);
      assert.throws(() => suite.seal(KEY, bad, CELL), RangeError);
      assert.throws(() => suite.open(KEY, bad, CELL), RangeError);
      assert.throws(() => suite.x25519Public(bad), RangeError);
      assert.throws(() => suite.x25519(bad, KEY), RangeError);
      assert.throws(() => suite.x25519(KEY, bad), RangeError);
      assert.throws(() => suite.signer(bad), RangeError);
    }
    assert.throws(() => suite.hkdfExpand(short, KEY, 32), RangeError);
    const aead = suite.counterAead(KEY);
    for (const length of [0, 15, 17, 33]) {
      const out = new Uint8Array(length).fill(0xaa);
      assert.throws(() => aead.seal(new Uint8Array(0), out), RangeError);
      assert.throws(() => aead.open(new Uint8Array(16 + 16), out), RangeError);
      assert.ok(out.every((byte) => byte === 0xaa));
    }
    assert.throws(
      () => aead.open(new Uint8Array(15), new Uint8Array(0)),
      RangeError,
    );
    for (const offset of [-1, 0.5, NaN, Infinity]) {
      assert.throws(() => aead.xorNext(offset, new Uint8Array(1)), RangeError);
    }
    for (const length of [-1, 0.5, NaN, 8161]) {
      assert.throws(() => suite.hkdf(KEY, KEY, KEY, length), RangeError);
      assert.throws(() => suite.hkdfExpand(KEY, KEY, length), RangeError);
    }
    assert.equal(suite.hkdf(KEY, KEY, KEY, 8160).length, 8160);
    assert.equal(suite.hkdfExpand(KEY, KEY, 0).length, 0);
  }
});

Deno.test("scrypt() refuses impossible and immoderate costs", async () => {
  const good = { N: 16, r: 1, p: 1, length: 32 };
  const bad = [
    { N: 0 },
    { N: 1 },
    { N: 17 },
    { N: 16.5 },
    { N: NaN },
    { N: 2 ** 31 },
    { r: 0 },
    { r: -1 },
    { p: 0 },
    { p: 1.5 },
    { length: 0 },
    { length: 1025 },
    { N: 2 ** 20, r: 8 },
    { p: 2 ** 21 },
  ];
  for (const suite of SUITES) {
    for (const change of bad) {
      await assert.rejects(
        suite.scrypt(KEY, KEY, { ...good, ...change }),
        RangeError,
      );
    }
  }
});
