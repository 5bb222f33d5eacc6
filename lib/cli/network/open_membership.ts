/**
 * A state directory and the network it is of, for commands that run no node.
 *
 * @module
 */
import { SILENT_LOG } from "../../log/log.ts";
import { type Runtime, systemRuntime } from "../../machine/runtime.ts";
import {
  Membership,
  type MembershipWish,
} from "../../node/directory/membership.ts";
import { StateDirectory } from "../../storage/state_directory.ts";
import type { Program } from "../flags/command.ts";

/** What a command has open. */
export interface OpenMembership {
  readonly state: StateDirectory;
  readonly membership: Membership;
  readonly runtime: Runtime;
}

/**
 * Open a state directory, and see of which network it is.
 *
 * @param stack Closes it.
 * @throws {ConfigError} `storage.locked` while a node runs on it; `storage.*`; as
 * {@linkcode Membership.open}.
 */
export async function openMembership(
  path: string,
  wish: MembershipWish,
  { terminal, files }: Program,
  stack: DisposableStack,
): Promise<OpenMembership> {
  const runtime = await systemRuntime(SILENT_LOG);
  const state = stack.use(
    await StateDirectory.open(path, {
      files,
      crypto: runtime.crypto,
      holder: `pid ${Deno.pid}`,
      onSetAside: ({ path, movedTo }) =>
        terminal.tell(`anonnet: "${path}" was damaged; it is now "${movedTo}"`),
    }),
  );
  const membership = await Membership.open(state, wish, runtime);
  return { state, membership, runtime };
}
