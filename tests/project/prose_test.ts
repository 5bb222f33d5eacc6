import assert from "node:assert/strict";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

/** Words for an actor without a name; a reader learns more from client, relay, peer or caller. */
const NAMELESS =
  /(?:no|some|any|every)body|\b(?:some|any|every)one\b|\bno[ -]one\b|\bwho(?:so|m)?ever\b|\bnothing\s+of ours\b/gi;

/** Where a text speaks of an actor without a name, with some words around. */
function nameless(text: string): string[] {
  const joined = text.replace(/\n[ \t]*(?:\*|\/\/|>)?[ \t]*/g, " ");
  return [...joined.matchAll(NAMELESS)].map(({ index, 0: found }) =>
    joined.slice(Math.max(0, index - 40), index + found.length + 20)
  );
}

Deno.test("nameless() finds actors without a name, also over the end of a line", () => {
  for (
    const [start, end] of [["no", "body"], ["Some", "body's"], ["any", "one"]]
  ) {
    assert.equal(nameless(`// For ${start}${end} here.`).length, 1);
  }
  const parts = ["no", "one", "who", "ever"];
  assert.equal(nameless(` * seen by ${parts[0]}\n * ${parts[1]}.`).length, 1);
  assert.equal(nameless(`function ${parts[0]}bodyLeft() {}`).length, 1);
  assert.equal(nameless(`${parts[2]}${parts[3]} and ${parts[2]}m`).length, 1);
  const fine =
    "no body, any one of them, every one, no onerous work; nothing else";
  assert.deepEqual(nameless(fine), []);
});

Deno.test("every text of the project names its actors", () => {
  const texts = listFiles().filter((file) =>
    /\.(ts|md|json|yml|svg)$|^\.ci\//.test(file) &&
    !file.startsWith("tests/vectors/")
  );
  assert.ok(texts.length > 100);
  const found = texts.flatMap((file) =>
    nameless(readProjectFile(file)).map((where) => `${file}: ${where}`)
  );
  assert.deepEqual(found, [], "name the client, relay, peer, caller, operator");
});
