import assert from "node:assert/strict";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import {
  connect,
  newIdentity,
  type Party,
  withQuic,
} from "../transport/world.ts";

/** Whether this machine has IPv6 at all. */
const HAS_IPV6 = (() => {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();

function at(host: string, { endpoint }: Party): SocketAddress {
  return { host, port: endpoint.localAddress.port };
}

Deno.test('openQuicEndpoint() on "::" answers IPv4, and names peers plainly', () =>
  withQuic(async (world) => {
    const b = await world.open({ address: { host: "::", port: 0 } });
    const a = await world.open();
    const [, accepted] = await connect(a, b, at("127.0.0.1", b));
    assert.deepEqual(accepted.remoteAddress, a.endpoint.localAddress);
  }));

Deno.test('openQuicEndpoint() on "::" dials IPv4 from the port it listens on', () =>
  withQuic(async (world) => {
    const a = await world.open({ address: { host: "::", port: 0 } });
    const b = await world.open();
    const [dialled, accepted] = await connect(a, b);
    assert.deepEqual(dialled.remoteAddress, b.endpoint.localAddress);
    assert.deepEqual(accepted.remoteAddress, at("127.0.0.1", a));
  }));

Deno.test('openQuicEndpoint() on "::" speaks IPv6 where the machine does', () =>
  withQuic(async (world) => {
    const any = { host: "::", port: 0 };
    const [a, b] = [
      await world.open({ address: any }),
      await world.open({ address: any }),
    ];
    if (!HAS_IPV6) {
      assert.equal(a.endpoint.localAddress.host, "0.0.0.0");
      return;
    }
    const [dialled, accepted] = await connect(a, b, at("::1", b));
    assert.deepEqual(dialled.remoteAddress, at("::1", b));
    assert.deepEqual(accepted.remoteAddress, at("::1", a));
  }));

Deno.test("dial() of an IPv4 endpoint reaches no IPv6 peer, and says so at once", () =>
  withQuic(async (world) => {
    const a = await world.open();
    await assert.rejects(
      a.endpoint.dial({ host: "::1", port: 9 }, newIdentity().publicKey),
      { code: "transport.unreachable" },
    );
  }));

Deno.test("dial() to port 0 fails at once", () =>
  withQuic(async (world) => {
    const a = await world.open();
    await assert.rejects(
      a.endpoint.dial({ host: "127.0.0.1", port: 0 }, newIdentity().publicKey),
      { code: "transport.unreachable" },
    );
  }));

Deno.test("openQuicEndpoint() refuses an address of another machine, and says so", () =>
  withQuic(async (world) => {
    await assert.rejects(
      world.open({ address: { host: "192.0.2.1", port: 0 } }),
      { code: "transport.address" },
    );
  }));
