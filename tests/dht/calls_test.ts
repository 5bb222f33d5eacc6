import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import type { Moment } from "../../lib/base/clock.ts";
import { Calls, MAX_VERIFYING } from "../../lib/dht/calls.ts";
import type { DhtAction } from "../../lib/dht/dht_action.ts";
import { encodeResponse } from "../../lib/dht/messages.ts";
import { addressOf, fakeRecord, point } from "./records/fake_records.ts";

const network = networkParameters("local");
const NODE = fakeRecord(point(1));
const ADDRESS = addressOf(1);
const DONE = encodeResponse({ type: "done" });

function at(nowMs: number): Moment {
  return { nowMs, unixMs: nowMs };
}

function makeCalls() {
  const log: string[] = [];
  const actions: DhtAction[] = [];
  const calls = new Calls(network, {
    act: (action) => actions.push(action),
    onAlive: () => log.push("alive"),
    onSilent: () => log.push("silent"),
    onBroken: (_id, code) => log.push(`broken ${code}`),
  });
  const ping = (dueMs = 100): number => {
    calls.call(NODE, { type: "ping" }, dueMs, {
      onAnswer: ({ type }) => log.push(`answer ${type}`),
      onFailure: () => log.push("failure"),
    });
    const last = actions.at(-1);
    return last?.type === "send" ? last.rpcId : assert.fail();
  };
  return { calls, actions, log, ping };
}

Deno.test("a call ends once, with its first answer", () => {
  const { calls, log, ping } = makeCalls();
  const rpcId = ping();
  assert.equal(calls.size, 1);
  calls.onResponse(rpcId, DONE, ADDRESS, at(1));
  calls.onResponse(rpcId, DONE, ADDRESS, at(2));
  calls.onFailure(rpcId, at(3));
  calls.onTime(at(1000));
  assert.deepEqual(log, ["alive", "answer done"]);
  assert.equal(calls.size, 0);
  assert.equal(calls.deadlineMs, Infinity);
});

Deno.test("a call ends once, with its failure", () => {
  const { calls, log, ping } = makeCalls();
  const rpcId = ping();
  calls.onFailure(rpcId, at(3));
  calls.onResponse(rpcId, DONE, ADDRESS, at(4));
  calls.onTime(at(1000));
  assert.deepEqual(log, ["silent", "failure"]);
});

Deno.test("a call fails at its deadline, and is cancelled", () => {
  const { calls, actions, log, ping } = makeCalls();
  const rpcId = ping(100);
  ping(200);
  assert.equal(calls.deadlineMs, 100);
  calls.onTime(at(99));
  assert.deepEqual(log, []);
  calls.onTime(at(100));
  assert.deepEqual(log, ["silent", "failure"]);
  assert.deepEqual(actions.at(-1), { type: "cancel", rpcId });
  assert.equal(calls.deadlineMs, 200);
});

Deno.test("an answer that cannot be read, or answers something else, is broken and a failure", () => {
  const answers: readonly (readonly [Bytes, string])[] = [
    [new Uint8Array(), "wire.cbor"],
    [encodeResponse({ type: "nodes", records: [] }), "dht.response"],
  ];
  for (const [bytes, code] of answers) {
    const { calls, log, ping } = makeCalls();
    calls.onResponse(ping(), bytes, ADDRESS, at(1));
    assert.deepEqual(log, [`broken ${code}`, "failure"]);
  }
});

Deno.test("an answer to a call that was never made is not heard", () => {
  const { calls, log } = makeCalls();
  calls.onResponse(7, DONE, ADDRESS, at(1));
  calls.onFailure(7, at(1));
  calls.onVerified(7, { records: [] }, at(1));
  assert.deepEqual(log, []);
});

Deno.test("verifications under way have a limit, and each is reported once", () => {
  const { calls, actions } = makeCalls();
  let done = 0;
  for (let count = 0; count < MAX_VERIFYING; count++) {
    assert.ok(calls.verify([], () => done++));
  }
  assert.equal(calls.verify([], () => assert.fail()), false);
  assert.equal(actions.length, MAX_VERIFYING);
  const first = actions[0];
  const verifyId = first?.type === "verify" ? first.verifyId : assert.fail();
  calls.onVerified(verifyId, { records: [] }, at(1));
  calls.onVerified(verifyId, { records: [] }, at(2));
  assert.equal(done, 1);
  assert.ok(calls.verify([], () => done++));
});
