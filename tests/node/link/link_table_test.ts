import assert from "node:assert/strict";
import fc from "fast-check";
import { customNetwork } from "../../../lib/auth/network.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import { createNodeRecord } from "../../../lib/auth/node_record.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { errorCode, ProtocolError } from "../../../lib/base/errors.ts";
import type { Connection } from "../../../lib/transport/transport.ts";
import { testContent } from "../../support/nodes.ts";
import { testLinkAttacks } from "./link_attacks.ts";
import { testLinks } from "./link_contract.ts";
import {
  codeOf,
  CRYPTO,
  inMemory,
  type MemoryWorld,
  NETWORK,
  readAll,
  type TestNode,
} from "./link_world.ts";

testLinks("in memory", inMemory);
testLinkAttacks("in memory", inMemory);

const DESERTED = { host: "127.0.0.9", port: 9 };

/** Connect to a node and say nothing. */
async function knock(
  world: MemoryWorld,
  target: TestNode,
): Promise<Connection> {
  const endpoint = await world.endpoint(world.identity());
  return await endpoint.dial(
    target.endpoint.localAddress,
    target.identity.publicKey,
  );
}

Deno.test("LinkTable cuts off a peer that is silent for 10 s, before or within the handshake", () =>
  inMemory(async (world) => {
    const b = await world.node();
    const silent = await Promise.all([knock(world, b), knock(world, b)]);
    const [, half] = silent;
    const stream = await half.openStream();
    await stream.write(Uint8Array.of(0, 0, 1, 0, 0xa4));
    await sleep(world.clock, 9_000);
    assert.equal(b.table.stats.answering, 2);
    for (const connection of silent) {
      assert.deepEqual(await connection.closed, { by: "remote", code: 1 });
    }
    assert.ok(world.clock.nowMs() <= 12_000);
    await sleep(world.clock, 1000);
    assert.equal(b.table.stats.answering, 0);
    assert.deepEqual(await b.refusals.reach(2), [
      "link.handshake_timeout",
      "link.handshake_timeout",
    ]);
  }));

