import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { concat } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { MAX_PAGE_RECORDS } from "../../lib/dht/messages.ts";
import {
  LATELY_MS,
  LONG_RECORD_MS,
  MIN_CHANGE_MS,
  RelayList,
  SILENT_MS,
} from "../../lib/dht/relay_list.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import {
  fakeRecord,
  point,
  type RecordChanges,
} from "./records/fake_records.ts";

const crypto = nativeSuite();
const NOW = TEST_UNIX_MS;
const EMPTY = new Uint8Array(0);

function makeList(maxRelays = 1000, seed = 1): RelayList {
  return new RelayList({
    crypto,
    random: seededRandom(seed),
    maxRelays,
  });
}

function relay(number: number, changes: RecordChanges = {}): NodeRecord {
  return fakeRecord(point(number >> 8, number & 255, 7), changes);
}

/** Take up a record, and reach its relay. */
function reach(list: RelayList, record: NodeRecord, nowMs: number): void {
  list.merge(record, nowMs);
  list.prove(record, nowMs);
}

/** How many of these are in the list. */
function kept(list: RelayList, records: readonly NodeRecord[]): number {
  return records.filter(({ nodeId }) => list.get(nodeId) !== undefined).length;
}

/** All that a reader gets who asks page by page from `cursor` on. */
function readAll(list: RelayList, cursor: Uint8Array = EMPTY) {
  const records: string[] = [];
  let pages = 0;
  for (;;) {
    const page = list.page(cursor, NOW);
    records.push(...page.records.map(String));
    pages++;
    assert.ok(pages < 200, "pages without end");
    assert.ok(page.records.length <= MAX_PAGE_RECORDS);
    cursor = page.cursor;
    if (!page.more) return { records, cursor, pages };
  }
}

Deno.test("merge() takes up a relay, its newer records, and nothing else", () => {
  const list = makeList();
  const { sequence } = relay(1);
  assert.equal(list.merge(relay(1), 0), "added");
  assert.equal(list.merge(relay(1), 0), "known");
  const older = relay(1, { sequence: sequence - 1 });
  const newer = relay(1, { sequence: sequence + 1 });
  assert.equal(list.merge(older, MIN_CHANGE_MS), "known");
  assert.equal(list.merge(newer, MIN_CHANGE_MS), "changed");
  assert.equal(list.get(relay(1).nodeId), newer);
  assert.equal(list.merge(relay(2, { flags: [] }), 0), "known");
  assert.equal(list.size, 1);
});

Deno.test("merge() takes no more than one change a minute from one relay", () => {
  const list = makeList();
  let taken = 0;
  for (let nowMs = 0; nowMs < 10 * MIN_CHANGE_MS; nowMs += 1000) {
    const outcome = list.merge(relay(1, { sequence: NOW + nowMs }), nowMs);
    if (outcome === "changed") taken++;
  }
  assert.ok(taken <= 10, `${taken} changes`);
});

Deno.test("setOwn() takes up our own record at any time, and keeps it", () => {
  const list = makeList(10);
  list.setOwn(relay(1), 0);
  const { cursor } = readAll(list);
  const renewed = relay(1, { sequence: NOW + 1 });
  list.setOwn(renewed, 1);
  assert.equal(list.get(renewed.nodeId), renewed);
  assert.deepEqual(readAll(list, cursor).records, [String(renewed.encoded)]);
  for (let number = 2; number < 500; number++) list.merge(relay(number), 0);
  assert.equal(list.get(renewed.nodeId), renewed);
});

Deno.test("page() gives every relay once, page by page", () => {
  const list = makeList();
  const expected = new Set<string>();
  for (let number = 0; number < 250; number++) {
    reach(list, relay(number), 0);
    expected.add(String(relay(number).encoded));
  }
  const { records, pages } = readAll(list);
  assert.equal(records.length, 250);
  assert.deepEqual(new Set(records), expected);
  assert.equal(pages, Math.ceil(250 / MAX_PAGE_RECORDS));
});

