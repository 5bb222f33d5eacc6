/**
 * In a file of its own: a log that is never read is never closed, and a process
 * has only one.
 */
import assert from "node:assert/strict";
import { runNode } from "../../lib/cli/process/run_node.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { fakeTerminal, OPTIONS } from "./flags/fake_terminal.ts";

Deno.test("runNode() starts, works and stops while no program reads its log", async () => {
  await using home = await TemporaryDirectory.create();
  const { program, ready, stop } = fakeTerminal(() => new Promise(() => {}));
  const running = runNode(program, { ...OPTIONS, state: home.pathOf("a") });
  await ready;
  stop();
  assert.equal(await running, 0);
});
