/**
 * Exports of `lib/` that no other file needs: what only its own file uses should
 * be private, and what only tests use is code that does not run.
 *
 *     deno task exports      lists them: who uses it, file, name; then members
 *
 * The program is `lib/` and `main.ts`; what `lib/mod.ts` exports is for programs of
 * others. An export is needed if a file of the program imports it by name, or if it
 * stands in the signature of a needed export of its file: callers meet its values,
 * and may have to name its type one day, although no file does so today.
 *
 * Imports by tests, benchmarks, examples and tools make no function and no type
 * needed, but a constant that its own file uses: a test that names the limit which
 * it checks is a better test than one that repeats the number.
 *
 * Files are parsed, not type-checked: imports name what they mean, as barrels are
 * refused and names are unique within a file.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { listFiles, readProjectFile } from "./project_files.ts";
import { findUnusedMembers } from "./unused_members.ts";

/** An export that the program does not need. */
export interface UnusedExport {
  /** Path in the project. */
  readonly file: string;
  readonly name: string;
  /** `tests` if they import it (or benchmarks, examples, tools); otherwise `none`. */
  readonly usedBy: "none" | "tests";
}

/** Files whose exports are for other programs, or that Deno itself starts. */
const ENTRIES = ["lib/mod.ts"];

/** What one file exports and imports. */
interface FileFacts {
  /** For each export, the names in its signature. */
  readonly exports: ReadonlyMap<string, ReadonlySet<string>>;
  /** `path name` of each import; the name is `*` for all exports. */
  readonly imports: readonly string[];
  /** Names that stand in the file more than once. */
  readonly repeated: ReadonlySet<string>;
}

/** The unused exports of the project's files as they are, in order. */
export function findUnusedExports(): UnusedExport[] {
  const files = listFiles().filter((file) =>
    file.endsWith(".ts") && !file.startsWith("tests/vectors/")
  );
  return unusedExports(
    new Map(files.map((file) => [file, readProjectFile(file)])),
  );
}

/** The unused exports among `sources`, texts by their path in the project. */
export function unusedExports(
  sources: ReadonlyMap<string, string>,
): UnusedExport[] {
  const facts = new Map(
    [...sources].map(([file, text]) => [file, factsOf(file, text)] as const),
  );
  const byProgram = new Set<string>();
  const byTests = new Set<string>();
  for (const [file, { exports, imports }] of facts) {
    const isProgram = file === "main.ts" || file.startsWith("lib/");
    for (const used of imports) (isProgram ? byProgram : byTests).add(used);
    if (!ENTRIES.includes(file)) continue;
    for (const name of exports.keys()) byProgram.add(`${file} ${name}`);
  }
  const unused: UnusedExport[] = [];
  for (const [file, { exports, repeated }] of facts) {
    if (!file.startsWith("lib/")) continue;
    const limits = [...exports.keys()].filter((name) =>
      /^[A-Z][A-Z0-9_]*$/.test(name) && repeated.has(name) &&
      byTests.has(`${file} ${name}`)
    ).map((name) => `${file} ${name}`);
    const used = new Set([...byProgram, ...limits]);
    const needed = withSignatures(file, exports, used);
    const tested = withSignatures(file, exports, byTests);
    for (const name of exports.keys()) {
      if (needed.has(name)) continue;
      unused.push({ file, name, usedBy: tested.has(name) ? "tests" : "none" });
    }
  }
  return unused;
}

/** Exports of `file` that `used` has, and those in their signatures, and so on. */
function withSignatures(
  file: string,
  exports: FileFacts["exports"],
  used: ReadonlySet<string>,
): Set<string> {
  const found = new Set<string>();
  const add = (name: string) => {
    if (found.has(name)) return;
    found.add(name);
    for (const named of exports.get(name) ?? []) {
      if (exports.has(named)) add(named);
    }
  };
  const all = used.has(`${file} *`);
  for (const name of exports.keys()) {
    if (all || used.has(`${file} ${name}`)) add(name);
  }
  return found;
}

