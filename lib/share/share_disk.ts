/**
 * What sharing asks of a disk: to look, without following links, and to read.
 *
 * @module
 */

/** What is known of something on a disk. Links are not followed. */
export interface DiskFacts {
  readonly kind: "file" | "directory" | "link" | "other";
  /** Length, bytes. */
  readonly bytes: number;
  /** When it was changed last, ms since 1970. */
  readonly changedMs: number;
  /** What tells it from every other file of the machine, where the system can say. */
  readonly identity: string;
}

/** A file that is open. */
export interface OpenFile extends Disposable {
  /** Of the file that is open, whatever has its name now. */
  facts(): Promise<DiskFacts>;
  /** Read at an offset. @returns How many bytes there were; 0 at the end. */
  read(at: number, into: Uint8Array): Promise<number>;
}

/** A disk. Errors are the system's own. */
export interface ShareDisk {
  /** Facts; `undefined` when there is nothing of that name. */
  look(path: string): Promise<DiskFacts | undefined>;
  /** The path without links. */
  realPath(path: string): Promise<string>;
  /** Names in a directory, in no order. */
  list(path: string): Promise<string[]>;
  /** Open a file to read it. */
  open(path: string): Promise<OpenFile>;
}

/** The machine's disk. */
export class DenoShareDisk implements ShareDisk {
  async look(path: string): Promise<DiskFacts | undefined> {
    try {
      return factsOf(await Deno.lstat(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  realPath(path: string): Promise<string> {
    return Deno.realPath(path);
  }

  async list(path: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(path)) names.push(name);
    return names;
  }

  async open(path: string): Promise<OpenFile> {
    return new DenoOpenFile(await Deno.open(path));
  }
}

class DenoOpenFile implements OpenFile {
  readonly #file: Deno.FsFile;
  #at = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  async facts(): Promise<DiskFacts> {
    return factsOf(await this.#file.stat());
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    if (at !== this.#at) await this.#file.seek(at, Deno.SeekMode.Start);
    const count = await this.#file.read(into) ?? 0;
    this.#at = at + count;
    return count;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function factsOf(info: Deno.FileInfo): DiskFacts {
  const kind = info.isSymlink
    ? "link"
    : info.isFile
    ? "file"
    : info.isDirectory
    ? "directory"
    : "other";
  return {
    kind,
    bytes: info.size,
    changedMs: info.mtime?.getTime() ?? 0,
    identity: info.ino === null ? "" : `${info.dev}:${info.ino}`,
  };
}
