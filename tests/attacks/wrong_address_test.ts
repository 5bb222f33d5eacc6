/**
 * A client has a relay dial where it must not: good relays at addresses where they are not, so that
 * others cannot be extended to them meanwhile; and addresses of no relay, to look
 * for open ports or to send first packets to a victim.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import assert from "node:assert/strict";
import { createNodeRecord } from "../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { sleep } from "../../lib/base/clock.ts";
import { type Bytes, equalBytes } from "../../lib/base/bytes.ts";
import type { CircuitAccount } from "../../lib/circuit/circuit_places.ts";
import {
  MAX_DIALS_ASKED,
  MAX_DIALS_OF_ASKER,
  MAX_DIALS_OF_PEER,
} from "../../lib/link/dial_places.ts";
import {
  MAX_CHECKS,
  MAX_CHECKS_PER_ACCOUNT,
  NextRelays,
} from "../../lib/node/relay/next_relays.ts";
import {
  build,
  CIRCUIT_CRYPTO,
  type Hop,
  startClient,
  startRelay,
  startRelays,
  tryBuild,
  withCircuits,
} from "../node/circuit/circuit_world.ts";
import {
  inMemory,
  type MemoryWorld,
  NETWORK,
  type TestNode,
} from "../node/link/link_world.ts";
import { TEST_UNIX_MS, testBytes, testRecord } from "../support/nodes.ts";

const run = withCircuits<MemoryWorld>(inMemory);
const DAY_MS = NETWORK.maxNodeRecordLifeMs;
/** Dead relays that a host extends to through each of its guards: some checks are refused. */
const DEAD_PER_GUARD = 3 * MAX_DIALS_OF_ASKER;
const DEAD: SocketAddress = { host: "127.0.9.9", port: 9 };

Deno.test("a dial to a good relay where it is not holds up none to where it is", () =>
  run(async (world) => {
    const [first, good] = await startRelays(world, 2);
    assert.ok(first && good);
    const { publicKey } = good.record;
    const lost = first.node.table.getOrDial({ publicKey, addresses: [DEAD] });
    lost.catch(() => {});
    const fromMs = world.clock.nowMs();
    const circuit = await build(await startClient(world), [first, good]);
    const tookMs = world.clock.nowMs() - fromMs;
    assert.ok(tookMs < 1000, `an honest circuit took ${tookMs} ms`);
    circuit.close();
    await lost;
  }));

/** Records of `relay` that another party made, or that are its own no more. */
const FALSE_RECORDS: readonly (readonly [
  string,
  (relay: Hop, other: Hop, nowMs: number) => Bytes,
])[] = [
  ["that is signed by another relay", (_relay, other) => other.record.encoded],
  ["that was changed", ({ record }) => {
    const changed = new Uint8Array(record.encoded);
    changed[40] = (changed[40] ?? 0) ^ 1;
    return changed;
  }],
  [
    "of a node that is no relay",
    ({ node, record }) =>
      createNodeRecord(CIRCUIT_CRYPTO, node.identity, NETWORK, {
        ...record,
        flags: [],
        addresses: [DEAD],
      }).encoded,
  ],
  [
    "that has expired a day ago",
    ({ node, record }, _other, unixMs) =>
      createNodeRecord(CIRCUIT_CRYPTO, node.identity, NETWORK, {
        ...record,
        sequence: unixMs - DAY_MS - 7_200_000,
        expiry: unixMs - DAY_MS - 1000,
        addresses: [DEAD],
      }).encoded,
  ],
  ["of nothing", () => new Uint8Array()],
];

for (const [what, make] of FALSE_RECORDS) {
  Deno.test(`a relay dials no address of a record ${what}`, () =>
    run(async (world) => {
      const [first, good, other] = await startRelays(world, 3);
      assert.ok(first && good && other);
      const encoded = make(good, other, world.clock.unixMs());
      const client = await startClient(world);
      const claimed = { node: good.node, record: { ...good.record, encoded } };
      const result = await tryBuild(client, [first, claimed]);
      assert.deepEqual(result, {
        ok: false,
        failure: { code: "not_extended", hop: 2, reason: "refused" },
      });
      assert.equal(first.node.table.stats.dialling, 0);
      const others = first.node.table.links.filter(({ isRelay }) => isRelay);
      assert.deepEqual(others, []);
    }));
}

Deno.test("a relay extends to a relay that it never heard of, by its record", () =>
  run(async (world) => {
    const [first, unheard] = [await startRelay(world), await startRelay(world)];
    const circuit = await build(await startClient(world), [first, unheard]);
    assert.equal(circuit.path.length, 2);
    circuit.close();
  }));

Deno.test("a relay extends by a record that has expired lately: clients sleep, and their clocks differ", () =>
  run(async (world) => {
    const [first, next] = await startRelays(world, 2);
    assert.ok(first && next);
    const unixMs = world.clock.unixMs();
    const record = createNodeRecord(
      CIRCUIT_CRYPTO,
      next.node.identity,
      NETWORK,
      {
        ...next.record,
        sequence: unixMs - DAY_MS - 3_600_000,
        expiry: unixMs - 3_600_000,
      },
    );
    const circuit = await build(
      await startClient(world),
      [first, { node: next.node, record }],
    );
    assert.equal(circuit.path.length, 2);
    circuit.close();
  }));

