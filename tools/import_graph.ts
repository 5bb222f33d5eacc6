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

/**
 * A circle of files that import each other at run time, as `a → b → a`; or
 * `undefined`. Imports of types are erased and may go round.
 */
export function importCircle(
  arrows: readonly ImportArrow[],
): string | undefined {
  const next = new Map<string, string[]>();
  for (const { from, to, kind } of arrows) {
    if (kind === "code") next.set(from, [...next.get(from) ?? [], to]);
  }
  const done = new Set<string>();
  const visit = (
    file: string,
    trail: readonly string[],
  ): string | undefined => {
    if (done.has(file)) return undefined;
    const start = trail.indexOf(file);
    if (start >= 0) return [...trail.slice(start), file].join(" → ");
    for (const target of next.get(file) ?? []) {
      const circle = visit(target, [...trail, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of next.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
