/**
 * `deno task npm`: what `npm pack` makes the package `anonnet` of, in `dist/npm`.
 *
 *     package.json   deno at its pinned version; our packages travel inside
 *     anonnet.mjs    the launcher, for Node
 *     deno.json      permissions and unstable features, as those of the project
 *     main.js, lib/  our sources without their types: Deno strips none below node_modules
 *     node_modules/  the packages that they import, at the versions of deno.lock
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a task talks to the terminal
import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { listFiles, PROJECT, readProjectFile } from "../project_files.ts";
import { MIN_DENO_VERSION } from "../../lib/cli/process/deno_version.ts";

/** What deno.json says, as far as the package repeats it. */
interface Config {
  readonly version: string;
  readonly license: string;
  readonly unstable: readonly string[];
  readonly imports: Readonly<Record<string, string>>;
  readonly permissions: Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >;
}

/** What deno.lock says of packages. */
interface Lock {
  readonly npm: Readonly<
    Record<string, { readonly dependencies?: readonly string[] }>
  >;
}

/** A package by its name and exact version. */
interface Package {
  readonly name: string;
  readonly version: string;
}

/** What nodes never load: types, maps and tests of packages. */
const LEFT_OUT =
  /\.(?:ts|cts|mts|map)$|^(?:bench|example|examples|src|test|tests)\//;

/**
 * Where the program may not write: its own files, and Deno beside them. As in the
 * project, for mistakes: it is no wall.
 */
const OWN_FILES = [".", "../deno", "../@deno"] as const;

/** Write the package's files into a folder, which is emptied before. */
export async function buildNpmPackage(folder: string): Promise<void> {
  const config: Config = JSON.parse(readProjectFile("deno.json"));
  await removeFolder(folder);
  const { modules, imported } = collectModules("main.ts");
  for (const [path, text] of modules) await writeFile(folder, path, text);

  const packages = withDependencies(imported, config);
  for (const { name, version } of packages) {
    const from = `node_modules/.deno/${
      name.replace("/", "+")
    }@${version}/node_modules/${name}`;
    await copyPackage(
      new URL(`${from}/`, PROJECT),
      join(folder, "node_modules", name),
    );
  }

  await writeFile(folder, "package.json", json(manifest(config, packages)));
  await writeFile(folder, "deno.json", json(settings(config)));
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    await writeFile(folder, file, readProjectFile(file));
  }
  await writeFile(
    folder,
    "anonnet.mjs",
    readProjectFile("tools/npm/anonnet.mjs"),
  );
  if (Deno.build.os !== "windows") {
    await Deno.chmod(join(folder, "anonnet.mjs"), 0o755);
  }
}

/** The package.json. */
function manifest(config: Config, packages: readonly Package[]): unknown {
  return {
    name: "anonnet",
    version: config.version,
    description: "A peer-to-peer network for hidden services",
    license: config.license,
    ...repository(),
    type: "module",
    bin: { anonnet: "anonnet.mjs" },
    engines: { node: ">=20" },
    os: ["linux", "darwin", "win32"],
    cpu: ["x64", "arm64"],
    files: ["anonnet.mjs", "deno.json", "main.js", "lib", "CHANGELOG.md"],
    dependencies: {
      deno: MIN_DENO_VERSION,
      ...Object.fromEntries(packages.map(({ name, version }) => [
        name,
        version,
      ])),
    },
    bundleDependencies: packages.map(({ name }) => name),
  };
}

/** Where CI builds it from, which its attestation is held against. There is no other place to name. */
function repository(): { repository?: { type: "git"; url: string } } {
  const server = Deno.env.get("GITHUB_SERVER_URL");
  const name = Deno.env.get("GITHUB_REPOSITORY");
  if (server === undefined || name === undefined) return {};
  return { repository: { type: "git", url: `git+${server}/${name}.git` } };
}

