/**
 * Nodes that were started by other programs: what ends a starter ends the node, once
 * and cleanly.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isInstalled } from "../support/client_programs.ts";
import { inTerminal, StartedRelay } from "../support/started_relay.ts";

const DENO = Deno.execPath();
const TASK = [DENO, "task", "start"];

/** As the README has it; `--offline` keeps the test from asking a registry. */
const NPX = ["npx", "--offline", "--yes", "deno@2.9.6"];
const NPX_RUN = [
  ...NPX,
  "run",
  "--quiet",
  "--no-prompt",
  "-P",
  "main.ts",
  "--stop-with-parent",
];

/** Whether npx has the runtime at hand. */
function hasNpx(): boolean {
  if (!isInstalled("npx")) return false;
  const [program = "", ...args] = [...NPX, "--version"];
  return new Deno.Command(program, { args }).outputSync().success;
}

const POSIX = Deno.build.os !== "windows";
const WITH_NPX = POSIX && hasNpx();

const STARTERS = [
  { name: "deno task", words: TASK, ignore: !POSIX },
  { name: "npx", words: NPX_RUN, ignore: !WITH_NPX },
  {
    name: "npx and deno task",
    words: [...NPX, "task", "start"],
    ignore: !WITH_NPX,
  },
];

for (const { name, words, ignore } of STARTERS) {
  Deno.test({
    name: `one Ctrl-C stops a node that ${name} started, once`,
    ignore: ignore || !isInstalled("script"),
    async fn() {
      await using relay = await StartedRelay.start(words, { wrap: inTerminal });
      const writer = relay.starter.stdin.getWriter();
      await writer.write(Uint8Array.of(3));
      writer.releaseLock();
      const log = await relay.ended();
      assert.match(log, /Stopped/);
      assert.doesNotMatch(log, /hard way/);
    },
  });
}

const ENDS: readonly [string, readonly string[], Deno.Signal, boolean][] = [
  ["deno task", TASK, "SIGTERM", !POSIX],
  ["deno task", TASK, "SIGHUP", !POSIX],
  ["deno task", TASK, "SIGKILL", !POSIX],
  ["npx", NPX_RUN, "SIGTERM", !WITH_NPX],
];

for (const [name, words, signal, ignore] of ENDS) {
  Deno.test({
    name: `a node ends cleanly with ${name}, which gets a ${signal}`,
    ignore,
    async fn() {
      await using relay = await StartedRelay.start(words);
      relay.starter.kill(signal);
      assert.match(await relay.ended(), /Stopped/);
    },
  });
}
