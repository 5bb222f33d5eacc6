/**
 * The npm package as a new user has it: packed, and started by npx in an empty
 * directory, where Node and npm are and nothing else is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isInstalled } from "../support/client_programs.ts";
import { EmptyMachine } from "../support/empty_machine.ts";
import { inTerminal, StartedRelay } from "../support/started_relay.ts";

const HAS_NPX = Deno.build.os === "linux" && isInstalled("npx") &&
  isInstalled("script");

Deno.test({
  name: "npx runs the packed package where nothing but Node is",
  ignore: !HAS_NPX,
  async fn(test) {
    await using machine = await EmptyMachine.create();
    const decoder = new TextDecoder();

    await test.step("npx anonnet demo --check works", async () => {
      const { code, stdout, stderr } = await machine.run([
        ...machine.npx,
        "demo",
        "--check",
      ]);
      assert.equal(code, 0, decoder.decode(stderr));
      assert.match(decoder.decode(stdout), /^The demo works\.$/m);
      const left = await Array.fromAsync(Deno.readDir(machine.options.cwd));
      assert.deepEqual(left, [], "nothing is left where it was started");
    });

    await test.step("a word that is none is exit code 2", async () => {
      const anonnet = `${await machine.installed()}/node_modules/.bin/anonnet`;
      const { code, stderr } = await machine.run([anonnet, "rely"]);
      assert.match(decoder.decode(stderr), /did you mean relay\?/);
      assert.equal(code, 2);
    });

    await test.step("the program cannot write to itself, nor to Deno", async () => {
      const folder = `${await machine.installed()}/node_modules`;
      for (const own of ["anonnet/lib", "deno"]) {
        const { code, stderr } = await machine.run([
          `${folder}/.bin/anonnet`,
          "keygen",
          "--out",
          `${folder}/${own}/a.key`,
        ]);
        assert.match(decoder.decode(stderr), /permission/);
        assert.notEqual(code, 0);
      }
    });

    await test.step("one Ctrl-C is one stop", async () => {
      await using relay = await StartedRelay.start(["npx", "anonnet"], {
        ...machine.options,
        cwd: await machine.installed(),
        wrap: inTerminal,
      });
      const writer = relay.starter.stdin.getWriter();
      await writer.write(Uint8Array.of(3));
      writer.releaseLock();
      const log = await relay.ended();
      assert.match(log, /Stopped/);
      assert.doesNotMatch(log, /hard way/);
    });

    await test.step("a launcher that is killed leaves no node", async () => {
      const anonnet = `${await machine.installed()}/node_modules/.bin/anonnet`;
      await using relay = await StartedRelay.start([anonnet], machine.options);
      relay.starter.kill("SIGKILL");
      assert.match(await relay.ended(), /Stopped/);
    });

    await test.step("npx that is killed leaves no node", async () => {
      await using relay = await StartedRelay.start(["npx", "anonnet"], {
        ...machine.options,
        cwd: await machine.installed(),
      });
      relay.starter.kill("SIGKILL");
      assert.match(await relay.ended(), /Stopped/);
    });
  },
});