function factsOf(file: string, text: string): FileFacts {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const exports = new Map<string, Set<string>>();
  const imports: string[] = [];
  const addImport = (specifier: ts.Expression | undefined, name: string) => {
    const path = specifier === undefined ? undefined : pathOf(file, specifier);
    if (path !== undefined) imports.push(`${path} ${name}`);
  };
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      for (const name of importedNames(statement.importClause)) {
        addImport(statement.moduleSpecifier, name);
      }
    } else if (ts.isExportDeclaration(statement)) {
      const { exportClause, moduleSpecifier } = statement;
      if (exportClause === undefined || ts.isNamespaceExport(exportClause)) {
        addImport(moduleSpecifier, "*");
        continue;
      }
      for (const { name, propertyName } of exportClause.elements) {
        const local = (propertyName ?? name).text;
        addImport(moduleSpecifier, local);
        exports.set(name.text, new Set([local]));
      }
    } else if (ts.isExportAssignment(statement)) {
      exports.set("default", new Set());
    } else if (isExported(statement)) addDeclared(statement, exports);
  }
  return { exports, imports, repeated: readNames(source, addImport) };
}

/** Where a relative specifier leads, as a path in the project. */
function pathOf(file: string, specifier: ts.Expression): string | undefined {
  return ts.isStringLiteralLike(specifier) && /^\.\.?\//.test(specifier.text)
    ? join(dirname(file), specifier.text)
    : undefined;
}

function importedNames(clause: ts.ImportClause | undefined): string[] {
  if (clause === undefined) return []; // for its effects alone
  const names = clause.name === undefined ? [] : ["default"];
  const bindings = clause.namedBindings;
  if (bindings === undefined) return names;
  if (ts.isNamespaceImport(bindings)) return [...names, "*"];
  return [
    ...names,
    ...bindings.elements.map(({ name, propertyName }) =>
      (propertyName ?? name).text
    ),
  ];
}

/** Names that stand in the file more than once; `await import("./a.ts")` may use all of that file. */
function readNames(
  source: ts.SourceFile,
  addImport: (specifier: ts.Expression | undefined, name: string) => void,
): Set<string> {
  const once = new Set<string>();
  const repeated = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      (once.has(node.text) ? repeated : once).add(node.text);
    } else if (
      ts.isCallExpression(node) &&
      node.expression.kind === ts.SyntaxKind.ImportKeyword
    ) addImport(node.arguments[0], "*");
    ts.forEachChild(node, visit);
  };
  visit(source);
  return repeated;
}

function isExported(statement: ts.Statement): boolean {
  return ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some(({ kind }) =>
      kind === ts.SyntaxKind.ExportKeyword
    );
}

/** Add what an exported statement declares, with the names in its signature. */
function addDeclared(
  statement: ts.Statement,
  exports: Map<string, Set<string>>,
): void {
  if (ts.isVariableStatement(statement)) {
    for (const declared of statement.declarationList.declarations) {
      for (const name of boundNames(declared.name)) {
        exports.set(name, namesInSignature(declared));
      }
    }
  } else if (
    ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  ) {
    const name = statement.name?.text ?? "default";
    const names = exports.get(name) ?? new Set(); // overloads, and type with value
    for (const named of namesInSignature(statement)) names.add(named);
    exports.set(name, names);
  }
}

function boundNames(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) =>
    ts.isBindingElement(element) ? boundNames(element.name) : []
  );
}

/** Names that a caller of `declared` can meet: no bodies, and nothing private. */
function namesInSignature(declared: ts.Node): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (isPrivate(node)) return;
    if (ts.isBlock(node)) return;
    if (ts.isIdentifier(node)) names.add(node.text);
    if (ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node)) {
      // Without a type, a caller meets that of what is made here.
      visit(node.name);
      if (node.type !== undefined) visit(node.type);
      else if (node.initializer !== undefined) visitMade(node.initializer);
      return;
    }
    if (ts.isParameter(node)) {
      if (node.type !== undefined) visit(node.type);
      return;
    }
    if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
      for (const part of [...node.parameters, node.type]) {
        if (part !== undefined) visit(part);
      }
      return;
    }
    ts.forEachChild(node, visit);
  };
  const visitMade = (value: ts.Expression): void => {
    if (ts.isNewExpression(value)) visit(value.expression);
    else if (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) {
      visit(value);
    } else if (ts.isAsExpression(value) || ts.isSatisfiesExpression(value)) {
      visit(value.type);
    }
  };
  visit(declared);
  return names;
}

function isPrivate(node: ts.Node): boolean {
  if (!ts.isClassElement(node)) return false;
  if (node.name !== undefined && ts.isPrivateIdentifier(node.name)) return true;
  return ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some(({ kind }) =>
      kind === ts.SyntaxKind.PrivateKeyword
    );
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  for (const { file, name, usedBy } of findUnusedExports()) {
    print(`${usedBy}\t${file}\t${name}`);
  }
  for (const { file, name } of findUnusedMembers()) {
    print(`member\t${file}\t${name}`);
  }
}
