import assert from "node:assert/strict";
import { formatAttachment } from "../../lib/share/content_disposition.ts";
import { mediaTypeOf } from "../../lib/share/media_type.ts";

Deno.test("formatAttachment() names plain files once, and others in two ways", () => {
  assert.equal(formatAttachment("a b.txt"), 'attachment; filename="a b.txt"');
  // The examples of RFC 8187 §3.2.3.
  assert.equal(
    formatAttachment("£ and € rates"),
    "attachment; filename=\"_ and _ rates\"; filename*=UTF-8''%C2%A3%20and%20%E2%82%AC%20rates",
  );
});

Deno.test("formatAttachment() lets no name out of its quotes, or into another field", () => {
  for (
    const name of [
      'a"; x="b',
      "a\r\nSet-Cookie: b",
      "a\\",
      "100%41.txt",
      "\u0000",
    ]
  ) {
    const field = formatAttachment(name);
    assert.match(
      field,
      /^attachment; filename="[^"\\%\r\n]*"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]*$/,
    );
    const [, encoded = ""] = /UTF-8''(.*)$/.exec(field) ?? [];
    assert.equal(decodeURIComponent(encoded), name);
    new Headers({ "content-disposition": field });
  }
});

Deno.test("mediaTypeOf() knows common endings, and nothing of an object's own", () => {
  assert.equal(mediaTypeOf("a.PDF"), "application/pdf");
  assert.equal(mediaTypeOf("a.tar.gz"), "application/gzip");
  for (const name of ["a", "a.", "a.constructor", "a.__proto__", ".pdf.x"]) {
    assert.equal(mediaTypeOf(name), "application/octet-stream", name);
  }
});
