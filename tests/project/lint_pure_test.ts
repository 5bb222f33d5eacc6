import assert from "node:assert/strict";
import { PURE_BUILTINS, PURE_FOLDERS } from "../../tools/import_table.ts";
import plugin from "../../tools/lint_pure.ts";
import { listFiles } from "../../tools/project_files.ts";

/** The rules that find something in `source`, were it the file `file`. */
function findings(file: string, source: string): Deno.lint.Diagnostic[] {
  return Deno.lint.runPlugin(plugin, file, source);
}

const IMPURE = {
  "the wall clock": "export const t = Date.now();",
  "the wall clock, computed": 'export const t = Date["now"]();',
  "a date of now": "export const t = new Date();",
  "a date of now as text": "export const t = Date();",
  "the clock under another name": "const { now } = Date; export const t = now;",
  "the monotonic clock": "export const t = performance.now();",
  "Temporal": "export const t = Temporal.Now.instant();",
  "weak randomness": "export const n = Math.random();",
  "weak randomness under another name":
    "const { random } = Math; export const n = random;",
  "the platform's randomness":
    "export const b = crypto.getRandomValues(new Uint8Array(8));",
  "the platform's cryptography": "export const s = crypto.subtle;",
  "a timer": "setTimeout(() => {}, 1);",
  "a timer that is passed on": "export const options = { delay: setTimeout };",
  "a repeated timer": "setInterval(() => {}, 1);",
  "an immediate": "setImmediate(() => {});",
  "a microtask": "queueMicrotask(() => {});",
  "a deadline of the platform": "export const s = AbortSignal.timeout(5);",
  "logging": 'console.log("hello");',
  "files": 'export const text = Deno.readTextFileSync("x");',
  "a type of the platform": "export type Conn = Deno.Conn;",
  "the environment": "export const p = process.env;",
  "fetch": 'export const r = fetch("x");',
  "fetch in shorthand": "export const edges = { fetch };",
  "fetch as a default": "export function f(get = fetch) { return get; }",
  "a clock through the global object":
    "export const t = globalThis.Date.now();",
  "the global object as it is": "export const g = globalThis;",
  "the global object": "export const t = globalThis.performance;",
  "a built-in module":
    'import { readFile } from "node:fs"; export { readFile };',
  "a built-in timer":
    'import { setTimeout } from "node:timers/promises"; export { setTimeout };',
  "a dynamic import": 'export const m = import("../storage/files.ts");',
};

for (const [what, source] of Object.entries(IMPURE)) {
  Deno.test(`anonnet/pure refuses ${what}`, () => {
    const found = findings("lib/dht/lookup/lookup.ts", source);
    assert.deepEqual(found.map(({ id }) => id), ["anonnet/pure"]);
    assert.match(found[0]?.message ?? "", /seed and a virtual clock/);
    assert.ok(found[0]?.hint);
  });
}

Deno.test("anonnet/pure holds in every pure folder, on any system", () => {
  for (const folder of PURE_FOLDERS) {
    for (
      const file of [
        `lib/${folder}/a.ts`,
        `/checkout/anonnet/lib/${folder}/deeper/a.ts`,
        `C:\\checkout\\lib\\${folder}\\a.ts`,
      ]
    ) {
      assert.equal(findings(file, "Math.random();").length, 1, file);
    }
  }
});

const PURE = {
  "a date that is given":
    "export const d = (unixMs: number) => new Date(unixMs);",
  "a check for a date": "export const is = (x: unknown) => x instanceof Date;",
  "other mathematics": "export const m = Math.max(1, Math.floor(2.5));",
  "a suite called crypto":
    "export function f(crypto: { sha256(): void }) { crypto.sha256(); }",
  "a destructured argument":
    "export const f = ({ crypto: [crypto] }: { crypto: number[] }) => crypto;",
  "an import of the same name":
    'import { performance } from "./clock.ts"; export const t = performance.now();',
  "a function of the same name":
    "export function fetch() {} export const g = () => fetch();",
  "a method of the same name":
    "export class A { fetch() {} now(b: A) { b.fetch(); } }",
  "a field of the same name": "export const a = { console: 1, process: 2 };",
  "a type of the same name":
    "export interface A { process(): void; location: string }",
  "plain globals by their full name":
    "export const A = globalThis.Uint8Array; export const n = globalThis.Math.max(1);",
  "an abort signal":
    "export const s = (a: AbortSignal[]) => AbortSignal.any(a);",
  "a loop variable": "for (const location of [1]) { location; }",
  "an error that is caught": "try { f(); } catch (process) { throw process; }",
  "a library": 'import { sha256 } from "@noble/hashes/sha2.js"; sha256;',
};

for (const [what, source] of Object.entries(PURE)) {
  Deno.test(`anonnet/pure allows ${what}`, () => {
    assert.deepEqual(findings("lib/auth/identity.ts", source), []);
  });
}

Deno.test("anonnet/pure leaves the edges alone", () => {
  for (const source of Object.values(IMPURE)) {
    for (const folder of ["transport", "storage", "node", "cli"]) {
      assert.deepEqual(findings(`lib/${folder}/a.ts`, source), []);
    }
    assert.deepEqual(findings("tools/dht/a.ts", source), []);
  }
});

Deno.test("anonnet/pure gives the native suite its built-in modules and no more", () => {
  const modules = 'import { createHash } from "node:crypto"; createHash;';
  assert.deepEqual(findings("lib/crypto/native.ts", modules), []);
  for (
    const source of [
      "crypto.getRandomValues(new Uint8Array(8));",
      "crypto.subtle.digest;",
      "const { subtle } = crypto; subtle;",
      'import { readFile } from "node:fs"; readFile;',
      "Date.now();",
    ]
  ) {
    const found = findings("lib/crypto/native.ts", source);
    assert.equal(found.length, 1, source);
  }
  for (const file of ["lib/crypto/noble.ts", "lib/auth/native.ts"]) {
    assert.equal(findings(file, modules).length, 1);
  }
});

Deno.test("every file that anonnet/pure exempts is there", () => {
  const exempted = Object.keys(PURE_BUILTINS);
  const files = listFiles();
  assert.deepEqual(exempted.filter((file) => !files.includes(file)), []);
});

Deno.test("anonnet/no-sleep refuses timers in tests alone", () => {
  for (
    const source of [
      "await new Promise((done) => setTimeout(done, 10));",
      "setInterval(() => {}, 10);",
      'import { setTimeout as delay } from "node:timers/promises"; delay(1);',
    ]
  ) {
    const found = findings("tests/node/relay_test.ts", source);
    assert.deepEqual(found.map(({ id }) => id), ["anonnet/no-sleep"], source);
    assert.deepEqual(findings("tests/support/process.ts", source), []);
  }
});

Deno.test("anonnet/no-export-all refuses barrels", () => {
  const found = findings("lib/mod.ts", 'export * from "./base/errors.ts";');
  assert.deepEqual(found.map(({ id }) => id), ["anonnet/no-export-all"]);
  const named = 'export { AnonNetError } from "./base/errors.ts";';
  assert.deepEqual(findings("lib/mod.ts", named), []);
});