Deno.test("page() gives a reader with a cursor what has changed, and no more", () => {
  const list = makeList();
  for (let number = 0; number < 120; number++) reach(list, relay(number), 0);
  const { cursor } = readAll(list);
  assert.deepEqual(readAll(list, cursor).records, []);
  const changed = relay(5, { sequence: NOW + 9 });
  list.merge(changed, MIN_CHANGE_MS);
  reach(list, relay(500), MIN_CHANGE_MS);
  const { records } = readAll(list, cursor);
  assert.deepEqual(records, [
    String(changed.encoded),
    String(relay(500).encoded),
  ]);
});

Deno.test("page() begins anew for cursors of another run, and for garbage", () => {
  const list = makeList();
  const other = makeList(1000, 2);
  for (let number = 0; number < 60; number++) {
    reach(list, relay(number), 0);
    reach(other, relay(number), 0);
  }
  const foreign = readAll(other).cursor;
  const cursors = [
    foreign,
    new Uint8Array(16),
    new Uint8Array(3),
    concat(foreign, EMPTY, Uint8Array.of(1)),
  ];
  for (const cursor of cursors) {
    assert.equal(readAll(list, cursor).records.length, 60);
  }
  const beyond = new Uint8Array(readAll(list).cursor).fill(255, 8);
  assert.deepEqual(readAll(list, beyond).records, []);
});

Deno.test("page() never shows an expired record, swept or not", () => {
  const list = makeList();
  reach(list, relay(1, { expiry: NOW + 10 }), 0);
  reach(list, relay(2), 0);
  assert.equal(list.page(EMPTY, NOW + 9).records.length, 2);
  assert.equal(list.page(EMPTY, NOW + 10).records.length, 1);
  assert.equal([...list.records(NOW + 10)].length, 1);
  assert.equal(list.export(NOW + 10).length, 1);
  assert.equal(list.size, 2);
  list.sweep(NOW + 10);
  assert.equal(list.size, 1);
});

