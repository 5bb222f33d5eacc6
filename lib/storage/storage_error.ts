/**
 * What the operator reads when the disk says no.
 *
 * @module
 */
import { AnonNetError, ConfigError } from "../base/errors.ts";

/** The system's name for a failure, our code for it, and what to do. */
const FAILURES = new Map<string, readonly [code: string, advice: string]>([
  ["ENOSPC", ["storage.full", "the disk is full; free some space"]],
  ["EDQUOT", ["storage.full", "the disk quota is used up; free some space"]],
  ["EROFS", ["storage.denied", "the file system is mounted read-only"]],
  ["EACCES", ["storage.denied", "permission denied; change its owner or mode"]],
  ["EPERM", ["storage.denied", "permission denied; change its owner or mode"]],
  ["ENOTDIR", ["storage.path", "a part of the path is not a directory"]],
  ["EISDIR", ["storage.path", "it is a directory and should be a file"]],
  ["EEXIST", ["storage.exists", "it exists already and is never overwritten"]],
  ["ENOENT", ["storage.missing", "its directory is not there any more"]],
  ["ENAMETOOLONG", ["storage.path", "the name is too long"]],
]);

/**
 * The error to throw when `action` (such as `Cannot write "a/b"`) failed.
 * Errors that are ours already come back as they are.
 *
 * @returns {@linkcode ConfigError} with code `storage.full`, `storage.denied`,
 * `storage.path`, `storage.exists`, `storage.missing`, or `storage.io` for everything else.
 */
export function storageError(action: string, cause: unknown): AnonNetError {
  if (cause instanceof AnonNetError) return cause;
  if (cause instanceof Deno.errors.NotCapable) {
    return new ConfigError(
      "storage.denied",
      `${action}: this process was started without permission for it; name it ` +
        `in --allow-read and --allow-write, or take -P`,
      { cause },
    );
  }
  const [code, advice] = FAILURES.get(systemCode(cause) ?? "") ??
    ["storage.io", "the disk reports an error"];
  return new ConfigError(code, `${action}: ${advice}`, { cause });
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error &&
      typeof error.code === "string"
    ? error.code
    : undefined;
}
