/**
 * {@linkcode Files} on the machine's own disk.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import type { FileFacts, FileLock, Files, NewFile } from "./files.ts";

/** Only we may read and write. */
const PRIVATE_FILE = 0o600;
/** Only we may enter. */
const PRIVATE_DIRECTORY = 0o700;

/** The machine's file system. Needs permission to read and write where used. */
export class DenoFiles implements Files {
  /** Windows has access lists instead, inherited from the directory above. */
  readonly #hasModes = Deno.build.os !== "windows";

  async facts(path: string): Promise<FileFacts | undefined> {
    const info = await unlessMissing(Deno.stat(path));
    if (info === undefined) return undefined;
    return {
      kind: info.isFile ? "file" : info.isDirectory ? "directory" : "other",
      mode: this.#hasModes && info.mode !== null
        ? info.mode & 0o777
        : undefined,
      owner: this.#hasModes ? info.uid ?? undefined : undefined,
      bytes: info.size,
    };
  }

  async list(path: string): Promise<string[]> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) names.push(entry.name);
    return names;
  }

  read(path: string): Promise<Bytes | undefined> {
    return unlessMissing(Deno.readFile(path));
  }

  async create(path: string): Promise<NewFile> {
    return new DenoNewFile(
      await Deno.open(path, {
        createNew: true,
        write: true,
        mode: PRIVATE_FILE,
      }),
    );
  }

  rename(from: string, to: string): Promise<void> {
    return Deno.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    await unlessMissing(Deno.remove(path));
  }

  makeDirectory(path: string): Promise<void> {
    return Deno.mkdir(path, { recursive: true, mode: PRIVATE_DIRECTORY });
  }

  async makePrivate(path: string): Promise<void> {
    if (this.#hasModes) await Deno.chmod(path, PRIVATE_DIRECTORY);
  }

  async syncDirectory(path: string): Promise<void> {
    // Windows cannot open a directory, and needs no such call.
    if (!this.#hasModes) return;
    using directory = await Deno.open(path);
    await directory.sync();
  }

  async lock(path: string): Promise<FileLock | undefined> {
    const file = await Deno.open(path, {
      create: true,
      read: true,
      write: true,
      mode: PRIVATE_FILE,
    });
    try {
      // The system drops this lock with the last process that has the file
      // open, so a kill -9 leaves nothing that must be cleaned up by hand.
      if (await file.tryLock(true)) return new DenoFileLock(file);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return undefined;
  }
}

class DenoNewFile implements NewFile {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      offset += await this.#file.write(bytes.subarray(offset));
    }
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

class DenoFileLock implements FileLock {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  async describe(text: string): Promise<void> {
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    await this.#file.write(new TextEncoder().encode(text));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
