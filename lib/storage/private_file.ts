/**
 * A single file that only we can read, outside of a state directory.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { Files } from "./files.ts";
import { shellQuoted } from "./key_store.ts";
import { storageError } from "./storage_error.ts";

const OTHERS = 0o077;

/**
 * Read a file that holds a secret.
 *
 * @param maxBytes A longer one is not read.
 * @throws {ConfigError} `storage.missing`, `storage.path` (no file, or too long),
 * `storage.key_mode` where other users can read it; `storage.*`.
 */
export async function readPrivateFile(
  files: Files,
  path: string,
  maxBytes: number,
): Promise<Bytes> {
  const fail = (code: string, why: string) =>
    new ConfigError(`storage.${code}`, `Cannot read "${path}": ${why}`);
  try {
    const facts = await files.facts(path);
    if (facts === undefined) throw fail("missing", "there is no such file");
    const { kind, mode, bytes } = facts;
    if (kind !== "file") throw fail("path", "it is not a file");
    if (bytes > maxBytes) throw fail("path", `it is too long: ${bytes} bytes`);
    if (mode !== undefined && (mode & OTHERS) !== 0) {
      throw fail(
        "key_mode",
        `other users may read it (mode ${mode.toString(8)}); run: ` +
          `chmod 600 ${shellQuoted(path)}`,
      );
    }
    const read = await files.read(path);
    if (read === undefined) throw fail("missing", "there is no such file");
    return read;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw storageError(`Cannot read "${path}"`, error);
  }
}

/**
 * Make a file, durable once it resolves. Nothing is ever overwritten; what could
 * not be written whole is removed again.
 *
 * @throws {ConfigError} `storage.exists` when there is one; `storage.*`.
 */
export async function createPrivateFile(
  files: Files,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const action = `Cannot write "${path}"`;
  let file;
  try {
    file = await files.create(path);
  } catch (error) {
    throw storageError(action, error);
  }
  try {
    await file.write(bytes);
    await file.sync();
    await files.syncDirectory(directoryOf(path));
  } catch (error) {
    // Best effort; the error that counts is the first one.
    await files.remove(path).catch(() => {});
    throw storageError(action, error);
  } finally {
    file[Symbol.dispose]();
  }
}

function directoryOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}
