import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import fc from "fast-check";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  asPublicKey,
  Identity,
  nodeIdOf,
  verifySigned,
} from "../../lib/auth/identity.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

const crypto = nativeSuite();

Deno.test("Identity has the public key and node id that others compute", () => {
  for (const suite of [nativeSuite(), nobleSuite()]) {
    using identity = new Identity(suite, Uint8Array.fromHex(vector.seed));
    assert.equal(identity.publicKey.toHex(), vector.publicKey);
    assert.equal(identity.nodeId.toHex(), vector.nodeId);
  }
});

Deno.test("nodeIdOf() is SHA-256 over context and key", () => {
  const key = Uint8Array.fromHex(vector.publicKey);
  const hash = createHash("sha256").update("anonnet v1 node id").update(key);
  assert.deepEqual(
    nodeIdOf(crypto, asPublicKey(key)),
    new Uint8Array(hash.digest()),
  );
});

Deno.test("Identity.sign() is Ed25519 over context, zero byte and message", () => {
  using identity = Identity.generate(crypto, seededRandom(1));
  const message = utf8("hello");
  const signature = identity.sign("some context", message);
  const key = createPublicKey({
    key: {
      kty: "OKP",
      crv: "Ed25519",
      x: identity.publicKey.toBase64({
        alphabet: "base64url",
        omitPadding: true,
      }),
    },
    format: "jwk",
  });
  const signed = concat(utf8("some context"), Uint8Array.of(0), message);
  assert.equal(verify(null, signed, key, signature), true);
});

Deno.test("verifySigned() takes what sign() made, and nothing else", () => {
  using identity = Identity.generate(crypto, seededRandom(2));
  using other = Identity.generate(crypto, seededRandom(3));
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
      fc.uint8Array({ maxLength: 60 }),
      fc.nat(64 * 8 - 1),
      (context, message, flip) => {
        const signature = identity.sign(context, message);
        const check = (
          who: Identity,
          name: string,
          what: Uint8Array,
          proof: Uint8Array,
        ) => verifySigned(crypto, who.publicKey, name, what, proof);
        assert.equal(check(identity, context, message, signature), true);
        assert.equal(check(other, context, message, signature), false);
        assert.equal(check(identity, context + "x", message, signature), false);
        const longer = concat(message, Uint8Array.of(0));
        assert.equal(check(identity, context, longer, signature), false);
        const bent = signature.slice();
        bent[flip >> 3] = (bent[flip >> 3] ?? 0) ^ (1 << (flip & 7));
        assert.equal(check(identity, context, message, bent), false);
        assert.equal(
          check(identity, context, message, signature.subarray(1)),
          false,
        );
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("verifySigned() does not let a byte wander from context to message", () => {
  using identity = Identity.generate(crypto, seededRandom(4));
  const signature = identity.sign("anonnet v1", utf8(" link"));
  assert.equal(
    verifySigned(
      crypto,
      identity.publicKey,
      "anonnet v1 link",
      utf8(""),
      signature,
    ),
    false,
  );
});

Deno.test("asPublicKey() takes 32 bytes, and copies them", () => {
  const bytes = new Uint8Array(32);
  const key = asPublicKey(bytes);
  bytes.fill(1);
  assert.equal(key[0], 0);
  for (const length of [0, 31, 33, 64]) {
    assert.throws(() => asPublicKey(new Uint8Array(length)), {
      name: "ProtocolError",
      code: "auth.public_key",
    });
  }
});

Deno.test("Identity does not print its seed, and forgets it", () => {
  const identity = Identity.generate(crypto, seededRandom(5));
  const seed = identity.exportSeed();
  const texts = [Deno.inspect(identity), JSON.stringify({ identity })];
  for (const text of texts) {
    assert.match(text, /\[scrubbed\]/);
    assert.doesNotMatch(text, new RegExp(seed.toHex()));
    assert.doesNotMatch(text, new RegExp(`${seed[0]}, ${seed[1]}, ${seed[2]}`));
  }
  identity[Symbol.dispose]();
  const code = { name: "BugError", code: "auth.identity_disposed" };
  assert.throws(() => identity.exportSeed(), code);
  assert.throws(() => identity.sign("context", seed), code);
});

Deno.test("Identity.generate() draws from the randomness it is given", () => {
  const one = Identity.generate(crypto, seededRandom(6));
  const same = Identity.generate(crypto, seededRandom(6));
  const other = Identity.generate(crypto, seededRandom(7));
  assert.deepEqual(one.publicKey, same.publicKey);
  assert.notDeepEqual(one.publicKey, other.publicKey);
});
