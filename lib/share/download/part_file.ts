/**
 * A download on a disk, until it is whole.
 *
 *     report.pdf.part           what has come
 *     report.pdf.part-info      { source, etag, bytes, sha256 }: of what
 *     report.pdf                all of it, once it is whole and right
 *
 * The source is a digest of the address: a secret in it is not written down.
 *
 * @module
 */
import { type Bytes, utf8 } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import { storageError } from "../../storage/storage_error.ts";
import type { Entity, PartStore } from "./download.ts";
import { DigestSum } from "../file_digest.ts";

const PART = ".part";
const INFO = ".part-info";
/** Longest file of that kind that makes sense. */
const MAX_INFO_BYTES = 4096;
const READ_BYTES = 1024 * 1024;
/** Only we may read and write. */
const PRIVATE = 0o600;

/** A part of a file, ours until it is disposed of. */
export class PartFile implements PartStore, Disposable {
  readonly #path: string;
  readonly #source: string;
  readonly #file: Deno.FsFile;
  #bytes = 0;
  #entity: Entity | undefined;
  #sum = new DigestSum();
  #isClosed = false;

  private constructor(path: string, source: string, file: Deno.FsFile) {
    this.#path = path;
    this.#source = source;
    this.#file = file;
  }

  /**
   * Open what is there of an earlier run, or begin.
   *
   * @param path Of the file that it is to become.
   * @param url Where it comes from: parts of other files are begun anew.
   * @throws {ConfigError} `get.busy` while another process has it, `get.exists` where
   * there is something that no download has left; `storage.*`.
   */
  static async open(path: string, url: URL): Promise<PartFile> {
    const sum = new DigestSum();
    sum.add(utf8(url.href));
    let file: Deno.FsFile | undefined;
    try {
      await checkOurs(path);
      file = await Deno.open(path + PART, {
        create: true,
        read: true,
        write: true,
        mode: PRIVATE,
      });
      if (!await file.tryLock(true)) throw busy(path);
      const part = new PartFile(path, sum.digest.toHex(), file);
      await part.#load();
      return part;
    } catch (error) {
      file?.close();
      throw storageError(`Cannot write "${path}${PART}"`, error);
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  get entity(): Entity | undefined {
    return this.#entity;
  }

  get digest(): Bytes {
    return this.#sum.digest;
  }

  async begin(entity: Entity): Promise<void> {
    try {
      await this.#file.truncate(0);
      await this.#file.seek(0, Deno.SeekMode.Start);
      this.#bytes = 0;
      this.#sum = new DigestSum();
      this.#entity = entity;
      const { etag, bytes, digest } = entity;
      const info = {
        source: this.#source,
        etag,
        bytes,
        sha256: digest?.toHex(),
      };
      await Deno.writeTextFile(this.#path + INFO, JSON.stringify(info), {
        mode: PRIVATE,
      });
    } catch (error) {
      throw storageError(`Cannot write "${this.#path}${PART}"`, error);
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#file.write(bytes.subarray(at));
      }
    } catch (error) {
      // What has come of it is unknown: only what was written before counts.
      await this.#file.truncate(this.#bytes).catch(() => {});
      throw storageError(`Cannot write "${this.#path}${PART}"`, error);
    }
    this.#sum.add(bytes);
    this.#bytes += bytes.length;
  }

  /**
   * It is whole: give it its name, in place of no other file.
   *
   * @throws {ConfigError} `get.exists`; `storage.*`.
   */
  async finish(): Promise<void> {
    try {
      await this.#file.sync();
      this.#close(); // Windows renames no file that is open
      await claimName(this.#path);
      await Deno.rename(this.#path + PART, this.#path);
      await Deno.remove(this.#path + INFO).catch(() => {});
    } catch (error) {
      throw storageError(`Cannot write "${this.#path}"`, error);
    }
  }

  /** Let go of it; what is there stays, if it is anything. */
  [Symbol.dispose](): void {
    this.#close();
    if (this.#bytes > 0) return;
    for (const ending of [PART, INFO]) {
      try {
        Deno.removeSync(this.#path + ending);
      } catch {
        // It has its name, or was never there.
      }
    }
  }

  #close(): void {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
  }

  async #load(): Promise<void> {
    const info = await readInfo(this.#path + INFO);
    if (info?.source !== this.#source) return await this.#file.truncate(0);
    this.#entity = info.entity;
    const buffer = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await this.#file.read(buffer);
      if (count === null) return;
      this.#sum.add(buffer.subarray(0, count));
      this.#bytes += count;
    }
  }
}

/** Take a name with an empty file, so that what is renamed to it replaces nothing else. */
async function claimName(path: string): Promise<void> {
  try {
    const claimed = await Deno.open(path, {
      createNew: true,
      write: true,
      mode: PRIVATE,
    });
    claimed.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw existing(path);
  }
}

/**
 * See that what is in the place of a part is one: other programs give such names too,
 * and a link would have us write somewhere else.
 */
async function checkOurs(path: string): Promise<void> {
  const part = await factsOf(path + PART);
  const info = await factsOf(path + INFO);
  // What a part is of is written down before its first byte.
  const isOther = part?.isFile === false || info?.isFile === false ||
    (part !== undefined && part.size > 0 && info === undefined);
  if (!isOther) return;
  throw new ConfigError(
    "get.exists",
    `Cannot write "${path}${PART}": there is something of that name that no download ` +
      "has left; move it, or name another file with --output",
  );
}

/** What is there, links not followed. */
async function factsOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The error for a file that is there already. */
export function existing(path: string): ConfigError {
  return new ConfigError(
    "get.exists",
    `Cannot write "${path}": there is such a file, and it is not the one that is ` +
      "shared; move it, or name another with --output",
  );
}

function busy(path: string): ConfigError {
  return new ConfigError(
    "get.busy",
    `Cannot write "${path}${PART}": another process is downloading it`,
  );
}

async function readInfo(
  path: string,
): Promise<{ readonly source: string; readonly entity: Entity } | undefined> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_INFO_BYTES) return undefined;
    const info: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof info !== "object" || info === null) return undefined;
    const { source, etag, bytes, sha256 } = info as Record<string, unknown>;
    if (typeof source !== "string") return undefined;
    return {
      source,
      entity: {
        etag: typeof etag === "string" ? etag : undefined,
        bytes: typeof bytes === "number" ? bytes : undefined,
        digest: typeof sha256 === "string"
          ? Uint8Array.fromHex(sha256)
          : undefined,
      },
    };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
