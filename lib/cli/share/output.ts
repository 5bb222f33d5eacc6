/**
 * Where downloads go.
 *
 *     --output      one file        files of a share
 *     none          NAME            DIR/NAME, …
 *     a directory   PATH/NAME       PATH/DIR/NAME, …
 *     a new path    PATH            PATH/DIR/NAME, …
 *
 * @module
 */
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { DigestSum } from "../../share/file_digest.ts";
import { existing } from "../../share/download/part_file.ts";
import { storageError } from "../../storage/storage_error.ts";

const READ_BYTES = 1024 * 1024;

/**
 * The path of a file, in a directory that is there then.
 *
 * @param name Parts that were cleaned: none leads out.
 * @param kind Whether it is the only one.
 * @throws {ConfigError} `storage.*`.
 */
export async function outputOf(
  output: string | undefined,
  name: readonly string[],
  kind: "file" | "directory",
): Promise<string> {
  const isIn = kind === "directory" || output === undefined ||
    await isDirectory(output);
  if (!isIn) return output;
  const parts = [...output === undefined ? [] : [output], ...name];
  const directory = parts.slice(0, -1).join("/");
  try {
    if (directory !== "") await makeDirectory(output, name.slice(0, -1));
  } catch (error) {
    throw storageError(`Cannot write into "${directory}"`, error);
  }
  return parts.join("/");
}

/**
 * Whether a file is there, and the right one.
 *
 * @throws {ConfigError} `get.exists` where it is another one.
 */
export async function fileIs(
  path: string,
  digest: Bytes | undefined,
): Promise<boolean> {
  try {
    const facts = await Deno.lstat(path);
    if (!facts.isFile || digest === undefined) throw existing(path);
    using file = await Deno.open(path);
    const sum = new DigestSum();
    const buffer = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) break;
      sum.add(buffer.subarray(0, count));
    }
    if (equalBytes(sum.digest, digest)) return true;
    throw existing(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw storageError(`Cannot read "${path}"`, error);
  }
}

/**
 * Make directories one by one: a link that stands in the place of one, below the
 * directory that the user named, leads somewhere else and is not followed.
 */
async function makeDirectory(
  output: string | undefined,
  parts: readonly string[],
): Promise<void> {
  if (output !== undefined) await Deno.mkdir(output, { recursive: true });
  let path = output;
  for (const part of parts) {
    path = path === undefined ? part : `${path}/${part}`;
    try {
      await Deno.mkdir(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      const facts = await Deno.lstat(path);
      if (!facts.isDirectory) throw existing(path);
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw storageError(`Cannot read "${path}"`, error);
  }
}
