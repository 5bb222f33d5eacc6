/**
 * The state directory, for commands that run no node.
 *
 * @module
 */
import type { Runtime } from "../machine/runtime.ts";
import { StateDirectory } from "../storage/state_directory.ts";
import type { Program } from "./flags/command.ts";

/** Open a state directory; what is damaged in it is told at the terminal. @throws {ConfigError} `storage.*`. */
export async function openState(
  path: string,
  { terminal, files }: Program,
  { crypto }: Runtime,
): Promise<StateDirectory> {
  return await StateDirectory.open(path, {
    files,
    crypto,
    holder: `pid ${Deno.pid}`,
    onSetAside: ({ path, movedTo }) =>
      terminal.tell(`anonnet: "${path}" was damaged; it is now "${movedTo}"`),
  });
}
