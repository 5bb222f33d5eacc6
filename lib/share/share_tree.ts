/**
 * The files that an operator names, and those in directories that are named.
 *
 *     report.pdf            report.pdf
 *     photos/               photos/1.jpg, photos/2024/2.jpg
 *     photos/link ─▶ …      left out: links are followed where they are named, and only there
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import { storageError } from "../storage/storage_error.ts";
import { MAX_DEPTH } from "./file_name.ts";
import type { DiskFacts, ShareDisk } from "./share_disk.ts";
import type { FoundFile } from "./shared_file.ts";

/** Files of one share. */
export const MAX_FILES = 10_000;

/** What was found. */
export interface ShareTree {
  readonly files: readonly FoundFile[];
  /** Paths of what is neither a file nor a directory: links, sockets, devices. */
  readonly leftOut: readonly string[];
}

/**
 * Find all files.
 *
 * @param paths As the operator wrote them.
 * @throws {ConfigError} `share.nothing`, `share.kind`, `share.twice`,
 * `share.too_many`, `share.deep`; `storage.*`.
 */
export async function findFiles(
  disk: ShareDisk,
  paths: readonly string[],
): Promise<ShareTree> {
  const files: FoundFile[] = [];
  const leftOut: string[] = [];
  const names = new Set<string>();
  const visit = async (
    path: string,
    name: readonly string[],
    facts: DiskFacts,
  ): Promise<void> => {
    if (facts.kind === "file") {
      if (files.length >= MAX_FILES) throw tooMany();
      files.push({ path, name, facts });
      return;
    }
    if (facts.kind !== "directory") {
      leftOut.push(path);
      return;
    }
    if (name.length >= MAX_DEPTH) throw tooDeep(path);
    for (const child of (await disk.list(path)).sort()) {
      const inside = `${path}/${child}`;
      const found = await disk.look(inside);
      const called = [...name, child.toWellFormed()];
      if (found !== undefined) await visit(inside, called, found);
      else leftOut.push(inside); // its name is no text, or it has just gone
    }
  };
  for (const path of paths) {
    try {
      const real = await disk.realPath(path);
      const facts = await disk.look(real);
      if (facts?.kind !== "file" && facts?.kind !== "directory") {
        throw noFile(path);
      }
      const name = nameOf(real);
      if (names.has(name)) throw twice(name);
      names.add(name);
      await visit(real, [name], facts);
    } catch (error) {
      throw storageError(`Cannot share "${path.slice(0, 80)}"`, error);
    }
  }
  if (files.length > 0) return { files, leftOut };
  throw new ConfigError(
    "share.nothing",
    "Cannot share nothing: name files, or directories that hold some",
  );
}

/** The last part of a path without links. */
function nameOf(path: string): string {
  const name = (path.split(/[/\\]/).at(-1) ?? "").toWellFormed();
  return name === "" ? "files" : name; // the root of a disk
}

function noFile(path: string): ConfigError {
  return new ConfigError(
    "share.kind",
    `Cannot share "${path.slice(0, 80)}": it is neither a file nor a directory`,
  );
}

function twice(name: string): ConfigError {
  return new ConfigError(
    "share.twice",
    `Cannot share two files named "${
      name.slice(0, 80)
    }": visitors could not tell ` +
      "them apart; put them into directories, and share those",
  );
}

function tooMany(): ConfigError {
  return new ConfigError(
    "share.too_many",
    `Cannot share more than ${MAX_FILES} files: put them into an archive, and share ` +
      "that",
  );
}

function tooDeep(path: string): ConfigError {
  return new ConfigError(
    "share.deep",
    `Cannot share "${
      path.slice(0, 80)
    }": it is more than ${MAX_DEPTH} directories ` +
      "deep; put it into an archive, and share that",
  );
}
