/** Processes that find each other on the LAN, told of no address. */
import assert from "node:assert/strict";
import { logLine, runProgram, startRelay } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** Whether this machine has a LAN to speak to; tests may not ask that themselves. */
function hasLan(): boolean {
  const script =
    "console.log(Deno.networkInterfaces().some(({ family, address }) => " +
    "family === 'IPv4' && !address.startsWith('127.')))";
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
  }).outputSync();
  return new TextDecoder().decode(stdout).trim() === "true";
}

Deno.test({
  name:
    "two relay processes find each other on the LAN with no address to join by",
  ignore: !hasLan(),
  async fn() {
    await using home = await TemporaryDirectory.create();
    const start = (name: string) =>
      startRelay(home.pathOf(name), ["--lan", "--listen", "0.0.0.0:0"]);
    const [one, two] = await Promise.all([start("one"), start("two")]);
    await using _one = one;
    await using _two = two;
    await logLine(one.process, "Joined the DHT");
    await logLine(two.process, "Joined the DHT");
    const asked = await runProgram([
      "peers",
      "--json",
      `--state=${home.pathOf("two")}`,
    ]);
    const peers: { publicKey: string }[] = JSON.parse(asked.stdout);
    assert.equal(peers.length, 1, asked.stdout);
    assert.ok(one.address.includes(peers[0]?.publicKey ?? "no peer"));
  },
});

Deno.test("--lan on the network of the Internet is refused in words", async () => {
  await using home = await TemporaryDirectory.create();
  const { code, stderr } = await runProgram([
    "relay",
    "--lan",
    "--network=main",
    `--state=${home.pathOf("state")}`,
  ]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /Cannot use --lan in network main/);
});
