import assert from "node:assert/strict";
import { ALLOWED_MEMBERS } from "../../tools/unused_exports_allowed.ts";
import {
  findUnusedMembers,
  unusedMembers,
} from "../../tools/unused_members.ts";

/** The unused members of one file beside others. */
function unusedOf(
  lines: readonly string[],
  others: Readonly<Record<string, string>> = {},
): string[] {
  const sources = { "lib/base/a.ts": lines.join("\n"), ...others };
  return unusedMembers(new Map(Object.entries(sources)))
    .map(({ file, name }) => `${file} ${name}`);
}

Deno.test("every public member of a class of lib is named by the program, or allowed for a reason", () => {
  const allowed = ALLOWED_MEMBERS.map(({ file, name, reason }) => {
    assert.ok(reason.length > 20, `${name} has no reason`);
    return `${file} ${name}`;
  });
  assert.equal(new Set(allowed).size, allowed.length, "an entry stands twice");
  const found = findUnusedMembers().map(({ file, name }) => `${file} ${name}`);
  assert.deepEqual(
    allowed.filter((key) => !found.includes(key)),
    [],
    "tools/unused_exports_allowed.ts allows what is named, or gone",
  );
  const left = found.filter((key) => !allowed.includes(key));
  assert.deepEqual(left, [], "make these private, or drop them");
});

const CLASS = [
  "export class A {",
  "  field = 1;",
  "  #secret = 2;",
  "  private hidden = 3;",
  "  get value(): number { return 4; }",
  "  set value(value: number) {}",
  "  act(): void {}",
  "  toJSON(): string { return ''; }",
  "  [Symbol.dispose](): void {}",
  "}",
];

Deno.test("unusedMembers() finds fields, accessors and methods, each once, and nothing private", () => {
  assert.deepEqual(unusedOf(CLASS), [
    "lib/base/a.ts A.field",
    "lib/base/a.ts A.value",
    "lib/base/a.ts A.act",
  ]);
});

Deno.test("unusedMembers() takes a member for named when the program reads that name", () => {
  const reader = "a.act(); const { value, field: b } = a;";
  assert.deepEqual(unusedOf(CLASS, { "lib/node/b.ts": reader }), []);
  assert.deepEqual(unusedOf(CLASS, { "main.ts": 'a?.act; a["value"];' }), [
    "lib/base/a.ts A.field",
  ]);
  // To make an object with such a name is not to read it.
  const maker = "const b = { act: 1, field: 2 };";
  assert.equal(unusedOf(CLASS, { "lib/node/b.ts": maker }).length, 3);
});

Deno.test("unusedMembers() leaves the library's classes to programs of others", () => {
  const own = 'export { A } from "./base/a.ts";';
  const renamed = 'export { A as B } from "./base/a.ts";';
  const other = 'export { A } from "./wire/a.ts";';
  assert.deepEqual(unusedOf(CLASS, { "lib/mod.ts": own }), []);
  assert.deepEqual(unusedOf(CLASS, { "lib/mod.ts": renamed }), []);
  assert.equal(unusedOf(CLASS, { "lib/mod.ts": other }).length, 3);
});
