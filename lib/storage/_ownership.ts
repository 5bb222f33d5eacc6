/**
 * Whether a directory is a state directory of this program. One that is not is
 * left as it is: nothing in it is removed, changed or hidden among our files.
 *
 *     empty                                            a new one
 *     "lock" begins with the mark                      ours
 *     a file of our name that begins as ours do        ours, such as a copied key
 *     nothing but names of ours, "lock" one of them    ours, from before the mark
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { equalBytes, utf8 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { PrivateDirectory } from "./_private_directory.ts";
import { BLOB_MAGIC, MAX_BLOB_FILE_BYTES } from "./blob_format.ts";
import { KEY_KIND, MAX_KEY_FILE_BYTES } from "./key_format.ts";

/** The file that is locked, and says whose directory it is. */
export const LOCK = "lock";
/** A file that shows who we are, by its owner. */
export const OWNER_PROBE = ".owner.tmp";

/** First line of the lock file. */
const MARK = "anonnet state directory";

/** What a lock file held before it began with the mark. */
const OLD_LOCK = /^(pid [0-9]{1,10})?\s*$/;

/** Files of more than one version of this program, half-written ones included. */
const OUR_FILE =
  /^(lock|control|control-socket|[a-z0-9][a-z0-9-]{0,63}\.(key|blob))(\.corrupt-[0-9]{1,2})?$/;
const OUR_HALF_WRITTEN =
  /^(control|owner|owner\.tmp|\.owner|[a-z0-9][a-z0-9-]{0,63}\.(key|blob))\.tmp$/;
const STORED = /^[a-z0-9][a-z0-9-]{0,63}\.(key|blob)$/;

/** What a fresh disk has in its root; not ours, and harmless. */
const OF_THE_DISK = "lost+found";

/** Whether only this program writes files of that name, and left this one unfinished. */
export function isHalfWritten(name: string): boolean {
  return OUR_HALF_WRITTEN.test(name);
}

/** The text of a lock file. */
export function formatLock(holder: string): string {
  return `${MARK}\n${holder}\n`;
}

/** What stands behind the holder while its process stops. */
const STOPPING = ", stopping";

/** A holder whose process stops. */
export function stoppingHolder(holder: string): string {
  return holder + STOPPING;
}

/** Whether the process of a holder stops. */
export function isStopping(holder: string): boolean {
  return holder.endsWith(STOPPING);
}

/** Who holds the directory, by the text of its lock file; `""` when it does not say. */
export function parseLockHolder(text: string): string {
  return text.startsWith(`${MARK}\n`)
    ? text.slice(MARK.length + 1).trim()
    : text.trim();
}

/**
 * Refuse a directory with files of other programs.
 *
 * @throws {ConfigError} `storage.directory_foreign`; `storage.*`.
 */
export async function checkOurs(directory: PrivateDirectory): Promise<void> {
  const names = (await directory.list()).filter((name) => name !== OF_THE_DISK);
  if (names.length === 0 || await isOurs(directory, names)) return;
  throw new ConfigError(
    "storage.directory_foreign",
    `Cannot use state directory "${directory.path}": it holds files, and none ` +
      `of them says that it is a state directory; nothing in it was changed. ` +
      `Give a new or empty directory with --state`,
  );
}

async function isOurs(
  directory: PrivateDirectory,
  names: readonly string[],
): Promise<boolean> {
  if (names.includes(LOCK)) {
    const text = await lockText(directory);
    // Windows lets no other process read a locked file; the lock will tell.
    if (text === undefined || text.startsWith(`${MARK}\n`)) return true;
    const isOld = OLD_LOCK.test(text);
    if (isOld && names.every((name) => isOurName(name))) return true;
  }
  for (const name of names) {
    if (STORED.test(name) && await beginsAsOurs(directory, name)) return true;
  }
  return names.every(isHalfWritten);
}

function isOurName(name: string): boolean {
  return OUR_FILE.test(name) || isHalfWritten(name);
}

async function lockText(
  directory: PrivateDirectory,
): Promise<string | undefined> {
  const facts = await directory.facts(LOCK);
  if (facts?.kind !== "file" || facts.bytes > MAX_KEY_FILE_BYTES) return "?";
  try {
    return new TextDecoder().decode(await directory.read(LOCK));
  } catch (error) {
    if (Deno.build.os === "windows") return undefined;
    throw error;
  }
}

async function beginsAsOurs(
  directory: PrivateDirectory,
  name: string,
): Promise<boolean> {
  const facts = await directory.facts(name);
  if (facts?.kind !== "file") return false;
  const isKey = name.endsWith(".key");
  const mostBytes = isKey ? MAX_KEY_FILE_BYTES : MAX_BLOB_FILE_BYTES;
  if (facts.bytes > mostBytes) return false;
  const bytes = await directory.read(name);
  const expected = isKey ? utf8(KEY_KIND) : BLOB_MAGIC;
  return bytes !== undefined &&
    equalBytes(bytes.subarray(0, expected.length), expected);
}
