import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { RelayList } from "../../lib/dht/relay_list.ts";
import {
  MAX_ALL_WANTED,
  MAX_REACHING,
  MAX_WANTED,
  RECHECK_MS,
  RelayReach,
} from "../../lib/dht/relay_reach.ts";
import { Blamed } from "../../lib/dht/table/blamed.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { fakeRecord, point } from "./records/fake_records.ts";

const relay = (number: number) =>
  fakeRecord(point(number >> 16, (number >> 8) & 255, number & 255), {
    expiry: TEST_UNIX_MS + 1e9,
  });

const SELF = relay(0xffffff);

function makeReach() {
  const random = seededRandom(1);
  const relays = new RelayList({ crypto: nativeSuite(), random });
  const blamed = new Blamed();
  const reach = new RelayReach({ random, selfId: SELF.nodeId, relays, blamed });
  const next = (nowMs = 0) =>
    reach.next({ nowMs, unixMs: TEST_UNIX_MS + nowMs });
  return { relays, blamed, reach, next };
}

Deno.test("next() gives relays that were named, once, and neither ourselves nor who is kept out", () => {
  const { blamed, reach, next } = makeReach();
  const [one, two] = [relay(1), relay(2)];
  blamed.add(two.nodeId, 0);
  for (const record of [one, two, SELF, one]) reach.want(record, "a");
  assert.deepEqual(next(), [one]);
  reach.want(one, "b");
  assert.deepEqual(next(), []);
  reach.onEnd(one, true);
  reach.want(one, "b");
  assert.deepEqual(next(), [one]);
});

Deno.test("next() gives a relay again that was named anew while it was looked for where it was", () => {
  const { reach, next } = makeReach();
  const old = relay(1);
  const moved = { ...old, sequence: old.sequence + 1 };
  reach.want(old, "a");
  assert.deepEqual(next(), [old]);
  reach.want(moved, "b");
  assert.deepEqual(next(), []);
  reach.onEnd(old, false);
  assert.deepEqual(next(), [moved]);
  reach.onEnd(moved, true);
  assert.deepEqual(next(), []);
});

Deno.test("a peer that names thousands does not keep those of others waiting", () => {
  const { reach, next } = makeReach();
  for (let number = 0; number < 3000; number++) {
    reach.want(relay(number), "liar");
  }
  const first = next();
  assert.ok(first.length > 0 && first.length < MAX_REACHING);
  reach.want(relay(5000), "honest");
  assert.equal(next()[0]?.nodeId.toHex(), relay(5000).nodeId.toHex());
  // What failed counts against it: others come first.
  for (const record of first) reach.onEnd(record, false);
  reach.want(relay(5001), "other");
  assert.equal(next()[0]?.nodeId.toHex(), relay(5001).nodeId.toHex());
});

Deno.test("next() never has more under way than it may, however many peers name them", () => {
  const { reach, next } = makeReach();
  for (let number = 0; number < 400; number++) {
    reach.want(relay(number), `peer ${number % 40}`);
  }
  assert.equal(next().length, MAX_REACHING);
  assert.deepEqual(next(), []);
});

Deno.test("a flood of names forgets its own, and keeps what few named", () => {
  const { reach, next } = makeReach();
  reach.want(relay(0), "honest");
  let number = 1;
  for (let peer = 0; peer * MAX_WANTED <= MAX_ALL_WANTED; peer++) {
    for (let count = 0; count < MAX_WANTED + 5; count++) {
      reach.want(relay(number++), `liar ${peer}`);
    }
  }
  assert.ok(next().some((record) => record.nodeId[2] === 0));
});

Deno.test("relays are tried again in time, those that were there before rumours", () => {
  const { relays, reach, next } = makeReach();
  reach.start(0);
  for (let number = 0; number < 5; number++) relays.prove(relay(number), 0);
  assert.deepEqual(next(reach.deadlineMs), []);
  for (let number = 100; number < 200; number++) relays.merge(relay(number), 0);
  const due = next(RECHECK_MS).map(({ nodeId }) => nodeId[2] ?? 0);
  assert.ok(due.length > 5 && due.length < MAX_REACHING);
  assert.deepEqual(new Set(due.slice(0, 5)), new Set([0, 1, 2, 3, 4]));
});
