import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import {
  MAX_PAGES,
  RelaySync,
  SYNC_MS,
  SYNC_SOURCES,
  type SyncAction,
} from "../../lib/dht/relay_sync.ts";
import { testBytes } from "../support/nodes.ts";
import { fakeRecord, point } from "./records/fake_records.ts";

const NODES = Array.from(
  { length: 30 },
  (_, index) => fakeRecord(point(index)),
);
const CURSOR = testBytes("cursor", 16);

function asked(actions: readonly SyncAction[]): NodeRecord[] {
  return actions.map(({ record }) => record);
}

/** Let every source of a round answer with its one page. */
function finish(sync: RelaySync, actions: readonly SyncAction[]): void {
  for (const { record } of actions) sync.onPage(record, CURSOR, false);
}

Deno.test("a round asks three sources, from the beginning", () => {
  const sync = new RelaySync(seededRandom(1));
  assert.equal(sync.deadlineMs, undefined);
  const actions = sync.start(NODES, 0);
  assert.equal(new Set(asked(actions)).size, SYNC_SOURCES);
  for (const { cursor } of actions) assert.equal(cursor.length, 0);
  finish(sync, actions);
  assert.equal(sync.finished, SYNC_SOURCES);
  assert.equal(sync.isReading, false);
});

Deno.test("a source is read page by page, with its own cursor", () => {
  const sync = new RelaySync(seededRandom(1));
  const [first] = asked(sync.start(NODES, 0));
  const source = first ?? assert.fail();
  for (let page = 0; page < 5; page++) {
    const cursor = testBytes(`page ${page}`, 16);
    assert.deepEqual(sync.onPage(source, cursor, true), [
      { type: "list", record: source, cursor },
    ]);
  }
  assert.deepEqual(sync.onPage(source, CURSOR, false), []);
  assert.equal(sync.finished, 1);
  assert.deepEqual(sync.onPage(source, CURSOR, true), []);
});

Deno.test("a source that never comes to an end is left after so many pages", () => {
  const sync = new RelaySync(seededRandom(1));
  const source = asked(sync.start(NODES, 0))[0] ?? assert.fail();
  let pages = 0;
  while (sync.onPage(source, CURSOR, true).length > 0) pages++;
  assert.equal(pages, MAX_PAGES - 1);
  assert.equal(sync.finished, 1);
});

Deno.test("a source that fails is replaced by another, until no source is left", () => {
  const sync = new RelaySync(seededRandom(1));
  let waiting = asked(sync.start(NODES.slice(0, 8), 0));
  const tried = new Set(waiting);
  while (waiting.length > 0) {
    waiting = waiting.flatMap((source) => asked(sync.onFailure(source)));
    for (const source of waiting) {
      assert.ok(!tried.has(source));
      tried.add(source);
    }
  }
  assert.equal(tried.size, 8);
  assert.equal(sync.isReading, false);
  assert.equal(sync.finished, 0);
});

Deno.test("a round of failures stops well before it has asked every source", () => {
  const sync = new RelaySync(seededRandom(1));
  let waiting = asked(sync.start(NODES, 0));
  let tried = waiting.length;
  while (waiting.length > 0) {
    waiting = waiting.flatMap((source) => asked(sync.onFailure(source)));
    tried += waiting.length;
  }
  assert.ok(tried < NODES.length, `${tried} tried`);
});

Deno.test("the next round asks two known sources for what is new, and a stranger for all", () => {
  const sync = new RelaySync(seededRandom(1));
  const first = sync.start(NODES, 0);
  finish(sync, first);
  const second = sync.start(NODES, 1000);
  const known = second.filter(({ cursor }) => cursor === CURSOR);
  assert.equal(known.length, SYNC_SOURCES - 1);
  for (const { record } of known) assert.ok(asked(first).includes(record));
  assert.equal(second.length, SYNC_SOURCES);
});

Deno.test("a source that failed begins anew when it is asked again", () => {
  const sync = new RelaySync(seededRandom(1));
  const nodes = NODES.slice(0, 3);
  finish(sync, sync.start(nodes, 0));
  const second = sync.start(nodes, 1000);
  for (const { record } of second) sync.onFailure(record);
  for (const { cursor } of sync.start(nodes, 2000)) {
    assert.equal(cursor.length, 0);
  }
});

Deno.test("early rounds follow soon, the others about every hour", () => {
  const sync = new RelaySync(seededRandom(1));
  let nowMs = 0;
  const gaps: number[] = [];
  for (let round = 0; round < 6; round++) {
    finish(sync, sync.start(NODES, nowMs));
    const due = sync.deadlineMs ?? assert.fail();
    gaps.push(due - nowMs);
    nowMs = due;
  }
  assert.deepEqual(gaps.slice(0, 2), [10_000, 60_000]);
  for (const gap of gaps.slice(2)) {
    assert.ok(gap >= 0.9 * SYNC_MS && gap <= 1.1 * SYNC_MS);
  }
});

Deno.test("answers of the last round, and of strangers, are not heard", () => {
  const sync = new RelaySync(seededRandom(1));
  const first = asked(sync.start(NODES.slice(0, 3), 0));
  sync.start(NODES.slice(10, 13), 1000);
  for (const source of [...first, ...NODES.slice(20)]) {
    assert.deepEqual(sync.onPage(source, CURSOR, true), []);
    assert.deepEqual(sync.onFailure(source), []);
  }
  assert.equal(sync.finished, 0);
});

Deno.test("a round with no source to ask is over at once, and there will be another", () => {
  const sync = new RelaySync(seededRandom(1));
  assert.deepEqual(sync.start([], 0), []);
  assert.equal(sync.isReading, false);
  assert.ok((sync.deadlineMs ?? 0) > 0);
});
