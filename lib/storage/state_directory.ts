/**
 * The state directory: what a node keeps when it stops. One process owns it.
 *
 *     <state>/                0700
 *       lock                  held while a process runs; says which
 *       <name>.key            secret keys, text, never written twice
 *       <name>.blob           everything else, with a checksum
 *       *.corrupt-<n>         damaged files, for a person to look at
 *       *.tmp                 half-written; removed at the next start
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { utf8, utf8Text } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { PrivateDirectory } from "./_private_directory.ts";
import { BlobStore, type SetAside } from "./blob_store.ts";
import { checkName } from "./_name.ts";
import type { FileLock, Files } from "./files.ts";
import { KeyStore, shellQuoted } from "./key_store.ts";
import { storageError } from "./storage_error.ts";

const LOCK = "lock";
const OWNER_PROBE = "owner.tmp";
const OTHERS = 0o077;

/** What opening a state directory takes. */
export interface StateOptions {
  readonly files: Files;
  readonly crypto: CryptoSuite;
  /** Who we are, for the message that the next process gets: a process id. */
  readonly holder: string;
  /** Hears of every damaged file. Somebody must: nothing vanishes in silence. */
  readonly onSetAside: (event: SetAside) => void;
}

/** A state directory that is ours until disposed of. */
export class StateDirectory implements Disposable {
  /** As the operator wrote it. */
  readonly path: string;
  readonly keys: KeyStore;
  readonly blobs: BlobStore;
  readonly #directory: PrivateDirectory;
  readonly #lock: FileLock;

  private constructor(
    directory: PrivateDirectory,
    lock: FileLock,
    owner: number | undefined,
    options: StateOptions,
  ) {
    this.path = directory.path;
    this.keys = new KeyStore(directory, options.crypto, owner);
    this.blobs = new BlobStore(directory, options.crypto, options.onSetAside);
    this.#directory = directory;
    this.#lock = lock;
  }

  /**
   * Open the state directory at `path`, and make it when there is none.
   *
   * @throws {ConfigError} `storage.locked` while another process has it;
   * `storage.directory_mode`, `storage.directory_owner` when it is open to
   * others or somebody else's; `storage.*` when the disk fails.
   */
  static async open(
    path: string,
    options: StateOptions,
  ): Promise<StateDirectory> {
    const directory = new PrivateDirectory(
      path.length > 1 ? path.replace(/\/+$/, "") : path,
      options.files,
    );
    try {
      await options.files.makeDirectory(directory.path);
      await checkMode(directory, options.files);
      const lock = await takeLock(directory, options);
      try {
        await directory.sweep();
        const owner = await checkOwner(directory, options.files);
        await lock.describe(`${options.holder}\n`);
        return new StateDirectory(directory, lock, owner, options);
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

  /** Remove what {@linkcode writeNote} wrote, or a socket. */
  async removeNote(name: string): Promise<void> {
    await this.#directory.remove(checkName(name));
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
  throw new ConfigError(
    "storage.locked",
    `Cannot use state directory "${directory.path}": ${await holderOf(
      path,
      files,
    )} is using it; stop that, or give another directory with --state`,
  );
}

async function holderOf(path: string, files: Files): Promise<string> {
  try {
    const text = utf8Text(await files.read(path) ?? new Uint8Array(0)).trim();
    return text === "" ? "another process" : `another process (${text})`;
  } catch {
    // Windows lets nobody read a locked file. The message does without.
    return "another process";
  }
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
 * Refuse a directory that somebody else owns, and could open to others.
 *
 * @returns Who we are, by number: who owns a file that we make. The system
 * would tell, but only a process with one more permission.
 */
async function checkOwner(
  directory: PrivateDirectory,
  files: Files,
): Promise<number | undefined> {
  await directory.write(OWNER_PROBE, new Uint8Array(0));
  const owner = (await directory.facts(OWNER_PROBE))?.owner;
  await directory.remove(OWNER_PROBE);
  const facts = await files.facts(directory.path);
  if (facts?.owner === undefined || facts.owner === owner) return owner;
  throw new ConfigError(
    "storage.directory_owner",
    `Cannot use state directory "${directory.path}": it belongs to user ` +
      `${facts.owner}; run: chown ${owner} ${shellQuoted(directory.path)}`,
  );
}
