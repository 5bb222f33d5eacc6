import assert from "node:assert/strict";
import fc from "fast-check";
import { suggestion } from "../../../lib/cli/flags/nearest.ts";

const KNOWN = ["state", "network", "listen", "log-level", "log-format"];

Deno.test("suggestion() finds a typo's word, and nothing for another word", () => {
  const cases = [
    ["sttae", "state"],
    ["log-levle", "log-level"],
    ["loglevel", "log-level"],
    ["netwrok", "network"],
    ["listne", "listen"],
  ] as const;
  for (const [typo, name] of cases) {
    assert.equal(suggestion(typo, KNOWN), `; did you mean ${name}?`);
    assert.equal(suggestion(typo, KNOWN, "--"), `; did you mean --${name}?`);
  }
  for (const word of ["bandwidth", "status-quo", "silent"]) {
    assert.equal(suggestion(word, KNOWN), "", word);
  }
  assert.equal(suggestion("state", []), "");
  assert.equal(suggestion("key", ["get"]), "");
  assert.equal(suggestion("gte", ["get"]), "; did you mean get?");
});

Deno.test("suggestion() takes additions, removals, replacements and swaps for one edit each", () => {
  // Two edits are the most up to eight letters, a third of the letters beyond.
  for (
    const near of ["ktitne", "kitt", "kittenss", "kitten", "sittin", "itetn"]
  ) {
    assert.notEqual(suggestion(near, ["kitten"]), "", near);
  }
  for (const far of ["sitting", "kit", "kittenssss", "ktitnes", "nettik"]) {
    assert.equal(suggestion(far, ["kitten"]), "", far);
  }
});

Deno.test("suggestion() prefers the word with the fewest edits, whatever the order", () => {
  for (const known of [["stated", "state"], ["state", "stated"]]) {
    assert.equal(suggestion("sttae", known), "; did you mean state?");
    assert.equal(suggestion("stateed", known), "; did you mean stated?");
  }
});

Deno.test("suggestion() of a known word is that word (property)", () => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 12 }), {
    minLength: 1,
  });
  fc.assert(fc.property(words, fc.nat(), (known, at) => {
    const word = known[at % known.length] ?? "";
    assert.equal(suggestion(word, known), `; did you mean ${word}?`);
  }));
});
