import assert from "node:assert/strict";
import {
  folderOf,
  forbiddenImports,
  type ImportArrow,
  importCircles,
  importGraph,
  unneededEntries,
} from "../../tools/import_graph.ts";
import { IMPORT_TABLE, PACKAGE_TABLE } from "../../tools/import_table.ts";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

/** Most files of one folder: more than a reader keeps apart. */
const MAX_FILES = 20;

const ARROWS = await importGraph();

function arrow(
  from: string,
  to: string,
  kind: ImportArrow["kind"] = "code",
): ImportArrow {
  return { from, to, specifier: to, kind };
}

Deno.test("every import of the project stands in the import tables", () => {
  assert.ok(ARROWS.some(({ to }) => to === "lib/base/errors.ts"));
  assert.deepEqual(
    forbiddenImports(ARROWS),
    [],
    "An import crosses the table of tools/import_table.ts: take what you need as an argument, or change the row and say why",
  );
});

Deno.test("every entry of the import tables has an import that needs it", () => {
  assert.deepEqual(unneededEntries(ARROWS), []);
});

Deno.test("no files of the project import each other, not even types", () => {
  assert.deepEqual(importCircles(ARROWS), []);
});

Deno.test("no folder of lib has more than 20 files", () => {
  const counts = new Map<string, number>();
  for (const file of listFiles()) {
    if (!/^lib\/.+\.ts$/.test(file)) continue;
    const folder = folderOf(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  assert.ok(counts.size > 20, "the folders were counted");
  assert.deepEqual([...counts].filter(([, files]) => files > MAX_FILES), []);
});

Deno.test("every folder of lib has a row in the import table, and every row points left and up", () => {
  const folders = new Set(
    listFiles().filter((file) => /^lib\/.+\//.test(file)).map(folderOf),
  );
  const seen = new Set<string>();
  for (const [folder, row] of Object.entries(IMPORT_TABLE)) {
    for (const target of row) {
      assert.ok(seen.has(target), `${folder} imports ${target}, to its right`);
    }
    seen.add(folder);
  }
  assert.deepEqual([...folders].filter((folder) => !seen.has(folder)), []);
});

Deno.test("every package of deno.json has a row that says who may import it", () => {
  const { imports } = JSON.parse(readProjectFile("deno.json"));
  const names = Object.keys(imports).map((name) => name.replace(/\/$/, ""));
  assert.deepEqual(names.sort(), Object.keys(PACKAGE_TABLE).sort());
});

const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["lib/base/errors.ts", "lib/wire/cbor.ts"],
  ["lib/crypto/noble.ts", "lib/wire/cbor.ts"],
  ["lib/dht/lookup.ts", "lib/link/rpc.ts"],
  ["lib/circuit/relay.ts", "lib/path/guards.ts"],
  ["lib/session/stream.ts", "lib/dht/lookup.ts"],
  ["lib/proxy/socks.ts", "lib/crypto/noble.ts"],
  ["lib/node/relay.ts", "lib/cli/run.ts"],
  ["lib/node/relay.ts", "lib/sim/world.ts"],
  ["lib/sim/world.ts", "lib/cli/run.ts"],
  ["lib/unheard/of.ts", "lib/base/errors.ts"],
  ["lib/auth/identity.ts", "main.ts"],
  ["lib/auth/identity.ts", "deno.json"],
  ["lib/auth/identity.ts", "lib/mod.ts"],
  ["lib/auth/identity.ts", "tests/support/builders.ts"],
  ["lib/auth/identity.ts", "lib/crypto/_hash.ts"],
  ["lib/node/link/link.ts", "lib/node/host/hosted_service.ts"],
  ["lib/node/visit/meeting.ts", "lib/node/node.ts"],
  ["lib/mod.ts", "lib/cli/run.ts"],
  ["lib/mod.ts", "lib/node/node.ts"],
  ["main.ts", "lib/node/relay.ts"],
  ["lib/auth/identity.ts", "npm:/@noble/hashes@2.4.0/sha2.js"],
  ["lib/crypto/noble.ts", "npm:fast-check@4.10.2"],
  ["lib/crypto/noble.ts", "npm:unheard-of@1.0.0"],
  ["lib/crypto/noble.ts", "node:crypto"],
  ["lib/crypto/native.ts", "node:fs"],
  ["lib/node/relay.ts", "jsr:@std/assert"],
  ["lib/node/relay.ts", "https://example.org/mod.ts"],
];

for (const [from, to] of FORBIDDEN) {
  Deno.test(`forbiddenImports() names ${from} with ${to}`, () => {
    const found = forbiddenImports([arrow(from, to)]);
    assert.equal(found.length, 1);
    assert.ok(found[0]?.startsWith(`${from} imports ${to}: `), found[0]);
    assert.equal(forbiddenImports([arrow(from, to, "types")]).length, 1);
  });
}

Deno.test("forbiddenImports() passes what the tables allow", () => {
  const allowed = [
    arrow("lib/auth/identity.ts", "lib/crypto/suite.ts"),
    arrow("lib/auth/identity.ts", "lib/auth/_text.ts"),
    arrow("lib/crypto/noble.ts", "npm:/@noble/hashes@2.4.0/sha2.js"),
    arrow("lib/crypto/native.ts", "node:crypto"),
    arrow("lib/storage/files.ts", "node:path"),
    arrow("lib/mod.ts", "lib/embed/anonnet.ts"),
    arrow("main.ts", "lib/cli/run.ts"),
    arrow("lib/cli/process/version.ts", "deno.json"),
  ];
  assert.deepEqual(forbiddenImports(allowed), []);
});

Deno.test("importCircles() finds files that import each other, types too", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => `lib/dht/${name}.ts`);
  assert.ok(a && b && c && d);
  const open = [arrow(a, b), arrow(b, c), arrow(a, c), arrow(c, d)];
  assert.deepEqual(importCircles(open), []);
  assert.deepEqual(importCircles([...open, arrow(c, a)]), [[a, b, c]]);
  assert.deepEqual(importCircles([...open, arrow(c, a, "types")]), [[a, b, c]]);
  const two = [arrow(c, d), arrow(d, c), arrow(b, a), arrow(a, b), arrow(b, c)];
  assert.deepEqual(importCircles(two), [[a, b], [c, d]]);
});

Deno.test("unneededEntries() names an entry of each table once nothing imports it", () => {
  const without = (from: string, to: string) =>
    unneededEntries(
      ARROWS.filter((arrow) =>
        !(arrow.from.startsWith(from) && arrow.to.startsWith(to))
      ),
    );
  for (
    const [from, to, entry] of [
      ["lib/auth/", "lib/crypto/", "auth imports nothing of crypto"],
      ["main.ts", "lib/cli/", "main.ts imports nothing of cli"],
      [
        "lib/cli/process/",
        "deno.json",
        "cli/process imports nothing of deno.json",
      ],
      ["lib/wire/", "npm:cborg", "wire imports nothing of cborg"],
      [
        "lib/crypto/",
        "node:crypto",
        "lib/crypto/native.ts imports nothing of node:crypto",
      ],
    ] as const
  ) {
    assert.ok(without(from, to).includes(entry), entry);
  }
});
