/**
 * Look-ups run to their end, in a world that answers as a test likes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import type { Random } from "../../../lib/base/random.ts";
import { closestTo } from "../../../lib/dht/records/distance.ts";
import {
  Lookup,
  type LookupAction,
  type LookupOptions,
} from "../../../lib/dht/lookup/lookup.ts";
import { MAX_ASKED_PER_PATH } from "../../../lib/dht/lookup/lookup_path.ts";
import type { StoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { addressOf, fakeRecord, point } from "../records/fake_records.ts";

/** Where subnets do not count. */
export const network = networkParameters("local");
export const { k } = network;
/** What is looked for, and by whom. */
export const TARGET = point(0xaa, 0x55);
export const SELF = point(0x01);
/** No look-up asks more nodes, whatever it is told. */
export const MOST_ASKED = (network.disjointPaths + 1) * MAX_ASKED_PER_PATH;

/** What a node answers: nodes, a value, or nothing. */
export type Answer =
  | { nodes: readonly NodeRecord[]; afterMs?: number }
  | { values: readonly StoredRecord[]; afterMs?: number }
  | undefined;

/** A look-up and the world around it. */
export interface Run {
  readonly lookup: Lookup;
  readonly asked: readonly NodeRecord[];
  readonly steps: number;
  readonly endMs: number;
}

/** Run a look-up to its end; `answer` says what each node does. */
export function run(
  options: Partial<LookupOptions>,
  answer: (node: NodeRecord, count: number) => Answer,
): Run {
  const lookup = new Lookup({
    network,
    selfId: SELF,
    target: TARGET,
    seeds: [],
    ...options,
  });
  const asked: NodeRecord[] = [];
  const inbox: { atMs: number; deliver: () => LookupAction[] }[] = [];
  let nowMs = 0;
  let done = 0;
  const obey = (actions: readonly LookupAction[]) => {
    for (const action of actions) {
      if (action.type === "done") {
        done++;
        continue;
      }
      const { record } = action;
      const result = answer(record, asked.length);
      asked.push(record);
      if (result === undefined) continue;
      const atMs = nowMs + (result.afterMs ?? 50);
      const address = record.addresses[0] ?? addressOf(0);
      inbox.push({
        atMs,
        deliver: () =>
          "nodes" in result
            ? lookup.onNodes(record, result.nodes, address, atMs)
            : lookup.onValue(record, result.values, address, atMs),
      });
    }
  };
  obey(lookup.start(nowMs));
  let steps = 0;
  for (; !lookup.isDone; steps++) {
    assert.ok(steps < 1000, "a look-up without an end");
    inbox.sort((a, b) => a.atMs - b.atMs);
    const next = inbox[0];
    const dueMs = lookup.deadlineMs;
    assert.ok(dueMs < Infinity, "waits for nothing");
    if (next !== undefined && next.atMs <= dueMs) {
      inbox.shift();
      nowMs = next.atMs;
      obey(next.deliver());
    } else {
      nowMs = Math.max(nowMs, dueMs);
      obey(lookup.onTime(nowMs));
    }
  }
  assert.equal(done, 1, "done is said once");
  assert.equal(lookup.deadlineMs, Infinity);
  assert.equal(lookup.askedCount, asked.length);
  const ids = asked.map(({ nodeId }) => String(nodeId));
  assert.equal(new Set(ids).size, ids.length, "a node was asked twice");
  assert.ok(asked.length <= MOST_ASKED, `${asked.length} asked`);
  return { lookup, asked, steps, endMs: nowMs };
}

export function randomNodes(random: Random, count: number): NodeRecord[] {
  return Array.from({ length: count }, () => fakeRecord(random.bytes(32)));
}

export function nearest(
  nodes: readonly NodeRecord[],
  count: number,
): NodeRecord[] {
  return closestTo(TARGET, nodes, count, ({ nodeId }) => nodeId);
}
