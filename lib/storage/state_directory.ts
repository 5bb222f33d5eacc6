/**
 * The state directory: what a node keeps when it stops. One process owns it.
 *
 *     <state>/                0700
 *       lock                  marks the directory as ours; held while a process runs
 *       <name>.key            secret keys, text, never written twice
 *       metrics-token         lets a monitoring system read the metrics
 *       control-auth-cookie   lets programs in at Tor's control port, while it is open
 *       <name>.blob           everything else, with a checksum
 *       *.corrupt-<n>         damaged files, for a person to look at
 *       <file>.tmp            half-written; removed at the next start
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { utf8, utf8Text } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { PrivateDirectory } from "./_private_directory.ts";
import {
  checkOurs,
  formatLock,
  isHalfWritten,
  isStopping,
  LOCK,
  OWNER_PROBE,
  parseLockHolder,
  stoppingHolder,
} from "./_ownership.ts";
import { StorageTrouble } from "./_trouble.ts";
import { BlobStore, type SetAside } from "./blob_store.ts";
import { checkName } from "./_name.ts";
import type { FileLock, Files } from "./files.ts";
import { KeyStore, shellQuoted } from "./key_store.ts";
import { storageError } from "./storage_error.ts";

const OTHERS = 0o077;
const OWNER = 0o700;

/** What opening a state directory takes. */
export interface StateOptions {
  readonly files: Files;
  readonly crypto: CryptoSuite;
  /** Who we are, for the message that the next process gets: a process id. */
  readonly holder: string;
  /** Hears of every damaged file: nothing vanishes in silence. */
  readonly onSetAside: (event: SetAside) => void;
  /**
   * Hears once when something cannot be written, and once when all can again. An
   * error is thrown to the caller besides.
   */
  readonly onTrouble?: (trouble: ConfigError | undefined) => void;
}

/** A state directory that is ours until disposed of. */
export class StateDirectory implements Disposable {
  /** As the operator wrote it. */
  readonly path: string;
  readonly keys: KeyStore;
  readonly blobs: BlobStore;
  readonly #directory: PrivateDirectory;
  readonly #lock: FileLock;
  readonly #holder: string;
  readonly #trouble: StorageTrouble;

  private constructor(
    directory: PrivateDirectory,
    trouble: StorageTrouble,
    lock: FileLock,
    owner: number | undefined,
    options: StateOptions,
  ) {
    this.path = directory.path;
    this.keys = new KeyStore(directory, options.crypto, owner);
    this.blobs = new BlobStore(directory, options.crypto, options.onSetAside);
    this.#directory = directory;
    this.#lock = lock;
    this.#holder = options.holder;
    this.#trouble = trouble;
  }

