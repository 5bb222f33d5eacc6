import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { MAX_CHORES_AT_ONCE } from "../../lib/dht/chores.ts";
import { Errands } from "../../lib/dht/errands.ts";
import type { PartAction } from "../../lib/dht/part_action.ts";
import { RecordStore } from "../../lib/dht/records/record_store.ts";
import { createStoredRecord } from "../../lib/dht/records/stored_record.ts";
import { RoutingTable } from "../../lib/dht/table/routing_table.ts";
import { TEST_UNIX_MS, testBytes } from "../support/nodes.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const crypto = nativeSuite();
const network = networkParameters("local");
const HOUR_MS = 3_600_000;
const SELF = point(0x01);
const NODE = fakeRecord(point(0x80));
const at = (nowMs: number) => ({ nowMs, unixMs: TEST_UNIX_MS + nowMs });

/** Errands of a node with one contact, or none, that holds so many records. */
function makeErrands(records: number, contacts = [NODE]) {
  const random = seededRandom(1);
  const selfId = SELF;
  const selfPlace = SELF;
  const table = new RoutingTable({ network, random, selfId, selfPlace });
  for (const contact of contacts) {
    table.consider(contact, 0);
    table.onAlive(contact, contact.addresses[0] ?? addressOf(0), 0);
  }
  const isAmongClosest = () => true;
  const store = new RecordStore({ crypto, network, random, isAmongClosest });
  const signer = crypto.signer(testBytes("publisher", 32));
  for (let index = 0; index < records; index++) {
    const { encoded } = createStoredRecord(network, signer, {
      key: testBytes(`key ${index}`, 32),
      sequence: 1,
      expiry: TEST_UNIX_MS + 20 * HOUR_MS,
      value: testBytes("value", 20),
    });
    store.put(encoded, "", 0, TEST_UNIX_MS);
  }
  assert.equal(store.keys, records);
  const options = { crypto, network, selfId, selfPlace, table, store };
  return { errands: new Errands(options), store };
}

/** What is asked of nodes. */
function requests(actions: readonly PartAction[]): string[] {
  return actions.map((action) =>
    action.type === "call" ? action.request.type : action.type
  );
}

Deno.test("a node that is alone hands on a thousand records to no node, and goes on", () => {
  const { errands, store } = makeErrands(1000, []);
  assert.deepEqual(errands.onTime(at(2 * HOUR_MS)), []);
  assert.equal(errands.lookups, 0);
  // All had their turn: nothing is left that waits.
  assert.ok(store.deadlineMs > 2 * HOUR_MS);
  assert.deepEqual(errands.onTime(at(2 * HOUR_MS + 1)), []);
});

Deno.test("records are handed on a few keys at a time, and the next when one has its copies", () => {
  const { errands } = makeErrands(10);
  const begun = errands.onTime(at(2 * HOUR_MS));
  const finds = Array(MAX_CHORES_AT_ONCE).fill("find_node");
  assert.deepEqual(requests(begun), finds);
  assert.equal(errands.lookups, MAX_CHORES_AT_ONCE);
  const [find] = begun;
  const searchId = find?.type === "call" && find.purpose.part === "search"
    ? find.purpose.searchId
    : assert.fail();
  // The contact is the closest node: its answer ends the look-up.
  const address = addressOf(1);
  const verified = { records: [] };
  const later = at(2 * HOUR_MS + 100);
  const placed = errands.onVerified(searchId, NODE, address, verified, later);
  assert.deepEqual(requests(placed), ["store"]);
  assert.equal(errands.lookups, MAX_CHORES_AT_ONCE - 1);
  const [copy] = placed;
  const placementId = copy?.type === "call" && copy.purpose.part === "copies"
    ? copy.purpose.placementId
    : assert.fail();
  const next = errands.onCopyEnd(placementId, undefined, later);
  assert.deepEqual(requests(next), ["find_node"]);
});

Deno.test("a look-up of our own place says that it has found nodes, and nothing when it has not", () => {
  const { errands } = makeErrands(0);
  const [find] = errands.join(at(0));
  assert.ok(find?.type === "call" && find.purpose.part === "search");
  assert.deepEqual(find.request, { type: "find_node", target: SELF });
  const { searchId } = find.purpose;
  const verified = { records: [] };
  const end = errands.onVerified(searchId, NODE, addressOf(1), verified, at(1));
  assert.deepEqual(end, [{ type: "joined_place" }]);
  assert.deepEqual(makeErrands(0, []).errands.join(at(0)), []);
});
