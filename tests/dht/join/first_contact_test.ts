import assert from "node:assert/strict";
import { asPublicKey } from "../../../lib/auth/identity.ts";
import type { NodeAddress } from "../../../lib/auth/node_address.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  type ContactAction,
  FirstContact,
  MAX_DIALS,
} from "../../../lib/dht/join/first_contact.ts";
import { addressOf, point } from "../records/fake_records.ts";

const HOUR_MS = 3_600_000;

function nodes(count: number): NodeAddress[] {
  return Array.from({ length: count }, (_, index) => ({
    publicKey: asPublicKey(point(index + 1)),
    address: addressOf(index),
  }));
}

/** The addresses that actions dial. */
function dialled(actions: readonly ContactAction[]): NodeAddress[] {
  return actions.flatMap((action) =>
    action.type === "dial" ? [action.address] : []
  );
}

/** The last action, which must be of this type. */
function last<T extends ContactAction["type"]>(
  actions: readonly ContactAction[],
  type: T,
): ContactAction & { readonly type: T } {
  const action = actions.at(-1);
  assert.equal(action?.type, type);
  return action as ContactAction & { readonly type: T };
}

/** Let all that are dialled be silent. @returns What came of the last one. */
function silence(
  contact: FirstContact,
  actions: readonly ContactAction[],
  nowMs: number,
): ContactAction[] {
  const waiting = dialled(actions);
  let end: ContactAction[] = [];
  for (let next; (next = waiting.shift()) !== undefined;) {
    end = contact.onSilence(next, nowMs);
    waiting.push(...dialled(end));
  }
  return end;
}

Deno.test("some addresses are dialled at once, the next as one ends, each once in a round", () => {
  const all = nodes(MAX_DIALS + 2);
  const contact = new FirstContact(all, seededRandom(1));
  const first = dialled(contact.start(0));
  assert.equal(first.length, MAX_DIALS);
  assert.equal(contact.deadlineMs, Infinity);
  const later = first.flatMap((address) =>
    dialled(contact.onSilence(address, 10))
  );
  assert.equal(later.length, 2);
  assert.deepEqual(new Set([...first, ...later]), new Set(all));
});

Deno.test("the first answer ends the search, whatever others say afterwards", () => {
  const [a = assert.fail(), b = assert.fail(), c = assert.fail()] = nodes(3);
  const contact = new FirstContact([a, b, c], seededRandom(1));
  contact.start(0);
  assert.deepEqual(contact.onAnswer(a), [{ type: "joined" }]);
  assert.deepEqual(contact.onAnswer(b), []);
  assert.deepEqual(contact.onSilence(b, 1), []);
  assert.deepEqual(contact.onOtherTime(c, HOUR_MS, 1), []);
  assert.deepEqual(contact.onOther(c, 1), []);
  assert.equal(contact.deadlineMs, Infinity);
});

Deno.test("all are dialled again after 1, 2, 4 … 60 s, each a quarter longer or shorter at most", () => {
  const contact = new FirstContact(nodes(3), seededRandom(2));
  let actions = contact.start(0);
  let nowMs = 0;
  const spread = new Set<number>();
  for (const waitMs of [1, 2, 4, 8, 16, 32, 60, 60].map((s) => s * 1000)) {
    const { inMs, nodes } = last(silence(contact, actions, nowMs), "silence");
    assert.equal(nodes, 3);
    assert.ok(inMs >= 0.75 * waitMs && inMs <= 1.25 * waitMs, `${inMs} ms`);
    spread.add(inMs / waitMs);
    assert.equal(contact.deadlineMs, nowMs + inMs);
    assert.deepEqual(contact.onTime(nowMs + inMs - 1), []);
    nowMs += inMs;
    actions = contact.onTime(nowMs);
    assert.equal(dialled(actions).length, 3);
  }
  assert.ok(spread.size > 4);
});

Deno.test("an address that another node answers at is dropped; when none is left, the search fails", () => {
  const [right = assert.fail(), wrong = assert.fail()] = nodes(2);
  const contact = new FirstContact([right, wrong], seededRandom(1));
  contact.start(0);
  contact.onOther(wrong, 0);
  assert.equal(contact.hopeful, 1);
  const { inMs } = last(contact.onSilence(right, 0), "silence");
  assert.deepEqual(dialled(contact.onTime(inMs)), [right]);
  const { error } = last(contact.onOther(right, inMs), "failed");
  assert.equal(error.code, "node.bootstrap");
  assert.match(error.message, /all 2 bootstrap addresses answer/);
  assert.equal(contact.deadlineMs, Infinity);
});

Deno.test("a node of another time is tried again, and the operator told by how much our clock is off", () => {
  for (
    const [aheadMs, words] of [
      [2 * HOUR_MS + 600_000, /at least 2 h 10 min behind/],
      [-74 * HOUR_MS, /at least 3 d 2 h ahead/],
    ] as const
  ) {
    const [node = assert.fail()] = nodes(1);
    const contact = new FirstContact([node], seededRandom(1));
    contact.start(0);
    const [told, wait] = contact.onOtherTime(node, aheadMs, 0);
    assert.ok(told?.type === "wrong_clock" && wait?.type === "silence");
    assert.equal(told.address, node);
    assert.match(told.error.message, words);
    assert.deepEqual(dialled(contact.onTime(wait.inMs)), [node]);
    assert.deepEqual(contact.onAnswer(node), [{ type: "joined" }]);
  }
});

Deno.test("while the clock seems wrong it waits 10 s at most, and as before once none says so", () => {
  const [node = assert.fail()] = nodes(1);
  const contact = new FirstContact([node], seededRandom(3));
  contact.start(0);
  let nowMs = 0;
  const round = (isClockWrong: boolean) => {
    const actions = isClockWrong
      ? contact.onOtherTime(node, -HOUR_MS, nowMs)
      : contact.onSilence(node, nowMs);
    const { inMs } = last(actions, "silence");
    nowMs += inMs;
    contact.onTime(nowMs);
    return inMs;
  };
  for (let count = 0; count < 10; count++) assert.ok(round(true) <= 12_500);
  const waits = Array.from({ length: 6 }, () => round(false));
  assert.ok(Math.max(...waits) > 40_000, waits.join());
});
