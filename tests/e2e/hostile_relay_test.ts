/** A relay that the Internet does not like. */
import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { parseNodeAddress } from "../../lib/auth/node_address.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import { firstPackets, garbage } from "../support/hostile_datagrams.ts";
import { testIdentity } from "../support/nodes.ts";
import { startRelay } from "../support/process.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** What 256 handshakes under way may take for good: 60 KiB each, and the heap's slack. */
const SLACK_MIB = 48;

/** Resident memory of a process in MiB, where the system tells it. */
async function residentMib(pid: number): Promise<number | undefined> {
  if (Deno.build.os === "windows") return undefined;
  const ps = new Deno.Command("ps", { args: ["-o", "rss=", "-p", `${pid}`] });
  const { stdout } = await ps.output();
  return Number(new TextDecoder().decode(stdout)) / 1024;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** Connections that never say hello. */
async function silentConnections(
  count: number,
  address: string,
): Promise<AsyncDisposable & { readonly open: number }> {
  const crypto = nativeSuite();
  const { alpn } = networkParameters("local");
  const target = parseNodeAddress(address);
  const endpoint = await openQuicEndpoint({
    address: { host: "127.0.0.1", port: 0 },
    alpn,
    identity: testIdentity(crypto, 1),
    crypto,
  });
  let open = 0;
  for (let n = 0; n < count; n++) {
    const connection = await endpoint.dial(target.address, target.publicKey);
    open++;
    connection.closed.then(() => open--);
  }
  return {
    get open() {
      return open;
    },
    [Symbol.asyncDispose]: () => endpoint.close(),
  };
}

Deno.test("a relay outlives 20,000 hostile datagrams and 500 half handshakes, and lets a newcomer in", async () => {
  await using home = await TemporaryDirectory.create();
  await using relay = await startRelay(home.pathOf("relay"));
  const target: Deno.NetAddr = {
    transport: "udp",
    hostname: "127.0.0.1",
    port: portOf(relay.address),
  };
  const before = await residentMib(relay.process.pid);
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const random = seededRandom(7);
  const halves = await firstPackets(500, networkParameters("local").alpn);
  for (let i = 0; i < 20_000; i++) {
    await socket.send(garbage(random), target);
    const half = i % 40 === 0 ? halves.pop() : undefined;
    if (half !== undefined) await socket.send(half, target);
  }
  socket.close();
  assert.equal(halves.length, 0);
  await using silent = await silentConnections(500, relay.address);

  await using newcomer = await startRelay(home.pathOf("newcomer"), [
    "--bootstrap",
    relay.address,
  ]);
  assert.ok(newcomer.ready.address !== null);
  // It came in beside them.
  assert.ok(silent.open > 0);
  const after = await residentMib(relay.process.pid);
  if (before !== undefined && after !== undefined) {
    assert.ok(after < before + SLACK_MIB, `${before} MiB grew to ${after}`);
  }
  const { stderr } = await relay.process.stop();
  assert.doesNotMatch(stderr, /"level":"error"/);
  await newcomer.process.stop();
});
