/** A node under a service manager such as systemd, with what the executable may do. */
import assert from "node:assert/strict";
import { FROZEN_FLAGS } from "../../tools/compile.ts";
import { managerSocket } from "../support/manager_socket.ts";
import { startRelay } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

Deno.test({
  name:
    "a node with the permissions of the executable tells its manager that it is ready, reloads and stops",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using home = await TemporaryDirectory.create();
    const config = home.pathOf("anonnet.toml");
    await Deno.writeTextFile(config, 'rate = "1MB"\n');
    for (
      const [kind, permissions] of [
        [home.pathOf("notify"), FROZEN_FLAGS],
        [`@anonnet-test-${crypto.randomUUID()}`, ["-P"]],
      ] as const
    ) {
      using socket = managerSocket(kind);
      await using relay = await startRelay(
        home.pathOf("state"),
        ["--config", config, "--notify", socket.name],
        { permissions },
      );
      assert.match(await socket.next(), /^READY=1\n/);
      relay.process.signal("SIGHUP");
      assert.match(await socket.next(), /^RELOADING=1\n/);
      assert.match(await socket.next(), /^READY=1\n/);
      const { stderr } = await relay.process.stop("SIGTERM");
      assert.match(await socket.next(), /^STOPPING=1\n/);
      assert.doesNotMatch(stderr, /Cannot tell/);
    }
    // What systemd puts in where it does not wait to be told.
    await using alone = await startRelay(home.pathOf("state"), [
      "--notify",
      "",
    ]);
    assert.doesNotMatch((await alone.process.stop()).stderr, /Cannot tell/);
  },
});
