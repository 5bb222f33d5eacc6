/**
 * Public members of the classes of `lib/` that the program never names: what only
 * tests call is code that does not run.
 *
 *     deno task exports      lists them after the exports: file, class and member
 *
 * Files are parsed, not type-checked, so a member counts as named when a file of
 * the program reads a member of the same name, of whatever class. That lets some
 * through, and accuses none that the program calls. Classes of `lib/mod.ts` are for
 * programs of others.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { listFiles, readProjectFile } from "./project_files.ts";

/** A member that the program does not name. */
export interface UnusedMember {
  /** Path in the project. */
  readonly file: string;
  /** As in `Class.member`. */
  readonly name: string;
}

/** The file whose exports are for other programs. */
const ENTRY = "lib/mod.ts";

/** The unused members of the project's files as they are, in order. */
export function findUnusedMembers(): UnusedMember[] {
  const files = listFiles().filter((file) =>
    file === "main.ts" || (file.startsWith("lib/") && file.endsWith(".ts"))
  );
  return unusedMembers(
    new Map(files.map((file) => [file, readProjectFile(file)])),
  );
}

/** The unused members among `sources`, texts of the program by their path in the project. */
export function unusedMembers(
  sources: ReadonlyMap<string, string>,
): UnusedMember[] {
  const parsed = [...sources].map(([file, text]) =>
    ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
  );
  const named = new Set(parsed.flatMap((source) => namedMembers(source)));
  const forOthers = new Set(
    parsed.filter(({ fileName }) => fileName === ENTRY).flatMap(reexports),
  );
  return parsed.flatMap((source) =>
    source.statements.filter(ts.isClassDeclaration).flatMap((declared) => {
      const owner = declared.name?.text ?? "default";
      if (forOthers.has(`${source.fileName} ${owner}`)) return [];
      return publicMembers(declared).filter((member) => !named.has(member))
        .map((member) => ({
          file: source.fileName,
          name: `${owner}.${member}`,
        }));
    })
  );
}

/** Names of members that a file reads, calls or takes apart. */
function namedMembers(source: ts.SourceFile): string[] {
  const names: string[] = ["toJSON"]; // JSON.stringify() calls it
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node)) names.push(node.name.text);
    else if (
      ts.isElementAccessExpression(node) &&
      ts.isStringLiteralLike(node.argumentExpression)
    ) names.push(node.argumentExpression.text);
    else if (ts.isBindingElement(node)) {
      const name = node.propertyName ?? node.name;
      if (ts.isIdentifier(name)) names.push(name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

/** `path name` of what a file exports from others. */
function reexports(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return [];
    const { exportClause, moduleSpecifier } = statement;
    if (exportClause === undefined || !ts.isNamedExports(exportClause)) {
      return [];
    }
    if (
      moduleSpecifier === undefined || !ts.isStringLiteralLike(moduleSpecifier)
    ) return [];
    const path = join(dirname(source.fileName), moduleSpecifier.text);
    return exportClause.elements.map(({ name, propertyName }) =>
      `${path} ${(propertyName ?? name).text}`
    );
  });
}

/** Names of the members that callers of a class can meet. */
function publicMembers(declared: ts.ClassDeclaration): string[] {
  const names = declared.members.flatMap((member) => {
    const { name } = member;
    if (name === undefined || !ts.isIdentifier(name)) return [];
    const isPrivate = ts.canHaveModifiers(member) &&
      (ts.getModifiers(member) ?? []).some(({ kind }) =>
        kind === ts.SyntaxKind.PrivateKeyword
      );
    return isPrivate ? [] : [name.text];
  });
  return [...new Set(names)]; // a getter and its setter
}
