/**
 * The few things we ask of a file system, so that a test can fail each of them
 * and a simulation can keep its disks in memory.
 *
 * Errors are the system's own and carry its name for them in `code`
 * (`"ENOSPC"`, `"EACCES"`); {@linkcode storageError} turns them into ours.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";

/** What is known of a file without opening it. Links are followed. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "other";
  /** Permission bits, such as 0o600; `undefined` where the system has none. */
  readonly mode: number | undefined;
  /** Number of the user who owns it; `undefined` where the system has none. */
  readonly owner: number | undefined;
  /** Length in bytes. */
  readonly bytes: number;
}

/** A new file that is being written. */
export interface NewFile extends Disposable {
  /** Append all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Return once what was written would survive a loss of power. */
  sync(): Promise<void>;
}

/** A lock that ends with the process at the latest, however that dies. */
export interface FileLock extends Disposable {
  /** Write down who holds it, for {@linkcode Files.read} by the next in line. */
  describe(text: string): Promise<void>;
}

/** A file system. Paths are those of the operator; `/` separates. */
export interface Files {
  /** Facts of a file or directory; `undefined` when there is none. */
  facts(path: string): Promise<FileFacts | undefined>;
  /** Names in a directory, in no order. */
  list(path: string): Promise<string[]>;
  /** All of a file; `undefined` when there is none. */
  read(path: string): Promise<Bytes | undefined>;
  /** Make a file that only we can read; fails with `EEXIST` when there is one. */
  create(path: string): Promise<NewFile>;
  /** Give a file another name, in one step, in place of what has that name. */
  rename(from: string, to: string): Promise<void>;
  /** Remove a file; no error when there is none. */
  remove(path: string): Promise<void>;
  /** Make a directory that only we can enter, and those above it. */
  makeDirectory(path: string): Promise<void>;
  /** Take a directory away from every other user. */
  makePrivate(path: string): Promise<void>;
  /** Return once the names in a directory would survive a loss of power. */
  syncDirectory(path: string): Promise<void>;
  /** Take the lock that a file stands for; `undefined` while another has it. */
  lock(path: string): Promise<FileLock | undefined>;
}
