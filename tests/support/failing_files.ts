/**
 * A disk that fails at the n-th thing asked of it.
 *
 * @module
 */
import type { FileLock, Files, NewFile } from "../../lib/storage/files.ts";

/** Passes everything on to another disk, but for one operation. */
export class FailingFiles implements Files {
  readonly #files: Files;
  readonly #error: Error;
  /** Operations so far; the failing one counts. */
  count = 0;
  /** Which operation fails, from 1; 0 for none. A write fails half done. */
  failAt = 0;
  /** Whether everything after that fails as well, as on a full disk. */
  staysBroken = false;

  constructor(files: Files, code = "ENOSPC") {
    this.#files = files;
    this.#error = systemError(code, "No space left on device");
  }

  #fails(): boolean {
    this.count++;
    if (this.failAt === 0) return false;
    return this.staysBroken
      ? this.count >= this.failAt
      : this.count === this.failAt;
  }

  async #pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#fails()) throw this.#error;
    return await work();
  }

  facts(path: string) {
    return this.#pass(() => this.#files.facts(path));
  }
  list(path: string) {
    return this.#pass(() => this.#files.list(path));
  }
  read(path: string) {
    return this.#pass(() => this.#files.read(path));
  }
  rename(from: string, to: string) {
    return this.#pass(() => this.#files.rename(from, to));
  }
  remove(path: string) {
    return this.#pass(() => this.#files.remove(path));
  }
  makeDirectory(path: string) {
    return this.#pass(() => this.#files.makeDirectory(path));
  }
  makePrivate(path: string) {
    return this.#pass(() => this.#files.makePrivate(path));
  }
  syncDirectory(path: string) {
    return this.#pass(() => this.#files.syncDirectory(path));
  }

  async create(path: string): Promise<NewFile> {
    const file = await this.#pass(() => this.#files.create(path));
    return {
      write: async (bytes) => {
        if (!this.#fails()) return await file.write(bytes);
        await file.write(bytes.subarray(0, bytes.length >> 1));
        throw this.#error;
      },
      sync: () => this.#pass(() => file.sync()),
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  }

  async lock(path: string): Promise<FileLock | undefined> {
    const lock = await this.#pass(() => this.#files.lock(path));
    return lock && {
      describe: (text) => this.#pass(() => lock.describe(text)),
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    };
  }
}

/** An error as the system makes them: its name for the failure in `code`. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
