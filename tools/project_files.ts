/**
 * The files that make up the project, for the tests that hold it together.
 *
 * @module
 */

/** The project's top folder; ends in a slash. */
export const PROJECT: URL = new URL("../", import.meta.url);

/** Folders that hold what the project is made of. Everything else beside them is state. */
const FOLDERS = [
  ".ci",
  ".github",
  "bench",
  "docs",
  "examples",
  "lib",
  "tests",
  "tools",
] as const;

/** Paths of the project's files, relative to {@linkcode PROJECT}, with forward slashes, sorted. */
export function listFiles(): string[] {
  const files: string[] = [];
  for (const entry of Deno.readDirSync(PROJECT)) {
    // `.git` is a file where git made a further work tree.
    if (entry.isFile && entry.name !== ".git") files.push(entry.name);
  }
  for (const folder of FOLDERS) addFiles(folder, files);
  return files.sort();
}

function addFiles(folder: string, files: string[]): void {
  let entries: Iterable<Deno.DirEntry>;
  try {
    entries = Array.from(Deno.readDirSync(new URL(`${folder}/`, PROJECT)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const { name, isDirectory } of entries) {
    const path = `${folder}/${name}`;
    if (isDirectory) addFiles(path, files);
    else files.push(path);
  }
}

/** The text of a file of the project. */
export function readProjectFile(path: string): string {
  return Deno.readTextFileSync(new URL(path, PROJECT));
}
