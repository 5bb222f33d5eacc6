import assert from "node:assert/strict";
import {
  folderOf,
  forbiddenImports,
  type ImportArrow,
  importCircle,
  importGraph,
} from "../../tools/import_graph.ts";
import { IMPORT_TABLE, PACKAGE_TABLE } from "../../tools/import_table.ts";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

function arrow(
  from: string,
  to: string,
  kind: ImportArrow["kind"] = "code",
): ImportArrow {
  return { from, to, specifier: to, kind };
}

Deno.test("every import of the project stands in the import tables", async () => {
  const arrows = await importGraph();
  assert.ok(arrows.some(({ to }) => to === "lib/base/errors.ts"));
  assert.deepEqual(
    forbiddenImports(arrows),
    [],
    "An import crosses the table of tools/import_table.ts: take what you need as an argument, or change the row and say why",
  );
  assert.equal(importCircle(arrows), undefined);
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
  ["lib/node/link/link.ts", "lib/node/host/service_host.ts"],
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

Deno.test("importCircle() finds files that import each other, and only at run time", () => {
  const [a, b, c] = ["lib/dht/a.ts", "lib/dht/b.ts", "lib/dht/c.ts"];
  const open = [arrow(a, b), arrow(b, c), arrow(a, c)];
  assert.equal(importCircle(open), undefined);
  assert.equal(importCircle([...open, arrow(c, a, "types")]), undefined);
  assert.equal(
    importCircle([...open, arrow(c, a)]),
    `${a} → ${b} → ${c} → ${a}`,
  );
});
