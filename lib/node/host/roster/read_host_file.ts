/**
 * Reads the file that a host was given.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import type { Runtime } from "../../../machine/runtime.ts";
import type { Delegation } from "../../../service/delegation/delegation.ts";
import {
  decodeHostFile,
  MAX_HOST_FILE_BYTES,
} from "../../../service/delegation/host_file.ts";
import { readPrivateFile } from "../../../storage/private_file.ts";

/**
 * What the file at `path` delegates to this host, now.
 *
 * @throws {ConfigError} `delegation.*` as `decodeHostFile`, `storage.*`.
 */
export async function readHostFile(
  { files, crypto, clock }: Pick<Runtime, "files" | "crypto" | "clock">,
  path: string,
): Promise<Delegation> {
  const bytes = await readPrivateFile(files, path, MAX_HOST_FILE_BYTES);
  return decodeHostFile(crypto, path, bytes, clock.unixMs());
}
