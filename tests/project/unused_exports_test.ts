import assert from "node:assert/strict";
import {
  findUnusedExports,
  type UnusedExport,
  unusedExports,
} from "../../tools/unused_exports.ts";
import { ALLOWED_EXPORTS } from "../../tools/unused_exports_allowed.ts";

/** The unused exports among files whose texts are lines. */
function unusedAmong(
  files: Readonly<Record<string, readonly string[]>>,
): string[] {
  const sources = Object.entries(files).map(([file, lines]) =>
    [file, lines.join("\n")] as const
  );
  return unusedExports(new Map(sources)).map(toLine);
}

function toLine({ file, name, usedBy }: UnusedExport): string {
  return `${file} ${name} ${usedBy}`;
}

Deno.test("every export of lib is needed by the program, or allowed for a reason", () => {
  const allowed = new Map(
    ALLOWED_EXPORTS.map((entry) => [`${entry.file} ${entry.name}`, entry]),
  );
  assert.equal(allowed.size, ALLOWED_EXPORTS.length, "an entry stands twice");
  for (const { name, reason } of ALLOWED_EXPORTS) {
    assert.ok(reason.length > 20, `${name} has no reason`);
  }
  const found = findUnusedExports();
  const keys = found.map(({ file, name }) => `${file} ${name}`);
  assert.deepEqual(
    [...allowed.keys()].filter((key) => !keys.includes(key)),
    [],
    "tools/unused_exports_allowed.ts allows what is needed, or gone",
  );
  const left = found.filter(({ file, name }) =>
    !allowed.has(`${file} ${name}`)
  );
  assert.deepEqual(left.map(toLine), [], "make these private, or drop them");
});

Deno.test("unusedExports() finds what its own file or tests alone use", () => {
  const files = {
    "lib/a.ts": [
      "export function used() { return hidden(); }",
      "export function hidden() {}",
      "export const tested = () => LIMIT;",
      "export const LIMIT = 5;",
      "export const UNREAD = 6;",
    ],
    "lib/mod.ts": ['export { used } from "./a.ts";'],
    "tests/a_test.ts": ['import { LIMIT, tested, UNREAD } from "../lib/a.ts";'],
  };
  assert.deepEqual(unusedAmong(files), [
    "lib/a.ts hidden none",
    "lib/a.ts tested tests",
    "lib/a.ts UNREAD tests",
  ]);
});

Deno.test("unusedExports() counts a type as needed with the limit that a test names", () => {
  const lines = (limit: string) => [
    limit,
    "export interface T { readonly ms: number }",
    "export function used() { return LIMIT; }",
  ];
  const files = {
    "main.ts": ['import { used } from "./lib/a.ts";'],
    "tests/a_test.ts": ['import { LIMIT } from "../lib/a.ts";'],
  };
  const limit = "export const LIMIT: T = { ms: 5 };";
  assert.deepEqual(unusedAmong({ ...files, "lib/a.ts": lines(limit) }), []);
  const bare = "export const LIMIT = { ms: 5 };";
  assert.deepEqual(unusedAmong({ ...files, "lib/a.ts": lines(bare) }), [
    "lib/a.ts T none",
  ]);
});

for (
  const [how, line] of [
    ["by name", 'import { a } from "../base/a.ts";'],
    ["under another name", 'import { a as b } from "../base/a.ts";'],
    ["as a type", 'import type { a } from "../base/a.ts";'],
    ["as a whole", 'import * as all from "../base/a.ts";'],
    ["later", 'const { a } = await import("../base/a.ts");'],
    ["to export it", 'export { a } from "../base/a.ts";'],
  ] as const
) {
  Deno.test(`unusedExports() knows what a file imports ${how}`, () => {
    const base = { "lib/base/a.ts": ["export class a {}"] };
    assert.deepEqual(unusedAmong({ ...base, "lib/wire/b.ts": [] }), [
      "lib/base/a.ts a none",
    ]);
    const found = unusedAmong({ ...base, "lib/wire/b.ts": [line] });
    assert.deepEqual(found.filter((entry) => entry.includes("base")), []);
  });
}

Deno.test("unusedExports() follows imports between files alone", () => {
  const a = ["export const a = 1;"];
  const files = {
    "lib/base/x.ts": a,
    "lib/wire/x.ts": a,
    "lib/wire/y.ts": ['import { a } from "./x.ts";'],
    "lib/auth/y.ts": ['import { a } from "npm:x";', 'import "../base/x.ts";'],
  };
  assert.deepEqual(unusedAmong(files), ["lib/base/x.ts a none"]);
});

for (
  const [where, line] of [
    ["an argument", "export function f(a: T): void {}"],
    ["a result", "export function f(): Promise<T[]> {}"],
    ["a base class", "export class f extends T {}"],
    ["a field", "export class f { readonly t: T; }"],
    ["a field without a type", "export class f { readonly t = new T(); }"],
    ["a method", "export class f { get(): T { return this.#t; } }"],
    ["an interface", "export interface f { readonly t?: T }"],
    ["a union", "export type f = T | undefined;"],
    ["a constant", "export const f: T = 5;"],
    ["a function that is a constant", "export const f = (t: T) => {};"],
    ["another signature", "export type f = S; export interface S { t: T }"],
  ] as const
) {
  Deno.test(`unusedExports() counts a type in ${where} as needed with it`, () => {
    const lines = [line, "export class T {}"];
    const user = { "main.ts": ['import { f } from "./lib/a.ts";'] };
    assert.deepEqual(unusedAmong({ "lib/a.ts": lines, ...user }), []);
    const alone = unusedAmong({ "lib/a.ts": lines });
    assert.ok(alone.includes("lib/a.ts T none"), alone.join());
  });
}

for (
  const [where, line] of [
    ["a body", "export function f() { return new T(); }"],
    ["a private field", "export class f { #t: T; private u: T; }"],
    ["a method's body", "export class f { get() { return new T().size; } }"],
    ["a value", "export const f = 5 + T.size;"],
    ["a default", "export function f(size = T.size) {}"],
  ] as const
) {
  Deno.test(`unusedExports() does not take ${where} for a signature`, () => {
    const lines = [line, "export class T {}"];
    const user = { "main.ts": ['import { f } from "./lib/a.ts";'] };
    const found = unusedAmong({ "lib/a.ts": lines, ...user });
    assert.deepEqual(found, ["lib/a.ts T none"]);
  });
}