Deno.test("records of no work, whose check takes long, hold up few checks, and none of a relay that is known", async () => {
  const checking: Bytes[] = [];
  const known = testRecord(CIRCUIT_CRYPTO, 1);
  const relays = new NextRelays({
    network: NETWORK,
    clock: { unixMs: () => TEST_UNIX_MS },
    verifier: {
      recall: (encoded) =>
        equalBytes(encoded, known.encoded) ? known : undefined,
      verifyOverdue(encoded) {
        checking.push(new Uint8Array(encoded));
        return new Promise(() => {});
      },
    },
  });
  const neighbours = Array.from(
    { length: 64 },
    (_, seed): CircuitAccount => ({ name: `${seed}`, kind: "relay" }),
  );
  const [hostile, honest] = neighbours;
  assert.ok(hostile && honest);
  const junk = (number: number) => testBytes(`junk ${number}`, 900);
  let refused = 0;
  const ask = (encoded: Bytes, neighbour: CircuitAccount) =>
    relays.find(known.nodeId, encoded, neighbour);
  const flood = (neighbour: CircuitAccount) => {
    for (let count = 0; count < 100; count++) {
      ask(junk(count), neighbour).catch((error) => {
        assert.equal(error.code, "circuit.checks_busy");
        refused++;
      });
    }
  };
  flood(hostile);
  assert.equal(checking.length, MAX_CHECKS_PER_ACCOUNT);
  // Another neighbour's is begun all the same.
  ask(junk(1), honest);
  assert.equal(checking.length, MAX_CHECKS_PER_ACCOUNT + 1);
  for (const neighbour of neighbours) flood(neighbour);
  assert.equal(checking.length, MAX_CHECKS);
  for (const neighbour of neighbours) {
    assert.equal(await ask(known.encoded, neighbour), known);
  }
  assert.equal(refused, 65 * 100 + 1 - MAX_CHECKS);
});

Deno.test("one identity that claims ever other dead addresses takes up few dials, and holds up no other's", () =>
  run(async (world) => {
    const [first, next, liar] = await startRelays(world, 3);
    assert.ok(first && next && liar);
    const client = await startClient(world);
    const dead = Array.from({ length: 86 }, (_, count) => ({
      node: liar.node,
      record: createNodeRecord(CIRCUIT_CRYPTO, liar.node.identity, NETWORK, {
        ...liar.record,
        addresses: [1, 2, 3, 4].map((host) => ({
          host: `127.0.9.${host}`,
          port: 1 + count,
        })),
      }),
    }));
    const tries: ReturnType<typeof tryBuild>[] = [];
    for (const hop of dead) {
      tries.push(tryBuild(client, [first, hop]));
      await sleep(world.clock, 50);
    }
    assert.equal(first.node.table.stats.dialling, MAX_DIALS_OF_PEER);
    const circuit = await build(client, [first, next]);
    circuit.close();
    for (const { ok } of await Promise.all(tries)) assert.equal(ok, false);
    assert.equal(first.node.table.stats.dialling, 0);
  }));

/** An identity that answers nowhere, at four addresses. */
function deadRelay({ world, node }: Siege, number: number): Hop {
  const unixMs = world.clock.unixMs();
  const addresses = [1, 2, 3, 4].map((host) => ({
    host: `127.0.${10 + number}.${host}`,
    port: 9,
  }));
  const record = testRecord(CIRCUIT_CRYPTO, number, {
    addresses,
    sequence: unixMs,
    expiry: unixMs + 3_600_000,
  });
  return { node, record };
}

interface Siege {
  readonly world: MemoryWorld;
  readonly node: TestNode;
}

for (const through of ["at once", "through another relay"] as const) {
  Deno.test(`86 dead relays that one host extends to ${through} hold up no dial for others`, () =>
    run(async (world) => {
      const [first, next, guard] = await startRelays(world, 3);
      assert.ok(first && next && guard);
      const hostile = await startClient(world);
      const path = through === "at once" ? [first] : [guard, first];
      const siege = { world, node: next.node };
      const tries: ReturnType<typeof tryBuild>[] = [];
      for (let number = 0; number < 86; number++) {
        tries.push(tryBuild(hostile, [...path, deadRelay(siege, number)]));
        // As many as are checked at once.
        if (number % 4 === 3) await sleep(world.clock, 100);
      }
      // All their addresses are being dialled by then.
      await sleep(world.clock, 3000);
      const { dialling } = first.node.table.stats;
      const circuit = await build(await startClient(world), [first, next]);
      assert.equal(dialling, MAX_DIALS_OF_ASKER);
      circuit.close();
      for (const { ok } of await Promise.all(tries)) assert.equal(ok, false);
      assert.equal(first.node.table.stats.dialling, 0);
      assert.deepEqual(first.errors, []);
    }));
}

Deno.test("dead relays that one host extends to through many relays hold up no dial to a relay that was reached before", () =>
  run(async (world) => {
    const [first, next, honest, ...guards] = await startRelays(world, 7);
    assert.ok(first && next && honest);
    assert.ok(guards.length * MAX_DIALS_OF_ASKER >= MAX_DIALS_ASKED);
    const { table } = first.node;
    (await build(await startClient(world), [first, next])).close();
    table.get(next.record.publicKey)?.close();
    const siege = { world, node: next.node };
    const tries: ReturnType<typeof tryBuild>[] = [];
    for (const [index, guard] of guards.entries()) {
      const hostile = await startClient(world);
      for (let number = 0; number < DEAD_PER_GUARD; number++) {
        const dead = deadRelay(siege, index * DEAD_PER_GUARD + number);
        tries.push(tryBuild(hostile, [guard, first, dead]));
        if (number % 4 === 3) await sleep(world.clock, 100);
      }
    }
    await sleep(world.clock, 3000);
    assert.equal(table.stats.dialling, MAX_DIALS_ASKED);
    const client = await startClient(world);
    const circuit = await build(client, [honest, first, next]);
    circuit.close();
    for (const { ok } of await Promise.all(tries)) assert.equal(ok, false);
    assert.deepEqual(first.errors, []);
  }));
