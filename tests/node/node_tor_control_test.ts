/** The control port of Tor's form on a real state directory. */
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { SILENT_LOG } from "../../lib/log/log.ts";
import type { Runtime } from "../../lib/machine/runtime.ts";
import { ClientKeys } from "../../lib/node/host/service_keys.ts";
import { NodeTorControl } from "../../lib/node/node_tor_control.ts";
import { DenoFiles } from "../../lib/storage/deno_files.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { HandClock, TorClient } from "../torcontrol/world.ts";

const crypto = nobleSuite();

/** A runtime that no link is made on. */
function runtimeOf(seed: number): Runtime {
  return {
    clock: new HandClock(),
    random: seededRandom(seed),
    crypto,
    files: new DenoFiles(),
    log: SILENT_LOG,
    openEndpoint: () => assert.fail("no link is made"),
  };
}

Deno.test("NodeTorControl writes a cookie for its user alone, lets in by it, and takes it away", async () => {
  await using home = await TemporaryDirectory.create();
  const cookies: string[] = [];
  for (const seed of [1, 2]) {
    const runtime = runtimeOf(seed);
    using state = await StateDirectory.open(home.pathOf("state"), {
      files: runtime.files,
      crypto,
      holder: "test",
      onSetAside: () => {},
    });
    const path = state.pathOf("control-auth-cookie");
    const stopped: string[] = [];
    {
      await using control = await NodeTorControl.open({
        address: { host: "127.0.0.1", port: 0 },
        wishes: {
          stop: () => stopped.push("stop"),
          reload: () => false,
        },
      }, {
        state,
        parts: {},
        runtime,
        clientKeys: new ClientKeys(state, runtime),
        hasAlias: true,
        isAutomapping: false,
      });
      const { mode } = await Deno.stat(path);
      if (Deno.build.os !== "windows") assert.equal((mode ?? 0) & 0o777, 0o600);
      const { host: hostname, port } = control.address;
      const client = new TorClient(await Deno.connect({ hostname, port }));
      const said = await client.ask("PROTOCOLINFO 1");
      const [, file = ""] = /COOKIEFILE="([^"]*)"/.exec(said) ?? [];
      const cookie = (await Deno.readFile(file)).toHex();
      cookies.push(cookie);
      assert.equal(await client.ask(`AUTHENTICATE ${cookie}`), "250 OK\r\n");
      assert.match(
        await client.ask("GETINFO status/bootstrap-phase"),
        /PROGRESS=0 TAG=starting/,
      );
      assert.equal(
        await client.ask("SIGNAL RELOAD"),
        "551 There is no file to read again\r\n",
      );
      assert.equal(await client.ask("SIGNAL SHUTDOWN"), "250 OK\r\n");
      assert.deepEqual(stopped, ["stop"]);
      client.close();
    }
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  }
  assert.notEqual(cookies[0], cookies[1]);
});
