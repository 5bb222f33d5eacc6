import assert from "node:assert/strict";
import fc from "fast-check";
import { asPublicKey } from "../../lib/auth/identity.ts";
import { concat, formatBase32, utf8 } from "../../lib/base/bytes.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import {
  formatServiceHost,
  parseServiceHost,
} from "../../lib/service/address.ts";

const crypto = nobleSuite();
const keyOf = (seed: number) =>
  crypto.signer(new Uint8Array(32).fill(seed)).publicKey;
const host = formatServiceHost(crypto, keyOf(1));

function refused(text: string, code: string): void {
  assert.throws(
    () => parseServiceHost(crypto, text),
    (error) =>
      error instanceof ConfigError && error.code === `service.address_${code}`,
    `${text} should fail with ${code}`,
  );
}

Deno.test("formatServiceHost() gives 56 characters and the suffix", () => {
  assert.match(host, /^[a-z2-7]{56}\.anon$/);
});

Deno.test("parseServiceHost() undoes formatServiceHost() (property)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const key = asPublicKey(bytes);
      const text = formatServiceHost(crypto, key);
      assert.deepEqual(parseServiceHost(crypto, text), key);
    }),
  );
});

Deno.test("parseServiceHost() takes upper case and names in front", () => {
  assert.deepEqual(parseServiceHost(crypto, host.toUpperCase()), keyOf(1));
  assert.deepEqual(parseServiceHost(crypto, `www.${host}`), keyOf(1));
  assert.deepEqual(parseServiceHost(crypto, `a.b-c.${host}`), keyOf(1));
});

Deno.test("parseServiceHost() notices every single mistyped character", () => {
  let caught = 0;
  for (let i = 0; i < 56; i++) {
    const wrong = host[i] === "a" ? "b" : "a";
    const text = host.slice(0, i) + wrong + host.slice(i + 1);
    try {
      parseServiceHost(crypto, text);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      caught++;
    }
  }
  // A checksum of 16 bits: one of 65,536 slips through.
  assert.equal(caught, 56);
});

Deno.test("parseServiceHost() says what is wrong with an address", () => {
  refused("example.com", "suffix");
  refused("127.0.0.1", "suffix");
  refused("[::1]", "suffix");
  refused("anon", "suffix");
  refused(`${host}.`, "suffix");
  refused(`${host}.com`, "suffix");
  refused(".anon", "length");
  refused("", "suffix");
  refused(host.slice(1), "length");
  refused(`a${host}`, "length");
  refused(`${host.slice(0, 55)}1.anon`, "characters");
  refused(`${host.slice(0, 55)}ä.anon`, "characters");
  refused(`ä.${host}`, "characters");
  refused(`.${host}`, "characters");
  refused(`a..${host}`, "characters");
  refused("a.".repeat(200) + host, "suffix");
  refused("ab".repeat(28) + ".anon", "checksum");
});

Deno.test("parseServiceHost() tells a later version from a mistyped address", () => {
  const version = Uint8Array.of(2);
  const sum = crypto.sha256(utf8("anonnet v1 address"), keyOf(1), version);
  const text = formatBase32(concat(keyOf(1), sum.subarray(0, 2), version));
  refused(`${text}.anon`, "version");
});
