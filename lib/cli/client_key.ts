/**
 * `anonnet client-key`: who we are to a service that lets only some find it.
 *
 * @module
 */
import { ConfigError, errorCode } from "../base/errors.ts";
import { SILENT_LOG } from "../log/log.ts";
import { systemRuntime } from "../machine/runtime.ts";
import { ClientKeys } from "../node/host/service_keys.ts";
import { parseServiceHost } from "../service/address.ts";
import { openState } from "./open_state.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import { askClientKey } from "./ask/ask_client_key.ts";
import { defineCommand, type Program } from "./flags/command.ts";
import { switchFlag } from "./flags/flag.ts";
import { stateFlag } from "./flags/node_flags.ts";
import { serviceHostIn } from "./flags/service_host.ts";

/** `anonnet client-key`. */
export const clientKeyCommand = defineCommand({
  name: "client-key",
  summary: "print our key for a service that lets only some find it",
  details:
    "Each service gets to see another key, so that two of them cannot tell that " +
    "we visit both. Give it to the operator of the service, for anonnet serve " +
    "--authorise, over a channel that is private: half of it is a secret that we " +
    "share with the service. A node that runs on the state directory is asked for it, and " +
    "uses it from then on.",
  operands: { text: "ADDRESS", read: readAddress },
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, program, host) {
    const key = await keyFor(state, host, program);
    program.terminal.print(json ? JSON.stringify({ host, key }) : key);
    return 0;
  },
});

/** Out of the state directory, or from the node that has it. */
async function keyFor(
  path: string,
  host: string,
  program: Program,
): Promise<string> {
  const runtime = await systemRuntime(SILENT_LOG);
  try {
    using state = await openState(path, program, runtime);
    const keys = new ClientKeys(state, runtime);
    await keys.load();
    const isNew = !keys.isMade;
    const key = await keys.keyFor(host);
    if (isNew) tellOfNew(state, program);
    return key;
  } catch (error) {
    if (errorCode(error) !== "storage.locked") throw error;
  }
  return await askClientKey(program.files, path, host);
}

/** A mistyped `--state` makes a key that no node will ever use: say so. */
function tellOfNew(state: StateDirectory, { terminal }: Program): void {
  terminal.tell(
    `anonnet: no node runs on state directory "${state.path}", and it held no ` +
      `client key: made a new "${
        state.pathOf("client.key")
      }". A node visits the ` +
      `service by this key only if it runs with this --state`,
  );
}

/** Judged before anything is done. */
async function readAddress(words: readonly string[]): Promise<string> {
  const [word, ...others] = words;
  if (word === undefined || others.length > 0) {
    throw new ConfigError(
      "cli.client_address",
      "Cannot make a client key: give the one address that it is for, such as " +
        "anonnet client-key ….anon",
    );
  }
  const host = serviceHostIn(word);
  parseServiceHost((await systemRuntime(SILENT_LOG)).crypto, host);
  return host;
}