/** The deno.json: no import map, for the packages lie where Node would look for them. */
function settings({ version, unstable, permissions }: Config): unknown {
  return {
    name: "anonnet",
    version,
    exports: "./main.js",
    unstable,
    nodeModulesDir: "manual",
    lock: false,
    permissions: Object.fromEntries(
      Object.entries(permissions).map(([set, grants]) => [
        set,
        { ...grants, write: { allow: true, deny: OWN_FILES } },
      ]),
    ),
  };
}

/** A module and all that it imports: JavaScript by its path, and packages by name. */
function collectModules(
  entry: string,
): { modules: Map<string, string>; imported: Set<string> } {
  const modules = new Map<string, string>();
  const imported = new Set<string>();
  const files = new Set(listFiles());
  const left = [entry];
  for (const path of left) {
    const text = readProjectFile(path);
    const script = withoutTypes(text, path);
    modules.set(path.replace(/\.ts$/, ".js"), script);
    for (const { fileName } of ts.preProcessFile(script).importedFiles) {
      if (fileName.startsWith("node:")) continue;
      if (!fileName.startsWith(".")) {
        imported.add(packageName(fileName));
        continue;
      }
      const named = join(dirname(path), fileName);
      if (files.has(named) && /\.(?:js|css|html)$/.test(named)) {
        modules.set(named, readProjectFile(named)); // imported as text
        continue;
      }
      const target = named.replace(/\.js$/, ".ts");
      if (target === "deno.json") continue; // the package has its own
      if (!target.endsWith(".ts")) {
        throw new Error(`Cannot pack ${fileName} of ${path}: no module`);
      }
      if (!left.includes(target)) left.push(target);
    }
  }
  return { modules, imported };
}

/** One module as JavaScript, comments and all. */
function withoutTypes(text: string, fileName: string): string {
  return ts.transpileModule(text, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText;
}

/** `@noble/hashes` of `@noble/hashes/sha3.js`. */
function packageName(specifier: string): string {
  const [scope = "", name = ""] = specifier.split("/");
  return scope.startsWith("@") ? `${scope}/${name}` : scope;
}

/** Packages with all that they depend on, at the versions of deno.lock, sorted. */
function withDependencies(
  names: ReadonlySet<string>,
  { imports }: Config,
): Package[] {
  const { npm }: Lock = JSON.parse(readProjectFile("deno.lock"));
  const found = new Map<string, Package>();
  const left = [...names].map((name) => {
    const specifier = imports[name] ?? imports[`${name}/`];
    if (specifier === undefined) {
      throw new Error(`Cannot pack ${name}: deno.json does not name it`);
    }
    return specifier.replace(/^npm:\/?/, "").replace(/\/$/, "");
  });
  for (const id of left) {
    const at = id.lastIndexOf("@");
    const name = id.slice(0, at);
    if (found.has(name)) continue;
    found.set(name, { name, version: id.slice(at + 1) });
    // The lock leaves the version out where there is one only.
    for (const dependency of npm[id]?.dependencies ?? []) {
      const known = Object.keys(npm).find((key) =>
        key === dependency || key.startsWith(`${dependency}@`)
      );
      if (known === undefined) {
        throw new Error(
          `Cannot pack ${dependency}: deno.lock does not name it`,
        );
      }
      left.push(known);
    }
  }
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

async function copyPackage(
  from: URL,
  to: string,
  inside = "",
): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const path = `${inside}${name}`;
    const source = new URL(name, from);
    if (isDirectory) {
      if (name === "node_modules" || LEFT_OUT.test(`${path}/`)) continue;
      await copyPackage(new URL(`${name}/`, from), to, `${path}/`);
    } else if (!LEFT_OUT.test(path)) {
      await Deno.mkdir(dirname(join(to, path)), { recursive: true });
      await Deno.copyFile(source, join(to, path));
    }
  }
}

async function writeFile(
  folder: string,
  path: string,
  text: string,
): Promise<void> {
  const file = join(folder, path);
  await Deno.mkdir(dirname(file), { recursive: true });
  await Deno.writeTextFile(file, text);
}

async function removeFolder(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

if (import.meta.main) {
  await buildNpmPackage("dist/npm");
  console.log("Wrote dist/npm");
}
