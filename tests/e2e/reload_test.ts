/**
 * Reloading a relay, a service and a proxy while a file is on its way. `RELOAD_MIB`
 * makes it larger: `deno task long:reload`.
 */
import assert from "node:assert/strict";
import { isInstalled, run } from "../support/client_programs.ts";
import { untilFound } from "../support/polling.ts";
import { logLine } from "../support/process.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";
import { testBytes } from "./_site.ts";

/** Bytes that are downloaded during reloads. */
const FILE_BYTES = Number(Deno.env.get("RELOAD_MIB") ?? 8) * 1024 * 1024;
async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

Deno.test({
  name: "reloads of all nodes on the way lose no byte of a download",
  ignore: !isInstalled("curl"),
  async fn() {
    const file = testBytes(FILE_BYTES);
    await using target = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(file),
    );
    await using network = await ProcessNetwork.start({
      relays: 4,
    });
    const { home } = network;
    const config = home.pathOf("anonnet.toml");
    const write = (text: string) => Deno.writeTextFile(config, text);
    await write('log-level = "info"\n');
    const flags = ["--config", config];
    const service = await network.serve(
      [`80=127.0.0.1:${target.addr.port}`],
      flags,
    );
    const proxy = await network.proxy("proxy", flags);
    const relay = await network.start("relay", "relay-limited", [
      "--listen=127.0.0.1:0",
      ...flags,
    ]);
    const nodes: readonly NodeProcess[] = [service, proxy, relay];
    const path = home.pathOf("file");
    const download = run("curl", [
      ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`],
      ...["--limit-rate", `${Math.ceil(FILE_BYTES / 6)}`, "-o", path],
      `http://${service.host}/`,
    ]);
    let isOver = false;
    download.finally(() => isOver = true);
    await untilFound(
      async () => (await Deno.stat(path).catch(() => undefined)) ?? undefined,
      20_000,
      "the first bytes",
    );
    for (
      const [text, message] of [
        ['log-level = "warning"\n', undefined],
        ['log-level = "info"\n', "The configuration was reloaded"],
        ["rate = ", "Cannot reload the configuration: all stays as it was"],
      ] as const
    ) {
      await write(text);
      for (const { process } of nodes) process.signal("SIGHUP");
      if (message === undefined) continue;
      await Promise.all(
        nodes.map(({ process }) => logLine(process, message)),
      );
    }
    assert.equal(isOver, false, "the download was over before the reloads");
    const { code, stderr } = await download;
    assert.equal(code, 0, stderr);
    assert.equal(
      await hashOf(await Deno.readFile(path)),
      await hashOf(file),
    );
  },
});
