import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { createStoredRecord } from "../../lib/dht/records/stored_record.ts";
import { Searches } from "../../lib/dht/searches.ts";
import { TEST_UNIX_MS, testBytes } from "../support/nodes.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const network = networkParameters("local");
const NODE = fakeRecord(point(0x80));
const OTHER = fakeRecord(point(0x90));
const ADDRESS = addressOf(1);
const TARGET = point(0x90);
const AT = { nowMs: 5, unixMs: 0 };

/** One look-up that has asked `NODE`. */
function makeSearch() {
  const searches = new Searches<string>({
    crypto: nativeSuite(),
    network,
    selfId: point(0x01),
  });
  const goal = { kind: "node", target: TARGET, seeds: [NODE] } as const;
  const [call] = searches.begin(goal, "a purpose", { nowMs: 0, unixMs: 0 });
  assert.ok(call?.type === "call" && call.purpose.part === "search");
  assert.equal(call.to, NODE);
  return { searches, searchId: call.purpose.searchId };
}

Deno.test("nodes that an answer names are checked before the look-up hears of them", () => {
  const { searches, searchId } = makeSearch();
  const response = { type: "nodes", records: [OTHER.encoded] } as const;
  const answer = { response, address: ADDRESS };
  const actions = searches.onEnd(searchId, NODE, answer, AT);
  const purpose = { part: "search", searchId, from: NODE, address: ADDRESS };
  assert.deepEqual(actions, [
    { type: "check", encoded: [OTHER.encoded], purpose },
  ]);
  const verified = { records: [OTHER] };
  const [heard, next, ...rest] = searches.onVerified(
    searchId,
    NODE,
    ADDRESS,
    verified,
    AT,
  );
  assert.deepEqual(heard, { type: "heard", record: OTHER, from: NODE.nodeId });
  assert.ok(next?.type === "call" && next.to === OTHER);
  assert.deepEqual(rest, []);
});

Deno.test("an answer with a lie counts as none, and its node is named", () => {
  const { searches, searchId } = makeSearch();
  const verified = { records: [OTHER], lie: "auth.record_signature" };
  const actions = searches.onVerified(searchId, NODE, ADDRESS, verified, AT);
  assert.deepEqual(actions.map(({ type }) => type), [
    "heard",
    "broken",
    "found",
  ]);
  const found = actions.at(-1);
  assert.ok(found?.type === "found");
  assert.equal(found.purpose, "a purpose");
  assert.deepEqual(found.lookup.closest, []);
});

Deno.test("what is told after a look-up's end is heard of, and ends nothing twice", () => {
  const { searches, searchId } = makeSearch();
  const end = searches.onEnd(searchId, NODE, undefined, AT);
  assert.deepEqual(end.map(({ type }) => type), ["found"]);
  assert.equal(searches.size, 0);
  assert.equal(searches.deadlineMs, Infinity);
  assert.deepEqual(searches.onEnd(searchId, NODE, undefined, AT), []);
  const verified = { records: [OTHER] };
  const late = searches.onVerified(searchId, NODE, ADDRESS, verified, AT);
  assert.deepEqual(late.map(({ type }) => type), ["heard"]);
});

Deno.test("an answer to another question counts as none", () => {
  const { searches, searchId } = makeSearch();
  const response = { type: "value", records: [] } as const;
  const answer = { response, address: ADDRESS };
  const actions = searches.onEnd(searchId, NODE, answer, AT);
  assert.deepEqual(actions.map(({ type }) => type), ["found"]);
});

Deno.test("a record that several nodes answer with is verified once, and another one anew", () => {
  const native = nativeSuite();
  let verified = 0;
  const crypto: typeof native = {
    ...native,
    verify: (...of) => {
      verified++;
      return native.verify(...of);
    },
  };
  const searches = new Searches<string>({
    crypto,
    network,
    selfId: point(0x01),
  });
  const seeds = [0x80, 0x88, 0x90].map((id) => fakeRecord(point(id)));
  const goal = {
    kind: "value",
    target: TARGET,
    seeds,
    publisher: undefined,
    held: [],
  } as const;
  const at = { nowMs: 0, unixMs: TEST_UNIX_MS };
  const [call] = searches.begin(goal, "a purpose", at);
  assert.ok(call?.type === "call" && call.purpose.part === "search");
  const { searchId } = call.purpose;
  const { encoded } = createStoredRecord(
    network,
    native.signer(testBytes("publisher", 32)),
    {
      key: TARGET,
      sequence: 1,
      expiry: TEST_UNIX_MS + 3_600_000,
      value: testBytes("value", 20),
    },
  );
  const altered = encoded.slice();
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
  const answers = [encoded, encoded.slice(), altered];
  const ends = answers.map((bytes, index) => {
    const response = { type: "value", records: [bytes] } as const;
    const node = seeds[index] ?? NODE;
    const answer = { response, address: ADDRESS };
    return searches.onEnd(searchId, node, answer, at).map(({ type }) => type);
  });
  assert.equal(verified, 2);
  assert.deepEqual(ends.flat(), ["broken", "found"]);
});