Deno.test("a reader who follows along misses nothing, whatever happens between pages", () => {
  const event = fc.record({
    type: fc.constantFrom("add", "change", "sweep", "read"),
    number: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 150 }), (events) => {
      const list = makeList();
      const seen = new Map<string, number>();
      let cursor: Uint8Array = EMPTY;
      let nowMs = 0;
      const read = () => {
        for (;;) {
          const page = list.page(cursor, NOW);
          for (const encoded of page.records) {
            const key = String(encoded.slice(0, 32));
            seen.set(key, encoded[32] ?? 0);
          }
          cursor = page.cursor;
          if (!page.more) return;
        }
      };
      for (const { type, number } of events) {
        nowMs += MIN_CHANGE_MS;
        const expiry = number % 7 === 0 ? NOW - 1 : NOW + 1e6;
        const sequence = NOW + (type === "change" ? nowMs / 1000 : 0);
        if (type === "sweep") list.sweep(NOW);
        else if (type === "read") read();
        else reach(list, relay(number, { sequence, expiry }), nowMs);
      }
      read();
      for (const { nodeId, encoded } of list.listedRecords(NOW)) {
        assert.equal(seen.get(String(nodeId)), encoded[32] ?? 0);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("a full list stays at its limit", () => {
  const list = makeList(50);
  for (let number = 0; number < 500; number++) list.merge(relay(number), 0);
  assert.equal(list.size, 50);
  const { listed, rumours, evicted, refused, added } = list.statistics();
  assert.deepEqual([listed, rumours], [0, 50]);
  assert.equal(added - evicted, 50);
  assert.equal(added + refused, 500);
});

Deno.test("rumours are neither counted nor passed on until they are reached", () => {
  const list = makeList();
  list.merge(relay(1), 0);
  assert.deepEqual([list.size, list.listed], [1, 0]);
  assert.deepEqual(readAll(list).records, []);
  assert.deepEqual([...list.listedRecords(NOW)], []);
  const before = list.changes;
  list.prove(relay(1), 5);
  assert.equal(list.listed, 1);
  assert.ok(list.changes > before);
  assert.deepEqual(readAll(list).records, [String(relay(1).encoded)]);
  assert.equal(list.firstReachedMs(relay(1).nodeId), 5);
});

Deno.test("a relay that claims another address is a rumour until it is reached there", () => {
  const list = makeList();
  reach(list, relay(1), 0);
  const [address = assert.fail()] = relay(1).addresses;
  const moved = relay(1, {
    sequence: NOW + 1,
    addresses: [address, { host: "77.7.7.7", port: 1 }],
  });
  assert.equal(list.merge(moved, MIN_CHANGE_MS), "changed");
  assert.equal(list.isListed(moved.nodeId), false);
  // It answered where its last record says, which may be elsewhere.
  list.prove(relay(1), MIN_CHANGE_MS);
  assert.equal(list.isListed(moved.nodeId), false);
  list.prove(moved, MIN_CHANGE_MS);
  assert.equal(list.isListed(moved.nodeId), true);
  // What it was counts still; to claim less is no move.
  assert.equal(list.firstReachedMs(moved.nodeId), 0);
  const fewer = relay(1, { sequence: NOW + 2, addresses: [address] });
  list.merge(fewer, 2 * MIN_CHANGE_MS);
  assert.equal(list.isListed(moved.nodeId), true);
});

Deno.test("doubt() says nothing of a relay that is elsewhere than where it was silent", () => {
  const list = makeList();
  const old = relay(1);
  reach(list, old, 0);
  const moved = relay(1, {
    sequence: NOW + 1,
    addresses: [{ host: "192.0.2.99", port: 5001 }],
  });
  list.merge(moved, MIN_CHANGE_MS);
  const promising = (nowMs: number) => [...list.promising(nowMs, NOW)].length;
  list.doubt(old.nodeId, MIN_CHANGE_MS, old);
  assert.equal(promising(MIN_CHANGE_MS), 1);
  list.doubt(old.nodeId, MIN_CHANGE_MS, moved);
  assert.equal(promising(MIN_CHANGE_MS), 0);
});

Deno.test("a relay that was not reached for long, or was silent twice, is a rumour again", () => {
  const list = makeList();
  for (const number of [1, 2]) reach(list, relay(number), 0);
  list.setOwn(relay(3), 0);
  list.doubt(relay(1).nodeId, 10);
  list.unlistOld(LATELY_MS);
  assert.equal(list.listed, 3);
  list.doubt(relay(1).nodeId, 20 + SILENT_MS);
  assert.equal(list.isListed(relay(1).nodeId), false);
  list.unlistOld(LATELY_MS + 1);
  assert.equal(list.listed, 1);
  assert.equal(list.isListed(relay(3).nodeId), true);
  list.prove(relay(2), LATELY_MS + 2);
  assert.equal(list.isListed(relay(2).nodeId), true);
  list.unlist(relay(2).nodeId);
  assert.equal(list.isListed(relay(2).nodeId), false);
});

Deno.test("a flood of rumours evicts rumours, and none that was reached", () => {
  const list = makeList(200);
  const relays = Array.from({ length: 150 }, (_, number) => relay(number));
  for (const record of relays) list.merge(record, 0);
  for (const record of relays.slice(0, 100)) list.prove(record, 0);
  for (let number = 1000; number < 2900; number++) list.merge(relay(number), 0);
  assert.equal(kept(list, relays.slice(0, 100)), 100);
  // 100 places for 1,950 rumours: about 3 of these 50.
  const drawn = kept(list, relays.slice(100));
  assert.ok(drawn >= 1 && drawn <= 10, `${drawn} of 50`);
});

Deno.test("a full list gives up rumours in the order of its hash, whatever becomes of others", () => {
  for (const seed of [1, 2, 3]) {
    const list = makeList(40, seed);
    /** Whether `a` leaves before `b`: the order depends on the list's key alone. */
    const leavesFirst = (a: number, b: number) => {
      const two = makeList(1, seed);
      two.merge(relay(a), 0);
      two.merge(relay(b), 0);
      return two.get(relay(a).nodeId) === undefined;
    };
    let rumours: number[] = [];
    const safe: number[] = [];
    for (let number = 0; number < 300; number++) {
      const isReached = number % 16 === 0;
      if (isReached) reach(list, relay(number), 0);
      const isAdded = !isReached && list.merge(relay(number), 0) === "added";
      const [gone, here] = [[], []] as [number[], number[]];
      for (const one of rumours) {
        (list.get(relay(one).nodeId) === undefined ? gone : here).push(one);
      }
      assert.ok(gone.length <= 1);
      for (const one of gone) {
        for (const other of here) assert.ok(leavesFirst(one, other));
      }
      rumours = here;
      if (isReached) safe.push(number);
      if (isAdded) rumours.push(number);
      const chosen = rumours[number % 5];
      if (number % 30 !== 7 || chosen === undefined) continue;
      if (number % 60 === 7) list.keep(relay(chosen).nodeId);
      else list.prove(relay(chosen), 0);
      rumours.splice(number % 5, 1);
      safe.push(chosen);
    }
    assert.equal(list.size, 40);
    assert.equal(kept(list, safe.map((one) => relay(one))), safe.length);
    assert.ok(safe.length > 20 && rumours.length > 5);
  }
});

Deno.test("a relay that is reached finds a place in a list that rumours have filled", () => {
  const list = makeList(100);
  for (let number = 1000; number < 4000; number++) list.merge(relay(number), 0);
  const honest = Array.from({ length: 90 }, (_, number) => relay(number));
  for (const record of honest) list.prove(record, 0);
  assert.equal(kept(list, honest), 90);
  assert.equal(list.listed, 90);
});

Deno.test("newcomers that are there evict those not reached lately, and none that have been there for days", () => {
  const list = makeList(100);
  const numbers = (from: number) =>
    Array.from({ length: 30 }, (_, at) => relay(from + at));
  const [old, gone, mine] = [numbers(0), numbers(100), numbers(200)];
  for (const record of [...old, ...gone, ...mine]) reach(list, record, 0);
  for (const { nodeId } of mine) list.keep(nodeId);
  const nowMs = LONG_RECORD_MS;
  for (const record of old) list.prove(record, nowMs);
  list.unlistOld(nowMs);
  for (let number = 1000; number < 3000; number++) {
    list.prove(relay(number), nowMs);
  }
  assert.equal(kept(list, old), 30);
  assert.equal(kept(list, mine), 30);
  assert.equal(kept(list, gone), 0);
  assert.equal(list.size, 100);
});

Deno.test("newcomers find no place among relays that have all been there for days", () => {
  const list = makeList(20);
  for (let number = 0; number < 20; number++) {
    list.prove(relay(number), 0);
    list.prove(relay(number), LONG_RECORD_MS);
  }
  list.prove(relay(99), LONG_RECORD_MS);
  assert.equal(list.get(relay(99).nodeId), undefined);
  assert.equal(list.statistics().refused, 1);
});

Deno.test("our own record comes into a list that is full of relays that have been there for days", () => {
  const list = makeList(20);
  for (let number = 0; number < 20; number++) {
    list.prove(relay(number), 0);
    list.prove(relay(number), LONG_RECORD_MS);
  }
  list.setOwn(relay(99), LONG_RECORD_MS);
  assert.equal(list.isListed(relay(99).nodeId), true);
  assert.equal(list.size, 20);
});

Deno.test("our own record and kept relays are never evicted, whatever comes and in whatever order", () => {
  const event = fc.record({
    type: fc.constantFrom("merge", "prove", "doubt", "unlist", "change", "age"),
    number: fc.nat(80),
  });
  const mine = [relay(1), relay(2), relay(3)];
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 300 }),
      fc.nat(),
      (events, seed) => {
        const list = makeList(8, seed);
        list.setOwn(relay(0), 0);
        for (const record of mine) list.merge(record, 0);
        for (const { nodeId } of mine) list.keep(nodeId);
        let nowMs = 0;
        for (const { type, number } of events) {
          nowMs += MIN_CHANGE_MS;
          const sequence = NOW + nowMs;
          const { nodeId } = relay(number);
          if (type === "merge") list.merge(relay(100 + number), nowMs);
          if (type === "prove") list.prove(relay(100 + number), nowMs);
          if (type === "doubt") list.doubt(nodeId, nowMs);
          if (type === "unlist") list.unlist(nodeId);
          if (type === "change") list.merge(relay(number, { sequence }), nowMs);
          if (type === "age") {
            nowMs += LATELY_MS;
            list.unlistOld(nowMs);
          }
          assert.ok(list.size <= 8);
          assert.equal(kept(list, [relay(0), ...mine]), 4);
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a list that is full of kept relays keeps them, and takes our own record all the same", () => {
  const list = makeList(10);
  const all = Array.from({ length: 10 }, (_, number) => relay(number));
  for (const record of all) reach(list, record, 0);
  for (const { nodeId } of all) list.keep(nodeId);
  reach(list, relay(50), 0);
  assert.equal(kept(list, all), 10);
  list.setOwn(relay(99), 0);
  assert.equal(list.isListed(relay(99).nodeId), true);
  assert.equal(kept(list, all), 9);
});

Deno.test("the draw cannot be foreseen without its key", () => {
  const survivors = [1, 2, 3].map((seed) => {
    const list = makeList(20, seed);
    for (let number = 0; number < 200; number++) list.prove(relay(number), 0);
    return readAll(list).records.sort().join(" ");
  });
  assert.equal(new Set(survivors).size, 3);
});

Deno.test("promising() leaves out who was silent lately, until it is proven or time has passed", () => {
  const list = makeList();
  for (const number of [1, 2]) list.merge(relay(number), 0);
  const promising = (nowMs: number) => {
    const found = Array.from(
      list.promising(nowMs, NOW),
      ({ nodeId }) => nodeId[1],
    );
    const visited: unknown[] = [];
    list.visitPromising(nowMs, NOW, ({ nodeId }) => visited.push(nodeId[1]));
    assert.deepEqual(visited, found);
    return found;
  };
  assert.deepEqual(promising(0), [1, 2]);
  list.doubt(relay(1).nodeId, 1000);
  assert.deepEqual(promising(1000), [2]);
  list.prove(relay(1), 1000);
  assert.deepEqual(promising(1000), [1, 2]);
  list.doubt(relay(2).nodeId, 1000);
  assert.deepEqual(promising(3_600_000), [1, 2]);
  list.doubt(relay(3).nodeId, 1000);
  assert.equal(list.size, 2);
});

Deno.test("promising() leaves out who is silent again and again for longer each time", () => {
  const list = makeList();
  list.merge(relay(1), 0);
  const isPromising = (nowMs: number) => [...list.promising(nowMs, NOW)].length;
  let nowMs = 0;
  for (const factor of [1, 2, 4, 8, 8, 8]) {
    for (let failure = 0; failure < 3; failure++) {
      list.doubt(relay(1).nodeId, nowMs);
    }
    const untilMs = nowMs + factor * SILENT_MS;
    assert.equal(isPromising(untilMs - 1), 0);
    assert.equal(isPromising(untilMs), 1);
    nowMs = untilMs;
  }
  list.prove(relay(1), nowMs);
  list.doubt(relay(1).nodeId, nowMs);
  assert.equal(isPromising(nowMs + SILENT_MS), 1);
});

Deno.test("RelayList.reachOf() says what came of trying a relay, at the addresses that are asked about alone", () => {
  const list = makeList();
  const at = (host: string) => [{ host, port: 4001 }];
  const record = relay(1, { addresses: at("192.0.2.1") });
  const moved = relay(1, { addresses: at("192.0.2.2"), sequence: NOW + 1 });
  assert.equal(list.reachOf(record), "untried");
  list.merge(record, 0);
  assert.equal(list.reachOf(record), "untried");
  list.doubt(record.nodeId, 1);
  assert.equal(list.reachOf(record), "silent");
  assert.equal(list.reachOf(moved), "untried");
  list.prove(record, 2);
  assert.equal(list.reachOf(record), "reached");
  // One miss does not unlist it; the second does.
  list.doubt(record.nodeId, 3);
  assert.equal(list.reachOf(record), "reached");
  list.doubt(record.nodeId, 3 + SILENT_MS);
  assert.equal(list.reachOf(record), "silent");
  list.merge(moved, 3 + SILENT_MS + MIN_CHANGE_MS);
  assert.equal(list.reachOf(moved), "untried");
});
