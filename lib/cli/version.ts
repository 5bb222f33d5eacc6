/**
 * `anonnet version`: what runs here, for reports and for scripts.
 *
 * @module
 */
import { networkParameters } from "../auth/network.ts";
import { SILENT_LOG } from "../log/log.ts";
import { systemRuntime } from "../machine/runtime.ts";
import { defineCommand } from "./flags/command.ts";
import { switchFlag } from "./flags/flag.ts";
import { PROGRAM_VERSION } from "./process/program_version.ts";

/** `anonnet version`. */
export const versionCommand = defineCommand({
  name: "version",
  summary: "print the versions of the program and of what it runs on",
  flags: { json: switchFlag("print one JSON object") },
  async run({ json }, { terminal }) {
    const { crypto } = await systemRuntime(SILENT_LOG);
    const versions = {
      anonnet: PROGRAM_VERSION,
      protocol: networkParameters("main").version,
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      platform: Deno.build.target,
      crypto: crypto.name,
    };
    if (json) terminal.print(JSON.stringify(versions));
    else {
      for (const [name, value] of Object.entries(versions)) {
        terminal.print(`${name.padEnd(9)} ${value}`);
      }
    }
    return 0;
  },
});
