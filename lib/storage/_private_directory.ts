/**
 * Files that are whole or absent, in a directory that only we can enter.
 *
 *     write   <name>.tmp ── write, sync ── rename to <name> ── sync directory
 *     damage  <name> ── rename to <name>.corrupt-1 ── sync directory
 *
 * At any moment, after any failure and after a loss of power, `<name>` holds
 * all of the old bytes or all of the new ones.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { FileFacts, Files } from "./files.ts";
import type { StorageTrouble } from "./_trouble.ts";
import { storageError } from "./storage_error.ts";

const TEMPORARY_SUFFIX = ".tmp";
const CORRUPT_INFIX = ".corrupt-";

/**
 * Most damaged copies kept of one file. A disk that damages a file at every
 * start must not be filled with the copies.
 */
const MAX_CORRUPT_COPIES = 99;

/** The atomic operations on one directory. One instance per directory. */
export class PrivateDirectory {
  readonly path: string;
  readonly #files: Files;
  /** End of the last change: two changes of one name must not share a `.tmp`. */
  #lastChange: Promise<unknown> = Promise.resolve();

  readonly #trouble: StorageTrouble | undefined;

  /** @param trouble Hears of changes that fail. */
  constructor(path: string, files: Files, trouble?: StorageTrouble) {
    this.path = path;
    this.#files = files;
    this.#trouble = trouble;
  }

  /** Path of a file in it. */
  pathOf(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Facts of a file; `undefined` when there is none. */
  facts(name: string): Promise<FileFacts | undefined> {
    return this.#failing(
      "look at",
      name,
      () => this.#files.facts(this.pathOf(name)),
    );
  }

  /** All of a file; `undefined` when there is none. */
  read(name: string): Promise<Bytes | undefined> {
    return this.#failing(
      "read",
      name,
      () => this.#files.read(this.pathOf(name)),
    );
  }

  /** All names, in alphabetical order. */
  list(): Promise<string[]> {
    return this.#failing(
      "list",
      "",
      async () => (await this.#files.list(this.path)).sort(),
    );
  }

  /** Put `bytes` in the place of a file, or make it. Durable once it resolves. */
  write(name: string, bytes: Uint8Array): Promise<void> {
    return this.#change("write", name, async () => {
      const path = this.pathOf(name);
      const temporary = path + TEMPORARY_SUFFIX;
      await this.#clear(name + TEMPORARY_SUFFIX);
      try {
        using file = await this.#files.create(temporary);
        await file.write(bytes);
        await file.sync();
      } catch (error) {
        // Best effort, for the space; the error that counts is the first one.
        await this.#files.remove(temporary).catch(() => {});
        throw error;
      }
      await this.#files.rename(temporary, path);
      await this.#files.syncDirectory(this.path);
    });
  }

  /** Remove a file; no error when there is none. */
  remove(name: string): Promise<void> {
    return this.#change("remove", name, async () => {
      await this.#files.remove(this.pathOf(name));
      await this.#files.syncDirectory(this.path);
    });
  }

  /**
   * Move a damaged file out of the way, where a person can look at it.
   *
   * @returns Its new path.
   */
  setAside(name: string): Promise<string> {
    return this.#change("set aside", name, async () => {
      const taken = new Set(await this.#files.list(this.path));
      for (let n = 1; n <= MAX_CORRUPT_COPIES; n++) {
        const copy = `${name}${CORRUPT_INFIX}${n}`;
        if (taken.has(copy)) continue;
        await this.#files.rename(this.pathOf(name), this.pathOf(copy));
        await this.#files.syncDirectory(this.path);
        return this.pathOf(copy);
      }
      throw new ConfigError(
        "storage.corrupt_copies",
        `Cannot set aside "${this.pathOf(name)}": there are ` +
          `${MAX_CORRUPT_COPIES} damaged copies of it already; look at the ` +
          `disk, then remove them`,
      );
    });
  }

  /** The newest damaged copy of a file; `undefined` when there is none. */
  async corruptCopy(name: string): Promise<string | undefined> {
    const newest = (await this.list())
      .filter((other) => other.startsWith(name + CORRUPT_INFIX))
      .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
      .at(-1);
    return newest === undefined ? undefined : this.pathOf(newest);
  }

  /**
   * Remove what a crash left half-written. Nothing refers to it.
   *
   * @param isHalfWritten Whether a name is one that only this program writes.
   */
  async sweep(isHalfWritten: (name: string) => boolean): Promise<void> {
    for (const name of await this.list()) {
      if (!isHalfWritten(name)) continue;
      if ((await this.facts(name))?.kind !== "directory") {
        await this.remove(name);
      }
    }
  }

  /**
   * Who owns a file that is made here, by number; `undefined` where users have
   * none. The system would tell who we are, but only a process with one more
   * permission.
   */
  ownerOfNewFile(probe: string): Promise<number | undefined> {
    return this.#change("make files in", "", async () => {
      const path = this.pathOf(probe);
      await this.#clear(probe);
      using file = await this.#files.create(path);
      try {
        await file.sync();
        return (await this.#files.facts(path))?.owner;
      } finally {
        await this.#files.remove(path);
      }
    });
  }

  /** Make room for a file of ours; a directory in its place is not ours. */
  async #clear(name: string): Promise<void> {
    const path = this.pathOf(name);
    const facts = await this.#files.facts(path);
    if (facts?.kind !== "directory") return await this.#files.remove(path);
    throw new ConfigError(
      "storage.path",
      `Cannot write "${path}": there is a directory of that name; move it away`,
    );
  }

  #change<T>(verb: string, name: string, work: () => Promise<T>): Promise<T> {
    const change = this.#lastChange.then(() => this.#failing(verb, name, work));
    this.#lastChange = change.then(
      () => this.#trouble?.onChanged(name),
      (error) => this.#trouble?.onFailed(name, error),
    );
    return change;
  }

  async #failing<T>(
    verb: string,
    name: string,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const path = name === "" ? this.path : this.pathOf(name);
      throw storageError(`Cannot ${verb} "${path}"`, error);
    }
  }
}
