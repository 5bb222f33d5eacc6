/**
 * {@linkcode Files} in memory, with the memory of a disk: what was not synced
 * may be gone, or half there, after {@linkcode MemoryFiles.crash}.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { type Random, randomBelow } from "../base/random.ts";
import type { FileFacts, FileLock, Files, NewFile } from "./files.ts";

interface Inode {
  data: Bytes;
  /** Bytes of `data` that a crash leaves whole. */
  syncedBytes: number;
}

/** A disk of one user. Directories have no modes and are not nested. */
export class MemoryFiles implements Files {
  #names = new Map<string, Inode>();
  #syncedNames = new Map<string, Inode>();
  readonly #directories = new Set<string>();
  #locks = new Set<string>();

  facts(path: string): Promise<FileFacts | undefined> {
    const inode = this.#names.get(path);
    if (inode !== undefined) {
      return Promise.resolve({
        kind: "file",
        mode: 0o600,
        owner: 0,
        bytes: inode.data.length,
      });
    }
    if (!this.#directories.has(path)) return Promise.resolve(undefined);
    return Promise.resolve({
      kind: "directory",
      mode: 0o700,
      owner: 0,
      bytes: 0,
    });
  }

  list(path: string): Promise<string[]> {
    const prefix = `${path}/`;
    return Promise.resolve(
      this.#names.keys().filter((name) => name.startsWith(prefix))
        .map((name) => name.slice(prefix.length)).toArray(),
    );
  }

  read(path: string): Promise<Bytes | undefined> {
    return Promise.resolve(this.#names.get(path)?.data.slice());
  }

  create(path: string): Promise<NewFile> {
    if (this.#names.has(path)) {
      return Promise.reject(systemError("EEXIST", "File exists"));
    }
    const inode: Inode = { data: new Uint8Array(0), syncedBytes: 0 };
    this.#names.set(path, inode);
    return Promise.resolve(new MemoryNewFile(inode));
  }

  /** Put a file there as another program would, synced and in one step. */
  plant(path: string, bytes: Uint8Array): void {
    const inode = { data: new Uint8Array(bytes), syncedBytes: bytes.length };
    this.#names.set(path, inode);
    this.#syncedNames.set(path, inode);
  }

  rename(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (inode === undefined) {
      return Promise.reject(systemError("ENOENT", "No such file or directory"));
    }
    this.#names.delete(from);
    this.#names.set(to, inode);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.#names.delete(path);
    return Promise.resolve();
  }

  makeDirectory(path: string): Promise<void> {
    this.#directories.add(path);
    return Promise.resolve();
  }

  makePrivate(): Promise<void> {
    return Promise.resolve();
  }

  syncDirectory(path: string): Promise<void> {
    const prefix = `${path}/`;
    for (const name of this.#syncedNames.keys()) {
      if (name.startsWith(prefix)) this.#syncedNames.delete(name);
    }
    for (const [name, inode] of this.#names) {
      if (name.startsWith(prefix)) this.#syncedNames.set(name, inode);
    }
    return Promise.resolve();
  }

  lock(path: string): Promise<FileLock | undefined> {
    const locks = this.#locks;
    if (locks.has(path)) return Promise.resolve(undefined);
    locks.add(path);
    return Promise.resolve({
      describe: (text: string) => {
        this.plant(path, new TextEncoder().encode(text));
        return Promise.resolve();
      },
      [Symbol.dispose]: () => {
        locks.delete(path);
      },
    });
  }

  /**
   * Lose power. Names that were not synced are as before or as after, each on
   * its own; bytes that were not synced are cut somewhere. Locks are gone.
   */
  crash(random: Random): void {
    const after = new Map<string, Inode>();
    const names = new Set([
      ...this.#names.keys(),
      ...this.#syncedNames.keys(),
    ]);
    for (const name of names) {
      const source = randomBelow(random, 2) === 0
        ? this.#names
        : this.#syncedNames;
      const inode = source.get(name);
      if (inode !== undefined) after.set(name, inode);
    }
    for (const inode of new Set(after.values())) {
      const unsynced = inode.data.length - inode.syncedBytes;
      const kept = inode.syncedBytes + randomBelow(random, unsynced + 1);
      inode.data = inode.data.slice(0, kept);
      inode.syncedBytes = kept;
    }
    this.#names = after;
    this.#syncedNames = new Map(after);
    this.#locks = new Set();
  }
}

class MemoryNewFile implements NewFile {
  readonly #inode: Inode;

  constructor(inode: Inode) {
    this.#inode = inode;
  }

  write(bytes: Uint8Array): Promise<void> {
    const data = new Uint8Array(this.#inode.data.length + bytes.length);
    data.set(this.#inode.data);
    data.set(bytes, this.#inode.data.length);
    this.#inode.data = data;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    this.#inode.syncedBytes = this.#inode.data.length;
    return Promise.resolve();
  }

  [Symbol.dispose](): void {}
}

/** An error as the system makes them: its name for the failure in `code`. */
function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
