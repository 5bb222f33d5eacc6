/**
 * A client has a relay dial where it must not: good relays at addresses where they are not, so that
 * others cannot be extended to them meanwhile; and addresses of no relay, to look
 * for open ports or to send first packets to a victim.
 *
 * @see protocol §5.5
 * @module
 */
import assert from "node:assert/strict";
import { createNodeRecord } from "../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
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
} from "../node/link/link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);
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
    "that has expired",
    ({ node, record }, _other, unixMs) =>
      createNodeRecord(CIRCUIT_CRYPTO, node.identity, NETWORK, {
        ...record,
        sequence: unixMs - 7_200_000,
        expiry: unixMs - 3_600_000,
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