Deno.test("LinkTable answers no more handshakes at once than it has places for", () =>
  inMemory(async (world) => {
    const b = await world.node({ tableLimits: { handshakes: 5 } });
    const silent = await Promise.all(
      Array.from({ length: 5 }, () => knock(world, b)),
    );
    const a = await world.node();
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.busy");
    assert.equal(b.table.stats.turnedAway, 1);
    await Promise.all(silent.map((connection) => connection.closed));
    await sleep(world.clock, 2000);
    assert.ok(await a.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable tells newcomers that it is busy while it is overloaded", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    b.table.load = "overloaded";
    assert.equal(b.table.load, "overloaded");
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.busy");
    b.table.load = "normal";
    await sleep(world.clock, 1000);
    assert.ok(await a.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable of a node without a record answers no dial, and dials", () =>
  inMemory(async (world) => {
    const client = await world.node({ role: "client" });
    const relay = await world.node();
    assert.equal(await codeOf(relay.table.getOrDial(client.peer)), "link.busy");
    assert.ok(await client.table.getOrDial(relay.peer));
  }));

Deno.test("LinkTable makes one link of two dials, the lower node's, in every order of events", () =>
  fc.assert(
    fc.asyncProperty(
      fc.nat(60),
      fc.integer({ min: 1, max: 30 }),
      (delayMs, latencyMs) =>
        inMemory(async (world) => {
          world.network.intercept = () => ({ delayMs: latencyMs });
          const [a, b] = [await world.node(), await world.node()];
          const talk = async (from: TestNode, to: TestNode) => {
            const link = await from.table.getOrDial(to.peer);
            const circuit = await link.openCircuit();
            for (let count = 0; count < 3; count++) {
              await link.request("test.echo");
            }
            return circuit;
          };
          const later = sleep(world.clock, delayMs).then(() => talk(b, a));
          const circuits = await Promise.all([talk(a, b), later]);
          await sleep(world.clock, 7000);
          const [ab, ba] = [
            a.table.get(b.identity.publicKey),
            b.table.get(a.identity.publicKey),
          ];
          assert.ok(ab !== undefined && ba !== undefined);
          assert.notEqual(ab.direction, ba.direction);
          // Circuits begun on the other link live on it.
          for (const [index, circuit] of circuits.entries()) {
            const [seen] = (index === 0 ? b : a).circuits.items;
            await seen?.write(Uint8Array.of(7));
            const got = await circuit.read(new Uint8Array(1));
            assert.deepEqual(got, Uint8Array.of(7));
            circuit.cancel();
            seen?.cancel();
          }
          await sleep(world.clock, 7000);
          assert.equal(a.table.stats.draining, 0);
          assert.equal(b.table.stats.draining, 0);
          assert.equal(world.network.connections, 1);
          await ab.request("test.echo");
          await ba.request("test.echo");
        }),
    ),
    { numRuns: 40 },
  ));

Deno.test("LinkTable keeps the link that the lower node dialled", () =>
  inMemory(async (world) => {
    for (let round = 0; round < 6; round++) {
      const [a, b] = [await world.node(), await world.node()];
      await Promise.all([a.table.getOrDial(b.peer), b.table.getOrDial(a.peer)]);
      const lower = a.identity.nodeId.toHex() < b.identity.nodeId.toHex()
        ? a
        : b;
      const higher = lower === a ? b : a;
      const link = lower.table.get(higher.identity.publicKey);
      assert.equal(link?.direction, "outbound");
      const other = higher.table.get(lower.identity.publicKey);
      assert.equal(other?.direction, "inbound");
    }
  }));

Deno.test("LinkTable takes a restarted peer's new link, whichever id is lower", () =>
  inMemory(async (world) => {
    for (let round = 0; round < 4; round++) {
      const b = await world.node();
      const first = await world.node();
      await first.table.getOrDial(b.peer);
      await sleep(world.clock, 30_000);
      world.network.crash(first.endpoint);
      const again = await world.node({ identity: first.identity });
      const link = await again.table.getOrDial(b.peer);
      await link.request("test.echo");
      const back = b.table.get(first.identity.publicKey);
      assert.equal(back?.isDraining, false);
      assert.ok(await back?.request("test.echo") !== undefined);
      await sleep(world.clock, 20_000);
      assert.equal(b.table.stats.draining, 0);
    }
  }));

Deno.test("LinkTable bounds the links of one key", () =>
  inMemory(async (world) => {
    const b = await world.node({ tableLimits: { linksPerKey: 3 } });
    const identity = world.identity();
    for (let count = 0; count < 10; count++) {
      await world.rawDial(b, {
        identity,
        endpoint: await world.endpoint(identity),
      });
      const { links, draining } = b.table.stats;
      assert.equal(links, 1);
      assert.ok(draining <= 2);
    }
    assert.equal((await b.links.reach(10)).length, 10);
    assert.equal((await b.ends.reach(7)).length, 7);
  }));

Deno.test("LinkTable makes room for newcomers by what has been idle for 30 s, never by what is in use", () =>
  inMemory(async (world) => {
    const b = await world.node({ tableLimits: { links: 3 } });
    const peers = [];
    for (let count = 0; count < 5; count++) peers.push(await world.node());
    const [one, two, three, four, five] = peers as [
      TestNode,
      TestNode,
      TestNode,
      TestNode,
      TestNode,
    ];
    const inUse = await one.table.getOrDial(b.peer);
    await inUse.openCircuit();
    await two.table.getOrDial(b.peer);
    await sleep(world.clock, 1000);
    await three.table.getOrDial(b.peer);
    assert.equal(await codeOf(four.table.getOrDial(b.peer)), "link.busy");
    assert.equal(b.table.stats.links, 3);
    await sleep(world.clock, 31_000);
    await four.table.getOrDial(b.peer);
    assert.equal(b.table.stats.links, 3);
    assert.equal(b.table.get(two.identity.publicKey), undefined);
    assert.ok(b.table.get(three.identity.publicKey) !== undefined);
    assert.equal(inUse.isOpen, true);
    await five.table.getOrDial(b.peer);
    assert.equal(await codeOf(two.table.getOrDial(b.peer)), "link.busy");
    assert.equal(inUse.isOpen, true);
    assert.deepEqual(
      (await b.ends.reach(2)).map((end) => end.reason),
      ["link.evicted", "link.evicted"],
    );
  }));

Deno.test("LinkTable.getOrDial() evicts what is idle, and says when nothing is", () =>
  inMemory(async (world) => {
    const a = await world.node({ tableLimits: { links: 1 } });
    const [b, c] = [await world.node(), await world.node()];
    await a.table.getOrDial(b.peer);
    const link = await a.table.getOrDial(c.peer);
    assert.equal(a.table.get(b.identity.publicKey), undefined);
    const circuit = await link.openCircuit();
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.full");
    circuit.cancel();
    assert.ok(await a.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable bounds the links of one host on the open Internet", () =>
  inMemory(async (world) => {
    const open = customNetwork({
      name: "local",
      powDifficulty: 0,
      allowPrivateAddresses: false,
    });
    const b = await world.node({
      tableLimits: { linksPerHost: 2 },
      network: open,
    });
    const clients = [];
    for (let count = 0; count < 3; count++) {
      clients.push(await world.node({ role: "client" }));
    }
    const [one, two, three] = clients;
    await one?.table.getOrDial(b.peer);
    const second = await two?.table.getOrDial(b.peer);
    const refused = codeOf(three?.table.getOrDial(b.peer) ?? Promise.resolve());
    assert.equal(await refused, "link.busy");
    second?.close();
    await sleep(world.clock, 2000);
    assert.ok(await three?.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable.getOrDial() backs off from a peer that failed, at these addresses", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const { publicKey } = b.identity;
    const wrong = { publicKey, addresses: [DESERTED] };
    assert.equal(
      await codeOf(a.table.getOrDial(wrong)),
      "link.dial_timeout",
    );
    await assert.rejects(a.table.getOrDial(wrong), (error: Error) => {
      assert.equal(errorCode(error), "link.backoff");
      assert.equal(errorCode(error.cause), "link.dial_timeout");
      return true;
    });
    await sleep(world.clock, 1000);
    const again = codeOf(a.table.getOrDial(wrong));
    assert.equal(await again, "link.dial_timeout");
    assert.ok(await a.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable.getOrDial() tries the next address after a second, and the first wins", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const startMs = world.clock.nowMs();
    const link = await a.table.getOrDial({
      publicKey: b.identity.publicKey,
      addresses: [
        DESERTED,
        { host: "127.0.0.8", port: 8 },
        ...b.peer.addresses,
      ],
    });
    assert.deepEqual(link.remoteAddress, b.endpoint.localAddress);
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs >= 2000 && tookMs < 2200);
    await sleep(world.clock, 30_000);
    assert.equal(world.network.connections, 1);
  }));

Deno.test("LinkTable.getOrDial() goes on at once from an address where another node is", () =>
  inMemory(async (world) => {
    const [a, b, c] = [
      await world.node(),
      await world.node(),
      await world.node(),
    ];
    const startMs = world.clock.nowMs();
    await a.table.getOrDial({
      publicKey: b.identity.publicKey,
      addresses: [...c.peer.addresses, ...b.peer.addresses],
    });
    assert.ok(world.clock.nowMs() - startMs < 500);
  }));

Deno.test("LinkTable.getOrDial() tells the most telling of several errors", () =>
  inMemory(async (world) => {
    const [a, c] = [await world.node(), await world.node()];
    const { publicKey } = world.identity();
    const addresses = [DESERTED, ...c.peer.addresses];
    assert.equal(
      await codeOf(a.table.getOrDial({ publicKey, addresses })),
      "link.wrong_identity",
    );
    assert.equal(
      await codeOf(a.table.getOrDial({ publicKey, addresses: [] })),
      "link.no_address",
    );
  }));

Deno.test("LinkTable.getOrDial() does not dial itself", () =>
  inMemory(async (world) => {
    const client = await world.node({ role: "client" });
    const relay = await world.node();
    for (const node of [client, relay]) {
      assert.equal(await codeOf(node.table.getOrDial(node.peer)), "link.self");
    }
  }));

Deno.test("LinkTable.getOrDial() leaves the dial to others when one caller gives up", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const controller = new AbortController();
    const { signal } = controller;
    const impatient = assert.rejects(
      a.table.getOrDial(b.peer, { signal }),
      /enough/,
    );
    const patient = a.table.getOrDial(b.peer);
    controller.abort(new Error("enough"));
    await impatient;
    assert.equal((await patient).isOpen, true);
    await assert.rejects(
      a.table.getOrDial({ ...b.peer, publicKey: world.identity().publicKey }, {
        signal,
      }),
      /enough/,
    );
  }));

Deno.test("LinkTable.getOrDial() gives up on a peer that never says a word", () =>
  inMemory(async (world) => {
    const a = await world.node();
    const identity = world.identity();
    const mute = await world.endpoint(identity);
    const accepted = mute.accept();
    const peer = {
      publicKey: identity.publicKey,
      addresses: [mute.localAddress],
    };
    assert.equal(
      await codeOf(a.table.getOrDial(peer)),
      "link.handshake_timeout",
    );
    assert.equal((await (await accepted)?.closed)?.by, "remote");
    assert.equal(a.table.stats.dialling, 0);
  }));

Deno.test("LinkTable.getOrDial() is not told why it was refused", () =>
  inMemory(async (world) => {
    const wrong = customNetwork({
      name: "other",
      powDifficulty: 0,
      allowPrivateAddresses: true,
    });
    const b = await world.node();
    const a = await world.node({ network: wrong });
    const c = await world.node({ record: () => expired });
    const expired = createNodeRecord(
      CRYPTO,
      c.identity,
      NETWORK,
      testContent({
        sequence: world.clock.unixMs() - 7_200_000,
        expiry: world.clock.unixMs() - 1,
      }),
    ).encoded;
    const d = await world.node({ record: () => b.table && borrowed });
    const borrowed = world.record(b.identity);
    for (const node of [a, c, d]) {
      assert.equal(await codeOf(node.table.getOrDial(b.peer)), "link.refused");
    }
    assert.deepEqual(await b.refusals.reach(3), [
      "link.wrong_network",
      "auth.record_date",
      "link.record_identity",
    ]);
    // And the other way round: the dialler finds the same in an answer.
    assert.equal(await codeOf(b.table.getOrDial(c.peer)), "auth.record_date");
    assert.equal(
      await codeOf(b.table.getOrDial(d.peer)),
      "link.record_identity",
    );
    await sleep(world.clock, 5000);
    assert.equal(b.table.stats.links, 0);
  }));

for (
  const [what, oursMs, theirsMs, code] of [
    ["hours older than ours: a clock", 0, -3 * 3_600_000, "auth.record_date"],
    ["as old as ours: no clock", 0, -60_000, "link.refused"],
  ] as const
) {
  Deno.test(`LinkTable.getOrDial() looks at the record of a peer that refuses ours: ${what}`, () =>
    inMemory(async (world) => {
      const unixMs = world.clock.unixMs();
      const dated = (node: TestNode, ofMs: number) =>
        createNodeRecord(
          CRYPTO,
          node.identity,
          NETWORK,
          testContent({
            sequence: unixMs + ofMs,
            expiry: unixMs + 20 * 3_600_000,
          }),
        ).encoded;
      const strict = {
        verify: () => Promise.reject(new ProtocolError("test", "No")),
      } as unknown as RecordVerifier;
      const b: TestNode = await world.node({
        verifier: strict,
        record: () => dated(b, theirsMs),
      });
      const a: TestNode = await world.node({ record: () => dated(a, oursMs) });
      assert.equal(await codeOf(a.table.getOrDial(b.peer)), code);
    }));
}

Deno.test("LinkTable refuses a record that no work was done for", () =>
  inMemory(async (world) => {
    const hard = customNetwork({
      name: "local",
      powDifficulty: 30,
      allowPrivateAddresses: true,
    });
    // The hash of whatever was tried begins with a one: there was no work.
    const lazy = {
      ...CRYPTO,
      scrypt: () => Promise.resolve(new Uint8Array(32).fill(255)),
    };
    const b = await world.node({
      verifier: new RecordVerifier(lazy, hard),
      network: hard,
    });
    const a = await world.node();
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.refused");
    // Of rent and work, which both are wanting, it is rent that is looked at first.
    assert.deepEqual(await b.refusals.reach(1), ["auth.record_rent"]);
    assert.equal(await codeOf(b.table.getOrDial(a.peer)), "auth.record_rent");
    await sleep(world.clock, 2000);
    assert.equal(a.table.stats.links + b.table.stats.links, 0);
  }));

Deno.test("LinkTable lives on when the node's own code throws", () =>
  inMemory(async (world) => {
    const a = await world.node({
      handlers: {
        onLink: () => {
          throw new Error("onLink failed");
        },
        onLinkClosed: () => {
          throw new Error("onLinkClosed failed");
        },
        onCircuit: () => {
          throw new Error("onCircuit failed");
        },
      },
    });
    const b = await world.node();
    const link = await b.table.getOrDial(a.peer);
    const circuit = await link.openCircuit();
    assert.equal(await readAll(circuit), 0);
    await link.request("test.echo");
    link.close();
    await link.closed;
    await sleep(world.clock, 1000);
    assert.deepEqual(a.errors.map(String), [
      "Error: onLink failed",
      "Error: onCircuit failed",
      "Error: onLinkClosed failed",
    ]);
  }));

Deno.test("LinkTable goes on answering when its own record cannot be had for once", () =>
  inMemory(async (world) => {
    let isBroken = true;
    const identity = world.identity();
    const b = await world.node({
      identity,
      record: () => {
        if (isBroken) throw new Error("no record");
        return world.record(identity);
      },
    });
    const a = await world.node();
    assert.equal(await codeOf(a.table.getOrDial(b.peer)), "link.busy");
    assert.deepEqual(b.errors.map(String), ["Error: no record"]);
    isBroken = false;
    await sleep(world.clock, 1000);
    assert.ok(await a.table.getOrDial(b.peer));
  }));

Deno.test("LinkTable.probe() closes links that do not answer, and leaves the others", () =>
  inMemory(async (world) => {
    const [a, b, c] = [
      await world.node(),
      await world.node(),
      await world.node(),
    ];
    const toB = await a.table.getOrDial(b.peer);
    const toC = await a.table.getOrDial(c.peer);
    const startMs = world.clock.nowMs();
    a.table.probe(2_000);
    await sleep(world.clock, 3_000);
    assert.ok(toB.isOpen && toC.isOpen, "both answer");
    const { port } = b.endpoint.localAddress;
    world.network.intercept = ({ from, to }) =>
      [from.port, to.port].includes(port) ? { delayMs: 3_600_000 } : undefined;
    // One question at a time, however often there is doubt.
    for (let n = 0; n < 100; n++) a.table.probe(2_000);
    await toB.closed;
    assert.equal(world.clock.nowMs() - startMs, 5_000);
    await sleep(world.clock, 3_000);
    assert.ok(toC.isOpen);
  }));

Deno.test("LinkTable.close() ends silent peers and dials under way", () =>
  inMemory(async (world) => {
    const [a, b] = [await world.node(), await world.node()];
    const silent = await knock(world, b);
    await sleep(world.clock, 100);
    const identity = world.identity();
    const mute = await world.endpoint(identity);
    const dial = codeOf(b.table.getOrDial({
      publicKey: identity.publicKey,
      addresses: [mute.localAddress],
    }));
    const dead = codeOf(b.table.getOrDial({
      publicKey: a.identity.publicKey,
      addresses: [DESERTED],
    }));
    await sleep(world.clock, 100);
    await b.table.close();
    assert.match(String(await dial), /^(link|transport)\./);
    assert.match(String(await dead), /^(link|transport)\./);
    assert.equal((await silent.closed).by, "remote");
    assert.deepEqual(b.errors, []);
  }));
