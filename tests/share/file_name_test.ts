import assert from "node:assert/strict";
import fc from "fast-check";
import {
  cleanName,
  cleanPath,
  numberedName,
  shownName,
} from "../../lib/share/file_name.ts";

Deno.test("cleanName() keeps names that are fit for a disk, in any script", () => {
  for (
    const name of [
      "report.pdf",
      "a b.tar.gz",
      "naïve.txt",
      "отчёт.odt",
      "日本.txt",
      "👋.png",
    ]
  ) {
    assert.equal(cleanName(name), name);
  }
});

Deno.test("cleanName() leaves nothing that leads elsewhere, hides, or is taken for a device or a flag", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["../../etc/passwd", "passwd"],
    ["..\\..\\windows\\system.ini", "system.ini"],
    ["/etc/shadow", "shadow"],
    ["C:\\autoexec.bat", "autoexec.bat"],
    ["..", "file"],
    [".", "file"],
    ["", "file"],
    ["...", "file"],
    ["a/", "file"],
    [".bashrc", "_.bashrc"],
    ["-rf", "_-rf"],
    ["~", "_~"],
    ["con", "_con"],
    ["CON.txt", "_CON.txt"],
    ["lpt1.tar.gz", "_lpt1.tar.gz"],
    ["nul ", "_nul"],
    ["com¹.txt", "_com¹.txt"],
    ["a:b|c?.txt", "a_b_c_.txt"],
    ["trailing. . .", "trailing"],
    ["a\u0000b\r\nc\u001b[2J.txt", "abc[2J.txt"],
    ["\u202Egpj.exe", "gpj.exe"],
    ["a\u200Bb\u2066c\uFEFFd", "abcd"],
    ["\uD800x", "x"],
    ["e\u0301.txt", "é.txt"],
  ];
  for (const [name, clean] of cases) assert.equal(cleanName(name), clean, name);
});

Deno.test("cleanName() shortens long names and keeps their ending", () => {
  const long = cleanName(`${"ä".repeat(500)}.pdf`);
  assert.ok(new TextEncoder().encode(long).length <= 200);
  assert.match(long, /ä\.pdf$/);
  const allEnding = cleanName(`a.${"b".repeat(5_000)}`);
  assert.ok(allEnding.length <= 200);
});

Deno.test("cleanName() gives one fit name for every text, and the same for that again", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const name = cleanName(text);
    assert.ok(name.length > 0 && new TextEncoder().encode(name).length <= 255);
    assert.doesNotMatch(name, /[/\\\p{Cc}\p{Cf}]|^\.|^-/u);
    assert.equal(cleanName(name), name);
  }));
});

Deno.test("cleanPath() cleans each part, and takes no path that leads out", () => {
  assert.deepEqual(cleanPath("photos/con.txt"), ["photos", "_con.txt"]);
  for (
    const path of [
      "",
      "/a",
      "a//b",
      "a/../b",
      "./a",
      "a/",
      "a/..",
      "x/".repeat(40) + "x",
    ]
  ) {
    assert.equal(cleanPath(path), undefined, path);
  }
  assert.deepEqual(cleanPath("a\\..\\b"), ["b"]);
});

Deno.test("numberedName() puts the number before the ending", () => {
  assert.equal(numberedName("a.txt", 2), "a (2).txt");
  assert.equal(numberedName("README", 3), "README (3)");
});

Deno.test("shownName() shows no control characters, and not more than fits", () => {
  assert.equal(shownName("a\u001b[31mb"), "a\uFFFD[31mb");
  assert.equal([...shownName("x".repeat(100))].length, 60);
});

Deno.test("cleanName() and cleanPath() take no longer for names that strangers made to take long", () => {
  const dots = ". ".repeat(1_000_000);
  assert.match(cleanName(`x${dots}y`), /^x[. ]*y?$/);
  assert.equal(cleanName(`x${dots}`), "x");
  assert.equal(cleanPath(`${"x".repeat(100_000)}/y`), undefined);
});

Deno.test("cleanName() leaves no dot at the end where it cuts, which Windows would drop", () => {
  const cut = cleanName(`${"a".repeat(199)}.${"b".repeat(100)}`);
  assert.equal(cut, "a".repeat(199));
});
