import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, nearestName } from "../../../lib/cli/flags/nearest.ts";

Deno.test("editDistance() counts additions, removals, replacements and swaps", () => {
  for (
    const [a, b, distance] of [
      ["", "", 0],
      ["", "abc", 3],
      ["abc", "", 3],
      ["kitten", "sitting", 3],
      ["state", "sate", 1],
      ["state", "sttae", 1],
      ["state", "stated", 1],
      ["ca", "abc", 3],
      ["listen", "silent", 4],
    ] as const
  ) assert.equal(editDistance(a, b), distance, `${a} ${b}`);
});

Deno.test("editDistance() is symmetric, and zero for equal words alone", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(fc.property(word, word, (a, b) => {
    assert.equal(editDistance(a, b), editDistance(b, a));
    assert.equal(editDistance(a, b) === 0, a === b);
    assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
  }));
});

Deno.test("nearestName() finds a typo's word, and nothing for another word", () => {
  const known = ["state", "network", "listen", "log-level", "log-format"];
  assert.equal(nearestName("sttae", known), "state");
  assert.equal(nearestName("log-levle", known), "log-level");
  assert.equal(nearestName("loglevel", known), "log-level");
  assert.equal(nearestName("netwrok", known), "network");
  assert.equal(nearestName("bandwidth", known), undefined);
  assert.equal(nearestName("state", []), undefined);
});
