import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { Calls } from "../../lib/dht/calls.ts";
import { encodeResponse } from "../../lib/dht/messages.ts";
import type { CallPurpose } from "../../lib/dht/part_action.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const network = networkParameters("local");
const NODE = fakeRecord(point(1));
const ADDRESS = addressOf(1);
const DONE = encodeResponse({ type: "done" });
const PURPOSE: CallPurpose = { part: "search", searchId: 7 };

function makeCalls() {
  const calls = new Calls(network);
  const ping = (dueMs = 100): number => {
    const { rpcId } = calls.call({
      type: "call",
      to: NODE,
      request: { type: "ping" },
      dueMs,
      purpose: PURPOSE,
    });
    return rpcId;
  };
  return { calls, ping };
}

Deno.test("a call ends once, with its first answer, and says what it was for", () => {
  const { calls, ping } = makeCalls();
  const rpcId = ping();
  assert.equal(calls.size, 1);
  assert.deepEqual(calls.onResponse(rpcId, DONE, ADDRESS), {
    type: "answered",
    to: NODE,
    purpose: PURPOSE,
    answer: { response: { type: "done" }, address: ADDRESS },
  });
  assert.equal(calls.onResponse(rpcId, DONE, ADDRESS), undefined);
  assert.equal(calls.onFailure(rpcId), undefined);
  assert.deepEqual(calls.overdue(1000), []);
  assert.equal(calls.size, 0);
  assert.equal(calls.deadlineMs, Infinity);
});

Deno.test("a call ends once, with its failure", () => {
  const { calls, ping } = makeCalls();
  const rpcId = ping();
  const silent = { type: "silent", to: NODE, purpose: PURPOSE };
  assert.deepEqual(calls.onFailure(rpcId), silent);
  assert.equal(calls.onResponse(rpcId, DONE, ADDRESS), undefined);
  assert.equal(calls.onFailure(rpcId), undefined);
});

Deno.test("a call is overdue at its deadline, until its failure is told", () => {
  const { calls, ping } = makeCalls();
  const rpcId = ping(100);
  ping(200);
  assert.equal(calls.deadlineMs, 100);
  assert.deepEqual(calls.overdue(99), []);
  assert.deepEqual(calls.overdue(100), [rpcId]);
  assert.equal(calls.onFailure(rpcId)?.type, "silent");
  assert.deepEqual(calls.overdue(100), []);
  assert.equal(calls.deadlineMs, 200);
});

Deno.test("an answer that cannot be read, or answers something else, is broken", () => {
  const answers: readonly (readonly [Bytes, string])[] = [
    [new Uint8Array(), "wire.cbor"],
    [encodeResponse({ type: "nodes", records: [] }), "dht.response"],
  ];
  for (const [bytes, code] of answers) {
    const { calls, ping } = makeCalls();
    assert.deepEqual(calls.onResponse(ping(), bytes, ADDRESS), {
      type: "broken",
      to: NODE,
      purpose: PURPOSE,
      code,
    });
    assert.equal(calls.size, 0);
  }
});

Deno.test("an answer to a call that was never made is not heard", () => {
  const { calls } = makeCalls();
  assert.equal(calls.onResponse(7, DONE, ADDRESS), undefined);
  assert.equal(calls.onFailure(7), undefined);
});
