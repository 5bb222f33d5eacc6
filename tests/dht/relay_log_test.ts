import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { MAX_PAGE_RECORDS } from "../../lib/dht/messages.ts";
import { type LogEntry, RelayLog } from "../../lib/dht/relay_log.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";
import { fakeRecord, point } from "./records/fake_records.ts";

const NOWHERE = new Uint8Array();

function entry(number: number): LogEntry {
  const changes = { expiry: TEST_UNIX_MS + 1e9 };
  return { record: fakeRecord(point(1, number), changes), version: 0 };
}

/** The numbers of the entries that a page has. */
function numbers({ records }: { readonly records: readonly Uint8Array[] }) {
  return records.map((encoded) => encoded[1]);
}

Deno.test("a log gives its entries in the order of their last change, and none that left", () => {
  const log = new RelayLog(seededRandom(1));
  const entries = Array.from({ length: 5 }, (_, number) => entry(number));
  for (const each of entries) log.toEnd(each);
  const [first, second] = entries;
  assert.ok(first !== undefined && second !== undefined);
  log.toEnd(first);
  log.remove(second);
  log.remove(second); // is gone already
  assert.equal(log.size, 4);
  assert.deepEqual(numbers(log.page(NOWHERE, TEST_UNIX_MS)), [2, 3, 4, 0]);
  log.compact();
  assert.deepEqual(numbers(log.page(NOWHERE, TEST_UNIX_MS)), [2, 3, 4, 0]);
});

Deno.test("a cursor keeps its meaning when gaps are closed, and has none in another log", () => {
  const log = new RelayLog(seededRandom(1));
  const other = new RelayLog(seededRandom(2));
  const entries = Array.from({ length: 3 }, (_, number) => entry(number));
  for (const each of entries) log.toEnd(each);
  for (const number of [3, 4]) other.toEnd(entry(number));
  const { cursor, more } = log.page(NOWHERE, TEST_UNIX_MS);
  assert.equal(more, false);
  for (const each of entries.slice(0, 2)) log.toEnd(each);
  log.compact();
  assert.deepEqual(numbers(log.page(cursor, TEST_UNIX_MS)), [0, 1]);
  assert.deepEqual(numbers(other.page(cursor, TEST_UNIX_MS)), [3, 4]);
});

Deno.test("an entry that changes all the time is in the log once", () => {
  const log = new RelayLog(seededRandom(1));
  const [busy, quiet] = [entry(1), entry(2)];
  log.toEnd(quiet);
  const { cursor } = log.page(NOWHERE, TEST_UNIX_MS);
  for (let change = 0; change < 10 * MAX_PAGE_RECORDS; change++) {
    log.toEnd(busy);
  }
  assert.equal(log.size, 2);
  const page = log.page(cursor, TEST_UNIX_MS);
  assert.deepEqual(numbers(page), [1]);
  assert.equal(page.more, false);
});
