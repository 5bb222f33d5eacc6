import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { Blamed } from "../../lib/dht/table/blamed.ts";
import { RelayList } from "../../lib/dht/relay_list.ts";
import { RoutingTable } from "../../lib/dht/table/routing_table.ts";
import { TableFill } from "../../lib/dht/table_fill.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const network = networkParameters("local");
const SELF = point(0x01);

/** A table with a list of so many relays in its far half. */
function makeFill(relayCount: number, blamed: readonly NodeRecord[] = []) {
  const random = seededRandom(1);
  const table = new RoutingTable({
    network,
    random,
    selfId: SELF,
    selfPlace: SELF,
  });
  const relays = new RelayList({ crypto: nativeSuite(), random });
  for (let index = 0; index < relayCount; index++) {
    relays.merge(far(index), 0);
  }
  const keptOut = new Blamed();
  for (const { nodeId } of blamed) keptOut.add(nodeId, 0);
  const fill = new TableFill({
    random,
    table,
    relays,
    blamed: keptOut,
  });
  const draw = (nowMs: number, rounds = 0) =>
    fill.draw(rounds, { nowMs, unixMs: TEST_UNIX_MS + nowMs });
  const admit = (record: NodeRecord, nowMs: number) => {
    table.consider(record, nowMs);
    table.onAlive(record, record.addresses[0] ?? addressOf(0), nowMs);
  };
  return { table, relays, fill, draw, admit };
}

const FAR = Array.from(
  { length: 60 },
  (_, index) => fakeRecord(point(0x80, index)),
);

function far(index: number): NodeRecord {
  return FAR[index] ?? assert.fail();
}

Deno.test("draw() gives a bucket as many as it has room for, and a few to spare", () => {
  const { draw, admit, table } = makeFill(60);
  const first = draw(0);
  assert.equal(new Set(first).size, first.length);
  assert.ok(first.length >= network.k && first.length <= network.k + 4);
  for (const record of first) admit(record, 0);
  assert.equal(table.size, network.k);
  assert.deepEqual(draw(1000), []);
});

Deno.test("draw() gives neither contacts nor who is kept out, silent or expired", () => {
  const { draw, admit, relays } = makeFill(6, [far(0), far(1)]);
  admit(far(2), 0);
  relays.doubt(far(3).nodeId, 0);
  assert.deepEqual(new Set(draw(0)), new Set([far(4), far(5)]));
  assert.deepEqual(makeFill(6).draw(10 * 365 * 24 * 3_600_000), []);
});

Deno.test("hurry() has buckets filled soon, and not again and again in vain", () => {
  const { fill, draw, admit } = makeFill(60);
  assert.equal(fill.deadlineMs, Infinity);
  fill.hurry(1000);
  const soonMs = fill.deadlineMs;
  assert.ok(soonMs > 1000 && soonMs <= 5000);
  fill.hurry(2000);
  assert.equal(fill.deadlineMs, soonMs);
  // Some entered, and there are more: soon again.
  for (const record of draw(soonMs).slice(0, 10)) admit(record, soonMs);
  draw(2 * soonMs);
  assert.ok(fill.deadlineMs <= 2 * soonMs + 5000);
  // No contact entered since: much later.
  draw(3 * soonMs);
  assert.ok(fill.deadlineMs >= 3 * soonMs + 60_000);
});

Deno.test("draw() gives rumours until they had their turn to be reached, and then those that were", () => {
  const { draw, admit, relays } = makeFill(6);
  admit(far(0), 0);
  for (const index of [0, 1, 2]) relays.prove(far(index), 0);
  assert.equal(draw(0, 2).length, 5);
  assert.deepEqual(new Set(draw(0, 3)), new Set([far(1), far(2)]));
});

Deno.test("draw() gives rumours to a node without contacts, however many rounds it had", () => {
  const { draw, relays } = makeFill(6);
  for (const index of [0, 1]) relays.prove(far(index), 0);
  assert.equal(draw(0, 9).length, 6);
});
