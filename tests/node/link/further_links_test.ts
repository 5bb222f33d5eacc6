import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";
import { MAX_LINKS_TO_PEER } from "../../../lib/link/spare_streams.ts";
import { codeOf, inMemory, type TestNode } from "./link_world.ts";

/** Open so many circuits, and see that all of them arrive. */
async function open(from: TestNode, to: TestNode, count: number) {
  const streams: ByteStream[] = [];
  for (let opened = 0; opened < count; opened++) {
    streams.push(await from.table.openCircuit(to.peer));
  }
  await to.circuits.reach(count);
  return streams;
}

Deno.test("LinkTable.openCircuit() opens far more circuits than one link bears", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    await open(a, b, 1000);
    assert.equal(a.table.stats.links, 1);
    assert.equal(a.table.stats.further, 8);
    // The peer still takes requests on the link of use.
    assert.ok(await a.table.get(b.peer.publicKey)?.request("test.echo"));
  }));

Deno.test("LinkTable.openCircuit() makes a new identity for each further link", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    await open(a, b, 300);
    const keys = b.table.links.map(({ peerKey }) => peerKey.toHex());
    assert.equal(new Set(keys).size, 3);
    // One of them is the relay itself, which its neighbour still knows by its record.
    assert.equal(b.table.links.filter(({ isRelay }) => isRelay).length, 1);
  }));

Deno.test("LinkTable.openCircuit() lets further links end once they are idle", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const streams = await open(a, b, 300);
    for (const stream of streams.slice(1)) stream.cancel();
    for (const stream of b.circuits.items.slice(1)) stream.cancel();
    await sleep(world.clock, 400_000);
    assert.equal(a.table.stats.links, 1);
    assert.equal(a.table.stats.further, 0);
  }));

Deno.test("LinkTable.openCircuit() says link.streams when the peer bears no more", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({ tableLimits: { links: 2 } });
    await open(a, b, 2 * 112);
    assert.equal(await codeOf(a.table.openCircuit(b.peer)), "link.streams");
    // What runs, runs on: a peer that is full is not a peer that is gone.
    await sleep(world.clock, 600_000);
    assert.equal(a.table.stats.links, 1);
    assert.equal(a.table.stats.further, 1);
    b.circuits.items[0]?.cancel();
    assert.ok(a.table.get(b.peer.publicKey)?.isOpen);
  }));

Deno.test("LinkTable.openCircuit() ends at so many links to one peer", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node({ linkLimits: { openStreams: 20 } });
    await open(a, b, 4 * MAX_LINKS_TO_PEER);
    assert.equal(await codeOf(a.table.openCircuit(b.peer)), "link.streams");
    assert.equal(a.table.stats.further, MAX_LINKS_TO_PEER - 1);
  }));

Deno.test("LinkTable.openCircuit() shares one dial among all that wait for it", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const b = await world.node();
    const many = Array.from({ length: 200 }, () => a.table.openCircuit(b.peer));
    assert.equal((await Promise.all(many)).length, 200);
    assert.equal(a.table.stats.further, 1);
  }));