  /**
   * Open the state directory at `path`, and make it when there is none.
   *
   * @throws {ConfigError} `storage.locked` while another process has it,
   * `storage.stopping` while that one stops;
   * `storage.directory_mode`, `storage.directory_owner` when it is open to
   * others or belongs to another user; `storage.directory_foreign` when it holds
   * files and is no state directory; `storage.*` when the disk fails.
   */
  static async open(
    path: string,
    options: StateOptions,
  ): Promise<StateDirectory> {
    let isOpen = false;
    const trouble = new StorageTrouble((error) => {
      // What fails before is thrown, and ends the start.
      if (isOpen) options.onTrouble?.(error);
    });
    const directory = new PrivateDirectory(
      path.length > 1 ? path.replace(/\/+$/, "") : path,
      options.files,
      trouble,
    );
    try {
      // Looked at whole before anything in it is touched.
      await checkPlace(directory, options.files);
      await options.files.makeDirectory(directory.path);
      await checkOurs(directory);
      await checkMode(directory, options.files);
      const lock = await takeLock(directory, options);
      try {
        const owner = await checkOwner(directory, options.files);
        await lock.describe(formatLock(options.holder));
        await directory.sweep(isHalfWritten);
        isOpen = true;
        return new StateDirectory(directory, trouble, lock, owner, options);
      } catch (error) {
        lock[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      throw storageError(
        `Cannot use state directory "${directory.path}"`,
        error,
      );
    }
  }

  /** Why something in it cannot be written at present, or that it is gone. */
  get trouble(): ConfigError | undefined {
    return this.#trouble.current;
  }

  /** See whether it is still there, and still the one that is locked. Never rejects. */
  async look(): Promise<void> {
    let gone: ConfigError | undefined;
    try {
      if (await this.#directory.facts(LOCK) === undefined) {
        gone = new ConfigError(
          "storage.missing",
          `Cannot use state directory "${this.path}": it is not there any more, ` +
            `or another is in its place; put it back, or stop the node`,
        );
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      gone = error;
    }
    this.#trouble.onLooked(gone);
  }

  /** Path of a file in it that others write, such as a socket. */
  pathOf(name: string): string {
    return this.#directory.pathOf(name);
  }

  /**
   * Write a short text that other programs of the same user read, whole or not
   * at all.
   */
  async writeNote(name: string, text: string): Promise<void> {
    await this.#directory.write(checkName(name), utf8(text));
  }

  /** The same for bytes. */
  async writeNoteBytes(name: string, bytes: Uint8Array): Promise<void> {
    await this.#directory.write(checkName(name), bytes);
  }

  /** What {@linkcode writeNote} wrote; `undefined` when there is none. */
  async readNote(name: string): Promise<string | undefined> {
    const bytes = await this.#directory.read(checkName(name));
    return bytes && new TextDecoder().decode(bytes);
  }

  /** Remove what {@linkcode writeNote} wrote, or a socket. */
  async removeNote(name: string): Promise<void> {
    await this.#directory.remove(checkName(name));
  }

  /**
   * Tell the next in line that it need not wait for long: it is refused with
   * `storage.stopping` from now on. Best effort.
   */
  async markStopping(): Promise<void> {
    await this.#lock.describe(formatLock(stoppingHolder(this.#holder)))
      .catch(() => {});
  }

  /** Let the next process have it. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

async function takeLock(
  directory: PrivateDirectory,
  { files }: StateOptions,
): Promise<FileLock> {
  const path = directory.pathOf(LOCK);
  const lock = await files.lock(path);
  if (lock !== undefined) return lock;
  const holder = await holderOf(path, files);
  const who = holder === "" ? "another process" : `another process (${holder})`;
  throw new ConfigError(
    isStopping(holder) ? "storage.stopping" : "storage.locked",
    `Cannot use state directory "${directory.path}": ${who} is using it; ` +
      `stop that, or give another directory with --state`,
  );
}

async function holderOf(path: string, files: Files): Promise<string> {
  try {
    const text = parseLockHolder(
      utf8Text(await files.read(path) ?? new Uint8Array(0)),
    );
    return text;
  } catch {
    // Windows lets no other process read a locked file. The message does without.
    return "";
  }
}

/** Refuse what is no directory, or one that even its owner cannot use. */
async function checkPlace(
  { path }: PrivateDirectory,
  files: Files,
): Promise<void> {
  const facts = await files.facts(path);
  if (facts === undefined) return;
  if (facts.kind !== "directory") {
    throw new ConfigError(
      "storage.path",
      `Cannot use state directory "${path}": it is not a directory`,
    );
  }
  const { mode } = facts;
  if (mode === undefined || (mode & OWNER) === OWNER) return;
  throw new ConfigError(
    "storage.directory_mode",
    `Cannot use state directory "${path}": its owner may not read and write ` +
      `it (mode ${mode.toString(8)}); run: chmod 700 ${shellQuoted(path)}`,
  );
}

/** Refuse a directory that others can enter, unless it is new and empty. */
async function checkMode(
  directory: PrivateDirectory,
  files: Files,
): Promise<void> {
  const mode = (await files.facts(directory.path))?.mode;
  if (mode === undefined || (mode & OTHERS) === 0) return;
  if ((await directory.list()).length === 0) {
    return await files.makePrivate(directory.path);
  }
  // Not mended in silence: --state may name a directory that others need, such
  // as a home or /tmp, and keys that lay open must be noticed.
  throw new ConfigError(
    "storage.directory_mode",
    `Cannot use state directory "${directory.path}": other users may enter ` +
      `it (mode ${mode.toString(8)}); run: chmod 700 ${
        shellQuoted(directory.path)
      }, or give another directory with --state`,
  );
}

/**
 * Refuse a directory that another user owns, and could open to others.
 *
 * @returns Who we are, by number.
 */
async function checkOwner(
  directory: PrivateDirectory,
  files: Files,
): Promise<number | undefined> {
  const owner = await directory.ownerOfNewFile(OWNER_PROBE);
  const facts = await files.facts(directory.path);
  if (facts?.owner === undefined || facts.owner === owner) return owner;
  throw new ConfigError(
    "storage.directory_owner",
    `Cannot use state directory "${directory.path}": it belongs to user ` +
      `${facts.owner}; run: chown ${owner} ${shellQuoted(directory.path)}`,
  );
}
