import assert from "node:assert/strict";
import { utf8 } from "../../lib/base/bytes.ts";
import {
  DigestSum,
  etagOf,
  formatReprDigest,
  parseReprDigest,
} from "../../lib/share/file_digest.ts";

Deno.test("formatReprDigest() and parseReprDigest() agree with the example of RFC 9530", () => {
  const sum = new DigestSum();
  sum.add(utf8('{"hello": "world"}'));
  sum.add(utf8("\n"));
  // RFC 9530, appendix B.1.
  const field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
  assert.equal(formatReprDigest(sum.digest), field);
  assert.deepEqual(parseReprDigest(`sha-512=:YQ==:, ${field}`), sum.digest);
  assert.match(etagOf(sum.digest), /^"[A-Za-z0-9_-]{43}"$/);
});

Deno.test("parseReprDigest() takes nothing that is no SHA-256", () => {
  for (
    const field of [
      "",
      "sha-256=abc",
      "sha-256=:YWJj:",
      `sha-256=:${"!".repeat(44)}:`,
      `sha-256=:${"A".repeat(48)}:`,
      `md5=:${"A".repeat(43)}=:`,
    ]
  ) assert.equal(parseReprDigest(field), undefined, field);
});
