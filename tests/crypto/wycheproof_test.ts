/**
 * Both suites against vectors of Wycheproof and of the paper "Taming the many
 * EdDSAs"; each file names its source.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import speccheck from "../vectors/ed25519_speccheck.json" with { type: "json" };
import aead from "../vectors/wycheproof_chacha20_poly1305.json" with {
  type: "json",
};
import ed25519 from "../vectors/wycheproof_ed25519.json" with { type: "json" };
import x25519 from "../vectors/wycheproof_x25519.json" with { type: "json" };

const hex = Uint8Array.fromHex;

for (const suite of [nobleSuite(), nativeSuite()]) {
  const name = (what: string) => `${suite.name}: ${what}`;

  Deno.test(name("seal() and open() agree with Wycheproof"), () => {
    for (const test of aead.tests) {
      const sealed = concat(hex(test.ct), hex(test.tag));
      const [key, iv, aad] = [hex(test.key), hex(test.iv), hex(test.aad)];
      const case_ = `case ${test.tcId}`;
      assert.deepEqual(suite.seal(key, iv, hex(test.msg), aad), sealed, case_);
      assert.deepEqual(suite.open(key, iv, sealed, aad), hex(test.msg), case_);
    }
  });

  Deno.test(name("open() refuses every change of one bit"), () => {
    for (const test of aead.tests.slice(0, 8)) {
      const [key, iv, aad] = [hex(test.key), hex(test.iv), hex(test.aad)];
      const sealed = concat(hex(test.ct), hex(test.tag));
      for (let bit = 0; bit < 8 * sealed.length; bit++) {
        const altered = new Uint8Array(sealed);
        altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
        assert.equal(suite.open(key, iv, altered, aad), undefined);
      }
      assert.equal(
        suite.open(key, iv, sealed, concat(aad, hex("00"))),
        undefined,
      );
    }
  });

  Deno.test(name("open() refuses every truncation"), () => {
    const test = aead.tests.at(-1);
    assert.ok(test);
    const sealed = concat(hex(test.ct), hex(test.tag));
    for (let length = 0; length < sealed.length; length++) {
      const cut = sealed.subarray(0, length);
      assert.equal(
        suite.open(hex(test.key), hex(test.iv), cut, hex(test.aad)),
        undefined,
      );
    }
  });

  Deno.test(name("x25519() agrees with Wycheproof"), () => {
    const zero = "00".repeat(32);
    for (const test of x25519.tests) {
      const shared = suite.x25519(hex(test.private), hex(test.public));
      const wanted = test.shared === zero ? undefined : test.shared;
      assert.equal(shared?.toHex(), wanted, `case ${test.tcId}`);
    }
  });

  Deno.test(name("verify() agrees with Wycheproof"), () => {
    const publicKey = hex(ed25519.publicKey);
    for (const test of ed25519.tests) {
      assert.equal(
        suite.verify(publicKey, hex(test.msg), hex(test.sig)),
        test.valid,
        `case ${test.tcId}: ${test.comment}`,
      );
    }
  });

  Deno.test(name("verify() is strict and cofactorless"), () => {
    for (const test of speccheck.tests) {
      assert.equal(
        suite.verify(
          hex(test.publicKey),
          hex(test.message),
          hex(test.signature),
        ),
        test.valid,
        test.comment,
      );
    }
  });
}
