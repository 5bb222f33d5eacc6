/** Hashes of other programs' formats, against the platform and Tor's own words. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { saltedS2k, sha3_256 } from "../../lib/crypto/foreign_hashes.ts";

const hex = Uint8Array.fromHex;

Deno.test("sha3_256() gives the published value of no bytes, and what the platform gives", () => {
  // FIPS 202, https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
  assert.equal(
    sha3_256().toHex(),
    "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
  );
  const parts = [utf8("a"), utf8("bc")];
  assert.equal(
    sha3_256(...parts).toHex(),
    createHash("sha3-256").update(concat(...parts)).digest("hex"),
  );
});

Deno.test("saltedS2k() gives what `tor --hash-password` prints", () => {
  // Tor 0.4.9.11: `tor --hash-password hello`, salt ‖ 0x60 ‖ hash.
  const printed = hex(
    "2B476AFA19C970C2601B08FB85B4D84C243FDB64A97FB79ACA2F4E162E",
  );
  const hash = saltedS2k(utf8("hello"), printed.subarray(0, 8), 65_536);
  assert.equal(hash.toHex(), printed.subarray(9).toHex());
});

Deno.test("saltedS2k() hashes salt and password whole where the count is below their length", () => {
  const salt = hex("0001020304050607");
  const password = utf8("p".repeat(2_000));
  assert.equal(
    saltedS2k(password, salt, 1_024).toHex(),
    createHash("sha1").update(concat(salt, password)).digest("hex"),
  );
});
