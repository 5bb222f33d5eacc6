/**
 * A disk in memory that a test can change while it is read.
 *
 * @module
 */
import type {
  DiskFacts,
  OpenFile,
  ShareDisk,
} from "../../lib/share/share_disk.ts";

/** Something on the disk. */
interface Entry {
  readonly kind: DiskFacts["kind"];
  readonly identity: string;
  bytes: Uint8Array;
  changedMs: number;
  /** Where a link leads. */
  readonly target?: string;
}

/** Files, directories and links by their paths. */
export class MemoryDisk implements ShareDisk {
  readonly #entries = new Map<string, Entry>();
  #count = 0;
  /** Called before each read. */
  onRead: (path: string, at: number) => void = () => {};
  /** Files that are open. */
  openCount = 0;

  /** Put a file, in place of what is there. */
  put(path: string, bytes: Uint8Array, kind: DiskFacts["kind"] = "file"): void {
    const identity = `${++this.#count}`;
    this.#entries.set(path, { kind, identity, bytes, changedMs: this.#count });
  }

  directory(path: string): void {
    this.put(path, new Uint8Array(0), "directory");
  }

  /** Put a link, in place of what is there. */
  link(path: string, target: string): void {
    const identity = `${++this.#count}`;
    const bytes = new Uint8Array(0);
    const changedMs = this.#count;
    this.#entries.set(path, {
      kind: "link",
      identity,
      bytes,
      changedMs,
      target,
    });
  }

  /** Write into a file that stays the same one. */
  overwrite(path: string, bytes: Uint8Array): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) throw new Error(`no ${path}`);
    entry.bytes = bytes;
    entry.changedMs = ++this.#count;
  }

  remove(path: string): void {
    this.#entries.delete(path);
  }

  look(path: string): Promise<DiskFacts | undefined> {
    const entry = this.#entries.get(path);
    return Promise.resolve(entry && factsOf(entry));
  }

  async realPath(path: string): Promise<string> {
    const entry = this.#entries.get(path);
    if (entry === undefined) throw new Deno.errors.NotFound(path);
    return entry.target === undefined
      ? path
      : await this.realPath(entry.target);
  }

  list(path: string): Promise<string[]> {
    const names = [...this.#entries.keys()]
      .filter((other) => other.startsWith(`${path}/`))
      .map((other) => other.slice(path.length + 1))
      .filter((name) => !name.includes("/"));
    return Promise.resolve(names);
  }

  async open(path: string): Promise<OpenFile> {
    const entry = this.#entries.get(await this.realPath(path));
    if (entry === undefined) throw new Deno.errors.NotFound(path);
    this.openCount++;
    return {
      facts: () => Promise.resolve(factsOf(entry)),
      read: (at, into) => {
        this.onRead(path, at);
        const part = entry.bytes.subarray(at, at + into.length);
        into.set(part);
        return Promise.resolve(part.length);
      },
      [Symbol.dispose]: () => void this.openCount--,
    };
  }
}

function factsOf({ kind, bytes, changedMs, identity }: Entry): DiskFacts {
  return { kind, bytes: bytes.length, changedMs, identity };
}
