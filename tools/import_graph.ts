/**
 * Who imports whom, as Deno itself resolves it: `deno info --json` over the
 * entry points and every file of `lib/`, whether or not an entry point reaches it.
 *
 * @module
 */
import {
  ENTRY_TABLE,
  FILE_TABLE,
  IMPORT_TABLE,
  PACKAGE_TABLE,
  PURE_BUILTINS,
  PURE_FOLDERS,
} from "./import_table.ts";
import { listFiles, PROJECT } from "./project_files.ts";

/** One import. */
export interface ImportArrow {
  /** The importing file, by its path in the project. */
  readonly from: string;
  /** A file by its path in the project; otherwise a specifier such as `npm:cborg@6.1.5` or `node:crypto`. */
  readonly to: string;
  /** How the importing file writes it. */
  readonly specifier: string;
  /** `types` leaves no trace at run time. */
  readonly kind: "code" | "types";
}

/** The part of `deno info --json` that we read. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string; readonly error?: string };
      readonly type?: { readonly specifier?: string; readonly error?: string };
    }[];
  }[];
}

/** Every import that the project's own code contains. */
export async function importGraph(): Promise<ImportArrow[]> {
  const entries = Object.keys(ENTRY_TABLE);
  const files = listFiles().filter((file) =>
    entries.includes(file) || /^lib\/.*\.ts$/.test(file)
  );
  const info = await denoInfo(files);
  const arrows: ImportArrow[] = [];
  for (const { specifier: from, error, dependencies = [] } of info.modules) {
    if (!from.startsWith(PROJECT.href)) continue;
    if (error !== undefined) throw new Error(error);
    for (const { specifier, code, type } of dependencies) {
      const target = code ?? type;
      if (target?.specifier === undefined) {
        throw new Error(`${from}: ${specifier}: ${target?.error}`);
      }
      arrows.push({
        from: inProject(from),
        to: inProject(target.specifier),
        specifier,
        kind: code === undefined ? "types" : "code",
      });
    }
  }
  return arrows;
}

async function denoInfo(files: readonly string[]): Promise<Info> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) =>
      `import ${JSON.stringify(new URL(file, PROJECT).href)};`
    );
    await Deno.writeTextFile(entry, imports.join("\n"));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", "deno.json", entry],
      cwd: PROJECT,
      stdin: "null",
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(entry);
  }
}

function inProject(specifier: string): string {
  return specifier.startsWith(PROJECT.href)
    ? decodeURIComponent(specifier.slice(PROJECT.href.length))
    : specifier;
}

/** What the import tables forbid, one line for each import that breaks them. */
export function forbiddenImports(arrows: readonly ImportArrow[]): string[] {
  return arrows.flatMap((arrow) => {
    const why = whyForbidden(arrow);
    return why === undefined
      ? []
      : [`${arrow.from} imports ${arrow.specifier}: ${why}`];
  });
}

function whyForbidden({ from, to }: ImportArrow): string | undefined {
  const folder = folderOf(from);
  if (to.startsWith("npm:")) {
    const name = packageName(to);
    if (PACKAGE_TABLE[name]?.includes(folder)) return undefined;
    return `${folder} may not import the package ${name}`;
  }
  if (to.startsWith("node:")) {
    if (!PURE_FOLDERS.some((pure) => pure === folder)) return undefined;
    if (PURE_BUILTINS[from]?.includes(to)) return undefined;
    return `${folder} is pure: built-in modules stay at the edges`;
  }
  if (/^[a-z]+:/.test(to)) return "only npm:, node: and our own files";
  const target = folderOf(to);
  if (target === folder) return undefined;
  if (target === to) {
    return FILE_TABLE[to]?.includes(folder)
      ? undefined
      : `${to} is no part of lib that ${folder} may import`;
  }
  if (/(^|\/)_[^/]*$/.test(to)) return `${to} is private to ${target}`;
  const row = ENTRY_TABLE[from] ?? IMPORT_TABLE[folder];
  if (row === undefined) return `${folder} has no row`;
  return row.includes(target)
    ? undefined
    : `${folder} may import ${row.join(", ") || "nothing"}`;
}

/** The folder of `lib/` that a file is in, such as `node/link`, or the file itself. */
export function folderOf(file: string): string {
  return /^lib\/(.+)\/[^/]+$/.exec(file)?.[1] ?? file;
}

/** `@noble/hashes` of `npm:/@noble/hashes@2.4.0/sha2.js`. */
function packageName(specifier: string): string {
  return /^npm:\/?((?:@[^/]+\/)?[^/@]+)/.exec(specifier)?.[1] ?? specifier;
}

/** Entries of the tables that no import needs, one line each: a row shows what is, not what might be. */
export function unneededEntries(arrows: readonly ImportArrow[]): string[] {
  const needed = new Set(
    arrows.flatMap(({ from, to }) => {
      const folder = folderOf(from);
      const target = to.startsWith("npm:") ? packageName(to) : folderOf(to);
      return [`${folder} ${target}`, `${from} ${target}`];
    }),
  );
  const rows = { ...IMPORT_TABLE, ...ENTRY_TABLE, ...PURE_BUILTINS };
  const columns = { ...PACKAGE_TABLE, ...FILE_TABLE };
  return [
    ...Object.entries(rows).flatMap(([from, row]) =>
      row.map((to) => [from, to] as const)
    ),
    ...Object.entries(columns).flatMap(([to, folders]) =>
      folders.map((from) => [from, to] as const)
    ),
  ].filter(([from, to]) => !needed.has(`${from} ${to}`))
    .map(([from, to]) => `${from} imports nothing of ${to}`);
}

/**
 * Groups of files that import each other, directly or round about, each sorted.
 * Imports of types count: files that cannot be read apart are one file.
 */
export function importCircles(arrows: readonly ImportArrow[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of arrows) {
    next.set(from, [...next.get(from) ?? [], to]);
  }
  const circles: string[][] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  // Tarjan: the earliest file that is still open and can be reached from `file`.
  const visit = (file: string): number => {
    const number = order.size;
    order.set(file, number);
    open.push(file);
    let earliest = number;
    for (const target of next.get(file) ?? []) {
      const seen = order.get(target);
      if (seen === undefined) earliest = Math.min(earliest, visit(target));
      else if (open.includes(target)) earliest = Math.min(earliest, seen);
    }
    if (earliest === number) {
      const circle = open.splice(open.indexOf(file));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return earliest;
  };
  for (const file of next.keys()) {
    if (!order.has(file)) visit(file);
  }
  return circles.sort();
}
