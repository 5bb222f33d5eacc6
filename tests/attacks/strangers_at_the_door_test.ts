/**
 * A stranger connects, fills all streams that a connection has with bytes that no reader takes,
 * and proves nothing: until the handshake is given up, the node holds all of it.
 *
 * @see protocol §3.2 "Handshake" and §3.6 "Limits"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { DEFAULT_ROOM_LIMITS, LinkRoom } from "../../lib/link/link_room.ts";
import { inMemory } from "../node/link/link_world.ts";

/** Bytes that QUIC keeps of a stream that no reader takes anything from. */
const PARKED_BYTES = 1_250_000;
const MIB = 1024 * 1024;

for (const first of ["silent", "hello"] as const) {
  Deno.test(`a stranger that opens a second stream before it is known is gone at once (${first})`, () =>
    inMemory(async (world) => {
      const target = await world.node();
      const endpoint = await world.endpoint(world.identity());
      const connection = await endpoint.dial(
        target.endpoint.localAddress,
        target.identity.publicKey,
      );
      const fromMs = world.clock.nowMs();
      let parked = 0;
      for (let count = 0; count < 127; count++) {
        const stream = await connection.openStream();
        const bytes = new Uint8Array(first === "hello" && count === 0 ? 2 : 9);
        stream.write(bytes).then(() => parked++, () => {});
      }
      const { code } = await connection.closed;
      const heldMs = world.clock.nowMs() - fromMs;
      assert.ok(heldMs < 1000, `127 streams were held for ${heldMs} ms`);
      assert.equal(code, 1);
      assert.equal(target.table.stats.links, 0);
    }));
}

Deno.test("a dialler that speaks at once after its welcome loses none of its streams", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const link = await a.table.getOrDial(b.peer);
    await Promise.all(
      Array.from({ length: 40 }, () => link.request("test.echo")),
    );
    await sleep(world.clock, 1000);
    assert.equal(link.isOpen, true);
  }));

Deno.test("one host holds at most 8 MiB of a node before it has proven anything", () => {
  const room = new LinkRoom(DEFAULT_ROOM_LIMITS, { isOneHost: false });
  const under = new Set<object>();
  const connect = (host: string, nowMs: number) => {
    const remoteAddress: SocketAddress = { host, port: 1 };
    const connection = { remoteAddress };
    const verdict = room.onConnection(connection, "normal", nowMs);
    if (verdict.type === "refuse") return "refused";
    under.add(connection);
    if (verdict.evicted !== undefined) under.delete(verdict.evicted);
    return "answered";
  };
  for (let count = 0; count < 64; count++) connect("192.0.2.7", count);
  assert.ok(under.size * PARKED_BYTES <= 8 * MIB, `${under.size} handshakes`);
  // Its own handshakes give way to its next ones, and no other host's do.
  assert.equal(connect("192.0.2.8", 100), "answered");
  const before = under.size;
  assert.equal(connect("192.0.2.7", 2000), "answered");
  assert.equal(under.size, before);
  assert.equal(room.handshakes, under.size);
});
