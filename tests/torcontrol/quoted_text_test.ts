import assert from "node:assert/strict";
import fc from "fast-check";
import { quote, readQuoted } from "../../lib/torcontrol/quoted_text.ts";

const byteString = fc.array(fc.nat(255)).map((codes) =>
  String.fromCharCode(...codes)
);

Deno.test("readQuoted() undoes quote() (property)", () => {
  fc.assert(fc.property(byteString, byteString, (text, after) => {
    const quoted = quote(text);
    assert.match(quoted, /^"[ -~]*"$/);
    assert.deepEqual(readQuoted(quoted + after), {
      text,
      length: quoted.length,
    });
  }));
});

Deno.test("readQuoted() reads the escapes of the control-spec", () => {
  const read = (line: string) => readQuoted(line)?.text;
  assert.equal(read('"a\\"b\\\\c\\n\\t\\r\\101\\0"'), 'a"b\\c\n\t\rA\0');
  assert.equal(read('"\\q"'), "q");
});

Deno.test("readQuoted() takes nothing that does not begin and end with a quote", () => {
  for (const line of ["", '"', '"a', '"a\\"', 'a"b"', ' "a"']) {
    assert.equal(readQuoted(line), undefined, line);
  }
});

Deno.test("readQuoted() takes no longer for a string that does not end, whatever escapes are in it", () => {
  // Were there two ways to read an escape, a stranger's line would hold up the node for ever.
  const escapes = "\\111".repeat(10_000);
  assert.equal(readQuoted(`"${escapes}`), undefined);
  assert.equal(readQuoted(`"${escapes}"`)?.text, "I".repeat(10_000));
  assert.equal(readQuoted('"\\1011\\18"')?.text, "A1\x018");
});
