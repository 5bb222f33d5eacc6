/** One relay command with two workers: one family of two relays, in threads of one process. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { logLine, runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { UdpPorts } from "../support/udp_ports.ts";
import { testBytes } from "./_site.ts";

const MORTAL = fileURLToPath(
  new URL("../support/mortal_workers.ts", import.meta.url),
);

const BODY = testBytes(2_000_000);

/** What a node tells of itself when it is asked, as JSON. */
async function ask(command: string, state: string) {
  const { code, stdout, stderr } = await runProgram([
    command,
    "--json",
    `--state=${state}`,
  ]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** By curl, through a proxy. */
async function fetchBody(socks: string, host: string): Promise<Uint8Array> {
  const { code, stdout } = await new Deno.Command("curl", {
    args: [
      "-sS",
      "--max-time",
      "25",
      "-x",
      `socks5h://${socks}`,
      `http://${host}/`,
    ],
  }).output();
  assert.equal(code, 0);
  return stdout;
}

Deno.test({
  name:
    "two workers of one command carry a download as one family, and one that dies is started again",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using network = await ProcessNetwork.start({
      relays: 3,
      program: (command) => command === "relay" ? { program: MORTAL } : {},
    });
    using ports = new UdpPorts(1);
    const [port] = ports.ports;
    const config = network.home.pathOf("relay.toml");
    await Deno.writeTextFile(config, 'rate = "40MB"');
    const relay = await network.start("relay", "workers", [
      "--workers=2",
      `--config=${config}`,
      `--listen=127.0.0.1:${port}`,
    ]);
    const states = [relay.state, `${relay.state}/worker-1`];
    const before = await Promise.all(states.map((s) => ask("status", s)));
    const keys: string[] = before.map(({ publicKey }) => publicKey);
    assert.equal(new Set(keys).size, 2);
    assert.equal(before[0].family.key, before[1].family.key);
    // In records that all have verified: what paths look at.
    assert.deepEqual(before.map(({ family }) => family.relays), [2, 2]);
    assert.match(before[1].address, new RegExp(`:${Number(port) + 1}$`));

    await using site = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(BODY),
    );
    const service = await network.serve([`80=127.0.0.1:${site.addr.port}`]);
    const proxy = await network.proxy("proxy");
    assert.deepEqual(await fetchBody(proxy.socks, service.host), BODY);
    Deno.kill(relay.pid, "SIGUSR1");
    const ended = await logLine(
      relay.process,
      "A worker ended, and is started again; the others go on",
    );
    assert.equal(ended["worker"], 1);
    assert.deepEqual(await fetchBody(proxy.socks, service.host), BODY);
    const back = await logLine(relay.process, "A worker is back");
    assert.equal(back["worker"], 1);
    const after = await Promise.all(states.map((s) => ask("status", s)));
    assert.deepEqual(
      after.map(({ address }) => address),
      before.map(({ address }) => address),
    );
    assert.ok(after[0].uptimeMs > before[0].uptimeMs, "the other went on");

    assert.deepEqual(after.map(({ limits }) => limits.rate), [20e6, 20e6]);
    await Deno.writeTextFile(config, 'rate = "30MB"');
    Deno.kill(relay.pid, "SIGHUP");
    const reloaded = "The configuration was reloaded";
    for (const worker of ["worker-0", "worker-1"]) {
      const { changed } = await logLine(
        relay.process,
        reloaded,
        ({ part }) => part === worker,
      );
      assert.equal(changed, "limits");
    }
    const later = await Promise.all(states.map((s) => ask("status", s)));
    assert.deepEqual(later.map(({ limits }) => limits.rate), [15e6, 15e6]);
    assert.doesNotMatch(await relay.endAndGetLog(), /takes a restart/);
  },
});
