import assert from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

const PAGE = readProjectFile("docs/architecture.md");
const LIBRARY = listFiles().filter((file) =>
  file.startsWith("lib/") && file.endsWith(".ts")
);

/**
 * Classes and interfaces that a page names in code, as in `Class` or `Class.member`,
 * as far as they are not there.
 */
function missingNames(markdown: string): string[] {
  const texts = LIBRARY.map(readProjectFile);
  const named = [...markdown.matchAll(/`([A-Z]\w*[a-z]\w*)(?:\.(#?\w+))?`/g)];
  return named.filter(([, name = "", member]) => {
    const declared = `^export (abstract )?(class|interface) ${name}\\b`;
    // A member begins its line where it is declared.
    const begun = `^ +(readonly |async )*${member}\\b`;
    return !texts.some((text) =>
      new RegExp(declared, "m").test(text) &&
      (member === undefined || new RegExp(begun, "m").test(text))
    );
  }).map(([code]) => code);
}

/** Paths in a cell of a table. One without a folder is in that of the path before it. */
function pathsIn(cell: string): string[] {
  let folder = "";
  return [...cell.matchAll(/`([\w./-]+)`/g)].map(([, name = ""]) => {
    const path = name.includes("/") ? name : join(folder, name);
    folder = path.endsWith("/") ? path : dirname(path);
    return path;
  });
}

/** Rows of a page's table of machines and drivers, as paths. A folder ends in a slash. */
function machineRows(markdown: string) {
  const [, table = ""] = /\n## Machines and their drivers\n\n([^]*?)\n\n/
    .exec(markdown) ?? [];
  return table.split("\n").slice(2).map((row) => {
    const [, machines = "", drivers = ""] = row.split("|");
    return { machines: pathsIn(machines), drivers: pathsIn(drivers) };
  });
}

/** Machines that no driver of their row imports, be it as a type: some are handed theirs. */
function machinesWithoutDriver(markdown: string): string[] {
  return machineRows(markdown).flatMap(({ machines, drivers }) => {
    const imported = LIBRARY.filter((file) =>
      drivers.some((path) => path === file || path === `${dirname(file)}/`)
    ).flatMap((file) =>
      [
        ...readProjectFile(file).matchAll(
          /^import [^;]*? from "(\.[^"]+)";/gm,
        ),
      ].map(([, specifier = ""]) => join(dirname(file), specifier))
    );
    return machines.filter((machine) =>
      !imported.some((path) =>
        machine === path || machine === `${dirname(path)}/`
      )
    );
  });
}

Deno.test("missingNames() finds classes and members that are not there", () => {
  const page = "`TaskSet`, `TaskSet.run`, `TaskSet.flee`, `Nowhere`, `NONE`";
  assert.deepEqual(missingNames(page), ["`TaskSet.flee`", "`Nowhere`"]);
});

Deno.test("machinesWithoutDriver() finds what the drivers of a row do not import", () => {
  const page = (machines: string, drivers: string) =>
    `\n## Machines and their drivers\n\n| a | b |\n| - | - |\n` +
    `| ${machines} | ${drivers} | c |\n\nText\n`;
  const machines = "`lib/session/session.ts`, `leg.ts`";
  assert.deepEqual(
    machinesWithoutDriver(page(machines, "`lib/node/session/`")),
    ["lib/session/leg.ts"],
  );
  assert.deepEqual(
    machinesWithoutDriver(page("`lib/link/` x", "`lib/node/visit/`")),
    ["lib/link/"],
  );
  assert.deepEqual(
    machinesWithoutDriver(page("`lib/link/` x", "`lib/node/link/link.ts`")),
    [],
  );
});

Deno.test("docs/architecture.md names classes and members that are there", () => {
  assert.deepEqual(missingNames(PAGE), []);
});

Deno.test("docs/architecture.md shows each machine with a driver that imports it", () => {
  assert.ok(machineRows(PAGE).length > 10);
  assert.deepEqual(machinesWithoutDriver(PAGE), []);
});
