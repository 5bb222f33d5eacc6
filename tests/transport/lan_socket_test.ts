import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { openLanSocket } from "../../lib/transport/lan_socket.ts";

/** Addresses of this machine that lead out of it; tests may not ask for them themselves. */
function lanHosts(): string[] {
  const script = "console.log(JSON.stringify(Deno.networkInterfaces()" +
    ".filter(({ family, address }) => family === 'IPv4' && !address.startsWith('127.'))" +
    ".map(({ address }) => address)))";
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
  }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout));
}

const HOSTS = lanHosts();

Deno.test({
  name:
    "what is sent to a LAN is heard by all who listen on this machine, until they close",
  ignore: HOSTS.length === 0,
  async fn() {
    const one = await openLanSocket(HOSTS);
    const two = await openLanSocket(HOSTS);
    const message = crypto.getRandomValues(new Uint8Array(114));
    const heard = async () => {
      for (;;) {
        const packet = await two.receive() ?? assert.fail();
        if (packet.message.length !== message.length) continue;
        if (packet.message.every((byte, index) => byte === message[index])) {
          return packet.from.host;
        }
      }
    };
    const hearing = heard();
    await one.send(message);
    assert.ok(HOSTS.includes(await hearing));
    two.close();
    one.close();
    assert.equal(await two.receive(), undefined);
  },
});

Deno.test("an address that is not this machine's is refused in words", async () => {
  await assert.rejects(
    openLanSocket(["203.0.113.7"]),
    (error) => error instanceof ConfigError && error.code === "transport.lan",
  );
});
