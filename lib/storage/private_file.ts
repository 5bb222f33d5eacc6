/**
 * A single file that only we can read, outside of a state directory.
 *
 * @module
 */
import type { Files } from "./files.ts";
import { storageError } from "./storage_error.ts";

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
