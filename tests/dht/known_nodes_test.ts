import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { KnownNodes } from "../../lib/dht/known_nodes.ts";
import type { PartAction } from "../../lib/dht/part_action.ts";
import { MAX_FAILURES } from "../../lib/dht/table/routing_table.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const SELF = point(0x01);
const NODE = fakeRecord(point(0x80), { expiry: TEST_UNIX_MS + 1e9 });
const OTHER = fakeRecord(point(0x90), { expiry: TEST_UNIX_MS + 1e9 });
const at = (nowMs: number) => ({ nowMs, unixMs: TEST_UNIX_MS + nowMs });

function makeKnown(): KnownNodes {
  return new KnownNodes({
    crypto: nativeSuite(),
    network: networkParameters("local"),
    random: seededRandom(1),
    selfId: SELF,
    selfPlace: SELF,
  });
}

function addressIn({ addresses }: NodeRecord) {
  return addresses[0] ?? assert.fail();
}

function types(actions: readonly PartAction[]): string[] {
  return actions.map(({ type }) => type);
}

Deno.test("a node that linked to us is pinged, and its answer makes it a contact and listed", () => {
  const known = makeKnown();
  assert.deepEqual(types(known.start([], at(0))), ["bootstrap"]);
  const [ping] = known.consider(NODE, 0);
  assert.ok(ping?.type === "call" && ping.to === NODE);
  known.learn(NODE, NODE.nodeId, false, at(0));
  const alive = known.onAlive(NODE, addressIn(NODE), at(1));
  assert.deepEqual(types(alive), ["reached", "first_contact"]);
  assert.ok(known.relays.isListed(NODE.nodeId));
  // The next one is no first contact.
  known.consider(OTHER, 1);
  const second = known.onAlive(OTHER, addressIn(OTHER), at(2));
  assert.deepEqual(types(second), ["reached"]);
  assert.equal(known.table.size, 2);
});

Deno.test("a relay that was named is reached at its address, and doubted when it answers elsewhere", () => {
  const known = makeKnown();
  known.start([], at(0));
  const { outcome, actions } = known.learn(NODE, OTHER.nodeId, false, at(0));
  assert.equal(outcome, "added");
  const [reach] = actions;
  assert.ok(reach?.type === "call" && reach.isAtAddress);
  assert.deepEqual(reach.purpose, { part: "reach" });
  assert.deepEqual(known.onAlive(NODE, addressOf(0x7777), at(1)), []);
  known.onReachEnd(NODE, true, at(1));
  assert.equal(known.relays.isListed(NODE.nodeId), false);
  const promising = [...known.relays.promising(1, TEST_UNIX_MS)];
  assert.deepEqual(promising, []);
  assert.equal(known.table.size, 0);
});

Deno.test("a node that broke the protocol leaves, and what it is named in is not heard", () => {
  const known = makeKnown();
  known.start([], at(0));
  known.consider(NODE, 0);
  known.learn(NODE, NODE.nodeId, false, at(0));
  known.onAlive(NODE, addressIn(NODE), at(1));
  known.onBroken(NODE.nodeId, at(2));
  assert.equal(known.table.size, 0);
  assert.equal(known.relays.isListed(NODE.nodeId), false);
  assert.deepEqual(known.onAlive(NODE, addressIn(NODE), at(3)), []);
  assert.deepEqual(known.consider(NODE, 3), []);
  const learned = known.learn(NODE, OTHER.nodeId, false, at(3));
  assert.deepEqual(learned, { outcome: "known", actions: [] });
});

Deno.test("the last contact's silence leads to a bootstrap, with the relays that are known", () => {
  const known = makeKnown();
  known.start([OTHER], at(0));
  known.consider(NODE, 0);
  known.onAlive(NODE, addressIn(NODE), at(0));
  assert.ok(known.deadlineMs > 0);
  for (let failures = 0; failures < MAX_FAILURES; failures++) {
    known.onSilent(NODE, at(1000));
  }
  assert.equal(known.table.size, 0);
  const actions = known.onTime(0, at(3000));
  const bootstrap = actions.find((action) => action.type === "bootstrap");
  assert.ok(bootstrap?.type === "bootstrap");
  const keys = bootstrap.relays.map(({ nodeId }) => nodeId[0]);
  assert.deepEqual(new Set(keys), new Set([0x80, 0x90]));
});

Deno.test("a lost link has its node pinged, if it is a contact", () => {
  const known = makeKnown();
  known.start([], at(0));
  assert.deepEqual(known.onLinkLost(NODE.nodeId, 0), []);
  known.consider(NODE, 0);
  known.onAlive(NODE, addressIn(NODE), at(0));
  const [ping] = known.onLinkLost(NODE.nodeId, 1);
  assert.equal(ping?.request.type, "ping");
  assert.equal(ping?.to, NODE);
});
