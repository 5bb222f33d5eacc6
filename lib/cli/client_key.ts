/**
 * `anonnet client-key`: who we are to a service that lets only some find it.
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import { SILENT_LOG } from "../log/log.ts";
import { systemRuntime } from "../machine/runtime.ts";
import { clientKeyFor } from "../node/host/service_keys.ts";
import { StateDirectory } from "../storage/state_directory.ts";
import { defineCommand } from "./flags/command.ts";
import { switchFlag } from "./flags/flag.ts";
import { stateFlag } from "./flags/node_flags.ts";

/** `anonnet client-key`. */
export const clientKeyCommand = defineCommand({
  name: "client-key",
  summary: "print our key for a service that lets only some find it",
  details:
    "Each service gets to see another key, so that two of them cannot tell that " +
    "we visit both. Give it to who runs the service, for anonnet serve " +
    "--authorise. The node that owns the state directory must not be running.",
  operands: { text: "ADDRESS", read: readAddress },
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state: path, json }, { terminal, files }, host) {
    const runtime = await systemRuntime(SILENT_LOG);
    using state = await StateDirectory.open(path, {
      files,
      crypto: runtime.crypto,
      holder: `pid ${Deno.pid}`,
      onSetAside: ({ path, movedTo }) =>
        terminal.tell(`anonnet: "${path}" was damaged; it is now "${movedTo}"`),
    });
    const key = await clientKeyFor(state, host, runtime);
    terminal.print(json ? JSON.stringify({ host, key }) : key);
    return 0;
  },
});

function readAddress(words: readonly string[]): string {
  const [word, ...others] = words;
  if (word !== undefined && others.length === 0) return word;
  throw new ConfigError(
    "cli.client_address",
    "Cannot make a client key: give the one address that it is for, such as " +
      "anonnet client-key ….anon",
  );
}
