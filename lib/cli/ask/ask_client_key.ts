/**
 * Our key for a service, from the node that has the state directory.
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import { isJsonObject } from "../../control/json.ts";
import type { Files } from "../../storage/files.ts";
import { askNode } from "./ask_node.ts";

/**
 * Have the node that owns `state` make a client key.
 *
 * @throws {ConfigError} `cli.client_key` where it gives none; as {@linkcode askNode}.
 */
export async function askClientKey(
  files: Files,
  state: string,
  host: string,
): Promise<string> {
  const answer = await askNode(files, state, "client-key", { host });
  const key = isJsonObject(answer) ? answer["key"] : undefined;
  if (typeof key === "string") return key;
  throw new ConfigError(
    "cli.client_key",
    "Cannot make a client key: the node that has the state directory gives " +
      "none; it may be of another version",
  );
}
