import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { serviceHostOf } from "../../lib/node/host/service_keys.ts";
import {
  checkVanityPrefix,
  expectedTries,
  findVanitySeed,
  MAX_VANITY_LETTERS,
} from "../../lib/service/vanity.ts";

Deno.test("findVanitySeed() finds keys whose addresses begin as wished, and tells how far it is", async () => {
  const crypto = nativeSuite();
  for (const [seed, prefix] of ["a", "7z", "qx"].entries()) {
    const random = seededRandom(seed);
    const tries: number[] = [];
    const found = await findVanitySeed({
      crypto,
      random,
      prefix,
      onProgress: (count) => Promise.resolve(void tries.push(count)),
    });
    const { publicKey } = crypto.signer(found);
    assert.ok(serviceHostOf(crypto, publicKey).startsWith(prefix));
    assert.deepEqual(tries, tries.map((_, index) => 256 * (index + 1)));
  }
  assert.equal(expectedTries("abc"), 32_768);
});

Deno.test("checkVanityPrefix() refuses what no address begins with, and what no operator would wait for", () => {
  assert.equal(checkVanityPrefix("AbC27"), "abc27");
  const tooLong = "a".repeat(MAX_VANITY_LETTERS + 1);
  for (const text of ["", "0", "1", "a8", "a b", "ä", "a.anon", tooLong]) {
    assert.throws(() => checkVanityPrefix(text), {
      name: "ConfigError",
      code: "node.vanity",
    }, text);
  }
});
