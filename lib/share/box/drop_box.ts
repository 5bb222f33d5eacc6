/**
 * A directory that strangers put files into: each under a name that is fit for a disk
 * and was free, whole or not at all, within what its owner gives.
 *
 *     DIR/.anonnet-<random>.part     while it comes; removed when it breaks off
 *     DIR/report.pdf                 whole, synced
 *     DIR/report (2).pdf             where the name was taken
 *     DIR/.anonnet-receive.lock      one process at a time
 *
 * @module
 */
import { type Bytes, formatBase32 } from "../../base/bytes.ts";
import { AnonNetError, ConfigError, ProtocolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { FileLock, Files, NewFile } from "../../storage/files.ts";
import { storageError } from "../../storage/storage_error.ts";
import { DigestSum } from "../file_digest.ts";
import { cleanName, numberedName } from "../file_name.ts";

const LOCK = ".anonnet-receive.lock";
const PART = /^\.anonnet-[a-z2-7]{16}\.part$/;
const PART_BYTES = 10;
/** Names that are tried before a file is refused. */
const MAX_NUMBER = 10_000;

/** What the owner of a drop box gives. */
export interface DropLimits {
  /** Bytes of one file. */
  readonly fileBytes: number;
  /** Bytes of all files of this run. */
  readonly totalBytes: number;
  /** Files of this run. */
  readonly files: number;
}

/** What a drop box is made of. */
export interface DropBoxOptions {
  readonly files: Files;
  readonly random: Random;
  readonly directory: string;
  readonly limits: DropLimits;
}

/** A file that was put into the box. */
export interface DroppedFile {
  /** Its name in the directory. */
  readonly name: string;
  readonly bytes: number;
  readonly digest: Bytes;
}

/** A directory that takes files. */
export class DropBox implements AsyncDisposable {
  readonly #options: DropBoxOptions;
  readonly #lock: FileLock;
  /** Taken by files that are there, or on their way. */
  #bytes = 0;
  #files = 0;

  private constructor(options: DropBoxOptions, lock: FileLock) {
    this.#options = options;
    this.#lock = lock;
  }

  /**
   * Open a directory, and make it when there is none; what earlier runs have left half
   * is removed.
   *
   * @throws {ConfigError} `receive.busy`, `storage.*`.
   */
  static async open(options: DropBoxOptions): Promise<DropBox> {
    const { files, directory } = options;
    try {
      const facts = await files.facts(directory);
      if (facts !== undefined && facts.kind !== "directory") {
        throw new ConfigError(
          "storage.path",
          `Cannot receive into "${directory}": it is no directory`,
        );
      }
      if (facts === undefined) await files.makeDirectory(directory);
      const lock = await files.lock(`${directory}/${LOCK}`);
      if (lock === undefined) {
        throw new ConfigError(
          "receive.busy",
          `Cannot receive into "${directory}": another process does so`,
        );
      }
      for (const name of await files.list(directory)) {
        if (PART.test(name)) await files.remove(`${directory}/${name}`);
      }
      return new DropBox(options, lock);
    } catch (error) {
      throw storageError(`Cannot receive into "${directory}"`, error);
    }
  }

  /** Files that there are still places for. */
  get filesLeft(): number {
    return this.#options.limits.files - this.#files;
  }

  /**
   * Take a file.
   *
   * @param name As the sender says.
   * @param onBytes Hears how many bytes more have come.
   * @throws {ProtocolError} `receive.full`, `receive.too_large`.
   * @throws {ConfigError} `storage.*`; what `bytes` fails with.
   */
  async take(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    onBytes: (count: number) => void,
  ): Promise<DroppedFile> {
    if (this.filesLeft <= 0) throw full();
    this.#files++;
    const coming = new ComingFile(this.#options);
    try {
      await coming.open();
      for await (const part of bytes) {
        this.#reserve(coming, part.length);
        await coming.write(part);
        onBytes(part.length);
      }
      return await coming.finish(cleanName(name));
    } catch (error) {
      this.#files--;
      this.#bytes -= coming.reserved;
      await coming.drop();
      throw error instanceof AnonNetError
        ? error
        : storageError("Cannot write a file that comes", error);
    }
  }

  #reserve(coming: ComingFile, bytes: number): void {
    const { fileBytes, totalBytes } = this.#options.limits;
    if (coming.reserved + bytes > fileBytes) {
      throw new ProtocolError(
        "receive.too_large",
        "Cannot take file: it is larger than is allowed",
      );
    }
    if (this.#bytes + bytes > totalBytes) throw full();
    coming.reserved += bytes;
    this.#bytes += bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { files, directory } = this.#options;
    await files.remove(`${directory}/${LOCK}`).catch(() => {});
    this.#lock[Symbol.dispose]();
  }
}

/** A file on its way. */
class ComingFile {
  readonly #options: DropBoxOptions;
  readonly #path: string;
  readonly #sum = new DigestSum();
  #file: NewFile | undefined;
  /** Bytes that are counted for it. */
  reserved = 0;

  constructor(options: DropBoxOptions) {
    this.#options = options;
    const word = formatBase32(options.random.bytes(PART_BYTES));
    this.#path = `${options.directory}/.anonnet-${word}.part`;
  }

  async open(): Promise<void> {
    this.#file = await this.#options.files.create(this.#path);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file?.write(bytes);
    this.#sum.add(bytes);
  }

  async finish(name: string): Promise<DroppedFile> {
    const { files, directory } = this.#options;
    await this.#file?.sync();
    this.#close();
    const free = await this.#claim(name);
    try {
      await files.rename(this.#path, `${directory}/${free}`);
    } catch (error) {
      await files.remove(`${directory}/${free}`).catch(() => {});
      throw error;
    }
    await files.syncDirectory(directory);
    return { name: free, bytes: this.reserved, digest: this.#sum.digest };
  }

  /** Remove what has come. */
  async drop(): Promise<void> {
    this.#close();
    await this.#options.files.remove(this.#path).catch(() => {});
  }

  /** Take a name with an empty file, so that the rename replaces that and no other. */
  async #claim(name: string): Promise<string> {
    const { files, directory } = this.#options;
    for (let number = 1; number <= MAX_NUMBER; number++) {
      const free = number === 1 ? name : numberedName(name, number);
      try {
        const claimed = await files.create(`${directory}/${free}`);
        claimed[Symbol.dispose]();
        return free;
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
    throw full();
  }

  #close(): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

function full(): ProtocolError {
  return new ProtocolError(
    "receive.full",
    "Cannot take file: the box has all that it is allowed to take",
  );
}
